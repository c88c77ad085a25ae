"""A flipped bit in a file: it is refused, or its content is read unchanged."""

import dataclasses
import functools
import hashlib
import pathlib
import shutil
from typing import Any

import fake_data
import jax
import numpy as np
import pytest
import tiny
import torch
from flax import nnx

from stemgen_jax import codec, model, paths, small_runs
from stemgen_jax.audio import Audio
from stemgen_jax.codec import encodec, networks
from stemgen_jax.codec.framing import Framing
from stemgen_jax.coherence import config as coherence_config
from stemgen_jax.coherence import weights as coherence_weights
from stemgen_jax.coherence.training import loop as coherence_loop
from stemgen_jax.coherence.training.config import TrainingConfig
from stemgen_jax.data import records
from stemgen_jax.data.beats import Beats
from stemgen_jax.data.examples import Examples
from stemgen_jax.data.preparation import pairs, prepare, song_codes
from stemgen_jax.generation import codes_file
from stemgen_jax.generation.context import EncodedContext
from stemgen_jax.generation.take import Take
from stemgen_jax.sampling import Settings
from stemgen_jax.training.checkpoint import About, Checkpoints, state_like
from stemgen_jax.training.resolve import resolve
from stemgen_jax.training.step import init_state

pytestmark = pytest.mark.processes

FLIPS = 200


def content(value, digest=None):
  """Return a digest of everything in a value."""
  digest = digest or hashlib.sha256()
  if dataclasses.is_dataclass(value) and not isinstance(value, type):
    value = vars(value)
  if isinstance(value, dict):
    value = sorted(value.items())
  if isinstance(value, np.ndarray | jax.Array):
    digest.update(f"{value.dtype} {value.shape}".encode())
    digest.update(np.asarray(value).tobytes())
  elif isinstance(value, list | tuple):
    for entry in value:
      content(entry, digest)
  else:
    digest.update(repr(value).encode())
  return digest.hexdigest()


def export(folder):
  config = model.ModelConfig(
    levels=2,
    codes=8,
    width=16,
    depth=1,
    heads=2,
    mlp=16,
    window=4,
    codec="demo",
    codec_checksum="abc",
  )
  params = model.init_params(config, jax.random.key(0))
  model.save_weights(folder / "m.safetensors", config, params, {"steps": 7})


def read_export(folder):
  weights = model.load_weights(folder / "m")
  arrays = jax.tree_util.tree_leaves_with_path(weights.params)
  return weights.config, weights.metadata, [(str(k), x) for k, x in arrays]


def export_codec(folder):
  torch.manual_seed(0)
  config = networks.NetworkConfig(
    ratios=(2, 2), filters=2, latent=4, levels=2, codes_per_level=8
  )
  encodec.save(folder / "c.safetensors", "c", networks.Network(config), {})


def read_codec(folder):
  loaded = codec.load(folder / "c.safetensors")
  return loaded.name, loaded.frame_rate, loaded.codebooks()


def save_take(folder):
  rng = np.random.default_rng(0)
  context = EncodedContext(
    codes=rng.integers(0, 9, (50, 4)),
    gain=2.0,
    inverse_gain=0.5,
    level_db=-np.inf,
    from_nothing=True,
    loop=False,
    samples=8000,
    sample_rate=8000,
    channels=1,
    framing=Framing(hop=160),
    stretch=1.0,
  )
  take = Take(
    audio=silence(),
    codes=rng.integers(0, 9, (50, 4)),
    context=context,
    seed=3,
    settings=Settings(),
    stem="bass",
    weights="demo",
    codec_checksum="abc",
    elapsed=1,
  )
  take.save(folder / "a.wav")
  (folder / "a.wav").rename(folder.parent / "a.wav")  # may be edited


def silence():
  return Audio(np.zeros((8000, 1), np.float32), 8000)


def read_take(folder):
  path = folder / "a.codes.npz"
  take, about = codes_file.read(path, Take, audio=silence())
  return take.codes, take.context, take.seed, take.settings, about


def prepare_set(folder):
  config = pairs.PairConfig(segment_seconds=4.0, pairs=2)
  prepare.prepare(tiny.Scored(2, 0, 0), tiny.FrameEnergies, folder, config)


