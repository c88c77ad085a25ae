import mir_eval
import numpy as np
import pytest

from stemgen_jax.evaluation.metrics import harmony

RATE = 22050
C_MAJOR, A_MINOR = (0, 4, 7), (9, 0, 4)


def tones(*pitches, seconds=2.0):
  """Return MIDI pitches at the same time, with overtones and a decay."""
  time = np.arange(round(seconds * RATE)) / RATE
  sound = np.zeros_like(time)
  for pitch in pitches:
    for overtone in (1, 2, 3):
      frequency = 440 * 2 ** ((pitch - 69) / 12) * overtone
      sound += np.sin(2 * np.pi * frequency * time) / overtone**2
  return (0.2 * sound * np.exp(-1.5 * time)).astype(np.float32)


def rows(*pitch_classes, frames=100):
  chroma = np.zeros((frames, 12))
  chroma[:, list(pitch_classes)] = 1
  return chroma


def span(start, end, tones):
  return harmony.Span(start, end, tones)


@pytest.mark.parametrize("pitch", [40, 57, 69])
def test_the_chroma_of_a_tone_is_its_pitch_class(pitch):
  chroma = harmony.chroma(tones(pitch), RATE).sum(0)
  assert chroma.argmax() == pitch % 12
  assert chroma.max() > 0.8 * chroma.sum()
  assert not harmony.chroma(np.zeros(RATE, np.float32), RATE).any()


def test_estimated_chords_and_their_tones():
  sound = np.concatenate([tones(60, 64, 67), tones(57, 60, 64)])
  stem = harmony.chroma(sound, RATE)
  chords = harmony.chords(stem)
  assert set(chords[0].pitch_classes) == set(C_MAJOR)
  assert set(chords[-1].pitch_classes) == set(A_MINOR)
  right = (span(0, 2, C_MAJOR), span(2, 4, A_MINOR))
  assert harmony.chord_tone_share(stem, right) > 0.9
  wrong = (span(0, 4, (1, 5, 8)),)
  assert harmony.chord_tone_share(stem, wrong) < 0.1


def test_chord_tone_share_by_hand():
  rate = harmony.FRAME_RATE
  half = 50 / rate
  stem = np.concatenate([rows(0, 1, frames=50), rows(9, frames=50)])
  chords = (span(0, half, C_MAJOR), span(half, 2 * half, A_MINOR))
  # 50 of 100 in the first half, 50 of 50 in the second.
  assert harmony.chord_tone_share(stem, chords) == pytest.approx(100 / 150)
  assert harmony.chord_tone_share(rows(), chords) == 0
  assert np.isnan(harmony.chord_tone_share(stem, ()))


def test_chroma_agreement_by_hand():
  assert harmony.chroma_agreement(rows(0), rows(0)) == pytest.approx(1)
  assert harmony.chroma_agreement(rows(0), rows(1)) == 0
  # Cosine of one tone and three.
  assert harmony.chroma_agreement(rows(0), rows(*C_MAJOR)) == pytest.approx(
    1 / np.sqrt(3)
  )
  # Frames in which one side is silent do not count.
  half = rows(0)
  half[50:] = 0
  assert harmony.chroma_agreement(half, rows(0)) == pytest.approx(1)
  assert harmony.chroma_agreement(rows(), rows(0)) == 0
  assert np.isnan(harmony.chroma_agreement(rows(0), rows()))


def test_keys_and_their_agreement():
  major = rows(0, 2, 4, 5, 7, 9, 11)
  major[:, [0, 4, 7]] += 2  # the tonic's triad is strongest
  assert harmony.key(major) == "C major"
  minor = np.roll(rows(0, 2, 3, 5, 7, 8, 10), 9, axis=1)
  minor[:, list(A_MINOR)] += 2
  assert harmony.key(minor) == "A minor"
  for wanted in ("C major", "F major", "A minor", "C minor", "E major"):
    expected = mir_eval.key.weighted_score(wanted, "C major")
    assert harmony.key_agreement(wanted, major) == expected
  assert harmony.key_agreement("C major", rows()) == 0
