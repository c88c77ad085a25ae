"""Between the caller's audio and the codec's codes, in both directions.

The stem has exactly as many samples as its context, at the same sample rate,
in as many channels, without lag. A loop stays a loop: its end meets its
beginning without a fade.
"""

import dataclasses
import time
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Float32, Int

from stemgen_jax import audio as audio_lib
from stemgen_jax.audio import Audio
from stemgen_jax.codec import Codec, ScaledCodec
from stemgen_jax.codec.framing import Framing

SILENCE_DB = -90.0

# Around a loop the codec is given this much of what comes before and after.
AROUND_SECONDS = 1.0

Region = tuple[float, float]
"""From and to, in seconds."""


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class EncodedContext:
  """The codes of a context, and the format it came in.

  Attributes:
    codes: the codec's codes of the context.
    gain: factor that brought it to the level of the training's contexts.
    inverse_gain: factor that brings a stem to the level of the context.
    level_db: its root mean square after that, dB of full scale.
    from_nothing: there was no context, only silence of a wanted length.
    loop: it is one period of a loop, brought to whole frames.
    samples: length of the context, in its own format.
    sample_rate: of the context, in Hz.
    channels: of the context.
    framing: how frames lie on the codec's samples.
    stretch: the context's samples for one of the codec's.
    scales: of the segments of a `codec.ScaledCodec`, RMS after `gain`.
    encoding_seconds: duration of the encoding.
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

  @property
  def seconds(self) -> float:
    """Duration in seconds."""
    return self.samples / self.sample_rate

  @property
  def samples_per_frame(self) -> float:
    """Samples of the context that one frame stands for."""
    return self.framing.hop * self.stretch

  def edge(self, frame: int) -> int:
    """The sample that a frame begins with, and the one before it ends with."""
    return min(round(float(self._begin(np.array(frame)))), self.samples)

  @property
  def whole_frames(self) -> int:
    """Leading frames that lie wholly within the sound."""
    ends = self._begin(np.arange(len(self.codes))) + self.samples_per_frame
    return int((ends <= self.samples + 1e-6).sum())

  def _begin(self, frames: Int[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Where frames begin, in samples of the context."""
    return self.framing.begins(frames) * self.stretch

  def frames_of(self, regions: Sequence[Region]) -> Bool[np.ndarray, " t"]:
    """Marks the frames that lie in a region, wholly or partly.

    Raises:
      ValueError: there is no region, or one ends before it begins or lies
        outside the sound.
    """
    if not regions:
      raise ValueError("no region is given: expected from and to in seconds")
    inside = np.zeros(len(self.codes), bool)
    begins = self._begin(np.arange(len(self.codes) + 1))
    # A hair's breadth less: an end that is a whole frame is that frame.
    hair = 1e-6 * self.samples_per_frame
    for start, end in regions:
      if not 0 <= start < min(end, self.seconds):
        raise ValueError(
          f"region {start:g} to {end:g} s: expected from and to within the "
          f"{self.seconds:.2f} s of the sound"
        )
      first = np.searchsorted(begins, start * self.sample_rate + hair, "right")
      last = np.searchsorted(begins, end * self.sample_rate - hair)
      inside[max(first - 1, 0) : max(last, 1)] = True
    return inside


