"""Perform a part: a soundfont, touch, level and place in stereo of its own.

All draws are seeded by the ids of the song and the part, so that a song always
sounds the same, and one part does not change another.
"""

import zlib
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float32

from stemgen_jax.data.sources import soundfont, stage
from stemgen_jax.data.sources.midi.score import DEFAULTS, Part, Score

USUAL_DB = {"drums": 3.0, "bass": 1.5, "ensemble": -2.0, "synth_pad": -2.0}
"""Usual level of a category in a mix in dB; others have 0."""

# Greatest sample value of a stem at 0 dB, whose active RMS is then -28 dB: full
# mixes of openttd-openmsx, of up to 13 stems, have peaks up to 1 (measured).
_CEILING = 0.15
_TOUCH = 3.0  # standard deviation of velocities
_LEVEL = 2.0  # that of a stem's level in dB
_BALANCE = 0.5  # share of the file's own balance in dB that is kept
_MOST_LEVEL = 8.0  # dB above and below 0
_WIDTH = 0.25  # standard deviation of a pan that the file does not state
_WIDEST = 0.7  # greatest pan, from the center
_CENTERED = ("drums", "bass")  # unless the file states another pan
# Below it a part is turned off in the file, and would only be noise.
_FAINTEST = 1e-3


def choose_soundfont(song_id: str, soundfonts: Sequence[str]) -> str:
  """Return the soundfont of a song, by default pretty_midi's."""
  if not soundfonts:
    return soundfont.default_soundfont()
  return soundfonts[int(_stream(song_id).integers(len(soundfonts)))]


def render(
  score: Score,
  part: Part,
  song_id: str,
  path: str,
  sample_rate: int,
  *,
  on_stage: bool = False,
) -> Float32[np.ndarray, "samples 2"]:
  """Render a part in stereo, at a drawn level.

  The mean of the channels does not depend on the pan, so that a mono mix has
  the levels that were drawn.

  Args:
    score: the song.
    part: one of its parts.
    song_id: id of the song, which seeds all draws.
    path: soundfont.
    sample_rate: sample rate in Hz.
    on_stage: whether to widen the part and to add the song's room, see `stage`.

  Raises:
    ImportError: tinysoundfont is not installed.
    FileNotFoundError, ValueError: see `soundfont.synthesize`.
  """
  rng = _stream(song_id, part.name)
  events = list(_events(part, sample_rate, rng))
  audio = soundfont.synthesize(
    path,
    part.program,
    part.is_drum,
    events,
    round(score.seconds * sample_rate),
    sample_rate,
  )
  decibels = _draw_level(score, part, rng)
  pan = _draw_pan(part, rng)
  if np.abs(audio.mean(1)).max(initial=0.0) < _FAINTEST:
    return np.zeros_like(audio)  # reported as silent
  ceiling = _CEILING * 10 ** (decibels / 20)
  middle, side = soundfont.middle_and_side(audio, ceiling, sample_rate)
  if on_stage:
    seed = (zlib.crc32(song_id.encode()), zlib.crc32(b"stage"))
    found = stage.places(
      seed, [x.category for x in score.parts], [x.pan for x in score.parts]
    )
    place = found[[x.name for x in score.parts].index(part.name)]
    response = stage.room(seed, sample_rate)
    audio = stage.perform(middle, side, place, response, sample_rate)
    soundfont.fade_end(audio, sample_rate)
  else:
    gains = np.array([1 - pan, 1 + pan], np.float32)
    signs = np.array([1, -1], np.float32)
    audio = middle[:, None] * gains + side[:, None] * signs  # [n, 2]
  audio /= max(1.0, float(np.abs(audio).max()))
  return audio


def _stream(*names: str) -> np.random.Generator:
  return np.random.default_rng([zlib.crc32(name.encode()) for name in names])


def _events(
  part: Part, sample_rate: int, rng: np.random.Generator
) -> Iterator[soundfont.Event]:
  def sample(seconds: float) -> int:
    return round(seconds * sample_rate)

  kind = soundfont.Kind
  for number, value in DEFAULTS.items():
    yield soundfont.Event(0, kind.CONTROL, number, value)
  for time, number, value in part.controls:
    yield soundfont.Event(sample(time), kind.CONTROL, number, value)
  for time, semitones in part.bends:
    yield soundfont.Event(sample(time), kind.BEND, 0, semitones)
  touches = rng.normal(0, _TOUCH, len(part.notes))
  for note, touch in zip(part.notes, touches.tolist()):
    velocity = min(max(round(note.velocity + touch), 1), 127)
    yield soundfont.Event(sample(note.start), kind.ON, note.pitch, velocity)
    yield soundfont.Event(sample(note.end), kind.OFF, note.pitch)


def _draw_level(score: Score, part: Part, rng: np.random.Generator) -> float:
  """Draw the level of a stem in dB, near its usual and its written one."""
  written = part.level_db - float(np.mean([x.level_db for x in score.parts]))
  level = USUAL_DB.get(part.category, 0.0) + _BALANCE * written
  drawn = level + rng.normal(0, _LEVEL)
  return float(np.clip(drawn, -_MOST_LEVEL, _MOST_LEVEL))


def _draw_pan(part: Part, rng: np.random.Generator) -> float:
  drawn = 0.0 if part.category in _CENTERED else rng.normal(0, _WIDTH)
  pan = drawn if part.pan is None else part.pan
  return float(np.clip(pan, -_WIDEST, _WIDEST))
