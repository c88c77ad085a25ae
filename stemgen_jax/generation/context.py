"""Encode a context: from the caller's audio to codes of the codec.

The stem has exactly as many samples as its context, at the same sample rate,
in as many channels, without lag. A loop stays a loop: its end meets its
beginning without a fade.
"""

import dataclasses
import math
import time
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Float32, Int

from stemgen_jax import audio as audio_lib
from stemgen_jax.audio import Audio, bwf
from stemgen_jax.audio import spectrum as spectrum_lib
from stemgen_jax.codec import Codec, ScaledCodec
from stemgen_jax.codec.framing import Framing
from stemgen_jax.generation.regions import Region

SILENCE_DB = -90.0  # The noise of 16 bits is below.

# The codec encodes this much more of a loop before its start and after its end.
AROUND_SECONDS = 1.0

# Far above any gain to the loudness of a context.
_MOST_GAIN = 1e6


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class EncodedContext:
  """The codes of a context, and the format it came in.

  Attributes:
    codes: codes of the context, int32 [t, q].
    gain: factor that brought the context to the loudness of the training.
    inverse_gain: factor that brings a stem to the loudness of the context.
    level_db: root mean square after the gain, dB of full scale.
    from_nothing: the context is silence of a requested length.
    loop: the context is one period of a loop, resampled to whole frames.
    samples: length of the context in its own format.
    sample_rate: sample rate of the context in Hz.
    channels: number of channels of the context.
    framing: position of frames in the samples of the codec.
    stretch: samples of the context for one sample of the codec.
    scales: scales of the segments of a `codec.ScaledCodec`, RMS after `gain`.
    encoding_seconds: seconds of work for the encoding.
    time_reference: `audio.Audio.time_reference` of the context.
    spectrum: features of the spectrum of every frame, float32 [t, bands], for
      models that read it; otherwise None.
  """

  codes: Int[np.ndarray, "t q"]
  gain: float
  inverse_gain: float
  level_db: float
  from_nothing: bool
  loop: bool
  samples: int
  sample_rate: int
  channels: int
  framing: Framing
  stretch: float
  scales: Sequence[float] = ()
  encoding_seconds: float = 0.0
  time_reference: int = 0
  spectrum: Float32[np.ndarray, "t bands"] | None = None

  def validate(self) -> None:
    """Raise ValueError, naming the field, if a value is impossible."""
    for name in ("gain", "inverse_gain", "stretch"):
      if not 0 < getattr(self, name) < _MOST_GAIN:
        raise ValueError(f"{name} {getattr(self, name)}")
    framing = self.framing
    counts = (self.samples, self.sample_rate, self.channels, framing.hop)
    if min(counts) < 1 or framing.segment < 0 or framing.stride < 0:
      raise ValueError(f"counts {counts}, {framing}")
    if framing.segment and not 0 < framing.stride <= framing.segment:
      raise ValueError(f"{framing}")
    if framing.segment % framing.hop:
      raise ValueError(f"{framing}")
    if len(self.scales) != framing.segments(len(self.codes)):
      raise ValueError(f"{len(self.scales)} scales")
    if not all(0 <= scale < _MOST_GAIN for scale in self.scales):
      raise ValueError(f"scales {self.scales}")
    if not 0 <= self.time_reference < bwf.MOST:
      raise ValueError(f"time_reference {self.time_reference}")
    if math.isnan(self.level_db):
      raise ValueError("level_db nan")
    # For a resampled context the last frame may be partly or wholly after it.
    last = float(self._begin(np.array([len(self.codes)]))[0])
    if abs(last - self.samples) > 2 * self.samples_per_frame:
      raise ValueError(f"{len(self.codes)} frames for {self.samples} samples")

  def inputs(self, kind: str, subject: str = "the context") -> np.ndarray:
    """Return the context as a model with `context=kind` reads it, [t, ...].

    Raises:
      ValueError: the spectrum is not known.
    """
    if kind == "codes":
      return self.codes
    if self.spectrum is None:
      raise ValueError(
        f"{subject} has no spectrum of its context, which these weights read: "
        "load the weights that generated it"
      )
    return self.spectrum

  @property
  def seconds(self) -> float:
    """Duration in seconds."""
    return self.samples / self.sample_rate

  @property
  def samples_per_frame(self) -> float:
    """Samples of the context in one frame."""
    return self.framing.hop * self.stretch

  def edge(self, frame: int) -> int:
    """Return the first sample of a frame, where the frame before it ends."""
    return min(round(float(self._begin(np.array([frame]))[0])), self.samples)

  @property
  def whole_frames(self) -> int:
    """Number of leading frames that are wholly within the sound."""
    ends = self._begin(np.arange(len(self.codes))) + self.samples_per_frame
    # Ends are sums of rounded products, which may exceed a whole number.
    return int((ends <= self.samples + 1e-6).sum())

  def _begin(self, frames: Int[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Return the starts of frames in samples of the context."""
    return self.framing.begins(frames) * self.stretch

  def frames_of(self, regions: Sequence[Region]) -> Bool[np.ndarray, " t"]:
    """Return a mask of the frames that are wholly or partly in a region.

    Raises:
      ValueError: there is no region, or one ends before it begins or is outside
        of the sound.
    """
    if not regions:
      raise ValueError("no region: expected from and to in seconds")
    inside = np.zeros(len(self.codes), bool)
    begins = self._begin(np.arange(len(self.codes) + 1))  # [t + 1]
    # Rounding must not add a frame where a region ends at the end of one.
    tolerance = 1e-6 * self.samples_per_frame
    for start, end in regions:
      if not 0 <= start < min(end, self.seconds):
        raise ValueError(
          f"region {start:g} to {end:g} s: expected to start before it ends, "
          f"within the {self.seconds:.2f} s of the sound"
        )
      first = np.searchsorted(
        begins, start * self.sample_rate + tolerance, "right"
      )
      last = np.searchsorted(begins, end * self.sample_rate - tolerance)
      inside[max(first - 1, 0) : max(last, 1)] = True
    return inside


def encode_context(
  codec: Codec,
  sound: Audio,
  reference_db: float,
  *,
  rms: bool = False,
  relative_db: float = 0.0,
  gain: float | None = None,
  loop: bool = False,
  from_nothing: bool = False,
  kind: str = "codes",
  with_codes: bool = True,
) -> EncodedContext:
  """Encode a context at the loudness of the contexts of the training.

  A loop is resampled to whole frames, by half a frame at most, and encoded
  between repetitions of itself. A constant offset is removed, and clicks alone
  are silence.

  Args:
    codec: the codec.
    sound: the context.
    reference_db: loudness of the contexts of the training, dB of full scale.
    rms: measure the plain RMS, and do not clip, as for older weights.
    relative_db: usual loudness of the stem over that of its context.
    gain: factor to use in place of the one that leads to that loudness.
    loop: the context is one period of a loop.
    from_nothing: see `EncodedContext`.
    kind: "spectrum" for a model that reads the spectrum; codes are needed for
      edits all the same.
    with_codes: whether the codec encodes it; otherwise all codes are 0.

  Raises:
    ValueError: a loop, for a codec that encodes segments.
  """
  began = time.perf_counter()
  # An offset would hide that channels cancel.
  samples = audio_lib.without_offset(sound.samples, sound.sample_rate)
  samples = audio_lib.with_channels(samples, codec.channels)  # [n, c]
  samples = audio_lib.without_clicks(samples, sound.sample_rate, SILENCE_DB)
  frames = count_frames(codec, sound.seconds, loop=loop)
  if loop:
    samples = audio_lib.resample_period(samples, frames * codec.hop)
    stretch = len(sound.samples) / (frames * codec.hop)
  else:
    samples = audio_lib.resample(samples, sound.sample_rate, codec.sample_rate)
    stretch = sound.sample_rate / codec.sample_rate
  if gain is None:
    gain = gain_to_reference(
      samples, reference_db, None if rms else codec.sample_rate
    )
  # The gain comes after resampling, which can raise peaks above full scale.
  samples = samples * np.float32(gain)
  level_db = audio_lib.rms_db(samples)
  scaled = isinstance(codec, ScaledCodec)
  framing = codec.framing if scaled else Framing(hop=codec.hop)
  features = None
  if kind == "spectrum":
    centers = framing.begins(np.arange(frames)) + framing.hop // 2
    features = spectrum_lib.features(
      samples, codec.sample_rate, centers, loop=loop
    )
  if not with_codes:
    codes = np.zeros((frames, codec.levels), np.int32)
  elif loop:
    margin = round(AROUND_SECONDS * codec.frame_rate)
    samples = around(samples, margin * codec.hop)
    codes = codec.encode(samples[None])[0, margin : margin + frames]  # [t, q]
  else:
    codes = codec.encode(samples[None])[0]  # [t, q]
  return EncodedContext(
    codes=codes,
    gain=gain,
    inverse_gain=10 ** (relative_db / 20) / gain,
    level_db=level_db,
    from_nothing=from_nothing,
    loop=loop,
    samples=len(sound.samples),
    sample_rate=sound.sample_rate,
    channels=sound.channels,
    framing=framing,
    stretch=stretch,
    scales=codec.scales(samples[None])[0].tolist() if scaled else (),
    encoding_seconds=time.perf_counter() - began,
    time_reference=sound.time_reference,
    spectrum=features,
  )


def count_frames(codec: Codec, seconds: float, *, loop: bool) -> int:
  """Return the frames that cover a context, or the nearest number for a loop.

  Raises:
    ValueError: a loop, for a codec that encodes segments.
  """
  if not loop:
    return codec.frames(round(seconds * codec.sample_rate))
  if isinstance(codec, ScaledCodec):
    raise ValueError(
      f"codec {codec.name!r} encodes segments of its own, which have a seam "
      "where a loop begins again: leave out the loop, or use a model with "
      "another codec"
    )
  return max(1, round(seconds * codec.sample_rate / codec.hop))


def distance(
  codec: Codec, one: Int[np.ndarray, "t q"], other: Int[np.ndarray, "t q"]
) -> float:
  """Return the distance of two sounds in the latent space of the codec.

  The squared distance of the latents over the sum of both variances: 0 for
  equal codes, about 1 for unrelated sounds. Codes cannot be compared directly:
  inaudible noise changes many of them, to ones with similar latents.
  """
  books, levels = codec.codebooks(), np.arange(codec.levels)
  # Residual quantization: latents are sums over levels, [t, latent].
  x, y = (books[levels, codes].sum(axis=1) for codes in (one, other))
  variance = ((x - x.mean(0)) ** 2).sum() + ((y - y.mean(0)) ** 2).sum()
  return float(((x - y) ** 2).sum() / max(variance, 1e-12))


def gain_to_reference(
  samples: Float32[np.ndarray, "n c"],
  reference_db: float,
  sample_rate: int | None,
) -> float:
  """Return the factor from a context to the loudness of the training.

  Codec and model were trained on music of about one loudness, and generate
  stems at that loudness for any context. So the context is brought to it, and
  the stem gets the inverse gain: a quiet context gets a stem as much quieter.

  Args:
    samples: samples of the context.
    reference_db: loudness to reach, dB of full scale.
    sample_rate: sample rate in Hz; None for weights whose training contexts had
      the loudness of their songs, of which the mean RMS is known.

  Returns:
    The factor; 1 for silence. With an RMS no sample exceeds 1.
  """
  level_db = audio_lib.rms_db(samples)
  if level_db < SILENCE_DB:
    return 1.0  # Amplified noise is not music.
  if sample_rate is not None:
    loudness_db = audio_lib.loudness_db(samples, sample_rate)
    return audio_lib.gain_to(loudness_db, reference_db)
  factor = audio_lib.gain_to(level_db, reference_db)
  # Limited by the peak: a sparse context would clip at the usual level.
  return min(factor, 1.0 / float(np.abs(samples).max()))


def around(period: np.ndarray, margin: int) -> np.ndarray:
  """Return a period with `margin` rows of its repetitions on either side."""
  # Modulo, not a concatenation: the margin may be longer than the period.
  return period[np.arange(-margin, len(period) + margin) % len(period)]
