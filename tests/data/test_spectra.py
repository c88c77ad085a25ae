"""Data sets with spectra of stems: preparation, fresh submixes, batches."""

import dataclasses

import numpy as np
import pytest
import tones
from loudness import Loudness

from stemgen_jax import audio
from stemgen_jax.audio import spectrum
from stemgen_jax.data import batches, submix
from stemgen_jax.data.augment import augment
from stemgen_jax.data.manifest import Manifest
from stemgen_jax.data.order import BalancedOrder
from stemgen_jax.data.preparation import pairs, prepare
from stemgen_jax.data.records import StemRecords
from stemgen_jax.data.sources.band import Band
from stemgen_jax.data.stem_index import StemIndex

CONFIG = pairs.PairConfig(
  segment_seconds=2.0, pairs=2, contexts="spectrum", empty_share=0.1
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  out = tmp_path_factory.mktemp("spectra") / "data"
  prepare.prepare(tones.Tones(), Loudness, out, CONFIG)
  return out


def test_records_have_codes_and_spectra_of_all_stems(folder):
  manifest = Manifest.load(folder)
  records = StemRecords(folder / manifest.stems, "train")
  index = StemIndex.load(folder, "train")
  assert len(records) == manifest.segments["train"] == len(index.song_id)
  for number, record in enumerate(records):
    stems = len(record["category"])
    assert record["target"].shape == (stems, manifest.frames, manifest.levels)
    assert record["spectrum"].shape == (stems, manifest.frames, spectrum.BANDS)
    assert record["power"].shape == (stems, manifest.frames)
    chosen = index.stem[index.record == number]
    np.testing.assert_array_equal(chosen, np.flatnonzero(record["able"]))
    song = record["song_id"].decode()
    assert index.find(song, record["start"]) == number


def test_prepared_again_nothing_changes(folder):
  before = (folder / "manifest.json").read_bytes()
  prepare.prepare(tones.Tones(), Loudness, folder, CONFIG)
  assert (folder / "manifest.json").read_bytes() == before
  codes = dataclasses.replace(CONFIG, contexts="codes")
  with pytest.raises(
    ValueError, match="contexts 'spectrum' there, not set now"
  ):
    prepare.prepare(tones.Tones(), Loudness, folder, codes)


def _batches(folder, **changes):
  arguments = {
    "batch": 4,
    "window": 20,
    "seed": 3,
    "contexts": "spectrum",
    "category_power": 0.5,
    "gain_db": 6.0,
    "augment": True,
  }
  return batches.batches(folder, "train", **(arguments | changes))


def test_batches_resume_and_do_not_depend_on_processes(folder):
  whole, shards = (
    _batches(folder),
    [_batches(folder, shard_index=i, shard_count=2) for i in range(2)],
  )
  next(whole)
  state, second = whole.get_state(), next(whole)
  assert second["context"].shape == (4, 20, spectrum.BANDS)
  assert second["context"].dtype == np.float32
  assert np.isfinite(second["context"]).all()
  again = _batches(folder)
  again.set_state(state)
  repeated = next(again)
  for shard in shards:
    next(shard)
  parts = [next(shard) for shard in shards]
  for name, wanted in second.items():
    np.testing.assert_array_equal(repeated[name], wanted)
    joined = np.concatenate([part[name] for part in parts])
    np.testing.assert_array_equal(joined, wanted)
  assert not np.array_equal(second["context"], next(whole)["context"])


def test_codes_contexts_come_from_the_same_folder(folder):
  batch = next(_batches(folder, contexts="codes"))
  assert batch["context"].dtype == np.int32


def test_data_without_spectra_are_refused(tmp_path):
  codes = dataclasses.replace(CONFIG, contexts="codes")
  prepare.prepare(tones.Tones(), Loudness, tmp_path / "codes", codes)
  with pytest.raises(ValueError, match="--contexts=spectrum"):
    _batches(tmp_path / "codes")


def test_held_out_examples_have_spectra(folder, tmp_path):
  examples = batches.eval_examples(folder, "train", 20, 3)
  assert examples.inputs("codes") is examples.context
  assert examples.inputs("spectrum").shape == (3, 20, spectrum.BANDS)
  assert examples.silence_inputs("spectrum").shape == (20, spectrum.BANDS)
  examples.crop(10).save(tmp_path / "examples.npz")
  loaded = batches.Examples.load(tmp_path / "examples.npz")
  assert loaded.spectrum is not None
  assert examples.spectrum is not None
  np.testing.assert_allclose(
    loaded.spectrum, examples.spectrum[:, :10], atol=0.01
  )
  old = dataclasses.replace(examples, spectrum=None)
  with pytest.raises(ValueError, match="have no spectra"):
    old.inputs("spectrum")


def test_powers_of_band_stems_add_up_to_those_of_the_mix():
  band = Band(train=2, valid=0, test=0, seconds=4.0)
  distances = []
  for song in band.songs():
    stems = [stem.read().samples for stem in song.stems]
    mixed = np.sum(stems, axis=0)
    rate = band.sample_rate
    centers = np.arange(len(mixed) // 640) * 640 + 320
    total = np.sum(
      [spectrum.powers(stem, rate, centers) for stem in stems], axis=0
    )
    wanted = spectrum.powers(mixed, rate, centers)
    gain = audio.gain_to(audio.loudness_db(mixed, rate)) ** 2
    one, other = (spectrum.log_magnitudes(x * gain) for x in (total, wanted))
    distances.append(np.abs(one - other).mean())
    frames = np.sum(
      [spectrum.frame_powers(stem, centers - 320, 640) for stem in stems],
      axis=0,
    )
    loudness = audio.loudness_of_frames(frames, rate / 640)
    assert abs(loudness - audio.loudness_db(mixed, rate)) < 0.5
  # Notes in the same band differ by phase: means of 0.08 and 0.12 nepers, where
  # the features have a deviation of 2.1.
  assert max(distances) < 0.15


def test_submix_has_the_reference_loudness(folder):
  manifest = Manifest.load(folder)
  record = StemRecords(folder / manifest.stems, "train")[0]
  weights = submix.stem_weights(record, [0, 1], np.array([5.0, -5.0]))
  gain = submix.reference_gain(record, [0, 1], weights, manifest.frame_rate)
  power = weights @ spectrum.restored(record["power"][[0, 1]]) * gain**2
  loudness = audio.loudness_of_frames(power, manifest.frame_rate)
  assert abs(loudness - audio.REFERENCE_DB) < 0.01


def test_augmentation_changes_within_bounds():
  rng = np.random.default_rng(0)
  power = rng.random((40, spectrum.BANDS)).astype(np.float32)
  frequencies = spectrum.band_frequencies(32000)
  before = power.copy()
  changed = [
    augment(power, np.random.default_rng(i), 50.0, frequencies)
    for i in range(40)
  ]
  np.testing.assert_array_equal(power, before)
  assert all(np.isfinite(x).all() and (x >= 0).all() for x in changed)
  assert not any(np.array_equal(x, power) for x in changed)
  # Most of them are within an equalizer's reach of the original.
  ratios = [np.median(x / power) for x in changed]
  assert 0.3 < np.median(ratios) < 3


def test_balanced_order_follows_square_roots():
  categories = [np.repeat([3, 7], [400, 100])]
  order = BalancedOrder(categories, [1.0], 0, 0.5)
  drawn = np.array([order[i][1] for i in range(3000)])
  share = (drawn < 400).mean()
  assert abs(share - 2 / 3) < 0.03
  assert order[11] == BalancedOrder(categories, [1.0], 0, 0.5)[11]


def test_other_context_is_of_another_song():
  batch = {
    "song": np.array([1, 1, 1, 2]),
    "context": np.arange(4)[:, None, None],
  }
  paired = batches.with_other_context(batch)
  other = paired["other_context"][:, 0, 0]
  assert (batch["song"][other] != batch["song"]).all()
  assert paired["has_other"].all()
  alone = batches.with_other_context(batch | {"song": np.ones(4, int)})
  assert "other_context" not in alone
