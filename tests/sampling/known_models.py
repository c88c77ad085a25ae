"""Models whose answer is known, and decoding with them."""

import jax
import jax.numpy as jnp
import numpy as np

from stemgen_jax import model
from stemgen_jax.sampling import decode_codes

NO_GUIDANCE = {"context": 1.0, "category": 1.0}
PROBABILITIES = np.array([0.5, 0.2, 0.15, 0.1, 0.04, 0.01])


def small_config(levels=2, codes=8):
  return model.ModelConfig(
    levels=levels, codes=codes, width=16, depth=2, heads=2, mlp=32, window=16
  )


def decode(apply, config, settings, *, b=1, t=16, **given):
  given = {
    "params": None,
    "context": np.zeros((b, t, config.levels), int),
    "conditions": {"category": np.zeros(b, int)},
    "seeds": np.arange(b),
  } | given
  codes = decode_codes(config, settings=settings, apply=apply, **given)
  return np.asarray(codes)


def when(config, params, context, target, conditions, level, **_):
  """Predicts the number of fixed frames: a code is the time of its fixing."""
  fixed = jnp.sum(target[..., level] != config.codes, axis=-1)
  logits = 1e4 * jax.nn.one_hot(fixed, config.codes)
  return jnp.broadcast_to(logits[:, None], (*target.shape[:2], config.codes))


def known_probabilities(config, params, context, *_, **__):
  return jnp.broadcast_to(jnp.log(params), (*context.shape[:2], config.codes))


def tables(config, params, context, target, conditions, level, **drops):
  """Logits that depend on all conditions, on each frame by itself."""
  logits = params["level"][level][None, None] + params["target"][target].sum(-2)
  from_context = params["context"][context].sum(-2)
  dropped = drops["drop_context"][:, None, None]
  logits += jnp.where(dropped, 0.0, from_context)
  return logits + params["category"][conditions["category"]][:, None]


def one_branch(config, params, context, target, conditions, level, **drops):
  """`tables` with the conditions in `params["keep"]`, whatever is dropped."""
  keep_context, category = params["keep"]
  drop_context = jnp.full(len(context), ~keep_context)
  null = model.CONDITION_SIZES["category"]
  conditions = {
    "category": jnp.full(len(context), jnp.where(category, 3, null))
  }
  drops |= {"drop_context": drop_context}
  return tables(config, params, context, target, conditions, level, **drops)


def table_params(config):
  draw = np.random.default_rng(0).normal
  shapes = {"level": config.levels, "target": config.codes + 1}
  shapes |= {"context": config.codes, "category": 19}
  return {
    name: jnp.asarray(draw(size=(rows, config.codes)), jnp.float32)
    for name, rows in shapes.items()
  }
