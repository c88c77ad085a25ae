"""The codec: audio to discrete codes and back. The only room with PyTorch.

PyTorch is imported when a codec is loaded or trained, not with this package.
"""

from stemgen_jax.codec import backends, device
from stemgen_jax.codec.load import check_name, load, shape_of, shipped_name
from stemgen_jax.codec.protocol import (
  Codec,
  ScaledCodec,
  check_made_by,
  decode,
)

__all__ = ["Codec", "ScaledCodec", "check_made_by", "check_name"]
__all__ += ["backends", "decode", "device", "load", "shape_of", "shipped_name"]
