"""The coherence model's weights on disk."""

import dataclasses
import functools
import os
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import safetensors.numpy
from flax import nnx

from stemgen_jax import disk, paths, recipes
from stemgen_jax.coherence import features
from stemgen_jax.coherence.config import NetworkConfig
from stemgen_jax.coherence.network import Network

_FIX = "fetch or export it again"


def save(
  path: pathlib.Path,
  network: Network,
  config: NetworkConfig,
  metadata: dict[str, Any],
) -> None:
  """Write weights as float16 and, next to them, settings and sum as JSON."""
  tensors = {
    name: np.asarray(value, np.float16)
    for name, value in _named(nnx.state(network)).items()
  }
  data = safetensors.numpy.save(tensors)
  about = {
    "config": dataclasses.asdict(config),
    "features": features.VERSION,
    "metadata": metadata,
  }
  recipes.write_sealed(path, data, about)


@functools.lru_cache(maxsize=2)
def load(path: str | os.PathLike[str] = paths.COHERENCE) -> Network:
  """Load weights as float32; those of the package by default.

  Raises:
    FileNotFoundError: one of the two files is missing.
    ValueError: a file is corrupt, or they do not belong together.
  """
  path = pathlib.Path(path)
  about_path = path.with_suffix(".json")
  for file in (path, about_path):
    if not file.is_file():
      raise FileNotFoundError(
        f"no coherence model at {file}: expected a .safetensors file with its "
        ".json next to it, as `stemgen-jax train_coherence` writes them"
      )
  about = recipes.read_sealed(about_path, _FIX)
  if about.get("features") != features.VERSION:
    raise ValueError(
      f"{about_path}: features of version {about.get('features')}; expected "
      f"{features.VERSION}: train it again with this version of stemgen-jax"
    )
  if disk.checksum(path) != about.get("checksum"):
    raise ValueError(f"{path} does not belong to {about_path.name}: {_FIX}")
  try:
    config = recipes.build(NetworkConfig, about.get("config"))
  except ValueError as error:
    raise ValueError(f"{about_path}: {error}; {_FIX}") from error
  # Shapes alone: each initial value would be a program to compile.
  network = nnx.eval_shape(lambda: Network(config, rngs=nnx.Rngs(0)))
  graph, state = nnx.split(network)
  tensors = disk.read_tensors(path, _FIX)
  if _shapes(_named(state)) != _shapes(tensors):
    raise ValueError(f"{path}: not the network that {about_path.name} states")
  leaves, tree = jax.tree.flatten(state)
  names = list(_named(state))
  assert len(leaves) == len(names)
  loaded = [jnp.asarray(tensors[name], jnp.float32) for name in names]
  return nnx.merge(graph, jax.tree.unflatten(tree, loaded))


def _named(state: Any) -> dict[str, Any]:
  """Return the leaves by path, such as "stem/detectors/kernel"."""
  found = jax.tree_util.tree_flatten_with_path(state)[0]
  return {
    "/".join(str(getattr(key, "key", "")) for key in path).strip("/"): leaf
    for path, leaf in found
  }


def _shapes(tensors: dict[str, Any]) -> dict[str, tuple[int, ...]]:
  return {name: tuple(x.shape) for name, x in tensors.items()}
