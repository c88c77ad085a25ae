"""Sound in memory: resampling, downmixing, mixing and levels.

Samples are float32 `[samples, channels]`, full scale -1..1.
"""

import dataclasses
import math

import numpy as np
import soxr
from jaxtyping import Float32

Samples = Float32[np.ndarray, "samples channels"]

SHORTEST, LONGEST = 0.2, 600.0  # seconds of a context
CEILING = 10 ** (-0.1 / 20)  # -0.1 dBFS, the largest sample of a mix

# Gains of channels in stereo, left and right, in the order of wav and flac: L R
# C LFE, back center, Ls Rs, or backs and sides. ITU-R BS.775, without the LFE.
_HALF = math.sqrt(0.5)
_LEFT, _RIGHT, _CENTER, _LFE = (1, 0), (0, 1), (_HALF, _HALF), (0, 0)
_REAR, _BACK = ((_HALF, 0), (0, _HALF)), (0.5, 0.5)
_LAYOUTS = {
  2: (_LEFT, _RIGHT),
  4: (_LEFT, _RIGHT, *_REAR),
  5: (_LEFT, _RIGHT, _CENTER, *_REAR),
  6: (_LEFT, _RIGHT, _CENTER, _LFE, *_REAR),
  7: (_LEFT, _RIGHT, _CENTER, _LFE, _BACK, *_REAR),
  8: (_LEFT, _RIGHT, _CENTER, _LFE, *_REAR, *_REAR),
}
# Ordinary stereo has a side that is quieter than its middle, or as loud.
_CANCELS_DB = 6.0


@dataclasses.dataclass(frozen=True, eq=False)
class Audio:
  """Float32 samples `[samples, channels]` with their sample rate in Hz.

  Attributes:
    samples: the samples.
    sample_rate: sample rate in Hz.
    notes: peculiarities of the file that it was read from, to report.
    delayed: whether an encoder added an unknown time to both ends.
    time_reference: position on the timeline of a session, in samples, as the
      `bext` chunk of Broadcast Wave states it.
  """

  samples: Samples
  sample_rate: int
  notes: tuple[str, ...] = dataclasses.field(default=(), kw_only=True)
  delayed: bool = dataclasses.field(default=False, kw_only=True)
  time_reference: int = dataclasses.field(default=0, kw_only=True)

  def __post_init__(self):
    shape, dtype = np.shape(self.samples), getattr(self.samples, "dtype", None)
    if len(shape) != 2 or dtype != np.float32:
      raise ValueError(
        f"audio of shape {shape} and type {dtype}: expected float32 "
        "[samples, channels]"
      )
    if self.sample_rate <= 0:
      raise ValueError(f"sample rate {self.sample_rate} Hz: expected above 0")

  @property
  def seconds(self) -> float:
    """Duration in seconds."""
    return len(self.samples) / self.sample_rate

  @property
  def channels(self) -> int:
    """Number of channels."""
    return self.samples.shape[1]


def resample(
  samples: Samples, from_rate: int, to_rate: int, length: int | None = None
) -> Samples:
  """Convert the sample rate with zero lag and an exact length.

  Args:
    samples: samples to convert.
    from_rate, to_rate: sample rates in Hz.
    length: samples to return (cut, or padded with silence); by default
      round(samples * to_rate / from_rate).
  """
  if length is None:
    length = round(len(samples) * to_rate / from_rate)
  if from_rate != to_rate:
    samples = soxr.resample(samples, from_rate, to_rate, quality="VHQ")
  return fit(samples, length)


def resample_mono(
  samples: Float32[np.ndarray, " n"], from_rate: int, to_rate: int
) -> Float32[np.ndarray, " m"]:
  """Convert the sample rate of one channel for analysis and for training.

  Quality and length are soxr's defaults, which earlier results were made with.
  """
  return soxr.resample(samples, from_rate, to_rate).astype(np.float32)


def fit(samples: Samples, length: int) -> Samples:
  """Cut, or pad with silence at the end, to `length` samples."""
  missing = max(0, length - len(samples))
  return np.pad(samples[:length], ((0, missing), (0, 0)))


def fold_down(samples: Samples) -> Float32[np.ndarray, "samples 1"]:
  """Downmix any number of channels to mono.

  4 to 8 channels give the mean of their stereo downmix (ITU-R BS.775, without
  the LFE), which may exceed full scale; other numbers of channels give their
  mean. Where left and right cancel, half of their difference is returned.
  """
  if samples.shape[1] == 1:
    return samples
  return _side(samples) if cancels(samples) else _middle(samples)


def cancels(samples: Samples) -> bool:
  """Return whether left and right are opposite, so that a downmix is quiet."""
  if samples.shape[1] not in _LAYOUTS:
    return False
  middle, side = rms_db(_middle(samples)), rms_db(_side(samples))
  return middle < side - _CANCELS_DB


