"""Notebooks run from top to bottom, in one kernel."""

import copy
import importlib.util
import pathlib
import re
import subprocess
import sys
import zipfile

import nbclient
import nbformat
import numpy as np
import pytest
import small_weights
import soundfile

pytestmark = pytest.mark.processes

NOTEBOOKS = pathlib.Path(__file__).parents[2] / "colab"
SMALL_MODEL = {
  "config.model.depth": 1,
  "config.model.width": 64,
  "config.model.heads": 2,
  "config.model.mlp": 64,
  "config.model.window": 100,
  "config.batch": 2,
  "config.validate_batches": 1,
  "config.mesh_data": 1,
}


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
  assert "error:" not in printed, printed  # of the commands
  return printed, [output.get("data", {}) for output in outputs]


def players(shown):
  """Return the number of players of every output that has some."""
  counts = [data.get("text/html", "").count("<audio") for data in shown]
  return [count for count in counts if count]


def replaced(notebook, title, **values):
  found = cell(notebook, title)
  found.source = filled(found, **values).source


def test_committed_notebooks_have_no_outputs():
  paths = sorted(NOTEBOOKS.glob("*.ipynb"))
  for path in paths:
    for one in read(path.name).cells:
      assert one.get("outputs", []) == []
      assert one.get("execution_count") is None


@pytest.mark.parametrize(
  ("device", "extra"),
  [("nvidia[0-9]*", "jax[cuda12]"), ("accel[0-9]*", "jax[tpu]"), ("", None)],
)
def test_set_up_installs_for_the_running_kernel(
  device, extra, tmp_path, monkeypatch
):
  names = ("play_along", "train_your_own", "ablations", "live")
  setups = [cell(read(f"{x}.ipynb"), "Set up").source for x in names]
  # They differ in what training needs in addition.
  assert setups[1] == setups[2]
  assert setups[0] == setups[3]
  assert set(setups[0].splitlines()) - set(setups[1].splitlines()) == {
    '  packages = ["-e", "stemgen-jax"]'
  }
  for setup in setups[:2]:
    called = []

    def run(command, called=called, **_):
      called.append(command)
      return subprocess.CompletedProcess(command, 0)

    with monkeypatch.context() as patch:
      patch.chdir(tmp_path)
      patch.setattr(subprocess, "run", run)
      patch.setattr(importlib.util, "find_spec", lambda _: None)
      patch.setattr(pathlib.Path, "glob", lambda _, x: [x] * (x == device))
      patch.setattr(sys, "path", list(sys.path))
      patch.setenv("PATH", "/bin")
      address = "https://example.org/stemgen-jax"
      exec(setup.replace('REPOSITORY = ""', f'REPOSITORY = "{address}"'), {})
      assert sys.path[0] == str(tmp_path / "stemgen-jax")
    assert called[0] == ["git", "clone", address, "stemgen-jax"]
    # One call resolves the versions of jax and its plugin together.
    assert [x for x in called[1] if x.startswith("jax")] == [extra] * bool(
      extra
    )
    loaded = (tmp_path / called[1][called[1].index("-c") + 1]).read_text()
    assert f"numpy=={np.__version__}" in loaded.splitlines()
    assert "jupyterlab" not in loaded


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
  at = notebook.cells.index(cell(notebook, "Load the model"))
  present = nbformat.v4.new_code_cell("accelerator = lambda: 'cuda12'")
  notebook.cells.insert(at, present)
  begin = notebook.cells[: notebook.cells.index(choose) + 1]
  end = [change, mix, undo, notebook.cells[-1]]
  notebook.cells = copy.deepcopy([*begin, own, *first, *second, *end])

  printed, shown = execute(kernel, notebook, tmp_path)
  assert (tmp_path / "drums-session" / "session.json").is_file()
  assert "Runs on " in printed
  unused = (
    "warning: this machine has an accelerator (cuda12), but JAX" in printed
  )
  assert unused == ("x cpu." in printed)
  assert "tempo" in printed
  assert "dB too loud to play: lowered" in printed
  assert players(shown) == [1, 1, 4, 1, 2, 1, 2, 1, 1]
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


