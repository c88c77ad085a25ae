"""Embedding of codes and conditions: the two input channels of the model."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from stemgen_jax.model.config import (
  CONDITION_SIZES,
  SCALE_TOKENS,
  SCALES,
  SPECTRUM_BANDS,
  ModelConfig,
)
from stemgen_jax.model.shapes import AVERAGES, Codes, Context
from stemgen_jax.model.sharding import spec

# Mean and deviation of the features of music at the reference loudness.
_MEAN, _DEVIATION = -4.5, 2.1


def _normal(key: Array, shape: tuple[int, ...], scale: float) -> Array:
  whole = spec(*(None,) * len(shape))  # not split
  return scale * jax.random.normal(key, shape, out_sharding=whole)


class ChannelEmbedding(nnx.Module):
  """Embeds context and target and concatenates them along the width.

  With `context="codes"` the two channels share one table per level; a channel
  is the sum over levels plus the rows of the conditions, which are added to
  both channels (section "Model" of arXiv 2312.08723).

  With `context="spectrum"`, which is not of the paper, the context is a learned
  projection of the spectrum of each frame and of its averages over 8 and 32
  frames.

  A channel has about unit scale at initialization with either embedding.
  """

  def __init__(self, config: ModelConfig, *, rngs: nnx.Rngs):
    self.config = config
    q, v, half = config.levels, config.codes, config.width // 2
    scale = q**-0.5
    if config.embedding == "codebook":
      shape = (q, v, config.latent)
      # Noise of the right shape; training replaces it by the codec's vectors.
      self.codebooks = nnx.Variable(_normal(rngs.params(), shape, 1.0))
      # The same for every level at first: the sum over levels is then a
      # projection of the latent that the codec decodes.
      first = _normal(
        rngs.params(), (1, config.latent, half), config.latent**-0.5
      )
      self.projection = nnx.Param(jnp.tile(first, (q, 1, 1)))
      table = jnp.zeros((q, v, half), out_sharding=spec(None, None, None))
    else:
      table = _normal(rngs.params(), (q, v, half), scale)
    self.table = nnx.Param(table)
    # The row of MASK, one per level.
    self.mask = nnx.Param(_normal(rngs.params(), (q, 1, half), scale))
    self.null_context = nnx.Param(_normal(rngs.params(), (half,), scale))
    # One more row than values: the last is the learned null.
    self.conditions = nnx.Dict(
      {
        name: nnx.Param(
          _normal(rngs.params(), (CONDITION_SIZES[name] + 1, half), scale)
        )
        for name in config.conditions
      }
    )
    # Drawn last: configurations without them draw the same weights as before.
    if config.context == "spectrum":
      inputs = SPECTRUM_BANDS * (1 + len(AVERAGES))
      self.spectrum = nnx.Param(
        _normal(rngs.params(), (inputs, half), inputs**-0.5)
      )
    if config.future:
      self.future = nnx.Param(_normal(rngs.params(), (half,), scale))
    if config.scale_frames:
      # MASK is last, as in `rows`.
      shape = (SCALE_TOKENS + 1, half)
      self.scales = nnx.Param(_normal(rngs.params(), shape, scale))

  def rows(self) -> Float[Array, "q rows half"]:
    """Return the embedding of every code of every level; MASK is last."""
    table = self.table[...]
    if self.config.embedding == "codebook":
      books = jax.lax.stop_gradient(self.codebooks[...])
      books = books - books.mean(1, keepdims=True)
      # One scale for all levels, which keep their shares of the latent.
      power = jnp.square(books).mean((1, 2)).sum()
      books = books * jax.lax.rsqrt(power + 1e-12)
      table = table + jnp.einsum("qvl,qle->qve", books, self.projection[...])
    return jnp.concatenate([table, self.mask[...]], axis=1)

  def __call__(
    self,
    context: Context,
    target: Codes,
    conditions: dict[str, Int[Array, " b"]],
    *,
    drop_context: Bool[Array, " b"] | None = None,
    context_frames: Int[Array, " b"] | None = None,
    valid: Bool[Array, "b t"] | None = None,
  ) -> Float[Array, "b t d"]:
    """See `transformer.Transformer.__call__`."""
    rows = self.rows()  # [q, v + 1, d/2]
    q = self.config.levels
    levels = jnp.arange(q)
    placed = spec("batch", None, None, None)

    def channel(codes: Codes) -> Array:
      # Gather [b, t, q, d/2] and sum over levels: [b, t, d/2].
      x = rows.at[levels, codes[..., :q]].get(out_sharding=placed).sum(-2)
      if self.config.scale_frames:
        tokens = jnp.minimum(codes[..., SCALES], SCALE_TOKENS)  # [b, t]
        per_frame = spec("batch", None, None)
        x = x + self.scales[...].at[tokens].get(out_sharding=per_frame)
      return x

    frames = jnp.arange(target.shape[1])[None]  # [1, t]
    ended = None
    if context_frames is not None:
      ended = frames >= context_frames[:, None]  # [b, t]
    if self.config.context == "spectrum":
      known = valid
      if ended is not None:
        known = ~ended if valid is None else valid & ~ended
      encoded = self._project(context, known)
    else:
      encoded = channel(context)
    if ended is not None:
      encoded = jnp.where(ended[..., None], self.future[...], encoded)
    if drop_context is not None:
      encoded = jnp.where(
        drop_context[:, None, None], self.null_context[...], encoded
      )
    both = jnp.stack([encoded, channel(target)], axis=2)  # [b, t, 2, d/2]
    for name in self.config.conditions:
      table = self.conditions[name][...]
      # An explicit sharding: indexing does not infer one under a mesh.
      row = table.at[conditions[name]].get(out_sharding=spec("batch", None))
      both = both + row[:, None, None, :]
    b, t = target.shape[:2]
    return both.reshape(b, t, self.config.width)

  def _project(
    self, spectrum: Float[Array, "b t bands"], known: Bool[Array, "b t"] | None
  ) -> Float[Array, "b t half"]:
    """Return the context channel of spectra; only known frames are averaged."""
    placed = spec("batch", None, None)
    x = (spectrum - _MEAN) / _DEVIATION
    weights = jnp.ones((*x.shape[:2], 1), out_sharding=placed)
    if known is not None:
      weights = jnp.where(known[..., None], weights, 0.0)
    frames = jnp.arange(x.shape[1])
    apart = frames[None] - frames[:, None]  # [t, t]
    inputs = [x]
    for length in AVERAGES:
      near = (apart >= -(length // 2)) & (apart < length - length // 2)
      near = near.astype(x.dtype)
      total, count = (
        jnp.einsum("st,btf->bsf", near, y, out_sharding=placed)
        for y in (x * weights, weights)
      )
      inputs.append(total / jnp.maximum(count, 1.0))
    return jnp.einsum(
      "btf,fd->btd",
      jnp.concatenate(inputs, -1),
      self.spectrum[...],
      out_sharding=placed,
    )
