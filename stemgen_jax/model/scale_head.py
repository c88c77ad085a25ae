"""The head that predicts the scales of segments, see `model.scales`."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from stemgen_jax.model.config import SCALE_TOKENS, SCALES, ModelConfig
from stemgen_jax.model.sharding import spec

# The logit of ids that are not tokens of a scale: finite, as guidance adds
# multiples of it.
_NEVER = -1e30


class ScaleHead(nnx.Module):
  """Predicts the token of each segment from the mean of its frames."""

  def __init__(self, config: ModelConfig, *, rngs: nnx.Rngs):
    self.config = config
    shape = (config.width, SCALE_TOKENS)
    kernel = jax.random.normal(
      rngs.params(), shape, out_sharding=spec("embed", None)
    )
    # Small, as the head of the codes.
    self.kernel = nnx.Param(0.1 * config.width**-0.5 * kernel)

  def __call__(
    self,
    x: Float[Array, "b t d"],
    logits: Float[Array, "b t v"],
    level: Int[Array, " b"] | Int[Array, ""],
    valid: Bool[Array, "b t"] | None,
  ) -> Float[Array, "b t v"]:
    """Replace the logits of codes where the level is `SCALES`.

    All frames of a segment get the logits of its token.

    Args:
      x: input of the heads.
      logits: logits of codes.
      level: active level, per example or one for all.
      valid: True for frames, False for padding, which does not count.
    """
    (b, t, d), size = x.shape, self.config.scale_frames
    counted = jnp.ones((b, t), bool) if valid is None else valid
    x = jnp.where(counted[..., None], x.astype(jnp.float32), 0.0)
    total = x.reshape(b, t // size, size, d).sum(2)  # [b, segments, d]
    count = counted.reshape(b, t // size, size).sum(2)  # [b, segments]
    placed = spec("batch", None, None)
    tokens = jnp.einsum(
      "bsd,dv->bsv",
      total / jnp.maximum(count, 1)[..., None],
      self.kernel[...],
      out_sharding=placed,
    )
    others = ((0, 0), (0, 0), (0, self.config.codes - SCALE_TOKENS))
    tokens = jnp.pad(tokens, others, constant_values=_NEVER)
    tokens = tokens.at[:, jnp.arange(t) // size].get(out_sharding=placed)
    is_scales = (level == SCALES).reshape(-1, 1, 1)  # [b or 1, 1, 1]
    return jnp.where(is_scales, tokens, logits)