class Cancelling:
  """Decides block by block how `fold_down` mixes a long sound."""

  def __init__(self):
    self._energies = [0.0, 0.0]

  def add(self, samples: Samples) -> None:
    """Add a block to the decision."""
    if samples.shape[1] in _LAYOUTS:
      for number, mix in enumerate((_middle, _side)):
        energy = np.square(mix(samples), dtype=np.float64).sum()
        self._energies[number] += float(energy)

  def mix(self, samples: Samples) -> Float32[np.ndarray, "samples 1"]:
    """Return a block in mono, once all blocks were added."""
    middle, side = self._energies
    if middle < side * 10 ** (-_CANCELS_DB / 10):
      return _side(samples)
    return _middle(samples)


def _middle(samples: Samples) -> Float32[np.ndarray, "samples 1"]:
  channels = samples.shape[1]
  if channels not in _LAYOUTS or channels == 2:
    return samples.mean(axis=1, keepdims=True, dtype=np.float32)
  return samples @ _gains(channels, (0.5, 0.5))


def _side(samples: Samples) -> Float32[np.ndarray, "samples 1"]:
  return samples @ _gains(samples.shape[1], (0.5, -0.5))


def _gains(
  channels: int, of_stereo: tuple[float, float]
) -> Float32[np.ndarray, "channels 1"]:
  gains = np.array(_LAYOUTS[channels]) @ np.array(of_stereo)  # [channels]
  return gains.astype(np.float32)[:, None]


def mono(sound: Audio) -> Float32[np.ndarray, " samples"]:
  """Return the samples of a sound, downmixed to one channel."""
  return fold_down(sound.samples)[:, 0]


def spread(
  mono: Float32[np.ndarray, "samples 1"], channels: int
) -> Float32[np.ndarray, "samples {channels}"]:
  """Copy mono to both channels of stereo, or to front left and right."""
  wide = np.zeros((len(mono), channels), np.float32)
  wide[:, :2] = mono
  return wide


def mix(context: Audio, stem: Audio) -> tuple[Audio, float]:
  """Add a stem to its context, and lower a sum that would clip.

  Returns:
    The mix, and the gain in dB, at most 0, that was applied to all of it so
    that no sample exceeds -0.1 dBFS.

  Raises:
    ValueError: sample rate, length or channels differ.
  """
  for name in ("sample_rate", "channels"):
    ours, theirs = getattr(context, name), getattr(stem, name)
    if ours != theirs:
      raise ValueError(f"context has {name} {ours} but the stem {theirs}")
  if len(context.samples) != len(stem.samples):
    raise ValueError(
      f"context has {len(context.samples)} samples but the stem "
      f"{len(stem.samples)}"
    )
  total = context.samples + stem.samples
  # A position on a timeline is that of the context.
  both = dataclasses.replace(context, samples=total, notes=(), delayed=False)
  return lowered(both)


def lowered(sound: Audio) -> tuple[Audio, float]:
  """Return a sound that does not clip, and the gain in dB, at most 0."""
  peak = float(np.abs(sound.samples).max(initial=0.0))
  if peak <= CEILING:
    return sound, 0.0
  gain = CEILING / peak
  samples = sound.samples * np.float32(gain)
  return dataclasses.replace(sound, samples=samples), to_db(gain)


def check_seconds(seconds: float, name: str) -> None:
  """Raise ValueError if a duration is out of the range of contexts.

  Args:
    seconds: duration.
    name: name of the audio, for the message.
  """
  if not SHORTEST <= seconds <= LONGEST:
    raise ValueError(
      f"{name}: {seconds:.3g} s of audio, expected {SHORTEST:g} to "
      f"{LONGEST:g} s; cut or extend it"
    )


def rms_db(samples: Samples) -> float:
  """Return the RMS in dB of full scale; -inf for silence."""
  norm = float(np.linalg.norm(samples))
  return to_db(norm / math.sqrt(max(1, samples.size)))


def to_db(amplitude: float) -> float:
  """Return 20 log10 of an amplitude; -inf at 0."""
  return 20 * math.log10(amplitude) if amplitude > 0 else -math.inf


def with_channels(
  samples: Float32[np.ndarray, "n c"], channels: int
) -> Float32[np.ndarray, "n {channels}"]:
  """Convert the number of channels, through mono where it differs."""
  if samples.shape[1] == channels:
    return samples
  return spread(fold_down(samples), channels)


def resample_period(
  samples: Float32[np.ndarray, "n c"], length: int
) -> Float32[np.ndarray, "{length} c"]:
  """Resample one period of a periodic sound to `length` samples.

  By its Fourier series, which is exact for a period and has no edges.
  """
  if len(samples) == length:
    return samples
  # Imported here: it takes 1.2 s (measured), and only loops need it.
  from scipy import signal

  return np.asarray(signal.resample(samples, length), np.float32)
