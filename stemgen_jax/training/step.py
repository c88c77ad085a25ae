"""One step of training or validation, as pure functions of a state dict.

Sizes: b examples, t frames, q codec levels, v codes per level, p passes.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float

from stemgen_jax.model.config import CONDITION_SIZES, SCALES
from stemgen_jax.model.sharding import (
  on_copies,
  own_rows,
  spec,
  sum_over_copies,
)
from stemgen_jax.model.transformer import (
  Params,
  apply,
  apply_with_places,
  init_params,
)
from stemgen_jax.training.config import TrainConfig
from stemgen_jax.training.masking import mask_codes, training_mask
from stemgen_jax.training.optimizer import learning_rate, make_optimizer
from stemgen_jax.training.scores import (
  Metrics,
  cross_entropy,
  score,
  score_places,
)

# Numbers of keys, far from those of `jax.random.split`.
_JOINT, _LIVE = 0x5EED01, 0x5EED02

State = dict[str, Any]
Batch = dict[str, Array]


def init_state(
  config: TrainConfig, key: Array, codebooks: Float[Array, "q v e"] | None
) -> State:
  """Return the state of step 0, `{step, params, opt, ema}`; call under jit.

  Args:
    config: configuration of the run.
    key: key of the parameters.
    codebooks: vectors of the codec, for `embedding="codebook"`.
  """

  def init(key: Array, codebooks: Array | None) -> State:
    params = init_params(config.model, key)
    if config.model.embedding == "codebook" and codebooks is not None:
      # Placed as a step returns it; otherwise the second step recompiles.
      params["embedding"]["codebooks"] = jnp.add(
        jnp.zeros(codebooks.shape, out_sharding=spec(None, None, None)),
        jnp.asarray(codebooks, jnp.float32),
      )
    return {
      "step": jnp.zeros((), jnp.int32),
      "params": params,
      "opt": make_optimizer(config.optimizer).init(params),
      "ema": params,
    }

  # Placed as a step returns it; otherwise the second step recompiles.
  return on_copies(init)(key, codebooks)


def _drop(key: Array, batch: int, share: float) -> Bool[Array, " b"]:
  return jax.random.bernoulli(key, share, (batch,), out_sharding=spec("batch"))


def views(config: TrainConfig, batch: Batch, key: Array) -> dict[str, Any]:
  """Draw masks and dropped conditions of a batch, and split it into passes.

  With `mask.complementary`, the second half of the passes repeats the first
  with complementary masks.

  Args:
    config: configuration of the run.
    batch: integers, [b, t, q] or [b], and the context, which may be spectra.
    key: key of this step.

  Returns:
    Arguments of `transformer.apply` and `score`, each [p, b / accumulate, ...]
    with p = `accumulate`, or twice that.
  """
  model = config.model
  # Drawn before the split, so that `accumulate` does not change the draws.
  k_mask, k_context, *k_conditions = jax.random.split(
    key, 2 + len(model.conditions)
  )
  target = batch["target"]
  b = target.shape[0]
  masked_target, masked, level = training_mask(
    k_mask,
    target,
    model.codes,
    level_weights=config.mask.level_weights,
    span_share=config.mask.span_share,
    prefix_share=config.mask.prefix_share,
    hidden_share=config.mask.hidden_share,
    scale_frames=model.scale_frames,
    scale_share=config.mask.scale_share,
  )
  view = {
    "context": batch["context"],
    "target": target,
    "masked_target": masked_target,
    "masked": masked,
    "level": level,
    "conditions": {
      # The last row of a condition's table is its null.
      name: jnp.where(
        _drop(k, b, config.drop_of(name)), CONDITION_SIZES[name], batch[name]
      )
      for name, k in zip(model.conditions, k_conditions)
    },
    "drop_context": _drop(k_context, b, config.context_drop),
  }
  if model.beats:
    view["place"] = batch["place"]
  # From keys of their own: without them all other draws are as before.
  if config.joint_drop:
    both = _drop(jax.random.fold_in(key, _JOINT), b, config.joint_drop)
    view["drop_context"] |= both
    view["conditions"] = {
      name: jnp.where(both, CONDITION_SIZES[name], ids)
      for name, ids in view["conditions"].items()
    }
  if config.mask.live_share:
    t = target.shape[1]
    live, place = jax.random.uniform(
      jax.random.fold_in(key, _LIVE), (2, b), out_sharding=spec(None, "batch")
    )
    ends = jnp.floor(place * t).astype(jnp.int32)
    view["context_frames"] = jnp.where(live < config.mask.live_share, ends, t)

  def split(x: Array) -> Array:
    # Interleave rows so that every pass is sharded over all devices.
    shape = (b // config.accumulate, config.accumulate, *x.shape[1:])
    # Stated, as with one row a pass it would be that of the passes.
    rows = jnp.reshape(x, shape, out_sharding=spec("batch"))
    return rows.swapaxes(0, 1)  # [accumulate, ...]

  passes = jax.tree.map(split, view)
  if not config.mask.complementary:
    return passes
  other = view | {
    "masked_target": mask_codes(
      target, ~masked, level, model.codes, model.scale_frames
    ),
    "masked": ~masked,
  }
  return jax.tree.map(
    lambda x, y: jnp.concatenate([x, split(y)]), passes, other
  )


def make_gradient(
  config: TrainConfig,
) -> Callable[[Params, dict[str, Any]], tuple[tuple[Array, Metrics], Params]]:
  """Return `(params, views) -> ((loss, sums), gradients)`.

  The loss is the mean over the masked tokens of all passes, in nats, and with
  `model.beats` that of the places in the bar by its weight; passes run one
  after another.
  """

  def loss_of(
    params: Params, view: dict[str, Any], tokens: Array, frames: Array
  ) -> tuple[Array, Metrics]:
    inputs = (view["context"], view["masked_target"], view["conditions"])
    known = {
      "drop_context": view["drop_context"],
      "context_frames": view.get("context_frames"),
    }
    level, model = view["level"], config.model
    places: Metrics = {}
    if model.beats:
      logits, bar = apply_with_places(model, params, *inputs, level, **known)
      places = score_places(bar, view["place"])
    else:
      logits = apply(model, params, *inputs, level, **known)
    sums = score(
      logits,
      view["target"],
      view["masked"],
      view["level"],
      config.model.scale_frames,
    )
    loss = sums["level_loss"].sum()
    if config.model.scale_frames:
      # A scale counts as often as it has frames.
      loss = loss + sums["scale_loss"].sum()
    # By the tokens of all passes: gradients add up to that of the whole batch.
    loss = loss / tokens
    if places:
      loss = loss + config.beat_weight * places["place_loss"] / frames
    return loss, sums | places

  one = jax.value_and_grad(loss_of, has_aux=True)

  def gradient(params: Params, passes: dict[str, Any]) -> Any:
    tokens = passes["masked"].sum().astype(jnp.float32)
    frames = jnp.ones(())
    if config.model.beats:  # A batch may have none.
      frames = jnp.maximum((passes["place"] >= 0).sum(), 1).astype(jnp.float32)
    passes = own_rows(passes, axis=1)
    first = jax.tree.map(lambda x: x[0], passes)
    # Without a scan, which would hold a second copy of the gradients.
    if len(passes["masked"]) == 1:
      return one(params, first, tokens, frames)
    zeros = jax.tree.map(
      jnp.zeros_like, jax.eval_shape(one, params, first, tokens, frames)
    )

    def add(total: Any, view: dict[str, Any]) -> tuple[Any, None]:
      more = one(params, view, tokens, frames)
      return jax.tree.map(jnp.add, total, more), None

    return jax.lax.scan(add, zeros, passes)[0]

  return gradient


def make_train_step(
  config: TrainConfig,
) -> Callable[[State, Batch, Array], tuple[State, Metrics]]:
  """Return the jitted step `(state, batch, key) -> (state, metrics)`.

  The state is donated. `key` is the key of the run. Metrics are the loss in
  nats, the norm of the gradients before clipping, the learning rate, and the
  sums of `score` and `score_places`.
  """
  optimizer = make_optimizer(config.optimizer)
  rate = learning_rate(config.optimizer)
  gradient = make_gradient(config)

  def train_step(
    state: State, batch: Batch, key: Array
  ) -> tuple[State, Metrics]:
    # All randomness comes from the run's key and the step: resuming is exact.
    key = jax.random.fold_in(key, state["step"])
    (loss, sums), grads = sum_over_copies(
      gradient(state["params"], views(config, batch, key))
    )
    updates, opt = optimizer.update(grads, state["opt"], state["params"])
    params = optax.apply_updates(state["params"], updates)
    # Warm up the EMA decay; otherwise it stays near the initialization.
    step = state["step"].astype(jnp.float32)
    decay = jnp.minimum(config.ema_decay, (1 + step) / (10 + step))
    # Not decay * old + (1 - decay) * new, which would round frozen parameters.
    ema = jax.tree.map(
      lambda old, new: old + (1 - decay) * (new - old), state["ema"], params
    )
    metrics = {
      "loss": loss,
      "gradient_norm": optax.global_norm(grads),
      "learning_rate": rate(state["step"]),
      **sums,
    }
    state = {
      "step": state["step"] + 1,
      "params": params,
      "opt": opt,
      "ema": ema,
    }
    return state, metrics

  return jax.jit(on_copies(train_step), donate_argnums=0)


def make_validation_step(
  config: TrainConfig,
) -> Callable[[Params, Batch, Array], Metrics]:
  """Return the jitted `(params, batch, key) -> sums` of one batch.

  Sums of `score` under the paper's mask, with each level active in turn. To
  measure use of the context, level 0 is also predicted with all frames masked:
  `listening_true` and `listening_shuffled` are nats under the example's own
  context and under another's (see `batches.with_other_context`; without it that
  of the example half a batch away), summed over `listening_tokens` frames.
  With `model.beats`, places in the bar are predicted under the true context.
  """
  model = config.model

  def predict(
    params: Params, batch: Batch, context: Array, target: Array, level: int
  ) -> Array:
    conditions = {name: batch[name] for name in model.conditions}
    return apply(model, params, context, target, conditions, level)

  def validation_step(params: Params, batch: Batch, key: Array) -> Metrics:
    context, target = batch["context"], batch["target"]
    b, t, _ = target.shape
    sums: Metrics = {}
    for level in model.stages:
      masked_target, masked, levels = training_mask(
        # Columns have the numbers of their keys.
        jax.random.fold_in(key, level % model.columns),
        target,
        model.codes,
        level=level,
        scale_frames=model.scale_frames,
      )
      own, given, hidden, codes, masked, levels = own_rows(
        (batch, context, masked_target, target, masked, levels)
      )
      logits = predict(params, own, given, hidden, level)
      scored = score(logits, codes, masked, levels, model.scale_frames)
      for name, x in scored.items():
        sums[name] = sums.get(name, 0.0) + x
    all_masked = jnp.full_like(target, model.codes)
    if model.scale_frames:  # They are decoded first.
      all_masked = all_masked.at[..., SCALES].set(target[..., SCALES])
    shuffled = batch.get("other_context")
    if shuffled is None:
      shuffled = jnp.roll(context, b // 2, axis=0)
    # Without examples of songs that have no other song in their batch.
    counted = batch.get("has_other", jnp.ones_like(target[:, 0, 0]))
    for name, given in (("true", context), ("shuffled", shuffled)):
      own, given, hidden, codes, weights = own_rows(
        (batch, given, all_masked, target[:, :, 0], counted)
      )
      loss = cross_entropy(predict(params, own, given, hidden, 0), codes)
      sums[f"listening_{name}"] = (loss * weights[:, None]).sum()
    if model.beats:
      own, given, hidden = own_rows((batch, context, all_masked))
      conditions = {name: own[name] for name in model.conditions}
      _, places = apply_with_places(model, params, given, hidden, conditions, 0)
      sums |= score_places(places, own["place"])
    sums = sum_over_copies(sums)
    sums["listening_tokens"] = t * counted.sum().astype(jnp.float32)
    return sums

  return jax.jit(on_copies(validation_step))
