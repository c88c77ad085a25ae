"""Files and command lines of an earlier commit still work; see README.md."""

import json
import pathlib
import re
import shutil
import sys
import tarfile
from unittest import mock

import jax
import numpy as np
import pytest

from stemgen_jax import StemGen, Take, audio, model, sampling
from stemgen_jax import __main__ as command
from stemgen_jax.data.examples import Examples
from stemgen_jax.training.metrics import read_log

HERE = pathlib.Path(__file__).parent
# 16-bit files, and float32 convolutions of another machine.
AUDIO_TOLERANCE = 1e-3


@pytest.fixture(autouse=True, scope="module")
def quick_compilation():
  before = jax.config.values["jax_disable_most_optimizations"]
  jax.config.update("jax_disable_most_optimizations", True)
  yield
  jax.config.update("jax_disable_most_optimizations", before)


@pytest.fixture(scope="module")
def earlier(tmp_path_factory):
  folder = tmp_path_factory.mktemp("earlier")
  with tarfile.open(HERE / "earlier.tar.xz") as archive:
    archive.extractall(folder, filter="data")
  return folder


@pytest.fixture(scope="module")
def engine(earlier):
  return StemGen.load(earlier / "model", codec=earlier / "codec.safetensors")


def run(app, *flags):
  argv = [app, *flags]
  # In a process of its own the module is new: ml_collections adds a flag for
  # every --config.NAME that it finds in sys.argv.
  sys.modules.pop(f"stemgen_jax.apps.{app}", None)
  with mock.patch.object(sys, "argv", ["stemgen-jax", *argv]):
    return command.main(argv)


def prepare(earlier, out, *more):
  return run(
    "prepare",
    "--source=band",
    "--style=demo",
    "--songs=3",
    "--valid_songs=1",
    "--test_songs=1",
    "--seconds=4",
    "--pairs=2",
    f"--codec={earlier / 'codec.safetensors'}",
    "--workers=0",
    f"--out={out}",
    *more,
  )


def contents(folder):
  return {
    str(path.relative_to(folder)): path.read_bytes()
    for path in sorted(folder.rglob("*"))
    if path.is_file()
  }


def assert_same_take(take, saved):
  """The same codes, and the same audio up to the rounding of its file."""
  np.testing.assert_array_equal(take.codes, saved.codes)
  np.testing.assert_allclose(
    take.audio.samples, saved.audio.samples, atol=AUDIO_TOLERANCE
  )


@pytest.mark.parametrize(
  ("name", "frames", "expected"),
  [
    ("bass.flac", 50, {"stem": "bass", "genre": "techno", "seed": 3}),
    ("loop.wav", 50, {"stem": "bass", "genre": "", "seed": 0}),
    ("drums.flac", 25, {"stem": "drums", "genre": "", "seed": 0}),
    ("varied.flac", 50, {"stem": "bass", "genre": "techno", "seed": 4}),
  ],
)
def test_takes_load(earlier, name, frames, expected):
  take = Take.load(earlier / name)
  assert take.codes.shape == (frames, 2)
  assert {field: getattr(take, field) for field in expected} == expected
  preset = sampling.preset("fast" if name == "loop.wav" else "default")
  assert take.settings.steps == preset.steps
  assert take.settings.guidance_ramp == preset.guidance_ramp
  assert take.metadata["loop"] == (name == "loop.wav")
  stated = audio.read_metadata(earlier / name)
  for field in ("title", "codes", "origin"):
    assert take.metadata[field] == stated[field]


def test_a_seed_gives_the_earlier_take(earlier, engine):
  take = engine.generate(
    earlier / "context.flac", "bass", genre="techno", seed=3
  )
  assert_same_take(take, Take.load(earlier / "bass.flac"))


def test_takes_can_be_varied_regenerated_and_extended(earlier, engine):
  take = Take.load(earlier / "bass.flac")
  varied = engine.vary(take, share=0.5)
  assert_same_take(varied, Take.load(earlier / "varied.flac"))

  redone = engine.regenerate(take, [(0.4, 0.6)])
  inside = np.zeros(50, bool)
  inside[20:30] = True
  np.testing.assert_array_equal(redone.codes[~inside], take.codes[~inside])
  assert (redone.codes[inside] != take.codes[inside]).any()

  longer = engine.extend(take, earlier / "longer.flac")
  np.testing.assert_array_equal(longer.codes[:50], take.codes)
  assert len(longer.audio.samples) == 9600

  loop = Take.load(earlier / "loop.wav")
  again = engine.vary(loop, seed=loop.seed, share=1)
  assert_same_take(again, loop)


