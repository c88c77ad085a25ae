"""The codec: audio to discrete codes and back. The only room with PyTorch.

PyTorch is imported when a codec is loaded or trained, not with this package.
"""

from stemgen_jax.codec.codec import (
  Codec,
  ScaledCodec,
  check_name,
  checksum,
  decode,
  load,
)

__all__ = [
  "Codec",
  "ScaledCodec",
  "check_name",
  "checksum",
  "decode",
  "load",
]
