"""What the rest of the project knows of a codec, and how to get one."""

import hashlib
import os
import pathlib
from typing import Protocol

import numpy as np
from jaxtyping import Float, Int

_ASSETS = pathlib.Path(__file__).parent.parent / "assets"
_SHIPPED = {"demo": _ASSETS / "demo" / "codec.safetensors"}


class Codec(Protocol):
  """Turns audio into `levels` codes per frame, coarse to fine, and back.

  Frame i stands for samples `[i * hop, (i + 1) * hop)`, with no lag. Codes
  lie in `[0, codes_per_level)`. Results are deterministic, and an item's
  result does not depend on the other items of its batch.

  Attributes:
    name: what the codec is called, e.g. in a data set's manifest.
    sample_rate: samples per second, the only rate it accepts.
    channels: audio channels, the only number it accepts.
    frame_rate: frames per second, `sample_rate / hop`.
    hop: samples per frame.
    levels: codes per frame.
    codes_per_level: size of each level's codebook.
    checksum: sha256 of the weights file in hex. It travels with everything
      made from the codes; codes of another checksum mean nothing to it.
  """

  name: str
  sample_rate: int
  channels: int
  frame_rate: float
  hop: int
  levels: int
  codes_per_level: int
  checksum: str

  def frames(self, samples: int) -> int:
    """Frames that cover so many samples: `ceil(samples / hop)`."""
    ...

  def encode(
    self, audio: Float[np.ndarray, "b samples channels"]
  ) -> Int[np.ndarray, "b t q"]:
    """Codes, int32, of audio in -1..1 padded right with zeros to whole frames.

    Raises:
      ValueError: the array is not `[b, samples, channels]`, or not finite.
    """
    ...

  def decode(
    self, codes: Int[np.ndarray, "b t q"]
  ) -> Float[np.ndarray, "b samples channels"]:
    """Audio of `t * hop` samples, float32. The caller trims the padding.

    Raises:
      ValueError: the array is not `[b, t, levels]`, or has an id that is not
        in `[0, codes_per_level)` (such as MASK).
    """
    ...

  def codebooks(self) -> Float[np.ndarray, "q v latent"]:
    """The vector of every code of every level, float32."""
    ...


def load(
  name_or_path: str | os.PathLike[str] = "demo",
  *,
  expected_checksum: str | None = None,
) -> Codec:
  """Loads a codec by name or from a file.

  Args:
    name_or_path: "demo", which is part of the package, or the path of a
      `.safetensors` file beside which lies a `.json` of the same name.
    expected_checksum: checksum of the codec that made the codes at hand.

  Raises:
    FileNotFoundError: one of the two files is missing.
    ValueError: the name is unknown, a file is damaged, the two files do not
      belong together, or the checksum is not the expected one.
  """
  text = os.fspath(name_or_path)
  if text not in _SHIPPED and not text.endswith(".safetensors"):
    raise ValueError(
      f"unknown codec {text!r}: expected one of {sorted(_SHIPPED)} or the path"
      " of a .safetensors file"
    )
  path = _SHIPPED.get(text, pathlib.Path(text))
  if not path.is_file():
    raise FileNotFoundError(f"no codec weights at {path}")
  actual = checksum(path)
  if expected_checksum is not None and actual != expected_checksum:
    raise ValueError(
      f"codec {text!r} has checksum {actual[:12]}, but codec"
      f" {expected_checksum[:12]} made these codes or trained this model: pass"
      " that codec's weights"
    )
  # Here and not above: PyTorch takes seconds to import, and machines that
  # train or sample on codes need not have it.
  from stemgen_jax.codec import encodec

  return encodec.load(path, actual)


def checksum(path: str | os.PathLike[str]) -> str:
  """The sha256 of a file, in hex."""
  with open(path, "rb") as file:
    return hashlib.file_digest(file, "sha256").hexdigest()
