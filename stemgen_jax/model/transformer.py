"""The model: a bidirectional LLaMA-type transformer over two channels.

The structure is defined once, as Flax NNX modules. All other code uses the
pure functions `init_params` and `apply` on a plain nested dict: jitted NNX
modules take 25.9 ms to dispatch at 434 leaves, a dict 1.9 ms (measured).
"""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from stemgen_jax.model.attention import attend
from stemgen_jax.model.config import BAR_BEATS, BEAT_PARTS, ModelConfig
from stemgen_jax.model.embedding import ChannelEmbedding
from stemgen_jax.model.products import mixed, product, resolve_dtype
from stemgen_jax.model.projection import Projection
from stemgen_jax.model.rotation import Rotation, rotate, rotation
from stemgen_jax.model.scale_head import ScaleHead
from stemgen_jax.model.shapes import Codes, Context, Params
from stemgen_jax.model.sharding import alone, in_copy, spec

# Most layers that a step on copies unrolls: a scan copies what the backward
# pass needs into and out of stacks; compilation takes as long at 8 (measured).
_UNROLLED = 8


def product_dtype(config: ModelConfig) -> jnp.dtype:
  """Return the dtype of matrix products: `config.dtype` or the fastest."""
  return jnp.dtype(resolve_dtype(config.dtype))


def activation_dtype(config: ModelConfig) -> jnp.dtype:
  """Return the dtype of activations between products."""
  dtype = product_dtype(config)
  return jnp.dtype(jnp.float32) if mixed(dtype) else dtype


