"""Generate the next bars of a stem from the music up to now."""

import dataclasses
import math
import time
from collections.abc import Collection
from fractions import Fraction

import numpy as np
from jaxtyping import Bool, Float32, Int, Shaped

from stemgen_jax import audio as audio_lib
from stemgen_jax import model, sampling
from stemgen_jax.audio import Audio
from stemgen_jax.codec import ScaledCodec
from stemgen_jax.generation import context as context_lib
from stemgen_jax.generation import engine as engine_lib
from stemgen_jax.generation import sampler
from stemgen_jax.generation.request import GenerationRequest
from stemgen_jax.generation.stemgen import StemGen
from stemgen_jax.live import ladder
from stemgen_jax.live.line import FADE, Chunk, codes_at
from stemgen_jax.live.options import FUTURES
from stemgen_jax.live.request import Controls, Generated, Request, variants
from stemgen_jax.sampling import windows

# Frames that are generated after the end of a chunk, and kept by the next one:
# the codec's receptive field is at most 8 frames on either side. As many frames
# after the end of the known context, silence has its constant codes.
_AFTER = 10
_LEAD_SECONDS = 0.5  # encoded and decoded before the samples that are used
_LOUDNESS_SECONDS = 10.0
_LITTLE_SECONDS = 1.0  # of known context
_REPEATED = (
  "these weights were not trained with mask.live_share: the latest bars stand "
  "for the context that is not known yet"
)
_SEAM = 1e-3  # of full scale: a continuation that differs more is faded in


