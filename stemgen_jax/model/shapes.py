"""Shapes of the model's arrays, without Flax, whose import takes 0.4 s."""

from typing import Any

from jaxtyping import Array, Float, Int

from stemgen_jax.model.config import (
  BAR_BEATS,
  BEAT_PARTS,
  CONDITION_SIZES,
  SCALE_TOKENS,
  SPECTRUM_BANDS,
  ModelConfig,
)

Params = dict[str, Any]
"""Parameters as nested dicts, see `transformer.init_params`."""
Codes = Int[Array, "b t q"]
Context = Int[Array, "b t q"] | Float[Array, "b t bands"]
"""Codes of a context, or the features of its spectrum."""

# Frames over which spectra are averaged, as further inputs: about a sixteenth
# and a beat.
AVERAGES = (8, 32)


def param_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
  """Return the shapes of `transformer.init_params` by path, "norm/scale"."""
  q, v, d = config.levels, config.codes, config.width
  depth, n, f, half = config.depth, config.heads, config.mlp, d // 2
  project = (depth, d, n, d // n)
  shapes = {
    "blocks/attention_norm/scale": (depth, d),
    "blocks/down/kernel": (depth, f, d),
    "blocks/key/kernel": project,
    "blocks/mlp_norm/scale": (depth, d),
    "blocks/out/kernel": (depth, n, d // n, d),
    "blocks/query/kernel": project,
    "blocks/up/kernel": (depth, d, 2, f),
    "blocks/value/kernel": project,
    "embedding/mask": (q, 1, half),
    "embedding/null_context": (half,),
    "embedding/table": (q, v, half),
    "head": (q, d, v),
    "norm/scale": (d,),
  }
  if config.qk_norm:
    for name in ("query", "key"):
      shapes[f"blocks/{name}_norm/scale"] = (depth, d // n)
  if config.embedding == "codebook":
    shapes["embedding/codebooks"] = (q, v, config.latent)
    shapes["embedding/projection"] = (q, config.latent, half)
  if config.context == "spectrum":
    inputs = SPECTRUM_BANDS * (1 + len(AVERAGES))
    shapes["embedding/spectrum"] = (inputs, half)
  if config.future:
    shapes["embedding/future"] = (half,)
  if config.scale_frames:
    shapes["embedding/scales"] = (SCALE_TOKENS + 1, half)
    shapes["scale_head/kernel"] = (d, SCALE_TOKENS)
  if config.beats:
    shapes["beat_head"] = (d, BAR_BEATS * BEAT_PARTS)
  for name in config.conditions:
    rows = CONDITION_SIZES[name] + 1
    shapes[f"embedding/conditions/{name}"] = (rows, half)
  return shapes
