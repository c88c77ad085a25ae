"""Bleed is reported with its source; music that plays together is not."""

import dataclasses
import pathlib

import numpy as np
import pytest

from stemgen_jax.audio import Audio
from stemgen_jax.data import songs
from stemgen_jax.data.preparation import bleed, levels
from stemgen_jax.data.sources import band

RATE = 8000
SECONDS = 40.0
BAND = band.Band(seed=3, seconds=SECONDS, sample_rate=RATE)


def stems_of(source, number):
  """Return the stems of a song of the band as if they were recorded."""
  song = source.song(number)
  described = [recorded(stem.name, stem.category) for stem in song.stems]
  return described, np.stack([stem.read().samples for stem in song.stems])


def recorded(name, category):
  silence = Audio(np.zeros((1, 1), np.float32), RATE)
  files = (pathlib.Path(f"{name}.wav"),)
  return songs.Stem(name, category, lambda: silence, files=files)


def leaked(source, level_db, target, seed):
  """Return what an open microphone adds to a target: late, and with a room."""
  rng = np.random.default_rng(seed)
  response = np.zeros(160)
  late = int(rng.integers(8, 60))  # samples: 1 to 7 ms
  response[late] = 1
  tail = np.exp(-np.arange(159 - late) / 40)
  response[late + 1 :] = 0.15 * rng.standard_normal(159 - late) * tail
  added = np.convolve(source[:, 0], response)[: len(source), None]
  gain = 10 ** (level_db / 20) * np.linalg.norm(target) / np.linalg.norm(added)
  return (gain * added).astype(np.float32)


def found_in(described, stems):
  return list(bleed.find(described, stems, RATE, threshold_db=-60.0))


@pytest.fixture(scope="module")
def clean():
  return [stems_of(BAND, number) for number in range(4)]


def test_songs_without_bleed_are_not_reported(clean):
  for described, stems in clean:
    assert found_in(described, stems) == []


def test_parts_with_reverb_are_not_reported():
  source = band.StereoBand(seed=3, seconds=SECONDS, sample_rate=RATE)
  assert found_in(*stems_of(source, 5)) == []


def test_bleed_is_reported_with_its_source_and_level(clean):
  found = wrong = 0
  cases = [(song, db) for song in clean for db in (-18.0, -14.0, -10.0)]
  for seed, ((described, stems), level_db) in enumerate(cases):
    rng = np.random.default_rng(seed)
    source, target = rng.permutation(len(stems))[:2]
    stems = stems.copy()
    stems[target] += leaked(stems[source], level_db, stems[target], seed)
    problems = found_in(described, stems)
    for problem in problems:
      if problem.stem == described[target].name:
        assert problem.kind == "correlated bleed"
        assert not problem.left_out
        assert f"is {described[source].name}" in problem.message
        stated = float(problem.message.split()[0])
        assert abs(stated - level_db) < 2.5
        found += 1
      else:
        wrong += 1
  assert found >= len(cases) - 2
  assert wrong <= 1


def test_doubles_are_not_reported():
  """The same notes, once more as a person plays them, or by another sound."""
  part = next(
    part
    for number in range(9)
    for part in BAND.score(number).parts
    if part.name == "comp"
  )
  rng = np.random.default_rng(0)
  late = rng.normal(0, 0.003, len(part.notes)).tolist()
  notes = tuple(
    dataclasses.replace(x, start=max(x.start + by, 0.0), end=x.end + by)
    for x, by in zip(part.notes, late)
  )
  double = dataclasses.replace(part, notes=notes)
  other = dataclasses.replace(double, program=(part.program + 16) % 96)
  stems = np.stack([BAND.read(x).samples for x in (part, double, other)])
  names = ("guitar", "piano", "synth_lead")
  described = [recorded(name, name) for name in names]
  assert found_in(described, stems) == []


def test_microphones_of_one_instrument_are_not_reported(clean):
  stems = clean[0][1][:2].copy()
  stems[1] += leaked(stems[0], -8.0, stems[1], 0)
  kit = [recorded("snare", "drums"), recorded("overheads", "drums")]
  assert found_in(kit, stems) == []
  kit[1] = recorded("piano", "piano")
  assert [x.stem for x in found_in(kit, stems)] == ["piano"]


def test_rendered_and_short_stems_are_not_examined(clean):
  described, stems = clean[0]
  stems = stems.copy()
  stems[1] += leaked(stems[0], -8.0, stems[1], 0)
  assert found_in(described, stems)
  rendered = [dataclasses.replace(x, files=()) for x in described]
  assert found_in(rendered, stems) == []
  assert found_in(described, stems[:, : 15 * RATE]) == []


@pytest.mark.parametrize("peak", [1e-4, 1e-20, 1e-38])
def test_stems_that_are_nearly_silent_are_not_examined(clean, peak):
  described, stems = clean[0]
  stems = stems.copy()
  stems[1] = leaked(stems[0], -8.0, stems[1], 0)
  stems[1] *= peak / np.abs(stems[1]).max()
  assert found_in(described, stems) == []


def test_usual_levels():
  rng = np.random.default_rng(0)
  noise = rng.normal(0, 0.1, (7, 2 * RATE, 1)).astype(np.float32)
  gains = np.array([1, 0.02, 0.5, 0.05, 2, 0, 5e-3], np.float32)
  noise *= gains[:, None, None]
  described = [
    recorded("kick", "drums"),
    recorded("room", "drums"),
    recorded("gtr L", "guitar"),
    recorded("gtr R", "guitar"),
    recorded("Lead Vox", "ensemble"),
    recorded("silent", "piano"),
    recorded("gtr unused", "guitar"),  # its noise is at -66 dB
  ]
  gains = levels.gains(described, noise, RATE, -60.0)
  assert gains[0] == gains[1]  # one kit
  assert (gains[5:] == 1).all()
  changed = noise * gains[:, None, None]
  level = 10 * np.log10(np.square(changed).mean(axis=(1, 2))[:5])
  kit, vocals = level[0], level[4]
  np.testing.assert_allclose(level[2], level[3], atol=0.1)
  both = 10 * np.log10(np.square(changed[2:4].sum(axis=0)).mean())
  np.testing.assert_allclose(kit - both, 3.0, atol=0.1)
  np.testing.assert_allclose(vocals - kit, 0.0, atol=0.1)
