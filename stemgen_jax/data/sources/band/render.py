"""Render a part of the band with a soundfont, in mono or on a stage."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float32

from stemgen_jax.data.sources import soundfont, stage
from stemgen_jax.data.sources.band.score import Part, Score

# Gain that leaves room for pan, width and reverb below the ceiling: with it few
# parts exceed it, and the balance stays that of mono within 1.5 dB (measured).
_STEREO = 0.7


def render(
  part: Part,
  seconds: float,
  sample_rate: int = 32000,
  soundfonts: tuple[str, ...] = (),
) -> Float32[np.ndarray, "samples 1"]:
  """Render one part in mono, round(seconds * sample_rate) samples.

  The part is scaled to a loudness below its ceiling and limited softly (tanh),
  so that the stems of a song are comparable and their sum stays within -1..1.
  The same part gives the same samples.

  Args:
    part: notes and instrument.
    seconds: length in seconds.
    sample_rate: sample rate in Hz.
    soundfonts: paths of .sf2 or .sf3 files, of which `part.timbre` picks
      one; () means pretty_midi's.

  Raises:
    ImportError: tinysoundfont or pretty_midi is not installed.
    FileNotFoundError: no such soundfont.
    ValueError: not a soundfont, or it has no such instrument.
  """
  stereo = _synthesize(part, seconds, sample_rate, soundfonts)
  audio = soundfont.level(stereo.mean(1), part.ceiling, sample_rate)
  return audio.astype(np.float32)[:, None]  # [n, 1]


def render_stereo(
  score: Score,
  index: int,
  seed: stage.Seed,
  seconds: float,
  sample_rate: int,
  soundfonts: tuple[str, ...] = (),
) -> Float32[np.ndarray, "samples 2"]:
  """Render one part of a song at its place in the song's room.

  The sum of the stems stays within -1..1, as in mono.

  Args:
    score: the song.
    index: index of the part.
    seed: seed of the song, which places all of its parts.
    seconds, sample_rate, soundfonts: see `render`.

  Raises:
    ImportError, FileNotFoundError, ValueError: see `render`.
  """
  part = score.parts[index]
  stereo = _synthesize(part, seconds, sample_rate, soundfonts)
  middle, side = soundfont.middle_and_side(stereo, part.ceiling, sample_rate)
  place = stage.places(seed, [x.category for x in score.parts])[index]
  response = stage.room(seed, sample_rate)
  audio = stage.perform(middle, side, place, response, sample_rate)
  audio *= _STEREO
  audio /= max(1.0, float(np.abs(audio).max()) / part.ceiling)
  return soundfont.fade_end(audio, sample_rate)


def _synthesize(
  part: Part, seconds: float, sample_rate: int, soundfonts: tuple[str, ...]
) -> Float32[np.ndarray, "samples 2"]:
  soundfonts = soundfonts or (soundfont.default_soundfont(),)
  return soundfont.synthesize(
    soundfonts[part.timbre % len(soundfonts)],
    part.program,
    part.is_drum,
    sorted(_events(part, sample_rate)),
    round(seconds * sample_rate),
    sample_rate,
  )


def _events(part: Part, sample_rate: int) -> Iterator[soundfont.Event]:
  for note in part.notes:
    start, end = round(note.start * sample_rate), round(note.end * sample_rate)
    yield soundfont.Event(start, soundfont.Kind.ON, note.pitch, note.velocity)
    yield soundfont.Event(end, soundfont.Kind.OFF, note.pitch)
