"""Exported weights: `NAME.safetensors` next to `NAME.json`, no pickle.

The .json file states the checksums of both, so that neither is used with the
file of another export.
"""

import dataclasses
import functools
import os
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import safetensors.numpy

from stemgen_jax import disk, recipes
from stemgen_jax.model.config import ModelConfig
from stemgen_jax.model.shapes import Params, param_shapes
from stemgen_jax.paths import weights_file


@dataclasses.dataclass(frozen=True)
class Weights:
  """Weights of a model.

  Attributes:
    config: shape of the model, and the codec it was trained with.
    params: nested dict of float32 arrays, including the codebooks.
    metadata: origin of the weights: steps, data, trained categories, licence.
  """

  config: ModelConfig
  params: Params
  metadata: dict[str, Any]

  def check_codec(self, name: str, checksum: str) -> None:
    """Raise ValueError unless the model was trained with this codec."""
    check_codec(self.config, name, checksum)


def check_codec(config: ModelConfig, name: str, checksum: str) -> None:
  """Raise ValueError unless `config` was made for exactly this codec."""
  if config.codec_checksum != checksum:
    raise ValueError(
      f"the model was trained on codes of codec {config.codec!r} "
      f"(sha256 {config.codec_checksum[:12]}...), which codec {name!r} "
      f"(sha256 {checksum[:12]}...) does not produce; use the codec of the "
      "model, or train a model with this one"
    )


def save_weights(
  path: str | os.PathLike,
  config: ModelConfig,
  params: Params,
  metadata: dict[str, Any],
  *,
  dtype: str = "float32",
) -> None:
  """Write weights and, next to them, config and metadata as JSON.

  Args:
    path: .safetensors file.
    config: shape of the model.
    params: parameters, on any device.
    metadata: values that JSON can represent.
    dtype: dtype on disk; "float16" halves the file and keeps 11 bits of each
      weight. Codebooks stay in float32, as in the codec.

  Raises:
    ValueError: `path` has another suffix.
  """
  path = pathlib.Path(path)
  if path.suffix != ".safetensors":
    raise ValueError(f"{path}: expected a .safetensors file for weights")
  # Names are paths, such as "blocks/query/kernel".
  tensors = {
    name: np.asarray(x, np.float32 if "codebooks" in name else dtype)
    for name, x in _flatten(jax.device_get(params)).items()
  }
  data = safetensors.numpy.save(tensors)
  about = {"config": dataclasses.asdict(config), "metadata": metadata}
  recipes.write_sealed(path, data, about)


def load_weights(name_or_path: str | os.PathLike = "demo") -> Weights:
  """Load exported weights as float32.

  Args:
    name_or_path: "demo" or "band", which are shipped with the package, or
      the path of a .safetensors file with its .json next to it, with or
      without the suffix.

  Raises:
    FileNotFoundError: one of the two files is missing.
    ValueError: a file is corrupt, or they do not belong together.
  """
  path = weights_file(os.fspath(name_or_path))
  about_path = path.with_suffix(".json")
  for file in (path, about_path):
    if not file.is_file():
      raise FileNotFoundError(
        f"no weights at {name_or_path}: {file} not found; expected 'demo', "
        "'band', hf:OWNER/NAME, the folder of a run, or a .safetensors file "
        "with its .json next to it, as `stemgen-jax export` writes them"
      )
  fix = "fetch or export it again"
  about = recipes.read_sealed(about_path, fix)
  stated = about.get("checksum")  # missing in exports of earlier versions
  if stated is not None and (actual := disk.checksum(path)) != stated:
    raise ValueError(
      f"{path} is corrupt or of another export (sha256 {actual[:12]}, but "
      f"{about_path.name} belongs to {str(stated)[:12]}): {fix}"
    )
  try:
    # The form of attention depends on this machine, not on the training's.
    fields = about["config"] | {"attention": "auto"}
    config, metadata = recipes.build(ModelConfig, fields), about["metadata"]
    config.validate()
  except (KeyError, TypeError, ValueError) as error:
    raise ValueError(
      f"{about_path}: not a model of this version of stemgen-jax ({error}); "
      "use the version that exported it"
    ) from error
  tensors = disk.read_tensors(path, fix)
  found = {name: x.shape for name, x in tensors.items()}
  wanted = param_shapes(config)
  if found != wanted:
    wrong = sorted(
      name
      for name in found.keys() | wanted.keys()
      if found.get(name) != wanted.get(name)
    )[0]
    raise ValueError(
      f"{path}: does not belong to {about_path.name}: {wrong} has shape "
      f"{found.get(wrong)}, expected {wanted.get(wrong)}"
    )
  params: Params = {}
  for name, x in tensors.items():
    if not np.isfinite(x).all():
      raise ValueError(f"{path}: {name} has NaN or infinite values; {fix}")
    inner, (*outer, last) = params, name.split("/")
    for key in outer:
      inner = inner.setdefault(key, {})
    inner[last] = jnp.asarray(x, jnp.float32)
  return Weights(config, params, metadata)


def with_conditions(weights: Weights, conditions: tuple[str, ...]) -> Weights:
  """Return weights with further conditions, whose outputs are the same.

  Args:
    weights: the weights.
    conditions: names of all conditions, in their order.
  """
  config = dataclasses.replace(weights.config, conditions=conditions)
  shapes = param_shapes(config)
  embedding = dict(weights.params["embedding"])
  tables = dict(embedding.get("conditions", {}))
  for name in conditions:
    # All rows are equal to the null row, so that no value has an effect; and
    # zero, as the weights have no such row.
    if name not in tables:
      tables[name] = jnp.zeros(shapes[f"embedding/conditions/{name}"])
  params = weights.params | {"embedding": embedding | {"conditions": tables}}
  return dataclasses.replace(weights, config=config, params=params)


def with_beats(weights: Weights, beats: bool) -> Weights:
  """Return weights with or without `ModelConfig.beats`; a new head is zero."""
  config = dataclasses.replace(weights.config, beats=beats)
  params = {x: y for x, y in weights.params.items() if x != "beat_head"}
  if beats:
    params["beat_head"] = jnp.zeros(param_shapes(config)["beat_head"])
  return dataclasses.replace(weights, config=config, params=params)


def with_future(weights: Weights) -> Weights:
  """Return weights with a row of an unknown future, the null context's."""
  embedding = dict(weights.params["embedding"])
  embedding["future"] = embedding["null_context"]
  config = dataclasses.replace(weights.config, future=True)
  params = weights.params | {"embedding": embedding}
  return dataclasses.replace(weights, config=config, params=params)


def _flatten(params: Params) -> dict[str, Any]:
  leaves, _ = jax.tree_util.tree_flatten_with_path(params)
  keystr = functools.partial(jax.tree_util.keystr, simple=True, separator="/")
  return {keystr(path): x for path, x in leaves}
