"""Scales of a codec's segments as tokens, which a model reads and predicts.

A token is the level of a segment in dB, in bins of 1 dB from -62 to 0 dB, or
silence. A model with `ModelConfig.scale_frames` takes and returns arrays with
one column more than levels: the last one has the token of the segment in every
frame of it.
"""

import numpy as np
from jaxtyping import Float, Float32, Int, Int32, Integer

from stemgen_jax.model.config import SCALE_TOKENS

_LOWEST_DB = -62.0
_SILENT = SCALE_TOKENS - 1


def quantize(scales: Float[np.ndarray, "*s"]) -> Int32[np.ndarray, "*s"]:
  """Return tokens of scales, which are RMS of full scale.

  Scales from -62.5 to 0.5 dB are kept within 0.5 dB; lower ones are silence,
  and higher ones 0 dB.
  """
  with np.errstate(divide="ignore"):
    bins = 20 * np.log10(np.asarray(scales, np.float64)) - _LOWEST_DB
  inside = np.rint(bins.clip(0, _SILENT - 1)).astype(np.int32)
  return np.where(bins < -0.5, np.int32(_SILENT), inside)


def dequantize(tokens: Int[np.ndarray, "*s"]) -> Float32[np.ndarray, "*s"]:
  """Invert `quantize`; silence has scale 0."""
  scales = 10 ** ((tokens + _LOWEST_DB) / 20)
  return np.where(tokens == _SILENT, 0, scales).astype(np.float32)


def join(
  codes: Integer[np.ndarray, "*b t q"],
  scales: Float[np.ndarray, "*b segments"],
  frames: int,
) -> Int32[np.ndarray, "*b t columns"]:
  """Append the column of scale tokens to codes.

  Args:
    codes: codes that begin with a segment; the last one may be incomplete.
    scales: scales of their segments.
    frames: frames of a segment.
  """
  t = codes.shape[-2]
  tokens = np.repeat(quantize(scales), frames, axis=-1)[..., :t, None]
  return np.concatenate([codes.astype(np.int32), tokens], axis=-1)


def split(
  columns: Int[np.ndarray, "*b t columns"], frames: int
) -> tuple[Int[np.ndarray, "*b t q"], Float32[np.ndarray, "*b segments"]]:
  """Invert `join`; scales are those of the tokens."""
  return columns[..., :-1], dequantize(columns[..., ::frames, -1])
