"""Decode codes of a stem into the format of its context."""

import numpy as np
from jaxtyping import Bool, Float32, Int

from stemgen_jax import audio as audio_lib
from stemgen_jax.audio import Audio
from stemgen_jax.codec import Codec, decode
from stemgen_jax.generation import context as context_lib
from stemgen_jax.generation.context import EncodedContext

_TOO_QUIET_DB = 30.0  # below the context, where a stem is hardly audible


def decode_stem(
  codec: Codec,
  codes: Int[np.ndarray, "t q"],
  context: EncodedContext,
  scales: Float32[np.ndarray, " segments"] | None = None,
  sound: Audio | None = None,
) -> Audio:
  """Decode a stem into the format and to the loudness of its context.

  Single peaks are limited, see `audio.limit`.

  Args:
    codec: the codec.
    codes: codes of the stem.
    context: encoded context of the stem.
    scales: scales of the stem's segments, for a codec that has them.
    sound: sound of the context, if it is known.
  """
  if context.loop:
    margin = round(context_lib.AROUND_SECONDS * codec.frame_rate)
    # [margin + t + margin, q]: the codec sees what comes before and after.
    samples = codec.decode(context_lib.around(codes, margin)[None])[0]
    edge = margin * codec.hop
    samples = samples[edge : edge + len(codes) * codec.hop]
    samples = audio_lib.resample_period(
      samples * np.float32(context.inverse_gain), context.samples
    )
  else:
    # The codec's last frame may extend beyond the end of the context. Cut it
    # after resampling, so that the filter does not see an edge there.
    scales = None if scales is None else scales[None]
    samples = audio_lib.resample(
      decode(codec, codes[None], scales)[0] * np.float32(context.inverse_gain),
      codec.sample_rate,
      context.sample_rate,
      context.samples,
    )
  stem = audio_lib.limit(
    audio_lib.with_channels(samples, context.channels),
    context.sample_rate,
    None if sound is None else sound.samples,
    loop=context.loop,
  )
  return Audio(stem, context.sample_rate, time_reference=context.time_reference)


def splice(
  old: Float32[np.ndarray, "n c"],
  new: Float32[np.ndarray, "n c"],
  frames: Bool[np.ndarray, " t"],
  context: EncodedContext,
) -> Float32[np.ndarray, "n c"]:
  """Return `new` in the given frames and `old` elsewhere.

  A linear cross-fade of one frame is outside of them, on either side; beyond
  that every sample is that of `old`.
  """
  share = np.zeros(len(old) + 1, np.float32)  # of `new` in each sample
  n, fade = len(old), max(1, round(context.samples_per_frame))
  rise = np.linspace(0, 1, fade + 1, endpoint=False, dtype=np.float32)[1:]
  # First frame of each run, and the first after it, alternating.
  bounds = np.flatnonzero(np.diff(np.pad(frames, 1).astype(int)))
  for first, last in bounds.reshape(-1, 2).tolist():
    # Edges of frames are rounded to samples: runs share them without a gap.
    start, end = context.edge(first), context.edge(last)
    share[start:end] = 1
    for places, values in (
      (np.arange(start - fade, start), rise),
      (np.arange(end, end + fade), rise[::-1]),
    ):
      # A loop continues at its other end; else index n is cut off below.
      inside = (places >= 0) & (places < n)
      places = places % n if context.loop else np.where(inside, places, n)
      share[places] = np.maximum(share[places], values)
  share = share[:n, None]  # [n, 1]
  return np.where(share > 0, old + share * (new - old), old)


def notes(
  codec: Codec,
  context: EncodedContext,
  stem: Float32[np.ndarray, "n c"],
  reference_db: float,
) -> tuple[str, ...]:
  """Return warnings about a stem for its listener.

  Args:
    codec: codec of the stem.
    context: encoded context of the stem.
    stem: samples of the stem.
    reference_db: loudness of the contexts of the training, dB of full scale.
  """
  found = []
  silent = context.level_db < context_lib.SILENCE_DB
  if silent and not context.from_nothing:
    found.append("the context is silent: the stem was generated from nothing")
  level_db = reference_db if silent else context.level_db
  stem = audio_lib.with_channels(stem, codec.channels)
  # At the level of the training, as `context.level_db` is.
  stem_db = audio_lib.rms_db(stem / np.float32(context.inverse_gain))
  if level_db - stem_db > _TOO_QUIET_DB:
    than = "music usually is" if silent else "the context"
    quiet = f"{level_db - stem_db:.0f} dB quieter than {than}"
    quiet = "silent" if stem_db == -np.inf else quiet
    found.append(f"the stem is {quiet}: try another seed or lower guidance")
  return tuple(found)
