"""Bidirectional attention, in the form that the backend is fastest at."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from stemgen_jax.model.sharding import alone

Heads = Float[Array, "b t n h"]


def attend(
  queries: Heads,
  keys: Heads,
  values: Heads,
  *,
  valid: Bool[Array, "b t"] | None = None,
  form: str = "auto",
) -> Heads:
  """softmax(q k^T / sqrt(h)) v over all valid frames, in both directions.

  Args:
    queries: Of every frame and head.
    keys: The same.
    values: The same.
    valid: Frames that may be attended to; None for all.
    form: "dot_product", one batched product; "map", one 2-D product per
      example and head, which XLA's CPU backend runs several times faster;
      "auto", the second on a CPU without a mesh.

  Returns:
    The attended values of every frame, those not valid included.
  """
  if form == "auto":
    # A mapped axis cannot be split over a mesh.
    on_cpu = jax.default_backend() == "cpu"
    form = "map" if on_cpu and alone() else "dot_product"
  if form == "map":
    return _attend_by_map(queries, keys, values, valid)
  mask = None if valid is None else valid[:, None, None, :]
  return jax.nn.dot_product_attention(queries, keys, values, mask=mask)


def _attend_by_map(
  queries: Heads, keys: Heads, values: Heads, valid: Array | None
) -> Heads:
  b, t, n, h = queries.shape
  if valid is None:
    bias = jnp.zeros((b * n, 1), jnp.float32)
  else:
    bias = jnp.repeat(jnp.where(valid, 0.0, -1e9), n, axis=0)

  # Scores cost less to compute again than to keep and read back.
  @jax.checkpoint
  def one(inputs: tuple[Array, Array, Array, Array]) -> Array:
    q, k, v, b = inputs
    scores = (q * h**-0.5) @ k.T
    weights = jax.nn.softmax(scores.astype(jnp.float32) + b, axis=-1)
    return weights.astype(v.dtype) @ v

  def flat(x: Heads) -> Array:
    return x.swapaxes(1, 2).reshape(b * n, t, h)

  out = jax.lax.map(one, (flat(queries), flat(keys), flat(values), bias))
  return out.reshape(b, n, t, h).swapaxes(1, 2)
