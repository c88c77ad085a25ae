"""One step of training, and of validation, as pure functions of a dict."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

from stemgen_jax.model.config import CONDITION_SIZES
from stemgen_jax.model.sharding import spec
from stemgen_jax.model.transformer import Params, apply, init_params
from stemgen_jax.training.config import TrainConfig
from stemgen_jax.training.masking import (
  RATIO_BINS,
  hide,
  ratio_bin,
  training_mask,
)
from stemgen_jax.training.optimizer import learning_rate, make_optimizer

State = dict[str, Any]
Batch = dict[str, Array]
Metrics = dict[str, Array]


def init_state(
  config: TrainConfig, key: Array, codebooks: Float[Array, "q v e"] | None
) -> State:
  """Step 0: `{step, params, opt, ema}`, to be called under jit.

  Args:
    config: The run's.
    key: Of the parameters.
    codebooks: The codec's, for `embedding="codebook"`.
  """
  params = init_params(config.model, key)
  if config.model.embedding == "codebook" and codebooks is not None:
    # Placed as a step returns it, or the second step would compile anew.
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


def cross_entropy(
  logits: Float[Array, "b t v"], codes: Int[Array, "b t"]
) -> Float[Array, "b t"]:
  """Nats per token. As a one-hot product: a gather is slower on CPU."""
  hit = jnp.arange(logits.shape[-1]) == codes[..., None]
  own = jnp.where(hit, logits, 0.0).sum(-1)
  return jax.nn.logsumexp(logits, axis=-1) - own


def score(
  logits: Float[Array, "b t v"],
  target: Int[Array, "b t q"],
  masked: Bool[Array, "b t"],
  level: Int[Array, " b"],
) -> Metrics:
  """Sums over the masked tokens of each example's active level alone.

  Returns:
    `loss` in nats, `correct` and `tokens`, each per active level as
    `level_...` [q] and per bin of mask ratios as `ratio_...` [5].
  """
  groups = {
    "level": jnp.arange(target.shape[-1]) == level[:, None],  # [b, q]
    "ratio": jnp.arange(len(RATIO_BINS)) == ratio_bin(masked)[:, None],
  }
  codes = jnp.where(groups["level"][:, None, :], target, 0).sum(-1)
  per_frame = {
    "loss": cross_entropy(logits, codes),
    "correct": (logits.argmax(-1) == codes).astype(jnp.float32),
    "tokens": jnp.ones_like(masked, jnp.float32),
  }
  sums = {}
  for name, x in per_frame.items():
    each = jnp.where(masked, x, 0.0).sum(-1)[:, None]  # [b, 1]
    for group, member in groups.items():
      sums[f"{group}_{name}"] = jnp.where(member, each, 0.0).sum(0)
  return sums


def _drop(key: Array, batch: int, share: float) -> Bool[Array, " b"]:
  return jax.random.bernoulli(key, share, (batch,), out_sharding=spec("batch"))


def views(config: TrainConfig, batch: Batch, key: Array) -> dict[str, Any]:
  """What a step predicts, drawn for the whole batch, cut into passes.

  The second half of the passes has the complementary masks, if asked for; all
  else of an example is the same in both.

  Returns:
    Arguments of `transformer.apply` and of `score`, with one axis more in
    front: the passes, `accumulate` or twice as many.
  """
  model = config.model
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
  )
  view = {
    "context": batch["context"],
    "target": target,
    "masked_target": masked_target,
    "masked": masked,
    "level": level,
    "conditions": {
      name: jnp.where(
        _drop(k, b, config.drop_of(name)), CONDITION_SIZES[name], batch[name]
      )
      for name, k in zip(model.conditions, k_conditions)
    },
    "drop_context": _drop(k_context, b, config.context_drop),
  }

  def cut(x: Array) -> Array:
    # Every device has its share of every pass: rows are dealt like cards.
    shape = (b // config.accumulate, config.accumulate, *x.shape[1:])
    return x.reshape(shape).swapaxes(0, 1)

  passes = jax.tree.map(cut, view)
  if not config.mask.complementary:
    return passes
  other = view | {
    "masked_target": hide(target, ~masked, level, model.codes),
    "masked": ~masked,
  }
  return jax.tree.map(lambda x, y: jnp.concatenate([x, cut(y)]), passes, other)


def make_gradient(
  config: TrainConfig,
) -> Callable[[Params, dict[str, Any]], tuple[tuple[Array, Metrics], Params]]:
  """`(params, views) -> ((loss, sums), gradients)`, pass after pass.

  The loss is the mean over the masked tokens of all passes, in nats.
  """

  def loss_of(
    params: Params, view: dict[str, Any], tokens: Array
  ) -> tuple[Array, Metrics]:
    logits = apply(
      config.model,
      params,
      view["context"],
      view["masked_target"],
      view["conditions"],
      view["level"],
      drop_context=view["drop_context"],
    )
    sums = score(logits, view["target"], view["masked"], view["level"])
    return sums["level_loss"].sum() / tokens, sums

  one = jax.value_and_grad(loss_of, has_aux=True)

  def gradient(params: Params, passes: dict[str, Any]) -> Any:
    tokens = passes["masked"].sum().astype(jnp.float32)
    first = jax.tree.map(lambda x: x[0], passes)
    if len(passes["masked"]) == 1:
      return one(params, first, tokens)
    nothing = jax.tree.map(
      jnp.zeros_like, jax.eval_shape(one, params, first, tokens)
    )

    def add(total: Any, view: dict[str, Any]) -> tuple[Any, None]:
      return jax.tree.map(jnp.add, total, one(params, view, tokens)), None

    return jax.lax.scan(add, nothing, passes)[0]

  return gradient


def make_train_step(
  config: TrainConfig,
) -> Callable[[State, Batch, Array], tuple[State, Metrics]]:
  """The jitted step: `(state, batch, key) -> (state, metrics)`.

  The state is donated. The key is the run's; all chance in a step comes from
  it and `state["step"]`, so a resumed run goes on exactly. Metrics are the
  loss in nats, the norm of the gradients, the learning rate, and the sums of
  `score`.
  """
  optimizer = make_optimizer(config.optimizer)
  rate = learning_rate(config.optimizer)
  gradient = make_gradient(config)

  def train_step(
    state: State, batch: Batch, key: Array
  ) -> tuple[State, Metrics]:
    key = jax.random.fold_in(key, state["step"])
    (loss, sums), grads = gradient(state["params"], views(config, batch, key))
    updates, opt = optimizer.update(grads, state["opt"], state["params"])
    params = optax.apply_updates(state["params"], updates)
    # A young average would remember the random start: let it grow up.
    step = state["step"].astype(jnp.float32)
    decay = jnp.minimum(config.ema_decay, (1 + step) / (10 + step))
    # In this form, what does not change stays the same to the bit.
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

  return jax.jit(train_step, donate_argnums=0)


def make_validation_step(
  config: TrainConfig,
) -> Callable[[Params, Batch, Array], Metrics]:
  """The jitted validation of one batch: sums to add up over batches.

  The sums of `score` under the paper's mask, every level in turn. At level 0
  with all masked, where neighbours give nothing away: `listening_true` and
  `listening_shuffled`, nats per frame under the example's own context and
  under that of the example half a batch away, both summed over the
  `listening_tokens`.
  """
  model = config.model

  def predict(
    params: Params, batch: Batch, context: Array, target: Array, level: int
  ) -> Array:
    conditions = {name: batch[name] for name in model.conditions}
    return apply(model, params, context, target, conditions, level)

  def validation_step(params: Params, batch: Batch, key: Array) -> Metrics:
    context, target = batch["context"], batch["target"]
    b, t, q = target.shape
    sums: Metrics = {}
    for level in range(q):
      masked_target, masked, levels = training_mask(
        jax.random.fold_in(key, level), target, model.codes, level=level
      )
      logits = predict(params, batch, context, masked_target, level)
      for name, x in score(logits, target, masked, levels).items():
        sums[name] = sums.get(name, 0.0) + x
    hidden = jnp.full_like(target, model.codes)
    other = jnp.roll(context, b // 2, axis=0)
    for name, heard in (("true", context), ("shuffled", other)):
      logits = predict(params, batch, heard, hidden, 0)
      loss = cross_entropy(logits, target[:, :, 0])
      sums[f"listening_{name}"] = loss.sum()
    sums["listening_tokens"] = jnp.asarray(b * t, jnp.float32)
    return sums

  return jax.jit(validation_step)
