"""Notebooks run from top to bottom."""

import pathlib

import nbclient
import nbformat
import pytest

NOTEBOOKS = pathlib.Path(__file__).parents[2] / "colab"


@pytest.mark.processes
@pytest.mark.parametrize("name", ["play_along.ipynb"])
def test_runs_top_to_bottom(name, tmp_path):
  notebook = nbformat.read(NOTEBOOKS / name, as_version=4)
  resources = {"metadata": {"path": str(tmp_path)}}
  nbclient.NotebookClient(notebook, timeout=600, resources=resources).execute()
  outputs = [
    output
    for cell in notebook.cells
    if cell.cell_type == "code"
    for output in cell.outputs
  ]
  shown = [set(output.get("data", {})) for output in outputs]
  players = sum("text/html" in kinds for kinds in shown)
  pictures = sum("image/png" in kinds for kinds in shown)
  assert players >= 6
  assert pictures == 2
  printed = "".join(output.get("text", "") for output in outputs)
  assert "bass-seed3.wav" in printed
  assert "song.wav" in printed
