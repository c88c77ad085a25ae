"""Tests of the files of a take, and of invalid values in them."""

import json

import numpy as np
import pytest
from matplotlib import image

from stemgen_jax import audio, recipes, sampling
from stemgen_jax.audio import Audio
from stemgen_jax.codec.framing import Framing
from stemgen_jax.generation.context import EncodedContext
from stemgen_jax.generation.take import Take

RATE = 8000


def _sound(level=0.1) -> Audio:
  t = np.arange(RATE)[:, None] / RATE
  return Audio((level * np.sin(2 * np.pi * 99 * t)).astype(np.float32), RATE)


@pytest.fixture
def take():
  return Take(
    audio=_sound(),
    codes=np.zeros((50, 4), np.int32),
    context=EncodedContext(
      codes=np.ones((50, 4), np.int32),
      gain=2.0,
      inverse_gain=0.5,
      level_db=-np.inf,  # JSON has no such number, Python's has
      from_nothing=True,
      loop=False,
      samples=RATE,
      sample_rate=RATE,
      channels=1,
      framing=Framing(hop=160),
      stretch=1.0,
    ),
    seed=3,
    settings=sampling.Settings(top_k=(0, 64), temperature=1),
    stem="bass",
    weights="demo",
    codec_checksum="abc",
    elapsed=1,
  )


def _change(path, change):
  """Apply `change` to the description in a file."""
  with np.load(path) as file:
    arrays = dict(file)
  about = json.loads(str(arrays["about"]))
  change(about)
  np.savez(path, **{**arrays, "about": np.array(json.dumps(about))})


@pytest.mark.parametrize(
  ("part", "value"),
  [
    (("seed",), "3"),
    (("seed",), True),
    (("stem",), None),
    (("dtype",), "float8"),
    (("devices",), "1"),
    (("format",), "2"),
    (("format",), 0),
    (("settings",), []),
    (("settings", "steps"), ["a"]),
    (("settings", "steps"), [0]),
    (("settings", "rank"), 3),
    (("settings", "rank"), "best"),
    (("settings", "guidance", "context"), ["loud"]),
    (("settings", "unknown"), 1.0),
    (("cost", "passes"), 1.5),
    (("encoded_context",), None),
    (("encoded_context", "gain"), "1"),
    (("encoded_context", "gain"), float("nan")),
    (("encoded_context", "inverse_gain"), float("inf")),
    (("encoded_context", "stretch"), -1.0),
    (("encoded_context", "level_db"), float("nan")),
    (("encoded_context", "channels"), 0),
    (("encoded_context", "time_reference"), -1),
    (("encoded_context", "time_reference"), 2**62),
    (("encoded_context", "framing"), {"hop": 0}),
    (("encoded_context", "framing"), {"hop": 320}),
    (("encoded_context", "framing"), {"hop": 160, "segment": 320}),
    (("encoded_context", "scales"), [float("nan")]),
    (("encoded_context", "loop"), 0),
    (("encoded_context", "framing"), {"hop": "160"}),
    (("encoded_context", "unknown"), 1.0),
  ],
)
def test_invalid_values_are_corrupt_files(take, tmp_path, part, value):
  path = take.save(tmp_path / "a.wav")
  codes = tmp_path / "a.codes.npz"
  assert Take.load(path).settings == take.settings

  def change(about):
    *parents, last = part
    for parent in parents:
      about = about[parent]
    about[last] = value

  _change(codes, change)
  with pytest.raises(
    ValueError, match=r"a\.codes\.npz (is corrupt|has format)"
  ):
    Take.load(path)


def test_missing_values_are_corrupt_files(take, tmp_path):
  path = take.save(tmp_path / "a.wav")
  _change(tmp_path / "a.codes.npz", lambda about: about.pop("origin"))
  with pytest.raises(ValueError, match=r"corrupt \('origin'\)"):
    Take.load(path)


def test_errors_of_the_program_are_not_corrupt_files(
  take, tmp_path, monkeypatch
):
  path = take.save(tmp_path / "a.wav")

  def fail(*_):
    raise KeyError("a mistake")

  monkeypatch.setattr(recipes, "build", fail)
  with pytest.raises(KeyError, match="a mistake"):
    Take.load(path)


def test_save_writes_mix_and_picture(take, tmp_path):
  files = {"mix": tmp_path / "mix.wav", "picture": tmp_path / "look.png"}
  with pytest.raises(ValueError, match="a mix needs the context"):
    take.save(tmp_path / "a.wav", **files)
  half = Audio(_sound().samples[::2].copy(), RATE)
  with pytest.raises(ValueError, match="the context has 4000 samples"):
    take.save(tmp_path / "a.wav", context=half, **files)
  with pytest.raises(ValueError, match="named twice"):
    take.save(tmp_path / "a.wav", context=_sound(), mix=tmp_path / "a.wav")
  assert list(tmp_path.iterdir()) == []
  take.save(tmp_path / "a.wav", context=_sound(0.95), **files)
  assert sorted(path.name for path in tmp_path.iterdir()) == [
    "a.codes.npz",
    "a.wav",
    "look.png",
    "mix.wav",
  ]
  assert np.abs(audio.read(files["mix"]).samples).max() < 1
  assert audio.read_metadata(files["mix"])["seed"] == 3
  assert image.imread(files["picture"]).ndim == 3
