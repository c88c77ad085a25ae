"""Render MIDI events of one instrument with a General MIDI soundfont.

The only renderer of this package: the band and the MIDI files use it.

Licences: tinysoundfont is MIT; TimGM6mb.sf2, the soundfont that pretty_midi
(MIT) ships and the default here, is GPL-2. Neither is part of this package.
"""

import contextlib
import enum
import functools
import importlib.util
import pathlib
import threading
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32

from stemgen_jax import categories

INSTALL = (
  "pip install --no-deps -r launch/requirements-nodeps.txt && "
  "pip install -e '.[band]' -c launch/constraints.txt"
)
# Where the packages of Debian and of Fedora install soundfonts.
_FOLDERS = (
  "/usr/share/sounds/sf2",
  "/usr/share/sounds/sf3",
  "/usr/share/soundfonts",
)
_TAIL = 0.02  # seconds over which a cut-off song is faded
_LOUDNESS = 0.28  # active RMS over a part's ceiling: a crest of 11 dB
_RESET = 121  # MIDI's controller that resets all others


class Kind(enum.IntEnum):
  """Kind of an event; at one sample, lower kinds come first."""

  OFF = 0
  CONTROL = 1
  BEND = 2
  ON = 3


class Event(NamedTuple):
  """An event of an instrument.

  Attributes:
    sample: time in samples.
    kind: what happens.
    number: MIDI pitch of a note, or number of a controller; unused for BEND.
    value: velocity or value, 0 to 127; semitones of a BEND.
  """

  sample: int
  kind: Kind
  number: int = 0
  value: float = 0


def default_soundfont() -> str:
  """Return the path of the soundfont that pretty_midi ships.

  Raises:
    ImportError: pretty_midi is not installed.
  """
  spec = importlib.util.find_spec("pretty_midi")
  if spec is None or not spec.submodule_search_locations:
    raise ImportError(f"the band's soundfont is missing; run: {INSTALL}")
  return str(pathlib.Path(spec.submodule_search_locations[0]) / "TimGM6mb.sf2")


def find(path: str) -> str:
  """Return the path of a soundfont, which may be that of another machine.

  Where there is no file, one of its name is looked up in the folder of
  pretty_midi and in those where Linux distributions install soundfonts.

  Raises:
    FileNotFoundError: no such file anywhere.
  """
  if pathlib.Path(path).is_file():
    return path
  folders = [pathlib.Path(x) for x in _FOLDERS]
  with contextlib.suppress(ImportError):
    folders.insert(0, pathlib.Path(default_soundfont()).parent)
  name = pathlib.Path(path).name
  for folder in folders:
    if (folder / name).is_file():
      return str(folder / name)
  raise FileNotFoundError(
    f"no soundfont at {path}, and no {name} in "
    f"{', '.join(str(x) for x in folders)}: install it, or give its path"
  )


def check(path: str) -> None:
  """Check that a file is found and begins as a soundfont does.

  Raises:
    FileNotFoundError: no such file.
    ValueError: the file is something else.
  """
  path = find(path)
  with open(path, "rb") as file:
    head = file.read(12)
  if head[:4] != b"RIFF" or head[8:] != b"sfbk":
    raise ValueError(f"{path} is not a soundfont (.sf2, .sf3)")


def synthesize(
  path: str,
  program: int,
  is_drum: bool,
  events: Iterable[Event],
  samples: int,
  sample_rate: int,
) -> Float32[np.ndarray, "samples 2"]:
  """Render one instrument in stereo; the same events give the same samples.

  Args:
    path: .sf2 or .sf3 file, see `find`.
    program: General MIDI program from 0; for drums that of the kit, in whose
      place the standard kit is used if the soundfont has no such kit.
    is_drum: whether it is a drum kit.
    events: events, of which those of one sample and kind stay in their order;
      those after the end have no effect.
    samples: length in samples.
    sample_rate: sample rate in Hz.

  Raises:
    ImportError: tinysoundfont is not installed.
    FileNotFoundError: no such soundfont.
    ValueError: not a soundfont, or it has no such instrument.
  """
  synth = _ready_synth(path, sample_rate, program, is_drum)
  audio = np.empty((samples, 2), np.float32)
  now = 0
  ordered = sorted(events, key=lambda event: (event.sample, event.kind))
  for at, kind, number, value in [*ordered, Event(samples, Kind.OFF)]:
    at = min(at, samples)
    if at > now:
      rendered = np.frombuffer(synth.generate_simple(at - now), np.float32)
      audio[now:at] = rendered.reshape(-1, 2)
      now = at
    match kind:
      case Kind.ON:
        synth.noteon(0, number, int(value))
      case Kind.OFF:
        synth.noteoff(0, number)
      case Kind.CONTROL:
        synth.control_change(0, number, int(value))
      case Kind.BEND:
        synth.set_tuning(0, value)
  return audio


def level(
  audio: Float[np.ndarray, " samples"], ceiling: float, sample_rate: int
) -> Float[np.ndarray, " samples"]:
  """Bring one stem to a loudness below its ceiling, limit it, fade its end.

  The limiter is soft (tanh), so that stems are comparable in loudness.

  Args:
    audio: mono samples.
    ceiling: greatest sample value of the result.
    sample_rate: sample rate in Hz.
  """
  audio = audio * (_LOUDNESS * ceiling / _active_rms(audio, sample_rate))
  return fade_end(ceiling * np.tanh(audio / ceiling), sample_rate)


def fade_end(
  audio: Float[np.ndarray, "samples *channels"], sample_rate: int
) -> Float[np.ndarray, "samples *channels"]:
  """Fade the end of a stem that the song cuts off; changes `audio`."""
  fade = min(round(_TAIL * sample_rate), len(audio))
  gains = np.linspace(1, 0, fade).reshape(-1, *[1] * (audio.ndim - 1))
  audio[len(audio) - fade :] *= gains
  return audio


def middle_and_side(
  stereo: Float32[np.ndarray, "samples 2"], ceiling: float, sample_rate: int
) -> tuple[Float32[np.ndarray, " samples"], Float32[np.ndarray, " samples"]]:
  """Return the mean of the channels at its `level`, and the side likewise.

  The side is half of their difference, left - right.
  """
  middle = stereo.mean(1)  # [n]
  side = stereo[:, 0] - middle
  leveled = level(middle, ceiling, sample_rate)
  power = max(float(np.mean(middle**2)), 1e-20)
  side *= np.float32(np.sqrt(np.mean(leveled**2) / power))
  return leveled.astype(np.float32), side


def _ready_synth(path: str, sample_rate: int, program: int, is_drum: bool):
  """Return a silent synthesizer with an instrument on channel 0."""
  synth, font = _load(path, sample_rate, threading.get_ident())
  # Stop the notes of the previous part, and discard their decay.
  synth.sounds_off(0)
  synth.control_change(0, _RESET, 0)
  synth.set_tuning(0, 0.0)
  synth.generate_simple(sample_rate // 10)
  bank = 128 if is_drum else 0
  try:
    synth.program_select(0, font, bank, program, is_drum)
  except RuntimeError as error:
    category = categories.category_of_program(program, is_drum)
    raise ValueError(
      f"{path} has no instrument for {category} (bank {bank}, program"
      f" {program}); use a General MIDI soundfont"
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
  path = find(path)
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
