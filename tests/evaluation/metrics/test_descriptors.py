import numpy as np
import pytest

from stemgen_jax.audio import Audio
from stemgen_jax.data.sources import band
from stemgen_jax.evaluation.features import Features
from stemgen_jax.evaluation.metrics import (
  descriptors,
  harmony,
  mirdd,
  percussion,
)

SECONDS = 6.0


def describe(mix):
  return descriptors.describe(Features(Audio(mix, 32000)))


@pytest.fixture(scope="module")
def score():
  style = band.Style(
    genres=("pop",), meters=("4/4",), tempo=(100, 130), swing=False
  )
  return band.Band(seconds=SECONDS, style=style).score(7)


@pytest.fixture(scope="module")
def described(score):
  mix = np.sum([band.render(part, SECONDS) for part in score.parts], axis=0)
  return describe(mix)


def test_descriptors_of_a_song_match_its_score(score, described):
  assert set(described) == set(mirdd.BINS)
  written = {label_number(chord) for chord in score.chords}
  estimated = set(described["chord_triads"])
  assert len(estimated & written) >= 0.6 * len(written)
  assert described["chord_variety"] == [len(estimated)]
  pitched = [
    note for part in score.parts if not part.is_drum for note in part.notes
  ]
  classes = {note.pitch % 12 for note in pitched}
  found = np.array(described["note_pitch_classes"])
  assert np.isin(found, list(classes)).mean() > 0.8
  low, high = min(n.pitch for n in pitched), max(n.pitch for n in pitched)
  assert low - 12 <= min(described["note_pitches"])
  assert max(described["note_pitches"]) <= high + 24


def label_number(chord):
  root, tones = chord.pitch_classes[0], set(chord.pitch_classes)
  return root + 12 * ((root + 3) % 12 in tones)


def test_descriptors_of_silence():
  described = describe(np.zeros((2 * 32000, 1), np.float32))
  assert set(described) == set(mirdd.BINS)
  assert described["note_pitches"] == []
  assert described["percussive_density"] == [0.0]


def test_simultaneous_hits_count_separately():
  time = np.arange(2 * 32000) / 32000
  since = time % 0.5
  decay = np.exp(-40 * since) * np.minimum(1, 400 * since)
  bass = np.sin(2 * np.pi * 60 * time) * decay
  noise = np.random.default_rng(0).normal(size=len(time)) * decay
  cymbal = np.diff(noise, n=4, append=np.zeros(4))  # above 5 kHz, mostly
  cymbal /= np.abs(cymbal).max()

  def count(sound):
    return len(percussion.hits(0.5 * sound.astype(np.float32), 32000))

  # Three: the first of four is at the start, and has no attack.
  assert count(bass) == count(cymbal) == 3
  assert count(bass + cymbal) >= 5


def test_most_within_six_tenths_of_a_second():
  times = np.array([0.0, 0.2, 0.5, 0.61, 2.0, 2.5])
  assert descriptors.most_within(times) == 3
  assert descriptors.most_within(times[:0]) == 0


def test_changes_between_major_and_minor():
  c, a_minor, none, f = 0, 21, 24, 5
  changes = descriptors.tonality_changes
  assert changes([c, c, a_minor, none, f, c]) == pytest.approx(2 / 3)
  assert changes([c, c]) == changes([]) == 0


def test_repeated_sections_have_one_label():
  frames = round(4 * harmony.FRAME_RATE)

  def section(*tones):
    chroma = np.zeros((frames, 12))
    chroma[:, list(tones)] = 1
    return chroma

  a, b = section(0, 4, 7), section(1, 6, 10)
  labels = descriptors.structure_labels
  assert labels(np.concatenate([a, b, a])) == 2
  assert labels(a) == labels(np.concatenate([a, a, a])) == 1