class Continuation:
  """A `request.Generator` whose chunks continue the stem up to now.

  The windows are those of long music (`sampling.windows`): codes that sounded
  are known, those of the chunk are sampled. Of a stem that has not sounded yet,
  or was another instrument, a past is sampled as well, and not used.

  Args:
    stemgen: model and codec.
    settings: settings with the most passes.
    sample_rate: sample rate of the stream in Hz.
    channels: channels of the stream.
    seconds: length of a chunk.
    given: names of the conditions that the layers have.
    future: what stands for the context that is not known yet: "unknown", for
      which weights trained with `mask.live_share` have a learned row and others
      get silence; "repeat", the latest bars again; or "auto", "repeat" for
      weights without that row.

  Raises:
    ValueError: the codec encodes segments of its own, or `future` is not one of
      `FUTURES`.
  """

  def __init__(
    self,
    stemgen: StemGen,
    settings: sampling.Settings,
    *,
    sample_rate: int,
    channels: int,
    seconds: float,
    given: Collection[str] = ("category",),
    future: str = "auto",
  ):
    if future not in FUTURES:
      raise ValueError(f"future {future!r}: expected {', '.join(FUTURES)}")
    self._automatic = future == "auto"
    if self._automatic:
      future = "unknown" if stemgen.config.future else "repeat"
    codec = stemgen.codec
    if isinstance(codec, ScaledCodec):
      raise ValueError(
        f"codec {codec.name!r} encodes segments of its own: expected a codec "
        "whose frames have one length; use a model with another codec"
      )
    self._codec = codec
    weights = model.Weights(stemgen.config, stemgen.params, stemgen.metadata)
    self._weights = sampler.with_dtype(weights, GenerationRequest())
    self._rate, self._channels, self._repeat = (
      sample_rate,
      channels,
      future == "repeat",
    )
    # Samples of the stream in a frame; frames at multiples of its denominator
    # begin with a sample.
    self._frame = Fraction(codec.hop * sample_rate, codec.sample_rate)
    self._lead = round(_LEAD_SECONDS * codec.frame_rate)
    self.seconds = seconds
    self._gain: dict[str, float] = {}
    self._inverse: dict[str, float] = {}
    config = self._weights.config
    first, last = self._frames(0, round(seconds * sample_rate))
    before = self._before(last - first)
    self._before_seconds = before / codec.frame_rate
    mask = np.zeros((last - first + before, 1), bool)
    mask[:before] = True
    scaled = engine_lib.with_guidance(settings, config.conditions, given)
    rungs = ladder.rungs(
      scaled, config, np.repeat(mask, config.levels, 1), codec, loop=False
    )
    self.passes, self._settings = tuple(rungs), tuple(rungs.values())

  @property
  def dtype(self) -> str:
    """Dtype of the model's products."""
    return self._weights.config.dtype

  def notes(self, slack: float) -> list[str]:
    """Return warnings about the context that the model sees.

    Args:
      slack: seconds from a request to its chunk.
    """
    if self._repeat:
      return [_REPEATED] if self._automatic else []
    notes = []
    if not self._weights.config.future:
      notes.append(
        "these weights were not trained with mask.live_share: they get silence "
        "for the context that is not known yet"
      )
    if (seen := self._before_seconds - slack) < _LITTLE_SECONDS:
      notes.append(
        f"the window of these weights sees {max(seen, 0.0):.1f} s of known "
        f"context; expected {_LITTLE_SECONDS:g} s or more: shorter chunks or "
        "slack, or a future that repeats"
      )
    return notes

  def rehearse(self, plain: Controls) -> Generated:
    """Compile all programs, and measure a chunk of the fewest passes."""
    noise = np.random.default_rng(0).normal(0, 0.1, (1, self._channels))

    def read(start: int, stop: int) -> Float32[np.ndarray, "n c"]:
      return np.repeat(noise.astype(np.float32), stop - start, axis=0)

    length = round(self.seconds * self._rate)
    start = max(round(self._weights.config.window * self._frame), length)
    request = Request(
      layer="",
      bar=0,
      start=start,
      stop=start + length,
      known=start - length // 2,
      controls=plain,
      read=read,
      voices=((0, None),),
    )
    for controls in variants(plain, self._weights.config.conditions):
      self(dataclasses.replace(request, controls=controls), 0)
    return self(request, 0)

  def __call__(self, request: Request, rung: int) -> Generated:
    """See `request.Generator`."""
    began = time.perf_counter()
    config, controls = self._weights.config, request.controls
    first, last = self._frames(request.start, request.stop)
    begin, known, known_mask = self._past(request, first, last)
    context, encoded_to, inverse = self._context(request, begin, last)
    settings = self._settings[rung]
    wanted = GenerationRequest(
      stem=controls.stem, genre=controls.genre, role=controls.role
    )
    settings = engine_lib.with_guidance(
      controls.guided(settings), config.conditions, wanted.conditions
    )

    def decode(context, known, known_mask, valid, start):
      options = {}
      if config.future:
        ends = min(max(encoded_to - start, 0), config.window)
        options["context_frames"] = np.array([ends])
      decode_window = sampler.decoder(
        self._weights, wanted, settings, [controls.seed], **options
      )
      return decode_window(context, known, known_mask, valid, start)

    encoded = time.perf_counter()
    codes = windows.decode_long(
      decode,
      context,
      config.window,
      known[None],
      np.repeat(known_mask[:, None], config.levels, axis=1),
      first_frame=begin,
    )[0]  # [t, q]
    sampled = time.perf_counter()
    chunk = self._chunk(request, codes, begin, first, inverse)
    ended = time.perf_counter()
    return Generated(
      chunk, sampled - encoded, ended - sampled + encoded - began
    )

  def _frames(self, start: int, stop: int) -> tuple[int, int]:
    """Return the first frame of a chunk, and the first one after it."""
    first = math.floor(start / self._frame)
    return first, math.ceil(stop / self._frame) + _AFTER

  def _before(self, frames: int) -> int:
    """Return the frames before a chunk that the model sees with it."""
    window = self._weights.config.window
    return max(window // 2, window - frames)

  def _past(
    self, request: Request, first: int, last: int
  ) -> tuple[int, Int[np.ndarray, "t q"], Bool[np.ndarray, " t"]]:
    """Return the first frame to see, the known codes from there, and a mask."""
    begin = max(0, first - self._before(last - first))
    frames = np.arange(begin, last)
    codes, known = codes_at(request.voices, frames, float(self._frame))
    if codes is None:
      codes = np.zeros((len(frames), self._codec.levels), np.int32)
    known &= frames < first
    if known.any():
      # Only what leads up to the chunk without a gap: a gap would be sampled.
      gap = np.flatnonzero(~known[: first - begin])
      skip = int(gap[-1]) + 1 if len(gap) else 0
      if skip < first - begin:
        begin, codes, known = begin + skip, codes[skip:], known[skip:]
      else:
        known[:] = False
    before = request.voices[-1][1]
    if before is None or before.codes is None or before.end != request.start:
      return begin, codes, known
    # The frames after its end, which its last samples are made of, too.
    after = before.codes[max(first - before.first_frame, 0) :][: last - first]
    place = slice(first - begin, first - begin + len(after))
    codes[place], known[place] = after, True
    return begin, codes, known

  def _context(
    self, request: Request, begin: int, last: int
  ) -> tuple[Shaped[np.ndarray, "t _"], int, float]:
    """Return the context of frames, the first unknown one, and a gain.

    The gain is that of the stem: the inverse of the context's.
    """
    config, metadata = self._weights.config, self._weights.metadata
    loudness = metadata.get("loudness", {})
    reference = engine_lib.reference_db(metadata)
    earliest = request.known - round(_LOUDNESS_SECONDS * self._rate)
    recent = request.read(max(0, earliest), request.known)
    recent = audio_lib.with_channels(recent, self._codec.channels)
    # In silence the latest gain stays.
    gain = self._gain.get(request.layer, 1.0)
    if audio_lib.rms_db(recent) >= context_lib.SILENCE_DB:
      gain = context_lib.gain_to_reference(
        recent, reference, self._rate if loudness else None
      )
      self._gain[request.layer] = gain
    controls = request.controls
    relative_db = engine_lib.relative_db(metadata, controls.stem, controls.role)
    inverse = 10 ** (relative_db / 20) / gain
    known_to = math.floor(request.known / self._frame)
    ended = config.future and not self._repeat
    start = self._aligned(max(0, begin - self._lead))
    used = stop = known_to if ended else last
    settled = max(known_to + 1, begin) + _AFTER
    if not ended and not self._repeat and settled + _AFTER < last:
      used, stop = settled + 1, settled + _AFTER
    if stop <= begin:
      nothing = np.zeros((last - begin, config.levels), np.int32)
      if config.context == "spectrum":
        nothing = np.zeros((last - begin, model.SPECTRUM_BANDS), np.float32)
      return nothing, known_to, inverse
    encoded = context_lib.encode_context(
      self._codec,
      Audio(self._samples(request, start, stop), self._rate),
      reference,
      rms=not loudness,
      gain=gain,
      kind=config.context,
      with_codes=config.context == "codes",
    ).inputs(config.context)
    encoded = encoded[begin - start : used - start]
    missing = last - begin - len(encoded)
    mode = "constant" if ended else "edge"
    context = np.pad(encoded, ((0, missing), (0, 0)), mode)
    return context, known_to if ended else last, inverse

  def _samples(
    self, request: Request, first: int, last: int
  ) -> Float32[np.ndarray, "n c"]:
    """Return samples of the context; unknown ones are silent, or repeat."""
    start, stop = (round(x * self._frame) for x in (first, last))
    known = min(request.known, stop)
    samples = request.read(start, max(start, known))
    if self._repeat and stop > request.known:
      period = request.stop - request.start
      if request.known < period:  # as many bars as there are
        bar = period // request.bars
        period = bar * max(1, request.known // bar)
      again = np.arange(request.known, stop) - request.known
      earlier = request.known - period
      # One period before, so often as needed.
      latest = request.read(earlier, request.known)
      later = latest[again % period]
      samples = np.concatenate([samples, later[-(stop - start) :]])
    return audio_lib.fit(samples, stop - start)

  def _chunk(
    self,
    request: Request,
    codes: Int[np.ndarray, "t q"],
    begin: int,
    first: int,
    inverse: float,
  ) -> Chunk:
    """Decode the samples of a chunk, with `FADE` further ones."""
    start = max(begin, self._aligned(max(0, first - self._lead)))
    decoded = self._codec.decode(codes[None, start - begin :])[0]  # [n, c]
    samples = audio_lib.resample(decoded, self._codec.sample_rate, self._rate)
    skip = request.start - round(start * self._frame)
    length = request.stop - request.start
    samples = audio_lib.fit(samples[skip:], length + FADE)
    # From the gain of the chunk before to the new one, without a jump.
    old = self._inverse.get(request.layer, inverse)
    self._inverse[request.layer] = inverse
    ramp = np.linspace(old, inverse, length, endpoint=False)
    ramp = np.concatenate([ramp, np.full(FADE, inverse)]).astype(np.float32)
    stem = audio_lib.with_channels(samples * ramp[:, None], self._channels)
    stem = audio_lib.limit(stem, self._rate)
    before, follows = request.voices[-1][1], None
    if before is not None and before.end == request.start:
      differs = np.abs(before.samples[-FADE:] - stem[:FADE]).max()
      follows = before.start if differs <= _SEAM else None
    return Chunk(
      start=request.start,
      samples=stem,
      codes=codes[first - begin :],
      first_frame=first,
      follows=follows,
    )

  def _aligned(self, frame: int) -> int:
    """Return the frame, or one shortly before, that begins with a sample."""
    return frame - frame % self._frame.denominator
