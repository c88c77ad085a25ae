"""The optimizer: the paper's AdamW, or Muon for the matrices of the blocks."""

import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from optax import contrib

from stemgen_jax.model.sharding import (
  COPIES,
  all_rows,
  alone,
  in_copy,
  own_rows,
)
from stemgen_jax.model.transformer import Params, init_params
from stemgen_jax.training.config import OptimizerConfig, TrainConfig

_NAMED = 4  # arrays that `check_frozen` lists for a pattern


def learning_rate(config: OptimizerConfig) -> optax.Schedule:
  """Return the rate by step: linear warm-up, hold, exponential decay."""
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
  """Return the chain of freezing, clipping, and AdamW or Muon."""
  patterns = ("codebooks", *config.frozen)

  def decayed(params: Params) -> Params:
    return _by_path(
      params, lambda name: name.endswith("kernel") or name == "head"
    )

  def frozen(params: Params) -> Params:
    return _by_path(
      params, lambda name: any(re.search(p, name) for p in patterns)
    )

  freeze = optax.masked(optax.set_to_zero(), frozen)
  return optax.chain(
    # Before clipping: the global norm must not count frozen parameters.
    freeze,
    optax.clip_by_global_norm(config.clip_norm),
    _updates(config, decayed),
    # After AdamW, whose weight decay would move them.
    freeze,
  )


def check_frozen(config: TrainConfig) -> list[str]:
  """Describe the parameters that each pattern of `optimizer.frozen` matches.

  Raises:
    ValueError: one matches none.
  """
  params = jax.eval_shape(lambda: init_params(config.model, jax.random.key(0)))
  sizes = {_path(path): x.size for path, x in jax.tree.leaves_with_path(params)}
  lines = []
  for pattern in config.optimizer.frozen:
    found = [path for path in sizes if re.search(pattern, path)]
    if not found:
      raise ValueError(
        f"optimizer.frozen: {pattern!r} matches no parameter; expected "
        f"patterns of {', '.join(sizes)}"
      )
    share = sum(sizes[path] for path in found) / sum(sizes.values())
    names = ", ".join(found[:_NAMED])
    if len(found) > _NAMED:
      names += f" and {len(found) - _NAMED} more"
    lines.append(
      f"frozen by {pattern!r}: {len(found)} of {len(sizes)} arrays, "
      f"{100 * share:.0f} % of the parameters ({names})"
    )
  return lines


def _updates(
  config: OptimizerConfig, decayed: Callable[[Params], Params]
) -> optax.GradientTransformation:
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
    # The RMS of AdamW's updates, measured in arXiv 2502.16982: both kinds can
    # share a learning rate.
    consistent_rms=0.2,
    muon_weight_dimension_numbers=_matrices,
  )
  return optax.partition(
    {"muon": _whole(muon), "adamw": adamw},
    lambda params: _by_path(
      params, lambda name: "muon" if _MATRIX.fullmatch(name) else "adamw"
    ),
  )


def _whole(inner: optax.GradientTransformation) -> optax.GradientTransformation:
  """Run `inner` on unsharded matrices, on every device alike.

  Newton-Schulz iterations need whole matrices.
  """

  def gather(tree: Any) -> Any:
    def whole(x: Any) -> Any:
      return jax.sharding.reshard(x, jax.P(*[None] * x.ndim))

    return tree if alone() else jax.tree.map(whole, tree)

  def init(params: Any) -> optax.OptState:
    # Placed as `update` returns it; otherwise the second step recompiles.
    return gather(inner.init(gather(params)))

  def update(updates: Any, state: optax.OptState, params: Any = None):
    if in_copy():
      return _on_layers(inner, updates, state, params)
    new, state = inner.update(gather(updates), state, gather(params))
    if alone():
      return new, state
    return jax.tree.map(
      lambda x, like: jax.sharding.reshard(x, jax.typeof(like).sharding.spec),
      new,
      updates,
    ), state

  return optax.GradientTransformation(init, update)


def _on_layers(
  inner: optax.GradientTransformation,
  updates: Any,
  state: optax.OptState,
  params: Any,
) -> tuple[Any, optax.OptState]:
  """Run `inner` on this copy's share of the layers, and gather the results."""
  (depth,) = {len(x) for x in jax.tree.leaves(updates)}
  if depth % jax.lax.axis_size(COPIES):
    return inner.update(updates, state, params)

  def layers(rows: Callable[[Any], Any], tree: Any) -> Any:
    # Kernels and their momenta have three axes or more; coefficients and
    # counters, fewer.
    return jax.tree.map(lambda x: rows(x) if jnp.ndim(x) > 2 else x, tree)

  own = layers(own_rows, (updates, state, params))
  return layers(all_rows, inner.update(*own))


# Input and output axes of the blocks' kernels; the others are batched.
_MATRICES = {
  "query": (1, 3),  # [layer, width, head, channel], one matrix per head
  "key": (1, 3),
  "value": (1, 3),
  "out": ((1, 2), 3),  # [layer, head, channel, width]
  "up": (1, 3),  # [layer, width, gate or value, mlp]
  "down": (1, 2),  # [layer, mlp, width]
}
_MATRIX = re.compile(rf"blocks/({'|'.join(_MATRICES)})/kernel")


def _matrices(params: Any) -> Any:
  return _by_path(
    params,
    lambda name: contrib.MuonDimensionNumbers(*_MATRICES[name.split("/")[1]]),
  )


def _by_path(params: Params, of: Callable[[str], Any]) -> Params:
  return jax.tree.map_with_path(lambda path, _: of(_path(path)), params)


def _path(path: Any) -> str:
  """Return a path as "blocks/query/kernel"."""
  return jax.tree_util.keystr(path, simple=True, separator="/")
