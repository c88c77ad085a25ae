"""Decode codes of a stem into the format of its context."""

import numpy as np
from jaxtyping import Bool, Float32, Int

from stemgen_jax import audio as audio_lib
from stemgen_jax.audio import Audio
from stemgen_jax.codec import Codec, decode
from stemgen_jax.generation import context as context_lib
from stemgen_jax.generation.context import EncodedContext


def to_audio(
  codec: Codec,
  codes: Int[np.ndarray, "t q"],
  encoded: EncodedContext,
  scales: Float32[np.ndarray, " segments"] | None = None,
) -> Audio:
  """Decode a stem into the format and to the level of its context.

  Args:
    codec: the codec.
    codes: of the stem.
    encoded: the context of the stem.
    scales: of the stem's segments, for a codec that has them.
  """
  if encoded.loop:
    margin = round(context_lib.AROUND_SECONDS * codec.frame_rate)
    sound = codec.decode(context_lib.around(codes, margin)[None])[0]
    edge = margin * codec.hop
    sound = sound[edge : edge + len(codes) * codec.hop]
    sound = audio_lib.resample_period(
      sound * np.float32(encoded.inverse_gain), encoded.samples
    )
  else:
    # What the codec's last frame has beyond the context's end is cut after
    # resampling, so that the filter does not meet an edge there.
    scales = None if scales is None else scales[None]
    sound = audio_lib.resample(
      decode(codec, codes[None], scales)[0] * np.float32(encoded.inverse_gain),
      codec.sample_rate,
      encoded.sample_rate,
      encoded.samples,
    )
  return Audio(
    audio_lib.with_channels(sound, encoded.channels), encoded.sample_rate
  )


def splice(
  old: Float32[np.ndarray, "n c"],
  new: Float32[np.ndarray, "n c"],
  frames: Bool[np.ndarray, " t"],
  encoded: EncodedContext,
) -> Float32[np.ndarray, "n c"]:
  """`new` in the given frames and `old` elsewhere.

  A linear cross-fade of one frame lies outside, on either side; beyond that
  every sample is `old`'s own.
  """
  share = np.zeros(len(old) + 1, np.float32)
  n, fade = len(old), max(1, round(encoded.samples_per_frame))
  rise = np.linspace(0, 1, fade + 1, endpoint=False, dtype=np.float32)[1:]
  bounds = np.flatnonzero(np.diff(np.pad(frames, 1).astype(int)))
  for first, last in bounds.reshape(-1, 2):
    start, end = encoded.edge(first), encoded.edge(last)
    share[start:end] = 1
    for places, values in (
      (np.arange(start - fade, start), rise),
      (np.arange(end, end + fade), rise[::-1]),
    ):
      # Around the corner in a loop; otherwise past the end, which is cut off.
      lawful = (places >= 0) & (places < n)
      places = places % n if encoded.loop else np.where(lawful, places, n)
      share[places] = np.maximum(share[places], values)
  share = share[:n, None]
  return np.where(share > 0, old + share * (new - old), old)
