"""Weights that are transferred to another codec."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import random_codec
import tiny
from fake_data import LATENT, Q, V, fake_data, tiny_config

from stemgen_jax import __main__
from stemgen_jax.data.manifest import Manifest
from stemgen_jax.model import (
  Weights,
  apply,
  init_params,
  load_weights,
  save_weights,
)
from stemgen_jax.training import runs, transfer
from stemgen_jax.training.resolve import resolve

FRAMES = 60_000


@pytest.fixture(scope="module")
def weights():
  config = resolve(tiny_config(), fake_data()).model
  params = jax.tree.map(np.array, init_params(config, jax.random.key(3)))
  rng = np.random.default_rng(0)
  params["embedding"]["codebooks"] = fake_data().codebooks
  table = params["embedding"]["table"]
  params["embedding"]["table"] = rng.normal(size=table.shape, scale=0.5)
  # Heads and null rows of their own, so that exchanged ones are noticed.
  params["head"] = rng.normal(size=params["head"].shape)
  params = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), params)
  return Weights(config, params, {"codec": "fake", "steps": 3})


def other_data(levels=Q, codes=V):
  books = np.random.default_rng(7).normal(size=(levels, codes, LATENT + 1))
  return fake_data(
    codec="other",
    checksum="xyz",
    levels=levels,
    codes=codes,
    codebooks=books.astype(np.float32),
    silence=np.zeros((12, levels), np.int32),
  )


def logits(weights, codes, level):
  context, target = map(jnp.array, codes)
  conditions = {"category": jnp.array([1, 2])}
  return np.array(
    apply(weights.config, weights.params, context, target, conditions, level)
  )


def test_renamed_codes_keep_their_meaning(weights):
  rng = np.random.default_rng(1)
  theirs = rng.integers(0, V, (FRAMES, Q))
  names = np.stack([rng.permutation(V) for _ in range(Q)])  # theirs to ours
  ours = np.stack([names[q][theirs[:, q]] for q in range(Q)], axis=1)
  result, explained = transfer.transfer(weights, other_data(), ours, theirs)
  assert explained > 0.999
  assert (result.config.codec, result.config.codec_checksum) == ("other", "xyz")
  assert result.metadata["codec_checksum"] == "xyz"
  assert result.metadata["transferred_from"] == "fake"
  assert result.metadata["steps"] == 0

  context = rng.integers(0, V, (2, 8, Q))
  target = rng.integers(0, V, (2, 8, Q))
  target[:, ::2, 1] = V  # MASK
  renamed = []
  for codes in (context, target):
    levels = [np.append(names[q], V)[codes[..., q]] for q in range(Q)]
    renamed.append(np.stack(levels, axis=-1))
  for level in range(Q):
    before = logits(weights, (context, target), level)
    after = logits(result, renamed, level)
    np.testing.assert_allclose(after[..., names[level]], before, atol=0.05)
  for name, leaf in weights.params["blocks"].items():
    for kind, x in leaf.items():
      np.testing.assert_array_equal(result.params["blocks"][name][kind], x)


@pytest.mark.parametrize(("levels", "codes"), [(1, 20), (3, 5)])
def test_codecs_may_have_other_levels_and_codes(weights, levels, codes):
  rng = np.random.default_rng(2)
  theirs = rng.integers(0, V, (FRAMES, Q))
  # A code that never occurs, the last one.
  ours = rng.integers(0, codes - 1, (FRAMES, levels))
  ours[:, 0] = theirs[:, 0] % (codes - 1)
  data = other_data(levels, codes)
  result, explained = transfer.transfer(weights, data, ours, theirs)
  assert 0.1 < explained < 0.9
  # The sum over all levels, where decoding begins.
  np.testing.assert_allclose(
    result.params["embedding"]["mask"].sum(0),
    weights.params["embedding"]["mask"].sum(0),
    atol=1e-6,
  )
  context = rng.integers(0, codes, (2, 8, levels))
  out = logits(result, (context, np.full_like(context, codes)), levels - 1)
  assert out.shape == (2, 8, codes)
  assert np.isfinite(out).all()
  # It is a start for training on this data.
  config = resolve(tiny_config(), data).model
  assert result.config == config


def test_frames_are_matched_by_time():
  class Halves(tiny.FrameEnergies):
    """Two frames of this codec are one of the other."""

    sample_rate, hop, frame_rate = 2 * tiny.RATE, 80, tiny.RATE / 40

  codec, other = tiny.FrameEnergies(), Halves()
  time = np.arange(8 * tiny.RATE) / tiny.RATE
  sound = 0.3 * np.sin(2 * np.pi * 100 * time) * (1 + np.sin(time))
  codes = codec.encode(sound.astype(np.float32)[None, :, None])[0]
  record = {"context": codes, "target": np.roll(codes, 7, axis=0)}
  ours, theirs = transfer.matched_codes([record] * 3, codec, other, 2)
  assert ours.shape == theirs.shape == (4 * len(codes), 2)
  np.testing.assert_array_equal(ours[: len(codes)], codes)
  np.testing.assert_array_equal(
    ours[len(codes) : 2 * len(codes)], record["target"]
  )
  # Energies of the same frames, which decoding and encoding change a little.
  for at in (0, len(codes)):
    pair = slice(at, at + len(codes))
    likeness = np.corrcoef(ours[pair, 0], theirs[pair, 0])[0, 1]
    shifted = np.corrcoef(ours[pair, 0], np.roll(theirs[pair, 0], 9))[0, 1]
    assert likeness > 0.9 > shifted


def test_a_codec_with_scales_is_refused():
  with pytest.raises(
    ValueError, match="segments with scales; expected a codec"
  ):
    transfer.check_codec(random_codec.random_codec("encodec_48khz"))


def test_an_unknown_future_can_be_added_to_weights(weights, tmp_path):
  path = tmp_path / "weights.safetensors"
  save_weights(path, weights.config, weights.params, {})
  config = dataclasses.replace(weights.config, future=True)
  started = runs.load_start(path, config)
  assert started.config.future
  batch = np.zeros((2, 8, Q), int)
  inputs = jnp.array(batch), jnp.array(batch), {"category": jnp.array([1, 2])}
  nothing = jnp.array([0, 0])
  unknown = apply(config, started.params, *inputs, 0, context_frames=nothing)
  dropped = apply(
    weights.config,
    weights.params,
    *inputs,
    0,
    drop_context=jnp.array([True, True]),
  )
  np.testing.assert_array_equal(unknown, dropped)


def refusal(capsys, *arguments):
  """The line of error of `stemgen-jax transfer`."""
  assert __main__.main(["transfer", *arguments]) == 1
  return capsys.readouterr().err


def test_refusals_come_before_any_work(weights, tmp_path, monkeypatch, capsys):
  given = ["--weights=demo", f"--data={tmp_path}"]
  out = f"--out={tmp_path / 'new.safetensors'}"
  assert "holds no finished data set" in refusal(capsys, *given, out)
  assert "expected at least 1" in refusal(capsys, *given, out, "--pairs=0")

  demo = load_weights("demo").config
  data = fake_data(codec="demo", checksum=demo.codec_checksum)
  monkeypatch.setattr(Manifest, "load", staticmethod(lambda _: data))
  expected = "its codec 'demo' is that of --weights=demo; expected another one"
  assert expected in refusal(capsys, *given, out)
  wrong = f"--out={tmp_path / 'new.npz'}"
  assert "cannot write .npz; expected .safetensors" in refusal(
    capsys, *given, wrong
  )
  config = dataclasses.replace(weights.config, context="spectrum")
  params = init_params(config, jax.random.key(0))
  save_weights(tmp_path / "of_spectra.safetensors", config, params, {})
  given[0] = f"--weights={tmp_path / 'of_spectra.safetensors'}"
  assert "expected weights that read codes alone" in refusal(
    capsys, *given, out
  )
  existing = f"--out={tmp_path / 'of_spectra.safetensors'}"
  assert "exists: choose another name" in refusal(capsys, *given, existing)
