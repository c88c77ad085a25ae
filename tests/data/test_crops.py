"""Crops of records: which are drawn, and how often."""

import numpy as np
import pytest

from stemgen_jax.data.crops import Crop, active_shares, both_active


def record(context, target, frames=40):
  codes = np.arange(frames, dtype=np.uint16)[:, None]
  return {
    "context": codes,
    "target": codes,
    "context_active": np.array(context, bool),
    "target_active": np.array(target, bool),
    "category": 3,
    "genre": 0,
    "song_id": b"song",
  }


def starts(crop, of, count=4000):
  draws = np.random.default_rng(0).random(count)
  return [int(crop(of, u)["target"][0, 0]) for u in draws]


def test_every_crop_that_is_active_enough_is_as_likely():
  crop = Crop(window=10, frame_rate=10.0, min_active=0.5)
  found = np.bincount(starts(crop, record([1] * 4, [1, 0, 0, 1])))
  wanted = [*range(6), *range(25, 31)]
  assert np.flatnonzero(found).tolist() == wanted
  expected = 4000 / len(wanted)
  chi_square = np.square(found[wanted] - expected).sum() / expected
  assert chi_square < 31.3  # 0.1 % of 11 degrees of freedom


def test_where_no_crop_is_active_enough_the_best_is_drawn():
  crop = Crop(window=20, frame_rate=10.0, min_active=0.9)
  found = set(starts(crop, record([0, 0, 1, 0], [1] * 4), 200))
  assert found == set(range(10, 21))


def test_an_empty_context_leaves_the_choice_to_the_target():
  active = both_active(np.zeros(4, bool), np.array([False, False, True, True]))
  shares = active_shares(active, window=20, frames=40, frame_rate=10.0)
  assert len(shares) == 21
  assert shares[0] == 0
  assert shares[20] == 1


def test_a_crop_is_a_whole_window_with_its_category():
  crop = Crop(window=10, frame_rate=10.0, min_active=0.5)
  for u in (0.0, 0.999999):
    example = crop(record([1] * 4, [1] * 4), u)
    assert example["context"].shape == example["target"].shape == (10, 1)
    assert example["category"] == 3


@pytest.mark.parametrize("segment", [4, 7])
def test_crops_begin_with_a_segment_and_include_its_scales(segment):
  whole = record([1] * 4, [0, 1, 1, 1])
  whole["target_scales"] = np.arange(-(-40 // segment))
  whole["context_scales"] = -whole["target_scales"]
  crop = Crop(10, 10.0, min_active=0.5, segment_frames=segment)
  for u in np.linspace(0, 0.999, 20):
    example = crop(whole, u)
    start = int(example["target"][0, 0])
    assert start % segment == 0
    first, last = start // segment, (start + 9) // segment
    assert example["target_scales"].tolist() == [*range(first, last + 1)]
    assert (example["context_scales"] == -example["target_scales"]).all()
