"""Bidirectional attention, in the form that is fastest on the backend."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from stemgen_jax.model.products import product
from stemgen_jax.model.sharding import alone, spec

Heads = Float[Array, "b t n h"]
Valid = Bool[Array, "b t"]

_LANES = 128
_BLOCKS = (512, 256, _LANES)


def attend(
  queries: Heads,
  keys: Heads,
  values: Heads,
  *,
  valid: Valid | None = None,
  form: str = "auto",
  interpret: bool = False,
) -> Heads:
  """Compute softmax(q k^T / sqrt(h)) v over all valid frames.

  Args:
    queries: queries of every frame and head.
    keys: keys.
    values: values.
    valid: frames to attend to; None for all.
    form: "dot_product", one batched product; "map", one 2-D product per
      example and head; "auto", "map" on a CPU without a mesh, otherwise
      "dot_product". The fused kernels, which keep no scores, are chosen
      explicitly: "cudnn" on GPUs (bfloat16 or float16, heads of at most 128),
      "splash" on TPUs.
    interpret: run "splash" on any backend, slowly, for tests.

  Returns:
    Attended values of every frame, including those not valid.
  """
  if form == "auto":
    # XLA's CPU backend runs 2-D products several times faster than batched
    # ones (measured). A mapped axis cannot be split over a mesh.
    on_cpu = jax.default_backend() == "cpu"
    form = "map" if on_cpu and alone() else "dot_product"
  if form == "map":
    return _attend_by_map(queries, keys, values, valid)
  if form == "cudnn":
    return _each_device(_attend_by_cudnn, queries, keys, values, valid)
  if form == "splash":
    splash = functools.partial(_attend_by_splash, interpret=interpret)
    return _each_device(splash, queries, keys, values, valid)
  mask = None if valid is None else valid[:, None, None, :]  # [b, 1, 1, t]
  return jax.nn.dot_product_attention(queries, keys, values, mask=mask)


def check_form(form: str) -> None:
  """Raise ValueError if this machine's backend lacks the kernel of `form`."""
  wanted = {"cudnn": "gpu", "splash": "tpu"}.get(form)
  if wanted and jax.default_backend() != wanted:
    raise ValueError(
      f"model.attention={form!r} needs a {wanted.upper()}, this backend is "
      f"{jax.default_backend().upper()}; expected 'auto'"
    )


def _each_device(
  attention: Callable[..., Array],
  queries: Heads,
  keys: Heads,
  values: Heads,
  valid: Valid | None,
) -> Heads:
  """Run a kernel on every device's examples and heads.

  The compiler cannot partition a kernel. Examples and heads are independent,
  so that no device needs another's.
  """
  if alone():
    return attention(queries, keys, values, valid)
  heads, rows = spec("batch", None, "heads", None), spec("batch", None)
  given = () if valid is None else (valid,)
  return jax.shard_map(
    lambda q, k, v, *rest: attention(q, k, v, *(rest or (None,))),
    in_specs=(heads, heads, heads, *(rows for _ in given)),
    out_specs=heads,
    check_vma=False,
  )(queries, keys, values, *given)


def _attend_by_cudnn(
  queries: Heads, keys: Heads, values: Heads, valid: Valid | None
) -> Heads:
  b, t, _, _ = queries.shape
  mask = None
  if valid is not None:
    # cuDNN broadcasts a bias over heads, but not over queries.
    mask = jnp.broadcast_to(valid[:, None, None, :], (b, 1, t, t))
  return jax.nn.dot_product_attention(
    queries, keys, values, mask=mask, implementation="cudnn"
  )


def _attend_by_splash(
  queries: Heads,
  keys: Heads,
  values: Heads,
  valid: Valid | None,
  *,
  interpret: bool,
) -> Heads:
  # Imported here: other backends do not need it.
  from jax.experimental.pallas.ops.tpu import splash_attention as splash

  b, t, n, h = queries.shape
  # The kernel's blocks are whole lanes that divide the number of frames.
  missing = -t % _LANES
  block = next(size for size in _BLOCKS if (t + missing) % size == 0)

  def heads_first(x: Array) -> Array:
    return jnp.pad(x, ((0, 0), (0, missing), (0, 0), (0, 0))).swapaxes(1, 2)

  segments = None
  if missing or valid is not None:
    # A query attends to keys of its own segment: queries are in segment 0,
    # keys that are padding or not valid in segment 1.
    hidden = jnp.zeros((b, t), bool) if valid is None else ~valid
    hidden = jnp.pad(hidden, ((0, 0), (0, missing)), constant_values=True)
    hidden = hidden.astype(jnp.int32)
    segments = splash.SegmentIds(jnp.zeros_like(hidden), hidden)
  whole = splash.FullMask((t + missing, t + missing))
  kernel: Any = splash.make_splash_mha_single_device(
    splash.MultiHeadMask([whole] * n),
    block_sizes=splash.BlockSizes(
      block_q=block,
      block_kv=block,
      block_q_dkv=block,
      block_kv_dkv=block,
      block_q_dq=block,
      block_kv_dq=block,
    ),
    interpret=interpret,
  )
  # The kernel takes [n, t, h] and does not scale the scores.
  out = jax.vmap(kernel)(
    heads_first(queries * h**-0.5),
    heads_first(keys),
    heads_first(values),
    segments,
  )
  return out.swapaxes(1, 2)[:, :t]


def _attend_by_map(
  queries: Heads, keys: Heads, values: Heads, valid: Valid | None
) -> Heads:
  b, t, n, h = queries.shape
  if valid is None:
    bias = jnp.zeros((b * n, 1), jnp.float32)
  else:
    bias = jnp.repeat(jnp.where(valid, 0.0, -1e9), n, axis=0)

  # Recomputing scores is faster than storing and reading them (measured).
  @jax.checkpoint
  def one(inputs: tuple[Array, Array, Array, Array]) -> Array:
    q, k, v, bias = inputs
    multiply = product if q.dtype == jnp.bfloat16 else jnp.matmul
    scores = multiply(q * h**-0.5, k.T)  # [t, t]
    # Softmax in float32 whatever the activations' dtype.
    weights = jax.nn.softmax(scores.astype(jnp.float32) + bias[None], axis=-1)
    return multiply(weights.astype(v.dtype), v)

  def flat(x: Heads) -> Array:
    return x.swapaxes(1, 2).reshape(b * n, t, h)  # [b * n, t, h]

  out = jax.lax.map(one, (flat(queries), flat(keys), flat(values), bias))
  return out.reshape(b, n, t, h).swapaxes(1, 2)
