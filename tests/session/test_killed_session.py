"""A session survives kill -9 at any moment."""

import subprocess
import sys

import pytest

# One process imports everything, and forks those that are killed.
_SCRIPT = """
import os, pathlib, random, signal, sys, time
import numpy as np
from stemgen_jax.audio import Audio
from stemgen_jax.session import Session

def work(folder, done):
  rng = np.random.default_rng(0)
  sound = Audio(rng.normal(0, 0.1, (4000, 1)).astype(np.float32), 8000)
  session = Session.create(folder, sound)
  os.write(done, b"x")
  while True:
    layer = session.add_audio(sound, name="layer").name
    os.write(done, b"x")
    session.change(lambda song: song.adjusted(layer, gain_db=-3))
    os.write(done, b"x")
    session.undo()
    os.write(done, b"x")

draw = random.Random(0)
for number in range(20):
  folder = pathlib.Path(sys.argv[1]) / str(number)
  reading, writing = os.pipe()
  child = os.fork()
  if not child:
    work(folder, writing)
  os.close(writing)
  assert os.read(reading, 1)  # the session is there
  time.sleep(draw.uniform(0, 0.05))
  os.kill(child, signal.SIGKILL)
  os.waitpid(child, 0)
  reported = 1
  while more := os.read(reading, 4096):
    reported += len(more)
  session = Session.open(folder)
  layers = session.song.layers
  # Each round adds a layer; its second operation is undone by the third.
  finished = (len(layers) - 1) * 3 - 1 + (layers[-1].gain_db != 0) + 1
  assert finished + 2 >= reported, (finished, reported)
  assert len(layers) >= 1 + (reported + 1) // 3, (len(layers), reported)
  for layer in layers:
    assert session.layer_audio(layer.name).samples.any()
  left = {path.name for path in (folder / "audio").iterdir()}
  assert left == {layer.clip.file for layer in layers}, left
  session.change(lambda song: song.adjusted(layers[0].name, mute=True))
print("20 sessions reopened")
"""


@pytest.mark.processes
def test_nothing_is_lost_at_twenty_random_moments(tmp_path):
  run = subprocess.run(
    [sys.executable, "-c", _SCRIPT, str(tmp_path)],
    capture_output=True,
    text=True,
    timeout=120,
  )
  assert run.stdout == "20 sessions reopened\n", run.stderr[-2000:]
