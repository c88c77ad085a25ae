"""Notebooks run from top to bottom, in one kernel."""

import copy
import pathlib
import re
import zipfile

import nbclient
import nbformat
import numpy as np
import pytest
import soundfile

pytestmark = pytest.mark.processes

NOTEBOOKS = pathlib.Path(__file__).parents[2] / "colab"


@pytest.fixture(scope="module")
def kernel():
  """Yield a client whose kernel all notebooks share, as its start is slow."""
  client = nbclient.NotebookClient(nbformat.v4.new_notebook(), timeout=600)
  client.create_kernel_manager()
  with client.setup_kernel():
    yield client


def read(name):
  notebook = nbformat.read(NOTEBOOKS / name, as_version=4)
  nbformat.validate(notebook)
  return notebook


def cell(notebook, title):
  [found] = [x for x in notebook.cells if f"# @title {title}\n" in x.source]
  return found


def filled(cell, **values):
  """Return a copy of a cell with other values in the fields of its form."""
  cell = copy.deepcopy(cell)
  for name, value in values.items():
    text = f"{name} = {value!r}"
    pattern = rf"^{name} = .*(?=  # @param)"
    cell.source, count = re.subn(
      pattern, lambda _, text=text: text, cell.source, flags=re.MULTILINE
    )
    assert count == 1, name
  return cell


def execute(kernel, notebook, folder):
  """Run all cells in a folder, without names of an earlier notebook."""
  fresh = nbformat.v4.new_code_cell(f"%reset -f\n%cd -q {folder}")
  notebook.cells.insert(0, fresh)
  kernel.nb = notebook
  kernel.reset_execution_trackers()
  for number, one in enumerate(notebook.cells):
    kernel.execute_cell(one, number)
  outputs = [
    output
    for cell in notebook.cells
    if cell.cell_type == "code"
    for output in cell.outputs
  ]
  printed = "".join(output.get("text", "") for output in outputs)
  pages = [output.get("data", {}).get("text/html", "") for output in outputs]
  return printed, pages


def test_committed_notebooks_have_no_outputs():
  paths = sorted(NOTEBOOKS.glob("*.ipynb"))
  for path in paths:
    for one in read(path.name).cells:
      assert one.get("outputs", []) == []
      assert one.get("execution_count") is None


def test_play_along(kernel, tmp_path):
  notebook = read("play_along.ipynb")
  # The musician's file is louder than full scale, and mono.
  noise = np.random.default_rng(0).normal(0, 0.5, 2 * 48000).astype("float32")
  soundfile.write(tmp_path / "my song.wav", noise, 48000, "FLOAT")
  choose = cell(notebook, "Choose the music")
  own = filled(choose, MUSIC=str(tmp_path / "my song.wav"))
  add, keep = cell(notebook, "Add an instrument"), cell(notebook, "Keep a take")
  first = [filled(add, TAKES=2, QUALITY="fast"), keep]
  second = [filled(add, INSTRUMENT="klavier", TAKES=1, QUALITY="fast"), keep]
  change = filled(cell(notebook, "Change a take"), FROM=0.5, TO=1.0)
  mix = cell(notebook, "Mix, and go back")
  undo = filled(mix, ACTION="undo")
  begin = notebook.cells[: notebook.cells.index(choose) + 1]
  end = [change, mix, undo, notebook.cells[-1]]
  notebook.cells = copy.deepcopy([*begin, own, *first, *second, *end])

  printed, pages = execute(kernel, notebook, tmp_path)
  assert (tmp_path / "drums-session" / "session.json").is_file()
  assert "Runs on" in printed
  assert "tempo" in printed
  assert "dB too loud to play: lowered" in printed
  shown = [page.count("<audio") for page in pages]
  assert [count for count in shown if count] == [1, 1, 4, 1, 2, 1, 2, 1, 1]
  assert "bass         take 2" in printed or "bass         take 3" in printed
  with zipfile.ZipFile(tmp_path / "my song-layers.zip") as archive:
    names = {pathlib.PurePath(name).name for name in archive.namelist()}
  assert {
    "01-my-song.wav",
    "02-bass.wav",
    "03-piano.wav",
    "mix.wav",
    "song.rpp",
    "song.dawproject",
  } <= names
