"""AdamW as the paper uses it, with what the paper leaves open; or Muon."""

import re
from typing import Any

import jax
import optax
from optax import contrib

from stemgen_jax.model.sharding import alone
from stemgen_jax.model.transformer import Params
from stemgen_jax.training.config import OptimizerConfig


def learning_rate(config: OptimizerConfig) -> optax.Schedule:
  """Step to learning rate: linear warm-up, hold, exponential decay."""
  peak = config.learning_rate
  return optax.join_schedules(
    [
      optax.linear_schedule(0.0, peak, config.warmup_steps)
      if config.warmup_steps
      else optax.constant_schedule(peak),
      optax.constant_schedule(peak),
      optax.exponential_decay(
        peak,
        config.decay_steps,
        config.final_ratio,
        end_value=peak * config.final_ratio,
      ),
    ],
    [config.warmup_steps, config.warmup_steps + config.hold_steps],
  )


def make_optimizer(config: OptimizerConfig) -> optax.GradientTransformation:
  """Clipping, AdamW or Muon, and frozen parameters."""
  patterns = ("codebooks", *config.frozen)

  def decayed(params: Params) -> Params:
    return _by_path(
      params, lambda name: name.endswith("kernel") or name == "head"
    )

  def frozen(params: Params) -> Params:
    return _by_path(
      params, lambda name: any(re.search(p, name) for p in patterns)
    )

  still = optax.masked(optax.set_to_zero(), frozen)
  return optax.chain(
    still,  # before the norm is taken: the frozen have no part in it
    optax.clip_by_global_norm(config.clip_norm),
    _steps(config, decayed),
    still,
  )


def _steps(config: OptimizerConfig, decayed) -> optax.GradientTransformation:
  rate = learning_rate(config)
  adamw = optax.adamw(
    rate,
    b1=config.beta1,
    b2=config.beta2,
    weight_decay=config.weight_decay,
    mask=decayed,
  )
  if config.kind == "adamw":
    return adamw
  muon = contrib.muon(
    rate,
    weight_decay=config.weight_decay,
    consistent_rms=0.2,  # AdamW's, as its authors measured it
    muon_weight_dimension_numbers=_matrices,
  )
  return optax.partition(
    {"muon": _whole(muon), "adamw": adamw},
    lambda params: _by_path(
      params, lambda name: "muon" if _MATRIX.fullmatch(name) else "adamw"
    ),
  )


def _whole(
  steps: optax.GradientTransformation,
) -> optax.GradientTransformation:
  """Takes the steps on every device alike, where matrices are whole."""

  def gathered(tree):
    def whole(x):
      return jax.sharding.reshard(x, jax.P(*[None] * x.ndim))

    return tree if alone() else jax.tree.map(whole, tree)

  def init(params: Any) -> optax.OptState:
    # Placed as a step returns it, or the second step would compile anew.
    return gathered(steps.init(gathered(params)))

  def update(updates: Any, state: optax.OptState, params: Any = None):
    taken, state = steps.update(gathered(updates), state, gathered(params))
    if alone():
      return taken, state
    return jax.tree.map(
      lambda x, like: jax.sharding.reshard(x, jax.typeof(like).sharding.spec),
      taken,
      updates,
    ), state

  return optax.GradientTransformation(init, update)


_MATRICES = {
  "query": (1, 3),  # of [layer, width, head, channel], a head at a time
  "key": (1, 3),
  "value": (1, 3),
  "out": ((1, 2), 3),  # of [layer, head, channel, width]
  "up": (1, 3),  # of [layer, width, gate or value, mlp]
  "down": (1, 2),  # of [layer, mlp, width]
}
"""Axes of the kernels of the blocks: summed over, and put out."""


_MATRIX = re.compile(rf"blocks/({'|'.join(_MATRICES)})/kernel")


def _matrices(params: Any) -> Any:
  """Which axes Muon makes orthogonal, of kernels of the blocks only."""
  return _by_path(
    params,
    lambda name: contrib.MuonDimensionNumbers(*_MATRICES[name.split("/")[1]]),
  )


def _by_path(params: Params, of) -> Params:
  return jax.tree_util.tree_map_with_path(
    lambda path, _: of(jax.tree_util.keystr(path, simple=True, separator="/")),
    params,
  )
