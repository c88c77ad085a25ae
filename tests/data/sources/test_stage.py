"""Parts in stereo: wide and narrow ones, one room, and the same for a seed."""

import numpy as np
import pytest
import trees
from scipy import signal

from stemgen_jax import recipes
from stemgen_jax.data.sources import band, midi, restore, stage

RATE = 48_000
BAND = band.StereoBand(seconds=4.0)
SEED = (3, 5)


def share_db(samples, below=None):
  """Return the energy of the side over that of the middle in dB."""
  if below:
    low = signal.butter(4, below, fs=RATE, output="sos")
    samples = np.asarray(signal.sosfilt(low, samples, axis=0))
  middle, side = samples.mean(1), samples[:, 0] - samples.mean(1)
  return 10 * np.log10(np.sum(side**2) / np.sum(middle**2))


@pytest.fixture(scope="module")
def songs():
  """Songs with their stems, a list of (stem, samples) each."""
  found = [BAND.song(number) for number in (0, 1, 4)]
  return [[(x, x.read().samples) for x in song.stems] for song in found]


def test_wide_parts_are_wide_and_low_ones_in_the_center(songs):
  wide = ("ensemble", "synth_pad", "synth_effects", "piano")
  seen = set()
  for stem, samples in (x for song in songs for x in song):
    assert samples.shape == (4 * RATE, 2)
    seen.add(stem.category)
    if stem.category in wide:
      assert share_db(samples) > -14
    elif stem.category == "bass":
      assert share_db(samples) < -30
    elif stem.category == "drums":
      assert -30 < share_db(samples) < -10
      assert share_db(samples, below=120) < -20  # the kick
    # Nobody is in one channel only.
    left, right = np.square(samples).sum(axis=0)
    assert abs(10 * np.log10(left / right)) < 10
  assert {"bass", "drums", "ensemble", "piano", "guitar"} <= seen


def test_guitars_and_keys_are_on_different_sides():
  names = ["drums", "bass", "guitar", "piano", "brass"]
  for number in range(20):
    found = stage.places((number,), names)
    drums, bass, *others = [place.pan for place in found]
    assert drums == bass == 0
    assert [np.sign(x) for x in others] in ([1, -1, 1], [-1, 1, -1])
    assert max(map(abs, others)) < 0.4
  stated = stage.places(SEED, names, [None, 0.5, -1.0, None, None])
  assert [place.pan for place in stated[1:3]] == [0.5, -0.7]


def test_stems_sum_to_the_mix_of_one_room():
  rng = np.random.default_rng(0)
  middles = rng.normal(0, 0.1, (3, RATE)).astype(np.float32)
  sides = rng.normal(0, 0.02, (3, RATE)).astype(np.float32)
  places = stage.places(SEED, ["guitar", "bass", "synth_pad"])
  response = stage.room(SEED, RATE)
  parts = list(zip(middles, sides, places))
  stems = [stage.perform(*part, response, RATE) for part in parts]
  nowhere = np.zeros_like(response)
  mix = sum(stage.perform(*part, nowhere, RATE) for part in parts)
  bus = sum(place.send * middle for middle, _, place in parts)
  reverb = [signal.fftconvolve(bus, x)[:RATE] for x in response.T]
  np.testing.assert_allclose(sum(stems), mix + np.array(reverb).T, atol=1e-5)
  # Also in mono: pan and width leave the mean of the channels.
  direct = [stage.perform(*part, nowhere, RATE).mean(1) for part in parts]
  np.testing.assert_allclose(direct, middles, atol=1e-6)


def test_a_room_decays_and_both_channels_differ():
  response = stage.room(SEED, RATE)
  energy = np.square(response).sum(axis=0)
  np.testing.assert_allclose(energy, 1, rtol=1e-4)
  assert abs(np.corrcoef(response.T)[0, 1]) < 0.1
  thirds = np.array_split(np.square(response).sum(axis=1), 3)
  first, second, third = (float(x.sum()) for x in thirds)
  assert first > 10 * second > 100 * third > 0
  low = [x for x in np.abs(np.fft.rfft(response, RATE, axis=0)[:60])]
  assert np.max(low) < 0.3  # no rumble


def test_a_song_is_a_function_of_seed_and_number(songs):
  again = band.StereoBand(seconds=4.0).song(1)
  for stem, (_, samples) in zip(again.stems, songs[1], strict=True):
    np.testing.assert_array_equal(stem.read().samples, samples)
  first, second = (stage.places((0, n), ["guitar", "piano"]) for n in (1, 2))
  assert [x.pan for x in first] != [x.pan for x in second]
  assert not np.array_equal(stage.room((0, 1), RATE), stage.room((0, 2), RATE))


def test_their_sum_cannot_clip(songs):
  for song in songs:
    assert 0.1 < np.abs(sum(samples for _, samples in song)).max() < 1


def test_mono_songs_and_recipes_are_those_of_before():
  mono = band.Band(seconds=4.0)
  assert mono.score(1) == BAND.score(1)
  assert "channels" not in repr(mono)
  assert "channels" not in recipes.as_json(mono)
  recipe = {"source_config": recipes.as_json(BAND), "source_key": "band"}
  assert restore.restore(recipe) == BAND
  assert restore.key_of(BAND) == "band"
  recipe["source_config"] = recipes.as_json(mono)
  assert restore.restore(recipe) == mono


def test_midi_files_get_width_and_the_room(tmp_path):
  trees.midi_song(tmp_path / "song.mid")
  dry, wet = midi.Midi(str(tmp_path)), midi.StereoMidi(str(tmp_path))
  found = {}
  for source in (dry, wet):
    (song,) = source.songs()
    stems = {stem.category: stem.read().samples for stem in song.stems}
    found[type(source)] = stems
  piano = {kind: share_db(stems["piano"]) for kind, stems in found.items()}
  assert piano[midi.StereoMidi] > -14
  assert piano[midi.StereoMidi] > piano[midi.Midi] + 3
  assert share_db(found[midi.StereoMidi]["bass"]) < -30
  fields = recipes.as_json(wet)
  recipe = {"source_config": fields, "source_key": "midi"}
  assert restore.restore(recipe) == wet
