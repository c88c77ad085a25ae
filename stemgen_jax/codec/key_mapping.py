"""Load published weights of EnCodec, in any layout, into our networks.

There are three layouts: the state dict of the `encodec` package (its .th
files); audiocraft's, which is that state dict next to its configuration in a
dict (`compression_state_dict.bin`); and that of transformers, which has other
names for the same tensors. All store weight norm as its factors g and v, with
names of two kinds.
"""

import hashlib
import pathlib
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from stemgen_jax import disk

if TYPE_CHECKING:
  from stemgen_jax.codec.networks import Network

# Parts of our tensor names, and of those in transformers.
_OF_TRANSFORMERS = (
  ("encoder.model.", "encoder.layers."),
  ("decoder.model.", "decoder.layers."),
  (".conv.conv.", ".conv."),
  (".convtr.convtr.", ".conv."),
  (".conv.norm.", ".norm."),
  (".convtr.norm.", ".norm."),
  ("quantizer.vq.layers.", "quantizer.layers."),
  ("._codebook.", ".codebook."),
)
_WEIGHT_NORM = (  # names of g and v instead of "weight"
  ("weight_g", "weight_v"),
  ("parametrizations.weight.original0", "parametrizations.weight.original1"),
)
# Codebook statistics that only training needs.
_STATISTICS = ("inited", "cluster_size", "embed_avg")


def load_into(network: "Network", path: pathlib.Path) -> str:
  """Load published weights into a network without weight norm.

  Args:
    network: network of the same shape; it may have fewer levels.
    path: .safetensors file or file of `torch.save`, of any layout.

  Returns:
    Checksum of the tensors that the network uses, sha256 in hexadecimal
    digits. It is the same for all layouts of the same weights.

  Raises:
    ValueError: the file is corrupt, or has other weights.
  """
  published = read(path)
  wanted = network.state_dict()
  digest = hashlib.sha256()
  tensors = {}
  # Sorted, and the factors rather than their product: the checksum must not
  # depend on the order in a file or on rounding.
  for name, expected in sorted(wanted.items()):
    if name.endswith(_STATISTICS):
      tensors[name] = expected
      continue
    factors = _find(published, name, path)
    tensor = _product(factors)
    if tensor.shape != expected.shape:
      raise ValueError(
        f"{path} has other weights: {name} has shape {list(tensor.shape)},"
        f" expected {list(expected.shape)}"
      )
    digest.update(name.encode())
    for factor in factors:
      digest.update(factor.numpy().tobytes())
    tensors[name] = tensor
  network.load_state_dict(tensors)
  return digest.hexdigest()


def read(path: pathlib.Path) -> dict[str, Any]:
  """Read the tensors of a safetensors or PyTorch file by name.

  Raises:
    ValueError: the file has no tensors, or is corrupt.
  """
  if path.suffix == ".safetensors":
    return disk.read_tensors(path, "delete it, and get it again", "pt")
  try:
    # weights_only: unpickling runs no code of the file.
    content = torch.load(path, map_location="cpu", weights_only=True)
  except Exception as error:  # the unpickler raises many
    reason = str(error).partition("\n")[0] or type(error).__name__
    raise ValueError(
      f"{path} has no weights, or is corrupt ({reason}): delete it, and get "
      "it again"
    ) from error
  if isinstance(content, dict) and "pretrained" in content:
    raise ValueError(
      f"{path} has no weights, only the name of others,"
      f" {content['pretrained']!r}: get the file of that name"
    )
  if isinstance(content, dict):
    content = content.get("best_state", content)
  if not isinstance(content, dict):
    raise ValueError(
      f"{path} has a {type(content).__name__}: expected a dict of tensors"
    )
  return content


def _find(
  published: dict[str, Any], name: str, path: pathlib.Path
) -> list[Tensor]:
  """Return the tensor of that name, or the factors g and v of it."""
  theirs = name
  for ours, other in _OF_TRANSFORMERS:
    theirs = theirs.replace(ours, other)
  for candidate in (name, theirs):
    stem, dot, last = candidate.rpartition(".")
    spellings = [(candidate,)]
    if last == "weight":
      spellings += [(stem + dot + g, stem + dot + v) for g, v in _WEIGHT_NORM]
    for spelling in spellings:
      found = [published.get(key) for key in spelling]
      tensors = [tensor for tensor in found if isinstance(tensor, Tensor)]
      if len(tensors) == len(spelling):
        return [tensor.detach().float().contiguous() for tensor in tensors]
  raise ValueError(f"{path} has other weights: no tensor {name}")


def _product(factors: list[Tensor]) -> Tensor:
  """Return the tensor itself, or w = g v / |v| of weight norm."""
  if len(factors) == 1:
    return factors[0]
  g, v = factors
  # The norm is over all axes but the first.
  norm = v.flatten(1).norm(dim=1).reshape(g.shape)
  return v * (g / norm)
