"""Place the parts of a song in stereo: pan, width, and one room for all.

The mean of the channels keeps the level of a part wherever it is placed. The
room is linear and the same for all parts of a song, so that the sum of the
stems is the mix that one shared reverb gives.
"""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Float32

Seed = tuple[int, ...]
_Setting = tuple[float, float, float]


@dataclasses.dataclass(frozen=True)
class Place:
  """Place of a part on the stage.

  Attributes:
    pan: -1, left, to 1, right.
    width: RMS of the difference of the channels over that of their mean.
    send: linear gain into the room.
    seed: seed of the part's own differences between the channels.
  """

  pan: float
  width: float
  send: float
  seed: Seed


# Category -> typical distance from the center, width, and send in dB.
_DEFAULT = (0.15, 0.3, -13.0)
_SETTINGS: dict[str, _Setting] = {
  "piano": (0.08, 0.45, -14.0),
  "chromatic_percussion": (0.2, 0.3, -12.0),
  "organ": (0.12, 0.4, -14.0),
  "guitar": (0.25, 0.25, -15.0),
  "bass": (0.0, 0.0, -36.0),
  "strings": (0.15, 0.4, -10.0),
  "ensemble": (0.05, 0.6, -10.0),
  "brass": (0.18, 0.25, -12.0),
  "reed": (0.15, 0.15, -12.0),
  "pipe": (0.15, 0.15, -10.0),
  "synth_lead": (0.06, 0.3, -14.0),
  "synth_pad": (0.05, 0.65, -10.0),
  "synth_effects": (0.1, 0.65, -10.0),
  "percussive": (0.25, 0.2, -14.0),
  "drums": (0.0, 0.25, -20.0),
}
_LEAST, _MOST = 0.6, 1.3  # of the typical distance and width, in a song
_WIDEST = 0.7  # greatest pan
_LEAST_SIDE = 1e-3  # RMS of an instrument's side, relative to its middle
_SEND_DB = 2.0  # standard deviation
_WIDTH_SECONDS, _PULSES = 0.03, 30  # length of the velvet noise of a width
_CENTERED_HZ = 200.0  # basses and kicks stay in the center
_SECONDS = (0.4, 1.6)  # decay of a room by 60 dB
_PREDELAY = (0.008, 0.03)  # seconds
_BRIGHT_HZ, _BRIGHT_DECAY = 3000.0, 0.45  # decay above, relative to below


def places(
  seed: Seed, categories: Sequence[str], pans: Sequence[float | None] = ()
) -> list[Place]:
  """Draw the places of a song's parts; neighbors are on different sides.

  Args:
    seed: seed of the song.
    categories: category of each part.
    pans: pan of each part, where it is stated.
  """
  rng = np.random.default_rng(seed)
  side = 1 if rng.random() < 0.5 else -1
  found = []
  for index, category in enumerate(categories):
    distance, width, send_db = _SETTINGS.get(category, _DEFAULT)
    distance *= rng.uniform(_LEAST, _MOST)
    width *= rng.uniform(_LEAST, _MOST)
    send = 10 ** ((send_db + rng.normal(0, _SEND_DB)) / 20)
    stated = pans[index] if pans else None
    pan = side * distance if stated is None else stated
    pan = float(np.clip(pan, -_WIDEST, _WIDEST))
    found.append(Place(pan, width, float(send), (*seed, 0, index)))
    if distance:
      side = -side
  return found


