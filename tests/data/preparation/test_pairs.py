import collections
from typing import Any

import numpy as np
import pytest

from stemgen_jax.data.preparation import activity, pairs

RATE = 8000


def config(**fields: Any) -> pairs.PairConfig:
  settings: dict[str, Any] = {"segment_seconds": 4.0}
  return pairs.PairConfig(**settings | fields)


def tone(amplitude, frequency=440.0, seconds=1.0):
  time = np.arange(round(seconds * RATE)) / RATE
  audio = amplitude * np.sin(2 * np.pi * frequency * time)
  return audio.astype(np.float32)[:, None]


def draws(settings, stems=6, segments=400, song="song"):
  active = np.ones((stems, 4), bool)
  return [
    pair
    for segment in range(segments)
    for pair in pairs.choose_pairs(settings, song, segment, active)
  ]


def test_a_second_is_active_when_its_loudest_tenth_is_audible():
  silence = np.zeros((RATE, 1), np.float32)
  hit = silence.copy()
  hit[4000:4400] = tone(0.5)[:400]
  audio = [hit, silence, tone(1e-4), tone(0.1), tone(0.1)[:9]]
  active = activity.active_seconds(np.concatenate(audio), RATE)
  np.testing.assert_array_equal(active, [True, False, False, True, True])


def test_rumble_and_dc_are_silence_but_a_low_bass_note_is_not():
  assert not activity.active_seconds(tone(0.05, 5.0), RATE).any()
  assert not activity.active_seconds(
    np.full((RATE, 1), 0.01, np.float32), RATE
  )[1:].any()
  assert activity.active_seconds(tone(0.1, 41.2), RATE).all()


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
@pytest.mark.parametrize(
  ("frequency", "weight"), [(100, -19.1), (1000, 0.0), (2500, 1.3)]
)
def test_a_weighting_follows_the_standard(rate, frequency, weight):
  time = np.arange(rate) / rate
  wave = np.sqrt(2) * np.sin(2 * np.pi * frequency * time)[:, None]
  at = [
    activity.active_seconds(wave, rate, weight + margin)[0]
    for margin in (-0.8, 0.8)
  ]
  assert at == [True, False]


def test_stereo_that_cancels_in_mono_is_active():
  left = tone(0.1)
  audio = np.concatenate([left, -left], axis=1)
  assert activity.active_seconds(audio, RATE).all()


def test_segments_cover_the_song_and_have_full_length():
  assert pairs.segment_starts(30, 60) == [0]
  assert pairs.segment_starts(60, 60) == [0]
  assert pairs.segment_starts(70, 60) == [0]
  assert pairs.segment_starts(90, 60) == [0, 30]
  assert pairs.segment_starts(180, 60) == [0, 60, 120]


def test_target_is_never_in_its_context():
  for pair in draws(config(empty_share=0.2)):
    assert pair.target not in pair.context
    assert list(pair.context) == sorted(set(pair.context))
    assert len(pair.gains) == len(pair.context)


def test_a_segment_repeats_no_pair_and_has_all_if_they_are_few():
  found = pairs.choose_pairs(
    config(pairs=50, empty_share=0.0), "song", 0, np.ones((3, 4), bool)
  )
  keys = [(pair.target, pair.context) for pair in found]
  assert len(keys) == len(set(keys)) == 3 * (2**2 - 1)


def test_empty_contexts_have_about_the_requested_share():
  found = draws(config(empty_share=0.04, pairs=6))
  share = np.mean([not pair.context for pair in found])
  assert 0.025 < share < 0.055
  assert all(pair.context for pair in draws(config(empty_share=0.0)))


def test_subset_sizes_are_uniform_or_half_of_the_stems():
  sizes = {
    rule: collections.Counter(
      len(pair.context)
      for pair in draws(
        config(subset_sizes=rule, empty_share=0.0, pairs=2), segments=1500
      )
    )
    for rule in pairs.SUBSET_SIZES
  }
  uniform = np.array([sizes["uniform"][k] for k in range(1, 6)])
  assert uniform.min() > 0.8 * uniform.mean()
  assert sizes["subsets"][3] > 1.5 * sizes["subsets"][1]


def test_draws_depend_on_seed_song_and_segment_only():
  active = np.ones((5, 4), bool)
  first = pairs.choose_pairs(config(seed=1, level_db=6), "a", 3, active)
  assert first == pairs.choose_pairs(config(seed=1, level_db=6), "a", 3, active)
  for other in (
    pairs.choose_pairs(config(seed=2, level_db=6), "a", 3, active),
    pairs.choose_pairs(config(seed=1, level_db=6), "b", 3, active),
    pairs.choose_pairs(config(seed=1, level_db=6), "a", 4, active),
  ):
    assert other != first


def test_more_pairs_keep_the_first():
  active = np.ones((5, 4), bool)
  few = pairs.choose_pairs(config(pairs=2), "a", 0, active)
  many = pairs.choose_pairs(config(pairs=6), "a", 0, active)
  assert many[:2] == few


def test_stems_that_never_sound_together_are_not_paired():
  active = np.zeros((4, 10), bool)
  active[0, :5] = active[1, 5:] = active[2, :] = True  # 3 is silent
  found = pairs.choose_pairs(
    config(pairs=30, min_active=0.3, empty_share=0.0), "song", 0, active
  )
  keys = {(pair.target, pair.context) for pair in found}
  assert (0, (1,)) not in keys
  assert (1, (0,)) not in keys
  assert not any(3 in (t, *c) for t, c in keys)
  assert {(0, (2,)), (1, (2,)), (2, (0,)), (0, (1, 2))} <= keys


def test_a_silent_segment_has_no_pairs():
  assert not pairs.choose_pairs(config(), "s", 0, np.zeros((4, 4), bool))


def test_mix_sums_the_context_below_full_scale_and_records_the_gains():
  stems = np.stack([tone(0.9), tone(0.9), tone(0.3)])
  pair = pairs.Pair(0, target=2, context=(0, 1), gains=(1.0, 0.5))
  mix, gains = pairs.mix_context(stems, pair)
  assert np.abs(mix).max() <= 0.99
  np.testing.assert_allclose(gains[0], 2 * gains[1], rtol=1e-6)
  assert gains[2] == 0
  np.testing.assert_allclose(
    mix, np.einsum("s,snc->nc", gains, stems), atol=1e-6
  )
  quiet, gains = pairs.mix_context(
    stems, pairs.Pair(0, target=0, context=(2,), gains=(1.0,))
  )
  np.testing.assert_array_equal(quiet, stems[2])
  assert gains.tolist() == [0, 0, 1]


def test_an_empty_context_is_silence():
  mix, gains = pairs.mix_context(
    np.stack([tone(0.5)] * 2), pairs.Pair(0, target=0, context=(), gains=())
  )
  assert not mix.any()
  assert not gains.any()


def test_level_augmentation_stays_in_its_range():
  found = draws(config(level_db=6.0), segments=100)
  gains = 20 * np.log10([gain for pair in found for gain in pair.gains])
  assert np.abs(gains).max() <= 6
  assert gains.min() < -5 < 5 < gains.max()


@pytest.mark.parametrize(
  ("field", "value"),
  [
    ("segment_seconds", 61.0),
    ("segment_seconds", 0.0),
    ("pairs", 0),
    ("empty_share", 1.5),
    ("subset_sizes", "many"),
    ("min_active", -0.1),
    ("level_db", -1.0),
    ("seed", -1),
  ],
)
def test_an_invalid_setting_is_named(field, value):
  with pytest.raises(ValueError, match=f"{field} is {value!r}"):
    config(**{field: value})
