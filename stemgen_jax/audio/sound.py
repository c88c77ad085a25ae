"""Sound in memory: resampling, downmixing, mixing and levels.

Samples are float32 `[samples, channels]`, full scale -1..1.
"""

import dataclasses
import math

import numpy as np
import soxr
from jaxtyping import Float32

Samples = Float32[np.ndarray, "samples channels"]


SHORTEST, LONGEST = 0.2, 600.0  # seconds that can be played along with


CEILING = 10 ** (-0.1 / 20)  # -0.1 dBFS, the loudest sample of a mix.


# ITU-R BS.775 to stereo, then the mean, without the LFE: music in the front
# folds as loud as in stereo. Channel order of wav files: L R C LFE Ls Rs.
_SURROUND = np.array([1, 1, math.sqrt(2), 0, math.sqrt(0.5), math.sqrt(0.5)])
_SURROUND = (_SURROUND / 2).astype(np.float32)


@dataclasses.dataclass(frozen=True, eq=False)
class Audio:
  """Sound with its sample rate: float32 `[samples, channels]`, in Hz."""

  samples: Samples
  sample_rate: int

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
  """Converts the sample rate (Hz) with zero lag and an exact length.

  Args:
    samples: `[samples, channels]`.
    from_rate, to_rate: sample rates in Hz.
    length: samples returned (cut, or padded with silence); default
      round(samples * to_rate / from_rate).
  """
  if length is None:
    length = round(len(samples) * to_rate / from_rate)
  if from_rate != to_rate:
    samples = soxr.resample(samples, from_rate, to_rate, quality="VHQ")
  return fit(samples, length)


def fit(samples: Samples, length: int) -> Samples:
  """Cuts, or pads with silence at the end, to `length` samples."""
  missing = max(0, length - len(samples))
  return np.pad(samples[:length], ((0, missing), (0, 0)))


def fold_down(samples: Samples) -> Float32[np.ndarray, "samples 1"]:
  """Any channel count to mono.

  Mono stays as it is; 5.1 (L R C LFE Ls Rs) is the mean of its stereo downmix
  (ITU-R BS.775, without the LFE), which may exceed full scale; every other
  count, stereo included, is the mean of its channels.
  """
  if samples.shape[1] == 1:
    return samples
  if samples.shape[1] == 6:
    return (samples @ _SURROUND)[:, None]
  return samples.mean(axis=1, keepdims=True, dtype=np.float32)


def mono(sound: Audio) -> Float32[np.ndarray, " samples"]:
  """The samples of a sound, folded down to one channel."""
  return fold_down(sound.samples)[:, 0]


def spread(
  mono: Float32[np.ndarray, "samples 1"], channels: int
) -> Float32[np.ndarray, "samples {channels}"]:
  """Mono to `channels`: both of stereo; front left and right of any more."""
  wide = np.zeros((len(mono), channels), np.float32)
  wide[:, :2] = mono
  return wide


def mix(context: Audio, stem: Audio) -> tuple[Audio, float]:
  """Adds a stem to its context, making headroom where the sum would clip.

  Returns:
    The mix, and the gain in dB by which it was lowered as a whole so that no
    sample exceeds -0.1 dBFS; 0.0 when the plain sum fits.

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
  """Raises ValueError if something this long cannot be played along with.

  Args:
    seconds: how long it lasts.
    name: what it is, for the message.
  """
  if not SHORTEST <= seconds <= LONGEST:
    raise ValueError(
      f"{name}: {seconds:.3g} s of audio, expected {SHORTEST:g} to "
      f"{LONGEST:g} s; cut or extend it"
    )


def rms_db(samples: Samples) -> float:
  """Root mean square in dB of full scale; -inf for silence."""
  norm = float(np.linalg.norm(samples))
  return to_db(norm / math.sqrt(max(1, samples.size)))


def to_db(amplitude: float) -> float:
  """20 log10 of an amplitude, -inf at 0."""
  return 20 * math.log10(amplitude) if amplitude > 0 else -math.inf


def with_channels(
  samples: Float32[np.ndarray, "n c"], channels: int
) -> Float32[np.ndarray, "n {channels}"]:
  """As many channels as asked for; through mono where the number differs."""
  if samples.shape[1] == channels:
    return samples
  return spread(fold_down(samples), channels)


def resample_period(
  samples: Float32[np.ndarray, "n c"], length: int
) -> Float32[np.ndarray, "{length} c"]:
  """One period of a periodic sound with another number of samples.

  By its Fourier series, which is exact for a period and knows no edges.
  """
  if len(samples) == length:
    return samples
  from scipy import signal  # takes a second to import

  return np.asarray(signal.resample(samples, length), np.float32)
