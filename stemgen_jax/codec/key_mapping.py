"""Published weights of EnCodec, in any layout, into the networks used here.

Three layouts are in the world: the state dict of the `encodec` package (its
own .th files), audiocraft's, which is that within a dict beside its
configuration (`compression_state_dict.bin`), and that of transformers, which
calls the same tensors by other names. Weight norm is stored as its factors g
and v in all of them, under two kinds of names.
"""

import hashlib
import pathlib
import pickle
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from stemgen_jax.codec.networks import Network

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
_WEIGHT_NORM = (  # Names of g and of v in place of "weight".
  ("weight_g", "weight_v"),
  ("parametrizations.weight.original0", "parametrizations.weight.original1"),
)
# What only training needs.
_STATISTICS = ("inited", "cluster_size", "embed_avg")


def load_into(network: Network, path: pathlib.Path) -> str:
  """Loads published weights into a network that is built without weight norm.

  Args:
    network: of the right shape; it may have fewer levels than were published.
    path: a .safetensors file, or a file of `torch.save`, of any layout.

  Returns:
    A checksum of the tensors that the network uses, sha256 in hex. It is the
    same for all layouts of the same weights.

  Raises:
    ValueError: the file is damaged, or holds other weights.
  """
  published = read(path)
  wanted = network.state_dict()
  digest = hashlib.sha256()
  tensors = {}
  for name, expected in sorted(wanted.items()):
    if name.endswith(_STATISTICS):
      tensors[name] = expected
      continue
    factors = _find(published, name, path)
    tensor = _product(factors)
    if tensor.shape != expected.shape:
      raise ValueError(
        f"{path} holds other weights: {name} has shape {list(tensor.shape)},"
        f" expected {list(expected.shape)}"
      )
    digest.update(name.encode())
    for factor in factors:
      digest.update(factor.numpy().tobytes())
    tensors[name] = tensor
  network.load_state_dict(tensors)
  return digest.hexdigest()


def read(path: pathlib.Path) -> dict[str, Any]:
  """The tensors in a file of safetensors or of PyTorch, by name, as data only.

  Raises:
    ValueError: it holds none, or is damaged.
  """
  try:
    if path.suffix == ".safetensors":
      return safetensors.torch.load_file(path)
    # Data only: nothing in the file is run.
    content = torch.load(path, map_location="cpu", weights_only=True)
  except (
    safetensors.SafetensorError,
    pickle.UnpicklingError,
    RuntimeError,
    EOFError,
    KeyError,
    OSError,
  ) as error:
    reason = str(error).partition("\n")[0]
    raise ValueError(
      f"{path} holds no weights, or is damaged ({reason}): delete it, and get "
      "it again"
    ) from error
  if isinstance(content, dict) and "pretrained" in content:
    raise ValueError(
      f"{path} holds no weights, only the name of others:"
      f" {content['pretrained']!r}"
    )
  if isinstance(content, dict):
    content = content.get("best_state", content)
  if not isinstance(content, dict):
    raise ValueError(f"{path} holds no weights but a {type(content).__name__}")
  return content


def _find(
  published: dict[str, Any], name: str, path: pathlib.Path
) -> list[Tensor]:
  """The tensor of that name, or the factors g and v whose product it is."""
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
  raise ValueError(f"{path} holds other weights: it has no {name}")


def _product(factors: list[Tensor]) -> Tensor:
  """Weight norm, w = g v / |v|, where there are two factors."""
  if len(factors) == 1:
    return factors[0]
  g, v = factors
  norm = v.flatten(1).norm(dim=1).reshape(g.shape)
  return v * (g / norm)