def read_set(folder):
  found = records.Records(folder, "train")
  fields = {**vars(found.manifest), "config": 0}
  return fields, list(found)


def read_songs(folder):
  files = sorted((folder / "songs").glob("*.npz"))
  return [vars(song_codes.SongCodes.load(file)) for file in files]


def read_beats(folder):
  return vars(Beats.load(folder))


@functools.cache
def config():
  return resolve(fake_data.tiny_config(), fake_data.fake_data())


def save_checkpoint(folder):
  init = functools.partial(init_state, config(), codebooks=None)
  about = About(config(), {"name": "fake"}, {"number": 3})
  with Checkpoints(folder) as checkpoints:
    checkpoints.save(1, jax.jit(init)(jax.random.key(0)), about)


def read_checkpoint(folder):
  with Checkpoints(folder) as checkpoints:
    step, about = checkpoints.about(1)
    state = checkpoints.load(step, state_like(about.config))
  return about.data, about.position, jax.tree.leaves(state)


def coherence_training(folder):
  network = coherence_config.NetworkConfig(
    timing=8, harmony=4, detectors=2, timing_blocks=1, harmony_blocks=1
  )
  songs: list[Any] = [None, None]  # only counted
  config = TrainingConfig(network=network, songs=2, seed=1)
  return coherence_loop.Training(config, songs, folder)


def export_coherence(folder):
  coherence_training(folder).export(folder / "c.safetensors")


def read_coherence(folder):
  network = coherence_weights.load.__wrapped__(folder / "c.safetensors")
  return jax.tree.leaves(nnx.state(network))


def save_small_run(folder):
  coherence_training(folder).save()


def save_examples(folder):
  shutil.copy(paths.HELDOUT["demo"], folder)


def read_examples(folder):
  return Examples.load(folder / "heldout.npz")


KINDS = {
  "weights": (export, read_export, "*"),
  "codec": (export_codec, read_codec, "*"),
  "take": (save_take, read_take, "*.npz"),
  "beats": (prepare_set, read_beats, "beats.npz"),
  "songs": (prepare_set, read_songs, "songs/*"),
  "records": (prepare_set, read_set, "stem_codes/**/*array_record*"),
  "manifest": (prepare_set, read_set, "*.[jn][sp][oy]*"),
  "descriptions": (prepare_set, read_set, "stem_codes/**/*.json"),
  "checkpoint": (save_checkpoint, read_checkpoint, "checkpoints/1/**/*"),
  "coherence": (export_coherence, read_coherence, "*"),
  "small run": (save_small_run, small_runs.read, "*"),
  "examples": (save_examples, read_examples, "*"),
}


# They take long to read.
SLOW = ("checkpoint", "coherence")
CASES: list[Any] = [(kind, 25 if kind in SLOW else FLIPS) for kind in KINDS]
CASES += [pytest.param(kind, FLIPS, marks=pytest.mark.soak) for kind in SLOW]


@pytest.mark.parametrize(("kind", "flips"), CASES)
def test_flipped_bits_are_refused_or_make_no_difference(
  kind, flips, tmp_path, capsys
):
  write, read, pattern = KINDS[kind]
  folder = tmp_path / "here"
  folder.mkdir()
  write(folder)
  expected = content(read(folder))
  files = [path for path in sorted(folder.glob(pattern)) if path.is_file()]
  assert files
  rng = np.random.default_rng(0)
  refused = same = 0
  for number in range(flips):
    path: pathlib.Path = files[number % len(files)]
    before = path.read_bytes()
    if not before:
      same += 1
      continue
    # Every other one in a byte that is not padding.
    places = np.arange(len(before))
    if number // len(files) % 2:
      places = np.flatnonzero(np.frombuffer(before, np.uint8))
    place, bit = int(rng.choice(places)), int(rng.integers(8))
    changed = bytearray(before)
    changed[place] ^= 1 << bit
    path.write_bytes(changed)
    try:
      assert content(read(folder)) == expected, (path.name, place, bit)
      same += 1
    except (ValueError, OSError):
      refused += 1
    finally:
      path.write_bytes(before)
  assert content(read(folder)) == expected
  assert refused > 0
  with capsys.disabled():
    print(f"\n{kind}: of {flips} flips {refused} refused, {same} the same")
