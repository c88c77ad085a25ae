"""Render a part with a General MIDI soundfont.

Licences: tinysoundfont is MIT; TimGM6mb.sf2, the soundfont that pretty_midi
(MIT) ships and the default here, is GPL-2. Neither is part of this package.
"""

import functools
import importlib.util
import pathlib
import threading

import numpy as np
from jaxtyping import Float32

from stemgen_jax.data.sources.band.score import Part

INSTALL = (
  "pip install --no-deps -r launch/requirements-nodeps.txt && "
  "pip install -e '.[band]' -c launch/constraints.txt"
)
_TAIL = 0.02  # seconds over which a cut-off song is faded
_LOUDNESS = 0.28  # active RMS over a part's ceiling: a crest of 11 dB


def default_soundfont() -> str:
  """Return the path of the soundfont that pretty_midi ships.

  Raises:
    ImportError: pretty_midi is not installed.
  """
  spec = importlib.util.find_spec("pretty_midi")
  if spec is None or not spec.submodule_search_locations:
    raise ImportError(f"the band's soundfont is missing; run: {INSTALL}")
  return str(pathlib.Path(spec.submodule_search_locations[0]) / "TimGM6mb.sf2")


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
  soundfonts = soundfonts or (default_soundfont(),)
  path = soundfonts[part.timbre % len(soundfonts)]
  synth = _ready_synth(path, sample_rate, part)
  samples = round(seconds * sample_rate)
  # Sorted so that note-offs come before note-ons of the same sample.
  events = sorted(
    [(round(n.end * sample_rate), 0, n.pitch, 0) for n in part.notes]
    + [
      (round(n.start * sample_rate), 1, n.pitch, n.velocity) for n in part.notes
    ]
  )
  pieces, now = [], 0
  for at, on, pitch, velocity in [*events, (samples, 0, 0, 0)]:
    at = min(at, samples)
    if at > now:
      pieces.append(np.frombuffer(synth.generate_simple(at - now), np.float32))
      now = at
    if on:
      synth.noteon(0, pitch, velocity)
    else:
      synth.noteoff(0, pitch)
  audio = np.concatenate(pieces).reshape(-1, 2).mean(1)  # stereo -> [n]

  audio = audio * (_LOUDNESS * part.ceiling / _active_rms(audio, sample_rate))
  audio = part.ceiling * np.tanh(audio / part.ceiling)
  fade = min(round(_TAIL * sample_rate), samples)
  audio[samples - fade :] *= np.linspace(1, 0, fade)
  return audio.astype(np.float32)[:, None]  # [n, 1]


def _ready_synth(path: str, sample_rate: int, part: Part):
  """Return a silent synthesizer with the part's instrument on channel 0."""
  synth, font = _load(path, sample_rate, threading.get_ident())
  # Stop the notes of the previous part, and discard their decay.
  synth.sounds_off(0)
  synth.generate_simple(sample_rate // 10)
  bank = 128 if part.is_drum else 0
  try:
    synth.program_select(0, font, bank, part.program, part.is_drum)
  except RuntimeError as error:
    raise ValueError(
      f"{path} has no instrument for {part.category} (bank {bank}, program"
      f" {part.program}); use a General MIDI soundfont"
    ) from error
  return synth


@functools.lru_cache(maxsize=4)
def _load(path: str, sample_rate: int, thread: int):
  """Return a synthesizer with a soundfont, and the id of the font in it.

  Cached, because unpacking a large .sf3 takes seconds; one per thread, because
  a synthesizer renders one part at a time.
  """
  try:
    import tinysoundfont
  except ImportError as error:
    raise ImportError(
      f"rendering the band needs tinysoundfont; run: {INSTALL}"
    ) from error
  if not pathlib.Path(path).is_file():
    raise FileNotFoundError(f"no soundfont at {path}")
  synth = tinysoundfont.Synth(samplerate=sample_rate)
  try:
    return synth, synth.sfload(path)
  except RuntimeError as error:
    raise ValueError(f"{path} is not a soundfont (.sf2, .sf3)") from error


def _active_rms(audio: np.ndarray, sample_rate: int) -> float:
  """Return the RMS of the tenths of a second within 30 dB of the loudest."""
  block = sample_rate // 10
  power = np.add.reduceat(audio**2, np.arange(0, len(audio), block)) / block
  active = power[power > power.max() * 1e-3]
  return float(np.sqrt(active.mean())) if active.size else 1.0
