"""Stems of a model that predicts the scales of segments."""

import dataclasses
from typing import Any

import jax
import numpy as np
import pytest
from random_codec import random_codec
from scaled_model import NAME, RATE, STEREO

from stemgen_jax import StemGen, audio, model, sampling
from stemgen_jax.audio import Audio
from stemgen_jax.data.examples import Examples
from stemgen_jax.generation.take import Take
from stemgen_jax.model import scales
from stemgen_jax.pages import spectrogram
from stemgen_jax.training import audition

FAST = sampling.Settings(steps=(2, 1, 1, 1))
CONFIG = dataclasses.replace(STEREO, scale_frames=150)


def music(seconds):
  """Return stereo noise that becomes louder."""
  draw = np.random.default_rng(0).normal(size=(round(seconds * RATE), 2))
  rise = np.linspace(0.01, 0.2, len(draw))[:, None]
  return Audio((rise * draw).astype(np.float32), RATE)


@pytest.fixture(scope="module")
def engine():
  params = jax.jit(lambda: model.init_params(CONFIG, jax.random.key(0)))()
  return StemGen(CONFIG, params, random_codec(NAME), {"context_rms_db": -20.0})


@pytest.fixture(scope="module")
def take(engine):
  return engine.generate(music(3.6), "bass", seed=3, settings=FAST)


def test_a_stem_is_decoded_with_its_predicted_scales(engine, take):
  assert take.codes.shape == (engine.codec.frames(round(3.6 * RATE)), 4)
  assert take.scales.shape == (4,)
  assert len(set(take.scales.tolist())) > 2  # the window has two segments
  tokens = scales.quantize(take.scales)
  np.testing.assert_array_equal(scales.dequantize(tokens), take.scales)
  decoded = engine.codec.decode(take.codes[None], take.scales[None])[0]
  samples = decoded[: len(take.audio.samples)] * take.context.inverse_gain
  limited = audio.limit(samples.astype(np.float32), RATE, music(3.6).samples)
  np.testing.assert_allclose(take.audio.samples, limited, atol=1e-5)
  again = engine.generate(music(3.6), "bass", seed=3, settings=FAST)
  np.testing.assert_array_equal(again.scales, take.scales)
  other = engine.generate(music(3.6), "bass", seed=4, settings=FAST)
  assert (other.scales != take.scales).any()


def test_a_file_of_codes_keeps_the_scales(take, tmp_path):
  take.save(tmp_path / "bass.wav")
  loaded = Take.load(tmp_path / "bass.wav")
  np.testing.assert_array_equal(loaded.scales, take.scales)
  path = tmp_path / "bass.codes.npz"
  arrays: Any = dict(np.load(path))
  for wrong in ([1, 1, 1], [1, 1, 1, -1], [1, 1, 1, 9], [1, 1, 1, np.nan]):
    np.savez(path, **arrays | {"scales": np.array(wrong, np.float32)})
    with pytest.raises(ValueError, match="scales of the stem"):
      Take.load(tmp_path / "bass.wav")


def test_segments_with_a_frame_that_stays_keep_their_scale(engine, take):
  # All of the second segment, and parts of its neighbours.
  again = engine.regenerate(take, [(0.5, 2.5)], seed=9)
  np.testing.assert_array_equal(again.scales[[0, 2, 3]], take.scales[[0, 2, 3]])
  changed = [
    engine.regenerate(take, [(0.5, 2.5)], seed=seed).scales[1]
    for seed in range(2)
  ]
  assert {*changed, again.scales[1]} != {take.scales[1]}
  longer = engine.extend(take, music(5.2))
  kept = -(-take.context.whole_frames // 150)
  assert kept == 4
  np.testing.assert_array_equal(longer.scales[:kept], take.scales)
  assert len(longer.scales) == 6
  # Finer levels alone: the levels before them stay, and so do scales.
  sound = engine.vary(take, share=1.0, from_level=1, seed=8)
  np.testing.assert_array_equal(sound.scales, take.scales)
  assert (sound.codes[:, 0] == take.codes[:, 0]).all()
  assert (sound.codes[:, 1] != take.codes[:, 1]).any()


def test_a_take_without_scales_keeps_those_of_its_context(engine, take):
  derived = dataclasses.replace(take, scales=None)
  again = engine.regenerate(derived, [(0.2, 0.8)])
  # All segments have a frame that stays; only the first is quiet enough to be
  # a break.
  expected = np.array(take.context.scales)
  error = np.abs(20 * np.log10(again.scales / expected))
  assert error[1:].max() <= 0.5 + 1e-4


def test_progress_and_passes_include_the_scales(engine):
  seen = []
  take = engine.generate(
    music(1.5), "bass", settings=FAST, progress=lambda *x: seen.append(x)
  )
  assert sum(done for done, _ in seen) == seen[0][1] == 2 + 1 + 1 + 1 + 4
  without = dataclasses.replace(CONFIG, scale_frames=0)
  assert take.passes > sampling.cost.passes(take.settings, without)


def test_auditions_use_real_scales_where_parts_are_masked(
  tmp_path, monkeypatch
):
  draw = np.random.default_rng(0)
  codes = draw.integers(0, 64, (2, 2, 300, 4)).astype(np.int32)
  rms = scales.dequantize(draw.integers(0, 63, (2, 2, 2)))
  examples = Examples(
    context=codes[0],
    target=codes[1],
    category=np.zeros(2, np.int32),
    genre=np.zeros(2, np.int32),
    song=np.array(["a", "b"]),
    silence=codes[0, 0],
    codec=NAME,
    checksum="c" * 64,
    context_scales=rms[0],
    target_scales=rms[1],
  )
  codec = random_codec(NAME)
  decoded = []

  def decode(codes, scales=None):
    decoded.append(scales)
    return np.zeros((1, 480, 2), np.float32)

  def sample(config, params, context, *_, known, known_mask):
    assert context.shape == known.shape == known_mask.shape == (2, 300, 5)
    return np.where(known_mask, known, 5)

  monkeypatch.setattr(codec, "decode", decode)
  monkeypatch.setattr(sampling, "decode_codes", sample)
  monkeypatch.setattr(
    spectrogram, "pixels", lambda *_: np.zeros((1, 1, 3), np.uint8)
  )
  audition.Auditioner(CONFIG, examples, codec, tmp_path).run(1, {})
  of_kind = np.array(decoded[4:]).reshape(-1, 2, 2)  # after those given
  masked, own = of_kind[: len(audition.MASKED)], of_kind[-2:]
  np.testing.assert_array_equal(masked, [rms[1]] * len(masked))
  assert (own == scales.dequantize(np.array(5))).all()