class Block(nnx.Module):
  """x + attention(norm(x)), then x + SwiGLU(norm(x)); no biases."""

  def __init__(self, config: ModelConfig, *, rngs: nnx.Rngs):
    self.config = config
    d, n = config.width, config.heads
    project = functools.partial(
      Projection,
      sizes={"d": d, "n": n, "h": d // n, "s": 2, "f": config.mlp},
      dtype=product_dtype(config),
      rngs=rngs,
    )
    norm = functools.partial(
      nnx.RMSNorm, epsilon=config.norm_epsilon, rngs=rngs
    )
    # The sum of all 2 * depth branches has about unit scale (GPT-2).
    branch = (2 * config.depth) ** -0.5
    # The order is that in which a seed draws the weights.
    self.attention_norm = norm(d)
    self.query = project("btd,dnh->btnh")
    self.key = project("btd,dnh->btnh")
    self.value = project("btd,dnh->btnh")
    if config.qk_norm:
      self.query_norm, self.key_norm = norm(d // n), norm(d // n)
    self.out = project("btnh,nhd->btd", scale=branch)
    self.mlp_norm = norm(d)
    self.up = project("btd,dsf->btsf")
    self.down = project("btf,fd->btd", scale=branch)

  def __call__(
    self,
    x: Float[Array, "b t d"],
    turn: Rotation,
    valid: Bool[Array, "b t"] | None,
  ) -> Float[Array, "b t d"]:
    """Return the block's output; only valid frames are attended to."""
    y = self.attention_norm(x)
    queries, keys, values = self._inputs(y)
    if self.config.qk_norm:
      # RMSNorm returns float32, the dtype of its scale.
      queries = self.query_norm(queries).astype(values.dtype)
      keys = self.key_norm(keys).astype(values.dtype)
    dtype = product_dtype(self.config)
    attended = attend(
      rotate(queries, turn).astype(dtype),
      rotate(keys, turn).astype(dtype),
      values.astype(dtype),
      valid=valid,
      form=self.config.attention,
    )
    x = x + self.out(attended)
    up = self.up(self.mlp_norm(x))  # [b, t, 2, f]: gate and value
    return x + self.down(jax.nn.silu(up[:, :, 0]) * up[:, :, 1])

  def _inputs(self, y: Float[Array, "b t d"]) -> Sequence[Array]:
    """Return queries, keys and values of all heads."""
    projections = self.query, self.key, self.value
    if not in_copy():
      return [project(y) for project in projections]
    # One product on a CPU: narrow ones take longer for each column, and so
    # do their gradients (measured).
    b, t, d = y.shape
    n, h = self.config.heads, d // self.config.heads
    kernels = [each.kernel[...].reshape(d, d) for each in projections]
    kernel, x = jnp.concatenate(kernels, axis=1), y.reshape(b * t, d)
    both = product(x, kernel) if mixed(self.query.dtype) else x @ kernel
    return [z.reshape(b, t, n, h) for z in jnp.split(both, 3, axis=1)]


class Transformer(nnx.Module):
  """Predicts the target's codes of one level.

  Args:
    config: shape of the model; call `config.validate()` first.
    rngs: random keys with a stream `params`.
  """

  def __init__(self, config: ModelConfig, *, rngs: nnx.Rngs):
    self.config = config
    q, d, v = config.levels, config.width, config.codes
    self.embedding = ChannelEmbedding(config, rngs=rngs)
    # One block with a leading depth axis on every parameter, for `lax.scan`.
    self.blocks = jax.vmap(lambda key: Block(config, rngs=nnx.Rngs(key)))(
      jax.random.split(rngs.params(), config.depth)
    )
    self.norm = nnx.RMSNorm(d, epsilon=config.norm_epsilon, rngs=rngs)
    # Small: the loss is ln v at every level before training.
    head = jax.random.normal(
      rngs.params(), (q, d, v), out_sharding=spec(None, "embed", None)
    )
    self.head = nnx.Param(0.1 * d**-0.5 * head)
    # Drawn last, as the parameters of the embedding.
    if config.scale_frames:
      self.scale_head = ScaleHead(config, rngs=rngs)
    if config.beats:
      beat_head = jax.random.normal(
        rngs.params(),
        (d, BAR_BEATS * BEAT_PARTS),
        out_sharding=spec("embed", None),
      )
      self.beat_head = nnx.Param(0.1 * d**-0.5 * beat_head)

  def __call__(
    self,
    context: Context,
    target: Codes,
    conditions: dict[str, Int[Array, " b"]],
    level: Int[Array, " b"] | Int[Array, ""] | int,
    *,
    drop_context: Bool[Array, " b"] | None = None,
    context_frames: Int[Array, " b"] | None = None,
    valid: Bool[Array, "b t"] | None = None,
  ) -> Float[Array, "b t v"]:
    """Compute the logits of the active level.

    Args:
      context: codes of the context, never masked, or its spectrum.
      target: codes of the stem; unknown ones are MASK, `config.codes`. With
        `config.scale_frames` both have the column of scale tokens.
      conditions: for each name in `config.conditions` an id per example;
        the id `CONDITION_SIZES[name]` is its learned null.
      level: active level, per example or one for all; `SCALES` for the scales.
      drop_context: examples whose context is replaced by the learned null.
      context_frames: number of frames whose context is known, with
        `config.future`; all if None.
      valid: True for frames, False for padding, which is not attended to.

    Returns:
      Logits in float32, undefined in frames that are not valid; those of
      scales are equal in all frames of a segment.
    """
    x = self.hidden(
      context,
      target,
      conditions,
      drop_context=drop_context,
      context_frames=context_frames,
      valid=valid,
    )
    return self.logits(x, level, valid)

  def hidden(
    self,
    context: Context,
    target: Codes,
    conditions: dict[str, Int[Array, " b"]],
    *,
    drop_context: Bool[Array, " b"] | None = None,
    context_frames: Int[Array, " b"] | None = None,
    valid: Bool[Array, "b t"] | None = None,
  ) -> Float[Array, "b t d"]:
    """Compute the input of the heads; arguments as in `__call__`."""
    x = self.embedding(
      context,
      target,
      conditions,
      drop_context=drop_context,
      context_frames=context_frames,
      valid=valid,
    )

    config = self.config
    # Computed once, not in every layer: on a CPU the sines take as long as a
    # matrix product (measured).
    turn = rotation(
      target.shape[1], config.width // config.heads, config.rope_base
    )

    def body(x: Array, block: Block) -> tuple[Array, None]:
      return block(x, turn, valid), None

    if self.config.remat != "none":
      policies = jax.checkpoint_policies
      policy = {
        "dots": policies.dots_with_no_batch_dims_saveable,
        "full": policies.nothing_saveable,
      }[self.config.remat]
      # Inside a scan, CSE cannot undo the recomputation: no barriers needed.
      body = jax.checkpoint(body, prevent_cse=False, policy=policy)
    x = x.astype(activation_dtype(self.config))
    blocks = self.blocks
    if mixed(product_dtype(config)):
      # Once for all passes of a decode: the cast does not depend on the loop.
      blocks = jax.tree.map_with_path(_kernel_in_bfloat16, blocks)
    if in_copy() and config.depth <= _UNROLLED:
      for layer in range(config.depth):
        x, _ = body(x, jax.tree.map(lambda leaf, i=layer: leaf[i], blocks))
    else:
      x, _ = jax.lax.scan(body, x, blocks)
    return self.norm(x).astype(activation_dtype(self.config))

  def logits(
    self,
    x: Float[Array, "b t d"],
    level: Int[Array, " b"] | Int[Array, ""] | int,
    valid: Bool[Array, "b t"] | None = None,
  ) -> Float[Array, "b t v"]:
    """Compute the logits of `__call__` from those of `hidden`."""
    level = jnp.asarray(level)
    if not self.config.scale_frames:
      return self._logits(x, level)
    logits = self._logits(x, jnp.maximum(level, 0))
    return self.scale_head(x, logits, level, valid)

  def places(self, x: Float[Array, "b t d"]) -> Float[Array, "b t places"]:
    """Compute the logits of each frame's place in the bar, with `beats`."""
    return jnp.einsum(
      "btd,dp->btp",
      x.astype(jnp.float32),
      self.beat_head[...],
      out_sharding=spec("batch", None, None),
    )

  def _logits(self, x: Array, level: Array) -> Float[Array, "b t v"]:
    head = self.head[...].astype(x.dtype)
    if mixed(product_dtype(self.config)):
      return self._bfloat16_logits(x, head, level)
    # Logits in float32: in bfloat16 many of them would tie.
    in_float32 = {"preferred_element_type": jnp.float32}
    placed = spec("batch", None, None)
    if level.ndim == 0:
      logits = jnp.einsum(
        "btd,dv->btv", x, head[level], out_sharding=placed, **in_float32
      )
    elif alone() and jax.default_backend() == "cpu":
      # 2-D products, which are faster on the CPU backend; see `attention`.
      logits = jax.lax.map(
        lambda xl: jnp.matmul(xl[0], head[xl[1]], **in_float32), (x, level)
      )
    else:
      heads = head.at[level].get(out_sharding=placed)  # [b, d, v]
      logits = jnp.einsum(
        "btd,bdv->btv", x, heads, out_sharding=placed, **in_float32
      )
    return logits

  def _bfloat16_logits(self, x: Array, head: Array, level: Array) -> Array:
    """Multiply in bfloat16, on a CPU."""
    b, t, d = x.shape
    if level.ndim == 0:
      return product(x.reshape(b * t, d), head[level]).reshape(b, t, -1)
    return jax.lax.map(lambda xl: product(xl[0], head[xl[1]]), (x, level))


def _kernel_in_bfloat16(path: Any, leaf: Array) -> Array:
  """Cast a kernel to bfloat16."""
  is_kernel = "kernel" in jax.tree_util.keystr(path)
  return leaf.astype(jnp.bfloat16) if is_kernel else leaf


def init_params(config: ModelConfig, key: Array) -> Params:
  """Return initial parameters as a nested dict.

  Parameters of blocks have a leading depth axis. With `embedding="codebook"`,
  replace `params["embedding"]["codebooks"]`, which is noise, by the codec's
  codebooks `[q, v, latent]`.
  """
  model = Transformer(config, rngs=nnx.Rngs(params=key))
  return nnx.to_pure_dict(nnx.split(model)[1])


def apply(
  config: ModelConfig,
  params: Params,
  context: Context,
  target: Codes,
  conditions: dict[str, Int[Array, " b"]],
  level: Int[Array, " b"] | Int[Array, ""] | int,
  *,
  drop_context: Bool[Array, " b"] | None = None,
  context_frames: Int[Array, " b"] | None = None,
  valid: Bool[Array, "b t"] | None = None,
) -> Float[Array, "b t v"]:
  """Apply `Transformer.__call__` as a pure function of its parameters."""
  return _model(config, params)(
    context,
    target,
    conditions,
    level,
    drop_context=drop_context,
    context_frames=context_frames,
    valid=valid,
  )


def apply_with_places(
  config: ModelConfig,
  params: Params,
  context: Context,
  target: Codes,
  conditions: dict[str, Int[Array, " b"]],
  level: Int[Array, " b"] | Int[Array, ""] | int,
  *,
  drop_context: Bool[Array, " b"] | None = None,
  context_frames: Int[Array, " b"] | None = None,
) -> tuple[Float[Array, "b t v"], Float[Array, "b t places"]]:
  """Return the logits of `apply`, and those of the places in the bar."""
  model = _model(config, params)
  hidden = model.hidden(
    context,
    target,
    conditions,
    drop_context=drop_context,
    context_frames=context_frames,
  )
  return model.logits(hidden, level), model.places(hidden)


def code_rows(
  config: ModelConfig, params: Params
) -> Float[Array, "q rows half"]:
  """Return the embedding of every code of every level; MASK is the last."""
  return _model(config, params).embedding.rows()


def apply_hidden(
  config: ModelConfig,
  params: Params,
  context: Context,
  target: Codes,
  conditions: dict[str, Int[Array, " b"]],
  level: Int[Array, ""] | int,
  *,
  drop_context: Bool[Array, " b"] | None = None,
  context_frames: Int[Array, " b"] | None = None,
  valid: Bool[Array, "b t"] | None = None,
) -> tuple[Float[Array, "b t d"], Float[Array, "d v"]]:
  """Return the two factors of the logits: hidden states and level's head."""
  model = _model(config, params)
  hidden = model.hidden(
    context,
    target,
    conditions,
    drop_context=drop_context,
    context_frames=context_frames,
    valid=valid,
  )
  return hidden, model.head[...][level].astype(hidden.dtype)


def _model(config: ModelConfig, params: Params) -> Transformer:
  # Abstract: only the structure is built, and no weights are drawn.
  structure = nnx.split(
    nnx.eval_shape(lambda: Transformer(config, rngs=nnx.Rngs(0)))
  )[0]
  return nnx.merge(structure, params)