@functools.lru_cache(maxsize=4)
def room(seed: Seed, sample_rate: int) -> Float32[np.ndarray, "n 2"]:
  """Draw the impulse response of a song's room, of energy 1 per channel.

  Args:
    seed: seed of the song.
    sample_rate: sample rate in Hz.
  """
  rng = np.random.default_rng((*seed, 1))
  seconds, delay = rng.uniform(*_SECONDS), rng.uniform(*_PREDELAY)
  time = np.arange(round(seconds * sample_rate)) / sample_rate  # [n]
  noise = rng.standard_normal((len(time), 2))  # [n, 2]
  dark = _smoothed(noise, _BRIGHT_HZ, sample_rate)
  decay = 10 ** (-3 * time / seconds)[:, None]  # [n, 1]
  tail = dark * decay + (noise - dark) * decay ** (1 / _BRIGHT_DECAY)
  tail -= _smoothed(tail, _CENTERED_HZ, sample_rate)
  tail = np.pad(tail, ((round(delay * sample_rate), 0), (0, 0)))
  tail /= np.sqrt(np.square(tail).sum(axis=0))
  return tail.astype(np.float32)


def perform(
  middle: Float32[np.ndarray, " n"],
  side: Float32[np.ndarray, " n"],
  place: Place,
  response: Float32[np.ndarray, "m 2"],
  sample_rate: int,
) -> Float32[np.ndarray, "n 2"]:
  """Return a part at its place in a room.

  Args:
    middle: mean of its channels.
    side: half of their difference, left - right, as the instrument has it.
    place: its place.
    response: impulse response of the room.
    sample_rate: sample rate in Hz.
  """
  own = np.linalg.norm(side) / max(float(np.linalg.norm(middle)), 1e-9)
  # Widened up to the width of the place, and no more.
  more = np.sqrt(max(place.width**2 - float(own) ** 2, 0.0))
  centered = -_low_pass(_CENTERED_HZ, sample_rate)
  origin = len(centered) // 2  # index of time 0 in the filters below
  centered[origin] += 1
  widening = more * np.convolve(centered, _velvet(place.seed, sample_rate))
  # One filter for the direct sound, the width and the room: speed.
  taps = np.zeros((2, origin + max(len(response), len(widening))))  # [2, m]
  taps[:, origin] = 1 - place.pan, 1 + place.pan
  taps[:, : len(widening)] += np.outer((1, -1), widening)
  taps[:, origin : origin + len(response)] += place.send * response.T
  audio = _filtered(middle, taps, origin)
  if own > _LEAST_SIDE:
    audio += _filtered(side, np.outer((1, -1), centered), origin)
  return audio


@functools.lru_cache(maxsize=32)
def _velvet(seed: Seed, sample_rate: int) -> np.ndarray:
  """Return sparse decaying noise of energy 1, which is nearly white."""
  rng = np.random.default_rng(seed)
  spacing = _WIDTH_SECONDS * sample_rate / _PULSES
  noise = np.zeros(round(_WIDTH_SECONDS * sample_rate) + 1)
  at = (np.arange(_PULSES) + rng.random(_PULSES)) * spacing
  signs = rng.choice([-1.0, 1.0], _PULSES)
  noise[at.astype(int)] = signs * 10 ** (-np.arange(_PULSES) / _PULSES)
  return noise / np.linalg.norm(noise)


def _smoothed(
  response: Float[np.ndarray, "n 2"], hertz: float, sample_rate: int
) -> Float[np.ndarray, "n 2"]:
  taps = _low_pass(hertz, sample_rate)
  return np.stack([np.convolve(x, taps, "same") for x in response.T], axis=1)


def _low_pass(hertz: float, sample_rate: int) -> np.ndarray:
  """Return a window that passes what is below a frequency."""
  window = np.hanning(2 * (round(sample_rate / hertz) // 2) + 3)
  return window / window.sum()


def _filtered(
  samples: Float32[np.ndarray, " n"],
  taps: Float[np.ndarray, "2 m"],
  origin: int,
) -> Float32[np.ndarray, "n 2"]:
  """Filter one channel to two with taps, of which one stands for time 0."""
  from scipy import signal  # takes 1.2 s to import (measured)

  taps = taps.astype(np.float32)
  found = signal.oaconvolve(samples[None], taps, axes=1)  # [2, n + m - 1]
  return np.ascontiguousarray(found[:, origin : origin + len(samples)].T)
