"""The whole command with the weights in the package."""

import json

import pytest

from stemgen_jax import __main__ as command
from stemgen_jax import audio, paths
from stemgen_jax.apps import evaluate as evaluate_app

pytestmark = [
  pytest.mark.usefixtures("optimized_compilation"),
  pytest.mark.processes,
]

TINY = ("--seconds=2", "--preset=fast", "--variations=1", "--shown=1")


@pytest.fixture(scope="module")
def out(tmp_path_factory):
  folder, loops = map(tmp_path_factory.mktemp, ("out", "loops"))
  for path in paths.LOOPS.glob("*.flac"):
    loop = audio.read(path)
    short = audio.Audio(loop.samples[: 2 * loop.sample_rate], loop.sample_rate)
    audio.write(loops / path.name, short)
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(paths, "LOOPS", loops)  # of the sessions
    assert evaluate(folder, "--examples=2", "--workers=1") == 0
  return folder


def evaluate(folder, *arguments) -> int:
  return run(folder, *TINY, "--mirdd=false", *arguments)


def run(folder, *arguments) -> int:
  return command.main(["evaluate", f"--out={folder}", *arguments])


def test_it_writes_a_page_and_its_figures(out):
  result = json.loads((out / "report.json").read_text())
  assert (result["examples"], result["songs"]) == (2, 2)
  assert result["weights"] == "demo"
  assert set(result["frechet"]) == {"codec", "musicnn", "notes"}
  assert result["listening"]["examples"] == 2
  assert list(result["listening"]["levels"]) == ["0", "1", "2", "3"]
  page = (out / "report.html").read_text()
  for heading in (
    "Test set examples",
    "Starting from drums",
    "Starting from chords",
    "Melody layering",
    "Does it use the context?",
  ):
    assert heading in page


def test_it_resumes(out, capsys):
  names = sorted((out / "examples").iterdir())
  times = [path.stat().st_mtime_ns for path in names]
  assert len(names) == 4  # figures and a stem of each
  before = json.loads((out / "report.json").read_text())
  assert evaluate(out, "--examples=2", "--variations=0") == 0
  assert [path.stat().st_mtime_ns for path in names] == times
  assert json.loads((out / "report.json").read_text()) == before
  assert "2 examples of 2 songs" in capsys.readouterr().out


def test_figures_do_not_depend_on_the_number_of_workers(out):
  before = json.loads((out / "report.json").read_text())
  for path in (out / "examples").glob("*.npz"):
    path.unlink()
  stems = [
    path.stat().st_mtime_ns for path in sorted((out / "stems").iterdir())
  ]
  options = ("--examples=2", "--variations=0", "--workers=2")
  assert evaluate(out, *options) == 0
  assert stems == [
    path.stat().st_mtime_ns for path in sorted((out / "stems").iterdir())
  ]
  after = json.loads((out / "report.json").read_text())
  assert after | {"seconds": 0} == before | {"seconds": 0}


def test_another_evaluation_in_the_same_folder_is_refused(out, capsys):
  assert evaluate(out, "--examples=2", "--seed=1") == 1
  error = capsys.readouterr().err
  assert "seed 0 there, 1 now" in error
  assert len(error.splitlines()) == 1


@pytest.mark.parametrize(
  ("arguments", "message"),
  [
    (("--variations=-1",), "--variations=-1: expected at least 0"),
    (("--shown=-1",), "--shown=-1: expected at least 0"),
    (("--workers=-1",), "--workers=-1: expected at least 0"),
    (("--what=listening", "--examples=0"), "--examples=0: expected at least"),
    (("--what=sound", "--examples=-3"), "--examples=-3: expected at least"),
    (("--what=sound", "--examples=2"), "2 examples: none has a real"),
    (
      ("--what=loops", "--files=*", "--seconds=-5"),
      "--seconds=-5: expected 0.2 to 600",
    ),
    (("--weights=.",), "is a folder"),
    (("--what=listening", "--weights=."), "or the folder of a run"),
    (("--codec_backend=tf",), "--codec_backend=tf: expected one of auto"),
    (("--seed=-1",), "--seed=-1: expected 0 to 2147483647"),
    (("--what=blind", "--anchors=noise"), "noise is unknown; expected some"),
    (("--what=blind", "--anchors=drone,drone"), "drone is given twice"),
    (("--what=blind", "--answers=a.json", "--seed=1"), "key.json: file not"),
    (("--grid=configs/decoding.py",), "--grid is for --what=decoding, not all"),
    (("--what=loops",), "--files is missing"),
    (("--what=decoding",), "--grid is missing"),
    (("--what=decoding", "--grid=lost.py"), "--grid=lost.py: file not found"),
    (("--files=*",), "--files is for --what=loops or retrieval, not all"),
    (("--what=listening", "--mirdd"), "--mirdd is for --what=all or decoding"),
  ],
)
def test_invalid_flags_are_reported_before_any_work(
  tmp_path, capsys, arguments, message
):
  assert run(tmp_path, *arguments) == 1
  assert message in capsys.readouterr().err


@pytest.mark.parametrize("error", [ValueError, OSError, ModuleNotFoundError])
def test_a_refused_study_leaves_no_folder(tmp_path, monkeypatch, error):
  def refuse(study, options, path):
    (path.parent / "evaluation.json").write_text("{}")
    raise error("refused")

  monkeypatch.setattr(evaluate_app, "_run", refuse)
  assert evaluate(tmp_path / "out") == 1
  assert not (tmp_path / "out").exists()


def test_settings_are_compared_and_more_are_added(tmp_path):
  grid = tmp_path / "grid.py"
  grid.write_text(
    "from stemgen_jax.sampling import Settings\n"
    "def get_settings():\n"
    "  return {f'{n}': Settings(steps=(n, 1, 1, 1)) for n in NUMBERS}\n"
    "def get_options():\n"
    "  return {'examples': 2, 'seconds': 9, 'seeds': 1}\n"
  )
  text = grid.read_text()
  for numbers in ((1,), (1, 2)):
    grid.write_text(f"NUMBERS = {numbers}\n{text}")
    assert (
      run(
        tmp_path / "out",
        "--what=decoding",
        f"--grid={grid}",
        "--seconds=2",
      )
      == 0
    )
    result = json.loads((tmp_path / "out" / "decoding.json").read_text())
    assert [int(name) for name in result["rows"]] == list(numbers)
    assert result["seeds"] == 1
  assert result["rows"]["2"]["passes"] == 10
  assert (tmp_path / "out" / "decoding.md").read_text().startswith("| setting")
  assert (tmp_path / "out" / "decoding.png").is_file()
