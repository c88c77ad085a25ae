"""Ctrl-C and SIGTERM during commands: a line, an exit code, nothing half."""

import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import pytest

ROOT = pathlib.Path(__file__).parents[2]

pytestmark = pytest.mark.processes


def interrupted(number, moment, later, *arguments):
  """Signal a command's process group `later` than it prints `moment`.

  Returns its exit code and the lines that it printed, without progress bars.
  """
  with subprocess.Popen(
    [sys.executable, "-m", "stemgen_jax", *arguments],
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    env=os.environ | {"PYTHONPATH": str(ROOT)},
    start_new_session=True,
    # Not ignored, as it is in background jobs of some shells.
    preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
  ) as process:
    assert process.stdout is not None
    text = b""
    while not re.search(moment, text.decode()):
      read = os.read(process.stdout.fileno(), 1000)
      assert read, text
      text += read
    time.sleep(later)
    os.killpg(process.pid, number)
    after = process.stdout.read().decode()  # until all its processes ended
    code = process.wait(60)
  lines = [x.rpartition("\r")[2] for x in after.splitlines()]
  return code, [x for x in lines if x and not re.match(r"\w+: +\d+%", x)]


def assert_nothing_partial(folder):
  names = [path.name for path in folder.rglob("*")]
  assert not [x for x in names if x.endswith((".part", ".lock"))]


BAND = (
  *("--source=band", "--songs=99", "--valid_songs=0", "--test_songs=0"),
  *("--seconds=4", "--style=demo", "--pairs=100", "--workers=2"),
)


@pytest.mark.parametrize("later", [0, 6], ids=["starting", "encoding"])
def test_prepare_and_its_workers_end(tmp_path, later):
  out = tmp_path / "codes"
  code, lines = interrupted(
    signal.SIGINT, "encoding", later, "prepare", *BAND, f"--out={out}"
  )
  assert code == 130
  assert lines == ["stemgen-jax: stopped"]
  assert_nothing_partial(out)


def test_generate_leaves_no_file(tmp_path):
  out = tmp_path / "new" / "bass.wav"
  flags = "--seconds=9", "--steps=64", f"--out={out}"
  code, lines = interrupted(signal.SIGTERM, "loaded", 1, "generate", *flags)
  assert code == 143
  # With an empty cache it is compiling, and may have printed that before.
  compiling = re.compile(r"compiling the sampling|  \d+ s elapsed")
  lines = [x for x in lines if not compiling.match(x)]
  assert lines == ["stemgen-jax: stopped"]
  assert not out.parent.exists()


def test_codec_is_saved_and_training_resumes(tmp_path):
  flags = (
    *("train_codec", f"--out={tmp_path}", "--songs=1", "--song_seconds=2"),
    *("--batch=1", "--steps=100000"),
  )
  resuming = ""
  for _ in range(2):
    code, lines = interrupted(
      signal.SIGTERM, f"{resuming}.*training", 8, *flags
    )
    assert code == 0
    *before, line = lines
    # It is answered at once, and saved after its step.
    assert before in ([], ["stopping, once the current step is saved"])
    (step,) = re.findall(r"stopped at step (\d+), saved", line)
    resuming = f"(?s)resuming from step {step}\n"
    assert_nothing_partial(tmp_path)


def test_a_command_that_is_starting_ends(tmp_path):
  script = (
    "import sys; print('starts', flush=True); sys.argv[1:] = sys.argv[2:]; "
    "from stemgen_jax.__main__ import main; sys.exit(main())"
  )
  with subprocess.Popen(
    [sys.executable, "-c", script, "-", "prepare", *BAND, f"--out={tmp_path}"],
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
    env=os.environ | {"PYTHONPATH": str(ROOT)},
    preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
  ) as process:
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
  assert process.returncode == 130
  assert err.strip() in ("", "stemgen-jax: stopped")