def test_live(kernel, tmp_path):
  notebook = read("live.ipynb")
  assert "not real time" in notebook.cells[0].source
  weights = small_weights.save(tmp_path / "small.safetensors")
  replaced(notebook, "Load the model", WEIGHTS=str(weights))
  # Four seconds, for which the slowest machine is fast enough.
  loop = np.random.default_rng(0).normal(0, 0.1, (4 * 32000, 1))
  soundfile.write(tmp_path / "my loop.wav", loop, 32000, "FLOAT")
  chosen = {"LOOP": str(tmp_path / "my loop.wav"), "BPM": 121.0}
  title = "Choose the loop and the layers"
  replaced(notebook, title, LAYERS="klavier", **chosen)
  replaced(notebook, "Play", REPEATS=2)
  title = "Change a layer, and continue"
  replaced(notebook, title, CHANGE="piano again", REPEATS=2)
  mute = filled(cell(notebook, title), CHANGE="piano mute", REPEATS=1)
  notebook.cells.insert(-2, mute)
  printed, shown = execute(kernel, notebook, tmp_path)
  assert "2 bars at 120.0 bpm; layers: piano" in printed
  assert re.search(r"bar [5-7]: piano: seed 1\n", printed)
  assert "bar 9: piano muted" in printed
  assert len(re.findall(r" \d late, hit rate .*, float32\n", printed)) == 3
  assert players(shown) == [1, 1, 1]
  sound, _ = soundfile.read(tmp_path / "live.wav", always_2d=True)
  parts = np.split(sound, 5)
  # The first repetition is the loop alone, the last one after the fade, too.
  gain = np.abs(parts[0]).max() / np.abs(loop).max()
  np.testing.assert_allclose(parts[0], gain * loop, atol=1e-3)
  np.testing.assert_allclose(parts[4][64:], gain * loop[64:], atol=1e-3)
  assert np.abs(parts[1] - parts[0]).max() > 1e-3


@pytest.fixture(scope="module")
def trained(kernel, tmp_path_factory):
  """Return the folder of the training notebook, and its outputs."""
  folder = tmp_path_factory.mktemp("train")
  notebook = read("train_your_own.ipynb")
  few = {"SONGS": 2, "SECONDS": 4, "MORE_FLAGS": "--pairs=2 --workers=0"}
  replaced(notebook, "Prepare the music", **few)
  # tests/training covers auditions.
  small = SMALL_MODEL | {"config.listen_every": 0}
  flags = " ".join(f"--{name}={value}" for name, value in small.items())
  replaced(notebook, "Train", STEPS=4, MORE_FLAGS=flags)
  replaced(notebook, "Evaluate", EXAMPLES=2)
  soundfile.write(folder / "song.wav", np.zeros(2 * 44100), 44100)
  replaced(notebook, "Generate", MUSIC="song.wav")
  return folder, *execute(kernel, notebook, folder)


def test_train_your_own(trained):
  folder, printed, shown = trained
  assert "Training runs on" in printed
  assert "trained 4 steps" in printed
  assert "bits per masked frame" in printed
  assert sum("image/png" in data for data in shown) == 1
  assert players(shown) == [1, 1]
  with zipfile.ZipFile(folder / "my_model/run-weights.zip") as archive:
    names = set(archive.namelist())
  assert names >= {"model.safetensors", "model.json", "model.md"}


def test_ablations(kernel, trained, tmp_path):
  notebook = read("ablations.ipynb")
  replaced(notebook, "Choose the data", DATA=f"{trained[0]}/my_model/data")
  more = " ".join(f"{name}={value}" for name, value in SMALL_MODEL.items())
  # With the same steps as the other run nothing is compiled again.
  few = {"SEEDS": "0", "STEPS": 4, "MORE": more}
  change = "config.mask.span_share=0.1,0.2"
  replaced(notebook, "Train the runs", CHANGE=change, **few)
  printed, shown = execute(kernel, notebook, tmp_path)
  assert "2/2 mask.span_share=0.2" in printed
  [table] = [x["text/markdown"] for x in shown if "text/markdown" in x]
  assert "| 0.1 | 4 | yes |" in table
  assert "| 0.2 | 4 | yes |" in table
  assert sum("image/png" in data for data in shown) == 1