def test_an_earlier_take_can_be_changed_on_the_command_line(
  earlier, engine, tmp_path
):
  out = tmp_path / "longer.flac"
  assert (
    run(
      "extend",
      f"--take={earlier / 'drums.flac'}",
      "--seconds=0.8",
      f"--weights={earlier / 'model.safetensors'}",
      f"--codec={earlier / 'codec.safetensors'}",
      "--preset=default",
      f"--out={out}",
    )
    == 0
  )
  drums = Take.load(earlier / "drums.flac")
  np.testing.assert_array_equal(Take.load(out).codes[:25], drums.codes)


def test_the_data_set_is_taken_as_finished(earlier, tmp_path, capsys):
  out = tmp_path / "data"
  shutil.copytree(earlier / "data", out)
  assert prepare(earlier, out) == 0
  now = contents(out)
  assert now.pop("beats.npz")  # which it had not yet
  assert now == contents(earlier / "data")
  # The recipe of the folder is understood, too.
  capsys.readouterr()
  assert prepare(earlier, out, "--min_active=0.3") == 1
  assert "pairs.min_active 0.2 there, 0.3 now" in capsys.readouterr().err


def test_a_lost_song_is_encoded_again_and_the_others_are_kept(
  earlier, tmp_path
):
  out = tmp_path / "data"
  shutil.copytree(earlier / "data", out)
  (out / "songs/band-0-000001.npz").unlink()
  assert prepare(earlier, out) == 0
  old, new = contents(earlier / "data"), contents(out)
  assert new.pop("beats.npz")
  assert old.keys() == new.keys()
  kept = [name for name in old if name.startswith("songs/")]
  kept.remove("songs/band-0-000001.npz")
  assert len(kept) == 4
  for name in (*kept, "prepare.json", "codebooks.npy", "silence.npy"):
    assert old[name] == new[name], name
  old, new = (
    {**json.loads(x["manifest.json"]), "versions": None} for x in (old, new)
  )
  for name in ("checksums", "description_checksum"):
    assert name not in old
    del new[name]
  later = {"codec_device": "cpu", "loudness": {}, "segments": {}, "stems": ""}
  later["roles"] = {"pairs": {"percussive": 2, "bass": 3, "harmonic": 1}}
  assert {name: new.pop(name) for name in later} == later
  assert old == new


def test_held_out_examples_load(earlier):
  examples = Examples.load(earlier / "heldout.npz")
  assert examples.target.shape == (1, 50, 2)
  manifest = json.loads((earlier / "data/manifest.json").read_text())
  assert examples.checksum == manifest["checksum"]


def test_a_run_has_the_weights_that_were_exported(earlier):
  exported = model.load_weights(earlier / "model.safetensors")
  assert exported.metadata["steps"] == 3
  best = StemGen.load(earlier / "run", codec=earlier / "codec.safetensors")
  assert best.config == exported.config
  jax.tree.map(np.testing.assert_array_equal, best.params, exported.params)


def test_a_run_resumes_with_the_same_losses_and_is_exported(earlier, tmp_path):
  out, weights = tmp_path / "run", tmp_path / "model.safetensors"
  shutil.copytree(earlier / "run", out)
  flags = (
    f"--config={earlier / 'config.py'}",
    f"--data={earlier / 'data'}",
    f"--out={out}",
    "--config.steps=5",
  )
  assert run("train", *flags) == 0
  for kind in ("train", "validation"):
    lines, wanted = (
      [line for line in read_log(log) if line["kind"] == kind]
      for log in (out / "log.jsonl", earlier / "continued.jsonl")
    )
    assert [x["step"] for x in lines] == [x["step"] for x in wanted]
    for line, expected in zip(lines, wanted):
      for name in ("loss", "gradient_norm", "learning_rate", "all_masked_true"):
        if name in expected:
          assert line[name] == pytest.approx(expected[name], rel=1e-4), name
  assert run("export", f"--run={out}", f"--out={weights}", "--step=last") == 0
  assert model.load_weights(weights).metadata["steps"] == 5


def test_earlier_flags_are_known(earlier, capsys):
  lines = json.loads((earlier / "flags.json").read_text())
  assert len(lines) == 9
  lines["train"].insert(0, f"--config={earlier / 'config.py'}")
  # "x" stands for a value; that of these flags is checked before the names.
  lines["regenerate"] = [
    re.sub(r"(--(bars|regions))=x", r"\1=1-2", x) for x in lines["regenerate"]
  ]
  for app, flags in lines.items():
    # Flags are read in their order, so all before the last one were known.
    assert run(app, *flags, "--last_flag=1") == 1
    assert "unknown flag --last_flag" in capsys.readouterr().err, app
