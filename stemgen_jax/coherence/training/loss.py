"""The contrastive loss: the true stem against many that do not fit."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from stemgen_jax.coherence.network import POOL, Embedding, Network
from stemgen_jax.coherence.training.clips import Batch

Numbers = Float[Array | np.ndarray, "b moves"]

TRANSPOSITIONS = tuple(k for k in range(-5, 7) if k)
_NEVER = -1e9  # logit of a pair that is not decidable

# Here, as `clips` needs no JAX.
jax.tree_util.register_dataclass(Batch)


def loss(network: Network, batch: Batch) -> tuple[Array, dict[str, Any]]:
  """Return the mean loss over both directions, and the shares won.

  A context has to tell its stem from those of other songs and from other
  versions of it: other chords, transposed, shifted, stretched. A stem has to
  tell its context from the others.
  """
  context = network.forms(network.context(jnp.asarray(batch.context)))
  stem = network.stem(jnp.asarray(batch.stem))
  across = _across(context, stem)  # [context, stem]
  true = jnp.diag(across)
  other = jnp.where(batch.other, across, _NEVER)
  hard = {
    "transposed": jnp.where(
      batch.pitched[:, None], _transposed(context, stem), _NEVER
    ),
    "shifted": jnp.where(
      batch.shiftable, _moved(context, stem, batch.shift, 0.0), _NEVER
    ),
    "stretched": jnp.where(
      batch.stretchable[:, None],
      _moved(context, stem, 0.0, batch.stretch),
      _NEVER,
    ),
  }
  rows = jnp.concatenate([true[:, None], other, *hard.values()], axis=1)
  columns = jnp.concatenate([true[:, None], other.T], axis=1)
  surprise = [
    (jax.nn.logsumexp(logits, axis=1) - true).mean()
    for logits in (rows, columns)
  ]
  twin = jnp.diag(other.reshape(-1, 2, len(true))[:, ::-1].reshape(other.shape))
  won = {name: _won(true, x) for name, x in hard.items()}
  won |= {"other": _won(true, other), "chords": _won(true, twin[:, None])}
  return surprise[0] + surprise[1], won


def _won(true: Array, logits: Array) -> Array:
  """Return how often the true stem wins against one that is decidable."""
  decidable = logits > _NEVER / 2
  wins = (true[:, None] > logits) & decidable
  return wins.sum() / jnp.maximum(decidable.sum(), 1)


def _across(
  context: Embedding, stem: Embedding
) -> Float[Array, "contexts stems"]:
  """Compare all contexts with all stems."""
  timing = jnp.einsum("ite,jte->ij", context.timing, stem.timing)
  harmony = jnp.einsum("itpe,jtpe->ij", context.harmony, stem.harmony)
  return timing / context.timing.shape[1] + harmony / context.harmony.shape[1]


def _transposed(
  context: Embedding, stem: Embedding
) -> Float[Array, "b transpositions"]:
  """Compare each context with its stem, transposed."""
  # Transposing rolls the pitch classes of the stem.
  products = jnp.einsum("btpe,btqe->bpq", context.harmony, stem.harmony)
  classes = jnp.arange(products.shape[1])
  rolled = [
    products[:, classes, (classes - k) % len(classes)].sum(axis=1)
    for k in TRANSPOSITIONS
  ]
  timing = jnp.einsum("bte,bte->b", context.timing, stem.timing)
  harmony = jnp.stack(rolled, axis=1) / context.harmony.shape[1]
  return harmony + (timing / context.timing.shape[1])[:, None]


def _moved(
  context: Embedding,
  stem: Embedding,
  shift: Numbers | float,
  stretch: Numbers | float,
) -> Float[Array, "b moves"]:
  """Compare each context with its stem, late or stretched.

  Args:
    context: embeddings of the contexts, multiplied by the forms.
    stem: embeddings of the stems.
    shift: frames that the stem is late.
    stretch: relative length that it gains.
  """
  shift, stretch = jnp.broadcast_arrays(shift, stretch)
  total = jnp.zeros(shift.shape)
  for x, y, pool in (
    (context.timing, stem.timing, 1),
    (_flat(context.harmony), _flat(stem.harmony), POOL),
  ):
    frames = x.shape[1]
    products = jnp.einsum("bte,bse->bts", x, y)  # [b, context, stem]
    # The frame of the stem that sounds with each frame of the context. The
    # nearest: averages of two would differ from true stems in size.
    late = shift[:, None] / pool
    source = (jnp.arange(frames)[None, :, None] - late) / (1 + stretch[:, None])
    nearest = jnp.round(source).astype(int)  # [b, t, moves]
    inside = (nearest >= 0) & (nearest < frames)
    found = jnp.take_along_axis(products, nearest.clip(0, frames - 1), axis=2)
    total += (found * inside).sum(axis=1) / inside.sum(axis=1)
  return total


def _flat(
  harmony: Float[Array | np.ndarray, "b t 12 e"],
) -> Float[Array, "b t 12*e"]:
  return jnp.reshape(harmony, (*harmony.shape[:2], -1))
