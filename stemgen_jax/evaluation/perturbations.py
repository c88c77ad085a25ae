"""Known errors of a real stem, as edits of the band's score.

Every edit is rendered again, so pitch and time change independently and the
sound of the instrument stays.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator

import numpy as np

from stemgen_jax import audio
from stemgen_jax.audio import Audio
from stemgen_jax.codec import Codec
from stemgen_jax.data.sources import multitracks
from stemgen_jax.data.sources.band import Band, Chord, Note, Part, Score, render
from stemgen_jax.data.sources.band.rhythm import METERS

UNCHANGED = "unchanged"
TRANSPOSED = tuple(k for k in range(-6, 7) if k)
"""Semitones."""
SHIFTED = ("1/16", "1/8", "beat", "bar")
STRETCHED = (1, 2, 3, 4, 5)
"""Percent."""
LEVELS = (-6, 6)
"""Decibels."""

Edit = Callable[[Note], Note]


def names(*, pitched: bool) -> list[str]:
  """Return the perturbations, without those of pitch for unpitched stems."""
  return [
    UNCHANGED,
    *(f"transposed {k:+d}" for k in TRANSPOSED if pitched),
    *(f"late by {step}" for step in SHIFTED),
    *(f"stretched {percent} %" for percent in STRETCHED),
    *(["chords a bar late"] if pitched else []),
    *(f"level {decibels:+d} dB" for decibels in LEVELS),
  ]


def perturbed(
  band: Band, score: Score, part: Part, start: float, seconds: float
) -> Iterator[tuple[str, Audio]]:
  """Yield names and sounds of a part's perturbations.

  Args:
    band: source of the song.
    score: score of the song.
    part: part to perturb.
    start: beginning of the segment in the song, in seconds.
    seconds: length of the segment.
  """
  rate = band.sample_rate
  first, length = round(start * rate), round(seconds * rate)

  def cut(edit: Edit | None = None) -> np.ndarray:
    edited = part if edit is None else _edited(part, edit, score.seconds)
    samples = render(edited, band.seconds, rate, band.soundfonts)
    return audio.fit(samples[first:], length)  # [length, 1]

  same = cut()
  edits = _edits(score, start) if not part.is_drum else _timing(score, start)
  for name in names(pitched=not part.is_drum):
    if name == UNCHANGED:
      samples = same
    elif name in edits:
      samples = cut(edits[name])
    else:
      decibels = float(name.split()[1])
      samples = same * np.float32(10 ** (decibels / 20))
    yield name, Audio(samples, rate)


def converted(sound: Audio, codec: Codec) -> Audio:
  """Return a sound in a codec's format."""
  rate = codec.sample_rate
  return Audio(multitracks.convert(sound, rate, codec.channels), rate)


def _timing(score: Score, start: float) -> dict[str, Edit]:
  meter = METERS[score.meter]
  step = 60 / score.tempo / meter.beat  # a sixteenth in seconds
  steps = dict(zip(SHIFTED, (1, 2, meter.beat, meter.bar)))
  late = {
    f"late by {name}": functools.partial(_moved, shift=count * step)
    for name, count in steps.items()
  }
  return late | {
    f"stretched {percent} %": functools.partial(
      _stretched, factor=1 + percent / 100, start=start
    )
    for percent in STRETCHED
  }


def _edits(score: Score, start: float) -> dict[str, Edit]:
  meter = METERS[score.meter]
  bar = 60 / score.tempo * meter.bar / meter.beat  # seconds
  return {
    **{
      f"transposed {k:+d}": functools.partial(_transposed, semitones=k)
      for k in TRANSPOSED
    },
    **_timing(score, start),
    "chords a bar late": functools.partial(_held, chords=score.chords, bar=bar),
  }


def _edited(part: Part, edit: Edit, seconds: float) -> Part:
  """Edit the notes, and remove those that begin after the song."""
  notes = [edit(note) for note in part.notes]
  inside = (
    dataclasses.replace(note, end=min(note.end, seconds))
    for note in notes
    if note.start < seconds
  )
  return dataclasses.replace(
    part, notes=tuple(sorted(inside, key=lambda note: note.start))
  )


def _transposed(note: Note, semitones: int) -> Note:
  return dataclasses.replace(note, pitch=note.pitch + semitones)


def _moved(note: Note, shift: float) -> Note:
  return dataclasses.replace(
    note, start=note.start + shift, end=note.end + shift
  )


def _stretched(note: Note, factor: float, start: float) -> Note:
  """Stretch time around the start of the segment; notes before it stay out."""
  begin, end = (
    max(0.0, start + factor * (time - start)) for time in (note.start, note.end)
  )
  return dataclasses.replace(note, start=begin, end=max(end, begin + 1e-3))


def _held(note: Note, chords: tuple[Chord, ...], bar: float) -> Note:
  """Move a chord tone to the same tone of the chord of a bar before."""
  # Players may be some milliseconds early.
  now = _chord_at(chords, note.start + 0.03)
  before = _chord_at(chords, note.start + 0.03 - bar)
  if note.pitch % 12 not in now.pitch_classes:
    return note
  place = now.pitch_classes.index(note.pitch % 12)
  # The chords may have different numbers of tones.
  tone = before.pitch_classes[min(place, len(before.pitch_classes) - 1)]
  # Nearest octave: -6..5 semitones.
  interval = (tone - note.pitch + 6) % 12 - 6
  return dataclasses.replace(note, pitch=note.pitch + interval)


def _chord_at(chords: tuple[Chord, ...], time: float) -> Chord:
  """Return the chord at a time; the first one before it, the last one after."""
  for chord in chords:
    if time < chord.end:
      return chord
  return chords[-1]
