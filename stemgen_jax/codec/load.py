"""Load a codec by name or from a file."""

import os
import pathlib

from stemgen_jax import disk, paths
from stemgen_jax.codec import backends, config, process, weight_files
from stemgen_jax.codec import device as device_lib
from stemgen_jax.codec.protocol import Codec


def load(
  name_or_path: str | os.PathLike[str] = "demo",
  *,
  expected_checksum: str | None = None,
  device: str = "cpu",
  backend: str = "auto",
  own_process: bool = False,
) -> Codec:
  """Load a codec by name or from a file.

  Args:
    name_or_path: "demo" or "band", which are part of the package; the path of
      a `.safetensors` file with a `.json` of the same name next to it; or
      "encodec_24khz", "encodec_32khz" or "encodec_48khz", whose weights
      `weight_files.find` gets unless a file is given after a colon:
      "encodec_32khz:model.safetensors".
    expected_checksum: checksum of the codec that made the codes.
    device: where it encodes and decodes, see `device.choose`. On a GPU a code
      may differ from that of a CPU where two vectors are almost equally near.
    backend: implementation of the networks, see `backends`.
    own_process: load exported weights in a process of their own, on the CPU,
      and return at once; see `process`.

  Raises:
    FileNotFoundError: the weights or their description are missing.
    ValueError: the name is unknown, a file is corrupt, files do not belong
      together, the checksum is not the expected one, or there is no such
      device.
  """
  text = os.fspath(name_or_path)
  check_name(text)
  device_lib.check(device)
  backends.check(backend)
  name, _, given = text.partition(":")
  device_lib.limit_spinning()
  # PyTorch is imported below, by `published` and `encodec`: it takes seconds,
  # and machines that train or sample on codes need not have it.
  if name in weight_files.PUBLISHED:
    path = weight_files.find(name, given)
    from stemgen_jax.codec import published

    codec = published.load(name, path, device_lib.choose(device), backend)
    _check_checksum(text, codec.checksum, expected_checksum)
    return codec
  path = _path_of(text)
  actual = disk.checksum(path)
  # Before PyTorch is imported: a wrong codec is reported at once.
  _check_checksum(text, actual, expected_checksum)
  if own_process:
    return process.CodecProcess(path, actual, backend)
  from stemgen_jax.codec import encodec

  return encodec.load(path, actual, device_lib.choose(device), backend)


def shipped_name(checksum: str) -> str:
  """Return the name of the package's codec with this checksum, or ""."""
  for name, path in paths.CODECS.items():
    if disk.checksum(path) == checksum:
      return name
  return ""


def shape_of(name_or_path: str) -> config.NetworkConfig:
  """Return the shape of a codec's networks, without its weights or PyTorch.

  Args:
    name_or_path: see `load`.

  Raises:
    FileNotFoundError, ValueError: see `load`.
  """
  check_name(name_or_path)
  name = name_or_path.partition(":")[0]
  if name in config.CONFIGS:
    return config.CONFIGS[name]
  path = _path_of(name_or_path)
  return config.read(path, disk.checksum(path))[1]


def _path_of(text: str) -> pathlib.Path:
  path = paths.CODECS.get(text, pathlib.Path(text))
  if not path.is_file():
    raise FileNotFoundError(f"no codec weights at {path}")
  return path


def check_name(text: str) -> None:
  """Raise ValueError unless `text` can name a codec."""
  names = [*paths.SHIPPED, *weight_files.PUBLISHED]
  known = text in names or text.partition(":")[0] in weight_files.PUBLISHED
  if known and text.endswith(":"):
    raise ValueError(f"codec {text!r}: the file after the colon is missing")
  if not known and not text.endswith(".safetensors"):
    raise ValueError(
      f"unknown codec {text!r}: expected one of {names} or the path of a"
      " .safetensors file"
    )


def _check_checksum(codec: str, actual: str, expected: str | None) -> None:
  if expected is not None and actual != expected:
    raise ValueError(
      f"codec {codec!r} has checksum {actual[:12]}, but codec {expected[:12]}"
      " made these codes or trained this model: pass that codec's weights, as"
      " --codec=PATH"
    )
