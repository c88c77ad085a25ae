"""Train the residual quantizer: k-means, moving averages, restarts.

EnCodec's classes hold the codebooks, but its training step is not used: in
0.1.1 a restarted code is overwritten by its old average in the same call, so
that a dead code stays dead.
"""

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from stemgen_jax.codec.networks import ResidualVectorQuantizer

_DECAY = 0.99
# A code used less than this share of the mean is dead: at _DECAY, one unused
# for some 300 steps.
_DEAD = 0.05
_KMEANS_ROUNDS = 10

Vectors = Float[Tensor, "n d"]
Ids = Int[Tensor, " n"]


def books(quantizer: ResidualVectorQuantizer) -> Iterator[Any]:
  """Yield EnCodec's `EuclideanCodebook`s, coarse to fine."""
  # Any: PyTorch types buffers as Tensor | Module.
  layers: Any = quantizer.vq.layers
  for layer in layers:
    yield layer._codebook  # the public `codebook` has no statistics


@torch.no_grad()
def start(
  quantizer: ResidualVectorQuantizer,
  latents: Float[Tensor, "n d"],
  frames_per_step: int,
  generator: torch.Generator,
  taught: int = 0,
) -> None:
  """Initialize every codebook by k-means on the coarser ones' residual.

  The coarsest codebook uses the first `taught` dimensions (0: all): its codes
  are zero in the others, so that EnCodec's search for the nearest code
  compares those dimensions only.

  Args:
    quantizer: quantizer to initialize.
    latents: latents of n frames.
    frames_per_step: frames of a training step, which the usage is scaled to.
    generator: source of the initial choices.
    taught: dimensions of the coarsest codebook.
  """
  residual = latents
  for level, book in enumerate(books(quantizer)):
    v = book.codebook_size
    given = residual if level else _first(residual, taught)
    means = _choose(given, v, generator)
    for _ in range(_KMEANS_ROUNDS):
      sums, counts = _sums(given, _nearest(given, means), v)
      # Move an empty cluster to a random latent. `_choose` is called every
      # time, so that the random numbers do not depend on the clusters.
      means = torch.where(
        counts[:, None] > 0,
        sums / counts[:, None].clamp(min=1),
        _choose(given, v, generator),
      )
    ids = _nearest(given, means)
    _, counts = _sums(given, ids, v)
    # The moving averages count the frames of one step.
    usage = counts.clamp(min=0.5) * frames_per_step / len(latents)
    book.embed.copy_(means)
    book.cluster_size.copy_(usage)
    book.embed_avg.copy_(means * usage[:, None])
    book.inited.fill_(1)
    residual = residual - means[ids]


def quantize(
  quantizer: ResidualVectorQuantizer,
  latents: Float[Tensor, "b d t"],
  generator: torch.Generator,
  taught: int = 0,
) -> tuple[Float[Tensor, "b d t"], Int[Tensor, "n q"], Tensor]:
  """Quantize the latents of a training step and update the codebooks.

  The coarsest codebook stays in the first `taught` dimensions, as in `start`.

  Returns:
    The quantized latents, with a straight-through gradient; the ids of the
    n = b * t frames; and the commitment loss, the mean over levels of the
    squared distance between a level's input and its code.
  """
  b, d, t = latents.shape
  frames = latents.transpose(1, 2).reshape(b * t, d)
  residual, commitment, ids = frames, torch.zeros(()), []
  for level, book in enumerate(books(quantizer)):
    given = residual if level else _first(residual, taught)
    chosen = _nearest(given.detach(), book.embed)
    vectors = book.embed[chosen]
    commitment = commitment + (given - vectors).square().mean()
    _update(book, given.detach(), chosen, generator)
    residual = residual - vectors
    ids.append(chosen)
  # Straight-through: the value is the sum of codes, the gradient is 1.
  quantized = frames - residual.detach()
  return (
    quantized.reshape(b, t, d).transpose(1, 2),
    torch.stack(ids, 1),
    commitment / len(ids),
  )


def perplexity(usage: Float[Tensor, "... v"]) -> Float[Tensor, "..."]:
  """Return exp of the entropy of the usage: the codes in use, 1..v."""
  share = usage / usage.sum(-1, keepdim=True)
  return torch.special.entr(share).sum(-1).exp()


@torch.no_grad()
def _update(
  book: Any, given: Vectors, ids: Ids, generator: torch.Generator
) -> None:
  sums, counts = _sums(given, ids, book.codebook_size)
  book.cluster_size.lerp_(counts, 1 - _DECAY)
  book.embed_avg.lerp_(sums, 1 - _DECAY)
  mean = len(given) / book.codebook_size
  dead = book.cluster_size < _DEAD * mean
  if dead.any():
    # Restart dead codes at random latents, with the mean usage.
    fresh = _choose(given, int(dead.sum()), generator)
    book.cluster_size[dead] = mean
    book.embed_avg[dead] = fresh * mean
  book.embed.copy_(book.embed_avg / book.cluster_size[:, None])


def _first(vectors: Vectors, count: int) -> Vectors:
  """Zero all but the first `count` dimensions (0: keep all)."""
  if not count:
    return vectors
  rest = vectors.shape[1] - count
  return torch.nn.functional.pad(vectors[:, :count], (0, rest))


def _nearest(vectors: Vectors, means: Float[Tensor, "v d"]) -> Ids:
  # |x - m|^2 without |x|^2, which is the same for every m.
  return (means.square().sum(1) - 2 * vectors @ means.T).argmin(1)


def _sums(
  vectors: Vectors, ids: Ids, v: int
) -> tuple[Float[Tensor, "v d"], Float[Tensor, " v"]]:
  sums = vectors.new_zeros(v, vectors.shape[1]).index_add_(0, ids, vectors)
  return sums, torch.bincount(ids, minlength=v).to(vectors.dtype)


def _choose(
  vectors: Vectors, count: int, generator: torch.Generator
) -> Float[Tensor, "count d"]:
  return vectors[torch.randint(len(vectors), (count,), generator=generator)]
