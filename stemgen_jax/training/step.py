"""One step of training, and of validation, as pure functions of a dict."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

from stemgen_jax.masking import training_mask
from stemgen_jax.model.config import CONDITION_SIZES
from stemgen_jax.model.sharding import spec
from stemgen_jax.model.transformer import Params, apply, init_params
from stemgen_jax.training.config import TrainConfig
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
    params["embedding"]["codebooks"] = jnp.asarray(codebooks, jnp.float32)
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


def _scores(
  logits: Array, target: Array, masked: Array, level: Array
) -> Metrics:
  """Sums over masked tokens, per active level: `loss`, `correct`, `tokens`."""
  q = target.shape[-1]
  at_level = jnp.arange(q) == level[:, None]  # [b, q]
  codes = jnp.where(at_level[:, None, :], target, 0).sum(-1)
  per_frame = {
    "loss": cross_entropy(logits, codes),
    "correct": (logits.argmax(-1) == codes).astype(jnp.float32),
    "tokens": jnp.ones_like(masked, jnp.float32),
  }
  return {
    name: jnp.where(
      at_level, jnp.where(masked, x, 0.0).sum(-1)[:, None], 0.0
    ).sum(0)
    for name, x in per_frame.items()
  }


def _drop(key: Array, batch: int, share: float) -> Bool[Array, " b"]:
  return jax.random.bernoulli(key, share, (batch,), out_sharding=spec("batch"))


def make_train_step(
  config: TrainConfig,
) -> Callable[[State, Batch, Array], tuple[State, Metrics]]:
  """The jitted step: `(state, batch, key) -> (state, metrics)`.

  The state is donated. The key is the run's; all chance in a step comes from
  it and `state["step"]`, so a resumed run goes on exactly. Metrics are the
  loss in nats, the norm of the gradients, the learning rate, and per level
  the sums `level_loss`, `level_correct` and `level_tokens`.
  """
  model = config.model
  optimizer = make_optimizer(config.optimizer)
  rate = learning_rate(config.optimizer)

  def loss_of(
    params: Params, batch: Batch, key: Array
  ) -> tuple[Array, Metrics]:
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
    conditions = {
      name: jnp.where(
        _drop(k, b, config.condition_drop), CONDITION_SIZES[name], batch[name]
      )
      for name, k in zip(model.conditions, k_conditions)
    }
    logits = apply(
      model,
      params,
      batch["context"],
      masked_target,
      conditions,
      level,
      drop_context=_drop(k_context, b, config.context_drop),
    )
    sums = _scores(logits, target, masked, level)
    return sums["loss"].sum() / sums["tokens"].sum(), sums

  def train_step(
    state: State, batch: Batch, key: Array
  ) -> tuple[State, Metrics]:
    key = jax.random.fold_in(key, state["step"])
    (loss, sums), grads = jax.value_and_grad(loss_of, has_aux=True)(
      state["params"], batch, key
    )
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
      **{f"level_{name}": x for name, x in sums.items()},
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

  Per level under the paper's mask: `level_loss`, `level_correct`,
  `level_tokens`, all `[q]`. At level 0 with all masked, where neighbours give
  nothing away: `listening_true` and `listening_shuffled`, nats per frame
  under the example's own context and under that of the example half a batch
  away, both summed over the `listening_tokens`.
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
      for name, x in _scores(logits, target, masked, levels).items():
        sums[f"level_{name}"] = sums.get(f"level_{name}", 0.0) + x
    hidden = jnp.full_like(target, model.codes)
    other = jnp.roll(context, b // 2, axis=0)
    for name, heard in (("true", context), ("shuffled", other)):
      logits = predict(params, batch, heard, hidden, 0)
      loss = cross_entropy(logits, target[:, :, 0])
      sums[f"listening_{name}"] = loss.sum()
    sums["listening_tokens"] = jnp.asarray(b * t, jnp.float32)
    return sums

  return jax.jit(validation_step)
