"""The codec that normalizes segments of one second: EnCodec 48 kHz.

Its networks get every segment at unit level and normalize over all of it
(group norm), so that the segments are part of the codec's definition: codes of
a frame depend on the whole segment and on nothing else.
"""

import numpy as np
import torch
from jaxtyping import Float, Float32, Int

from stemgen_jax.codec.encodec import EncodecCodec, tensor
from stemgen_jax.codec.protocol import Codes, Samples

# RMS of a segment of unknown scale: the usual level of music, -18 dB.
_USUAL_SCALE = 10 ** (-18 / 20)
_EPSILON = 1e-8  # EnCodec's; silence is divided by it


class SegmentedEncodecCodec(EncodecCodec):
  """A `codec.ScaledCodec` over a trained `Network`; its framing has segments.

  Segments are processed one by one, for the reason in `EncodecCodec`.
  """

  def encode(self, audio: Samples) -> Codes:
    """See `codec.Codec.encode`."""
    self._check_audio(audio)
    b, samples, _ = audio.shape
    codes = np.empty((b, self.frames(samples), self.levels), np.int32)
    size = self.framing.segment_frames
    for item, item_codes in zip(audio, codes):
      for number, (start, stop) in enumerate(self.framing.spans(samples)):
        segment = tensor(item[start:stop])
        segment = segment / _scale(segment)
        part = item_codes[number * size : (number + 1) * size]
        part[:] = self._encode(segment).numpy()
    return codes

  def scales(self, audio: Samples) -> Float32[np.ndarray, "b segments"]:
    """See `codec.ScaledCodec.scales`."""
    self._check_audio(audio)
    spans = self.framing.spans(audio.shape[1])
    scales = np.empty((len(audio), len(spans)), np.float32)
    for item, item_scales in zip(audio, scales):
      for number, (start, stop) in enumerate(spans):
        item_scales[number] = _scale(tensor(item[start:stop])).item()
    return scales

  def decode(
    self, codes: Codes, scales: Float[np.ndarray, "b segments"] | None = None
  ) -> Samples:
    """See `codec.ScaledCodec.decode`."""
    self._check_codes(codes)
    b, t, _ = codes.shape
    segments = self.framing.segments(t)
    if scales is None:
      scales = np.full((b, segments), _USUAL_SCALE)
    if scales.shape != (b, segments):
      raise ValueError(
        f"scales have shape {scales.shape}: codec {self.name!r} expects one per"
        f" segment, {(b, segments)} for {t} frames"
      )
    if not (np.isfinite(scales).all() and (scales >= 0).all()):
      raise ValueError("scales are negative, NaN or infinite: expected RMS")
    samples = self.framing.samples(t)
    audio = np.zeros((b, samples, self.channels), np.float32)
    for item, item_codes, item_scales in zip(audio, codes, scales):
      self._overlap_add(item, item_codes, item_scales.astype(np.float32))
    return audio

  def _overlap_add(
    self,
    audio: Float32[np.ndarray, "n c"],
    codes: Int[np.ndarray, "t q"],
    scales: Float32[np.ndarray, " segments"],
  ) -> None:
    """Add the segments of one item to `audio`, cross-faded linearly."""
    framing = self.framing
    size = framing.segment_frames
    # EnCodec's weights: a triangle without zeros at its ends.
    rise = np.linspace(0, 1, framing.segment + 2, dtype=np.float32)[1:-1]
    weights = 0.5 - np.abs(rise - 0.5)
    total = np.zeros((len(audio), 1), np.float32)
    for number, scale in enumerate(scales):
      part = codes[number * size : (number + 1) * size]
      segment = self._decode(torch.from_numpy(part).long()).T.numpy()
      start = number * framing.stride
      weight = weights[: len(segment), None]
      audio[start : start + len(segment)] += weight * (scale * segment)
      total[start : start + len(segment)] += weight
    # Dividing by the sum of weights makes overlaps and edges one level.
    audio /= total


def _scale(segment: Float[torch.Tensor, "c n"]) -> torch.Tensor:
  """Return the RMS of the mean of the channels."""
  return segment.mean(0).square().mean().sqrt() + _EPSILON
