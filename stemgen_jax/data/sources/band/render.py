"""Render a part of the band with a soundfont."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float32

from stemgen_jax.data.sources import soundfont
from stemgen_jax.data.sources.band.score import Part


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
  soundfonts = soundfonts or (soundfont.default_soundfont(),)
  stereo = soundfont.synthesize(
    soundfonts[part.timbre % len(soundfonts)],
    part.program,
    part.is_drum,
    sorted(_events(part, sample_rate)),
    round(seconds * sample_rate),
    sample_rate,
  )
  audio = soundfont.level(stereo.mean(1), part.ceiling, sample_rate)
  return audio.astype(np.float32)[:, None]  # [n, 1]


def _events(part: Part, sample_rate: int) -> Iterator[soundfont.Event]:
  for note in part.notes:
    start, end = round(note.start * sample_rate), round(note.end * sample_rate)
    yield soundfont.Event(start, soundfont.Kind.ON, note.pitch, note.velocity)
    yield soundfont.Event(end, soundfont.Kind.OFF, note.pitch)