def encode_context(
  codec: Codec,
  sound: Audio,
  reference_db: float,
  *,
  gain: float | None = None,
  loop: bool = False,
  from_nothing: bool = False,
) -> EncodedContext:
  """Encodes a context, in the codec's format and at the training's level.

  A loop is stretched to whole frames, by half a frame at most, and encoded
  between its neighbours in time, which are itself.

  Args:
    codec: the codec.
    sound: the context.
    reference_db: level of the training's contexts.
    gain: use this factor in place of the one that leads there.
    loop: the context is one period of a loop.
    from_nothing: see `EncodedContext`.

  Raises:
    ValueError: a loop, for a codec that has segments of its own.
  """
  began = time.perf_counter()
  samples = audio_lib.with_channels(sound.samples, codec.channels)
  frames = count_frames(codec, sound.seconds, loop=loop)
  if loop:
    samples = audio_lib.resample_period(samples, frames * codec.hop)
    stretch = len(sound.samples) / (frames * codec.hop)
  else:
    samples = audio_lib.resample(samples, sound.sample_rate, codec.sample_rate)
    stretch = sound.sample_rate / codec.sample_rate
  if gain is None:
    gain = gain_to_reference(samples, reference_db)
  samples = samples * np.float32(gain)
  level_db = audio_lib.rms_db(samples)
  if loop:
    margin = round(AROUND_SECONDS * codec.frame_rate)
    samples = around(samples, margin * codec.hop)
    codes = codec.encode(samples[None])[0, margin : margin + frames]
  else:
    codes = codec.encode(samples[None])[0]
  scaled = isinstance(codec, ScaledCodec)
  return EncodedContext(
    codes=codes,
    gain=gain,
    inverse_gain=1.0 / gain,
    level_db=level_db,
    from_nothing=from_nothing,
    loop=loop,
    samples=len(sound.samples),
    sample_rate=sound.sample_rate,
    channels=sound.channels,
    framing=codec.framing if scaled else Framing(hop=codec.hop),
    stretch=stretch,
    scales=codec.scales(samples[None])[0].tolist() if scaled else (),
    encoding_seconds=time.perf_counter() - began,
  )


def count_frames(codec: Codec, seconds: float, *, loop: bool) -> int:
  """Frames of a context: those that cover it, or a loop's nearest whole number.

  Raises:
    ValueError: a loop, for a codec that has segments of its own.
  """
  if not loop:
    return codec.frames(round(seconds * codec.sample_rate))
  if isinstance(codec, ScaledCodec):
    raise ValueError(
      f"codec {codec.name!r} cuts the sound into segments of its own, which "
      "have a seam where a loop begins again: leave out the loop, or use a "
      "model of another codec"
    )
  return max(1, round(seconds * codec.sample_rate / codec.hop))


def distance(
  codec: Codec, one: Int[np.ndarray, "t q"], other: Int[np.ndarray, "t q"]
) -> float:
  """How far two sounds are apart, frame by frame, as the codec hears them.

  The squared distance of the vectors that the codes stand for, over the sum of
  both sounds' variance: 0 for codes that are the same, about 1 for sounds that
  have nothing to do with each other. Codes themselves would not do: noise that
  no one hears changes many of them, into neighbours.
  """
  books, levels = codec.codebooks(), np.arange(codec.levels)
  x, y = (books[levels, codes].sum(axis=1) for codes in (one, other))
  variance = ((x - x.mean(0)) ** 2).sum() + ((y - y.mean(0)) ** 2).sum()
  return float(((x - y) ** 2).sum() / max(variance, 1e-12))


def gain_to_reference(
  samples: Float32[np.ndarray, "n c"], reference_db: float
) -> float:
  """Factor that brings a context to the level of the training's contexts.

  The codec and the model have learned music at about one level and play at
  that level whatever they hear. So the context is brought there, and the stem
  is brought back by the inverse: a quiet context gets a stem as much quieter.

  Args:
    samples: of the context.
    reference_db: its wanted root mean square, dB of full scale.

  Returns:
    The factor, at most what makes the loudest sample 1; 1 for silence.
  """
  level_db = audio_lib.rms_db(samples)
  if level_db < SILENCE_DB:
    return 1.0
  factor = 10 ** ((reference_db - level_db) / 20)
  return min(factor, 1.0 / float(np.abs(samples).max()))


def around(period: np.ndarray, margin: int) -> np.ndarray:
  """A period between `margin` rows of what comes before and after it."""
  return period[np.arange(-margin, len(period) + margin) % len(period)]
