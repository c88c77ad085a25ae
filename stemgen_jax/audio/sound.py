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

# ITU-R BS.775 to stereo without the LFE, then the mean: the front channels keep
# their loudness in stereo. Channel order of wav files: L R C LFE Ls Rs.
_SURROUND = np.array([1, 1, math.sqrt(2), 0, math.sqrt(0.5), math.sqrt(0.5)])
_SURROUND = (_SURROUND / 2).astype(np.float32)


@dataclasses.dataclass(frozen=True, eq=False)
class Audio:
  """Float32 samples `[samples, channels]` with their sample rate in Hz.

  Attributes:
    samples: the samples.
    sample_rate: sample rate in Hz.
    notes: peculiarities of the file that it was read from, to report.
    delayed: whether an encoder added an unknown time to both ends.
  """

  samples: Samples
  sample_rate: int
  notes: tuple[str, ...] = dataclasses.field(default=(), kw_only=True)
  delayed: bool = dataclasses.field(default=False, kw_only=True)

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

  5.1 (L R C LFE Ls Rs) gives the mean of its stereo downmix (ITU-R BS.775,
  without the LFE), which may exceed full scale; other numbers of channels give
  their mean.
  """
  if samples.shape[1] == 1:
    return samples
  if samples.shape[1] == 6:
    return (samples @ _SURROUND)[:, None]
  return samples.mean(axis=1, keepdims=True, dtype=np.float32)


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
  peak = float(np.abs(total).max(initial=0.0))
  if peak <= CEILING:
    return Audio(total, context.sample_rate), 0.0
  gain = CEILING / peak
  return Audio(total * np.float32(gain), context.sample_rate), to_db(gain)


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
