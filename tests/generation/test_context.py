"""Tests of encoding a context and of decoding a stem to its format."""

import dataclasses

import numpy as np
import pytest
from pcm import RATE, PcmCodec

from stemgen_jax import audio
from stemgen_jax.audio import Audio
from stemgen_jax.generation import context, inputs, stem_audio


def _noise(samples, channels=1, seed=0):
  draw = np.random.default_rng(seed).normal(size=(samples, channels))
  return Audio((0.1 * draw).astype(np.float32), RATE)


def _encode(sound, **given):
  return context.encode_context(PcmCodec(), sound, -20.0, **given)


def test_context_is_brought_to_the_level_of_the_training():
  sound = _noise(4000).samples
  gain = context.gain_to_reference(sound, -30.0, None)
  assert audio.rms_db(sound * np.float32(gain)) == pytest.approx(
    -30.0, abs=0.01
  )
  peaky = np.zeros((1000, 1), np.float32)
  peaky[3] = -0.5
  assert context.gain_to_reference(peaky, -12.0, None) == pytest.approx(2.0)
  assert context.gain_to_reference(0 * sound, -12.0, None) == 1.0


@pytest.mark.parametrize("period", [2000, 4037, 12345])
@pytest.mark.parametrize("rate", [8000, 11025, 44100])
def test_loop_keeps_its_length_and_has_no_edge(period, rate):
  time = np.arange(period) / period  # whole periods: no jump at the seam
  angles = 2 * np.pi * np.outer(time + 0.1, (1, 2, 3))
  wave = 0.1 * np.sin(angles).sum(axis=1, keepdims=True)
  sound = Audio(wave.astype(np.float32), rate)
  codec = PcmCodec(hop=10)
  encoded = context.encode_context(codec, sound, -20.0, loop=True)
  assert encoded.samples_per_frame * len(encoded.codes) == pytest.approx(period)
  back = stem_audio.decode_stem(codec, encoded.codes, encoded)
  assert back.samples.shape == sound.samples.shape
  # The codec repeats a sample `hop` times: steps, also at the seam.
  steps = np.abs(np.diff(back.samples[:, 0], append=back.samples[0, 0]))
  assert steps[-1] <= np.quantile(steps, 0.99) + 1e-3
  smooth = np.corrcoef(back.samples[:, 0], sound.samples[:, 0])[0, 1]
  assert smooth > 0.97


def test_regions_are_widened_to_whole_frames():
  encoded = _encode(_noise(8000))  # a frame is 10 ms
  frames = encoded.frames_of([(0.105, 0.2), (0.5, 0.5001)])
  assert np.flatnonzero(frames).tolist() == [*range(10, 20), 50]
  assert encoded.frames_of([(0.0, 99.0)]).all()


@pytest.mark.parametrize(
  "wrong", [[], [(-0.1, 0.2)], [(0.5, 0.5)], [(0.7, 0.2)], [(1.0, 2.0)]]
)
def test_invalid_regions_are_errors(wrong):
  with pytest.raises(ValueError, match="region"):
    _encode(_noise(8000)).frames_of(wrong)


@pytest.mark.parametrize("loop", [False, True])
def test_splice_changes_nothing_beyond_its_cross_fade(loop):
  old, new = _noise(8000, 2).samples, _noise(8000, 2, seed=1).samples
  encoded = _encode(Audio(old, RATE))
  encoded = dataclasses.replace(encoded, loop=loop)
  frames = encoded.frames_of([(0.0, 0.1), (0.4, 0.45)])
  spliced = stem_audio.splice(old, new, frames, encoded)
  inside = np.repeat(frames, 80)
  np.testing.assert_allclose(spliced[inside], new[inside], atol=1e-7)
  fade = np.zeros(8000, bool)
  fade[4 * 800 - 80 : 4 * 800] = fade[800:880] = fade[3600:3680] = True
  fade[-80:] = loop  # continues at the other end
  outside = ~inside & ~fade
  np.testing.assert_array_equal(spliced[outside], old[outside])
  assert (spliced[fade] != old[fade]).mean() > 0.9
  between = (spliced - old) / (new - old)
  assert np.nanmax(np.abs(np.diff(between[800:880, 0]))) < 0.02


def test_a_stem_has_its_usual_loudness_relative_to_the_context():
  rests = np.zeros((4000, 1), np.float32)
  sound = Audio(np.concatenate([_noise(8000).samples, rests]), RATE)
  encoded = _encode(sound, relative_db=-6.0)
  levelled = sound.samples * np.float32(encoded.gain)
  # Where it plays, whatever its rests and peaks.
  assert audio.loudness_db(levelled, RATE) == pytest.approx(-20.0, abs=0.01)
  factor = encoded.gain * encoded.inverse_gain
  assert audio.to_db(factor) == pytest.approx(-6.0)


def test_an_offset_and_opposite_channels_do_not_change_the_codes():
  music = _noise(8000)
  plain = _encode(music)
  moved = _encode(Audio(music.samples + np.float32(0.2), RATE))
  opposite = np.concatenate([music.samples, -music.samples], axis=1)
  for encoded in (moved, _encode(Audio(opposite, RATE))):
    assert encoded.level_db == pytest.approx(plain.level_db, abs=0.01)
    assert context.distance(PcmCodec(), encoded.codes, plain.codes) < 0.01


def test_a_click_in_a_minute_of_silence_is_encoded_as_silence():
  click = Audio(np.zeros((60 * RATE, 1), np.float32), RATE)
  silent = _encode(click)
  click.samples[12345] = 0.9
  encoded = _encode(click)
  assert encoded.level_db < context.SILENCE_DB
  np.testing.assert_array_equal(encoded.codes, silent.codes)


def test_oddities_of_a_context_are_reported():
  ordinary = _noise(8000, channels=2)
  assert list(inputs.notes(ordinary, 1, loop=True)) == []
  opposite = np.concatenate([ordinary.samples, -ordinary.samples], axis=1)
  odd = Audio(
    opposite[:, ::2] + np.float32(0.1), RATE, notes=("odd",), delayed=True
  )
  notes = list(inputs.notes(odd, 1, loop=True))
  for note, words in zip(
    notes, ("odd", "encoder's delay", "cancel in mono", "offset of 0.1")
  ):
    assert words in note
  # A stereo codec encodes both channels; only loops need an exact length.
  assert [note[:15] for note in inputs.notes(odd, 2, loop=False)] == [
    "the context: od",
    "the context has",
  ]
