"""Does the model listen? What each context does to its predictions.

The stem that was really played is hidden, partly or wholly, and predicted
from what the model hears: the context it was played to, another song's,
silence, or nothing (the learned null). A model that listens predicts it best
from the true context. Judge with everything hidden: otherwise the neighbours
of a masked frame give it away.
"""

import functools
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from stemgen_jax import categories, model
from stemgen_jax.data.examples import Examples

CONTEXTS = ("true", "shuffled", "silent", "null")
RESAMPLES = 4000


def listening(
  weights: model.Weights,
  examples: Examples,
  *,
  masked: Sequence[int] = (70, 100),
  batch: int = 8,
  seed: int = 0,
) -> dict[str, Any]:
  """Bits per masked frame at level 0 under four contexts.

  The level's finer codes are all hidden and the conditions always given. All
  contexts of an example share its mask. `gain` is shuffled - true, and
  `gain_low` to `gain_high` its 95 % bootstrap interval over songs.

  Args:
    weights: of the model.
    examples: with a context each, of at least two songs; their first
      `config.window` frames are used.
    masked: percentages of the frames that are hidden, 1 to 100.
    batch: examples at a time.
    seed: of masks, of the exchange of contexts and of the bootstrap.

  Returns:
    A dict for JSON: `examples`, `songs`, `window` in frames, `masked` with
    the figures by percentage, `categories` with the gains of each.

  Raises:
    ValueError: the examples come from another codec than the model's, or one
      song has more than half of them.
  """
  config = weights.config
  weights.check_codec(examples.codec, examples.checksum)
  examples = examples.crop(config.window)
  n, t, _ = examples.target.shape
  rng = np.random.default_rng(seed)
  strangers = other_songs(examples.song, rng)
  silence = np.broadcast_to(examples.silence, examples.context.shape)
  heard = {
    "true": examples.context,
    "shuffled": examples.context[strangers],
    "silent": silence,
    "null": silence,  # not looked at
  }
  conditions = {name: examples.condition(name) for name in config.conditions}
  predict = jax.jit(functools.partial(_bits, config))

  def bits(name: str, mask: np.ndarray) -> np.ndarray:
    """Bits per masked frame of each example."""
    found = []
    for first in range(0, n, batch):
      # The last batch is filled up: one shape compiles once.
      rows = np.arange(first, first + batch) % n
      found.append(
        predict(
          weights.params,
          heard[name][rows],
          examples.target[rows],
          {key: value[rows] for key, value in conditions.items()},
          mask[rows],
          np.full(batch, name == "null"),
        )
      )
    return np.concatenate(found)[:n].astype(np.float64)

  result: dict[str, Any] = {
    "examples": n,
    "songs": len(set(examples.song.tolist())),
    "window": t,
    "masked": {},
    "categories": {},
  }
  for percent in masked:
    order = rng.random((n, t)).argsort(axis=1).argsort(axis=1)
    mask = order < max(1, round(t * percent / 100))
    found = {name: bits(name, mask) for name in CONTEXTS}
    gain = found["shuffled"] - found["true"]
    low, high = bootstrap(gain, examples.song, rng)
    result["masked"][str(percent)] = {
      **{name: round(float(found[name].mean()), 4) for name in CONTEXTS},
      "gain": round(float(gain.mean()), 4),
      "gain_low": round(low, 4),
      "gain_high": round(high, 4),
    }
    for number in np.unique(examples.category):
      rows = examples.category == number
      name = categories.CATEGORIES[number]
      of_category = result["categories"].setdefault(
        name, {"examples": int(rows.sum()), "gain": {}}
      )
      of_category["gain"][str(percent)] = round(float(gain[rows].mean()), 4)
  return result


def _bits(
  config: model.ModelConfig,
  params: model.Params,
  context: Int[Array, "b t q"],
  target: Int[Array, "b t q"],
  conditions: dict[str, Int[Array, " b"]],
  mask: Bool[Array, "b t"],
  drop_context: Bool[Array, " b"],
) -> Float[Array, " b"]:
  """Mean negative log2-likelihood of the masked codes of level 0."""
  visible = jnp.full_like(target, config.codes)
  visible = visible.at[:, :, 0].set(
    jnp.where(mask, config.codes, target[:, :, 0])
  )
  logits = model.apply(
    config,
    params,
    context,
    visible,
    conditions,
    0,
    drop_context=drop_context,
  )
  log_p = jnp.take_along_axis(
    jax.nn.log_softmax(logits), target[:, :, :1], axis=2
  )[:, :, 0]
  nats = -jnp.sum(log_p, axis=1, where=mask) / mask.sum(axis=1)
  return nats / math.log(2)


def other_songs(
  songs: np.ndarray, rng: np.random.Generator
) -> Int[np.ndarray, " n"]:
  """For each example a random one of another song, each taken once.

  Raises:
    ValueError: one song has more than half of the examples.
  """
  names, song, counts = np.unique(
    songs, return_inverse=True, return_counts=True
  )
  n, most = len(songs), counts.max(initial=0)
  if n < 2 or 2 * most > n:
    raise ValueError(
      f"{n} examples of {len(names)} songs, {most} of them of one: contexts "
      "cannot be exchanged between songs; take more songs"
    )
  # Songs in random order, each in one run; a shift by the longest run leaves
  # every run.
  order = np.lexsort((rng.random(n), rng.permutation(len(names))[song]))
  strangers = np.empty(n, int)
  strangers[order] = np.roll(order, most)
  return strangers


def bootstrap(
  values: Float[np.ndarray, " n"],
  songs: np.ndarray,
  rng: np.random.Generator,
) -> tuple[float, float]:
  """95 % percentile interval of the mean, songs drawn with replacement.

  Examples of one song are not independent: they are drawn together.
  """
  _, song = np.unique(songs, return_inverse=True)
  sums, counts = np.bincount(song, values), np.bincount(song)
  drawn = rng.integers(len(sums), size=(RESAMPLES, len(sums)))
  means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
  low, high = np.quantile(means, [0.025, 0.975])
  return float(low), float(high)
