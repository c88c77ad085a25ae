"""Does the model listen? What each context does to its predictions.

The stem that was really played is hidden, partly or wholly, and predicted
from what the model hears: the context it was played to, another song's,
silence, or nothing (the learned null). A model that listens predicts it best
from the true context. Judge with everything hidden: otherwise the neighbours
of a masked frame give it away.
"""

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from stemgen_jax import categories, model
from stemgen_jax.data.examples import Examples
from stemgen_jax.evaluation.metrics import intervals

CONTEXTS = ("true", "shuffled", "silent", "null")


def listening(
  weights: model.Weights,
  examples: Examples,
  *,
  masked: Sequence[int] = (70, 100),
  batch: int = 8,
  seed: int = 0,
) -> dict[str, Any]:
  """Bits per masked frame under four contexts.

  At level 0, by share of the frames that are hidden and by category; and with
  all frames hidden, at each level. Coarser codes than those of the level are
  shown, finer ones hidden, and the conditions always given. All contexts of
  an example share its mask. `gain` is shuffled - true, `null_gain` null -
  true; `_low` to `_high` are their 95 % bootstrap intervals over songs, None
  for fewer than `intervals.FEWEST_SONGS`.

  Args:
    weights: of the model.
    examples: with a context each, of at least two songs; their first
      `config.window` frames are used.
    masked: percentages of the frames that are hidden, 1 to 100.
    batch: examples at a time.
    seed: of masks, of the exchange of contexts and of the bootstrap.

  Returns:
    A dict for JSON: `examples`, `songs`, `window` in frames, `masked` with
    the figures by percentage, `categories` with `examples`, `songs` and the
    same of each, `levels` with the figures by level, from 0 on.

  Raises:
    ValueError: the examples come from another codec than the model's, or one
      song has more than half of them; or the weights give no numbers.
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
  predict = jax.jit(functools.partial(_bits, config), static_argnums=6)

  def bits(name: str, mask: np.ndarray, level: int = 0) -> np.ndarray:
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
          level,
        )
      )
    return np.concatenate(found)[:n].astype(np.float64)

  result: dict[str, Any] = {
    "examples": n,
    "songs": len(set(examples.song.tolist())),
    "window": t,
    "masked": {},
    "categories": {},
    "levels": {},
  }
  for percent in masked:
    order = rng.random((n, t)).argsort(axis=1).argsort(axis=1)
    mask = order < max(1, round(t * percent / 100))
    found = {name: bits(name, mask) for name in CONTEXTS}
    everything = np.ones(n, bool)
    result["masked"][str(percent)] = _figures(found, everything, examples, rng)
    for number in np.unique(examples.category):
      rows = examples.category == number
      of_category = result["categories"].setdefault(
        categories.CATEGORIES[number],
        {
          "examples": int(rows.sum()),
          "songs": len(np.unique(examples.song[rows])),
          "masked": {},
        },
      )
      of_category["masked"][str(percent)] = _figures(found, rows, examples, rng)
  hidden = np.ones((n, t), bool)
  for level in range(config.levels):
    found = {name: bits(name, hidden, level) for name in CONTEXTS}
    result["levels"][str(level)] = _figures(
      found, np.ones(n, bool), examples, rng
    )
  return result


def _figures(
  bits: dict[str, Float[np.ndarray, " n"]],
  rows: Bool[np.ndarray, " n"],
  examples: Examples,
  rng: np.random.Generator,
) -> dict[str, float | None]:
  """Means over the rows, and what the true context is worth to them."""
  figures: dict[str, float | None] = {
    name: float(bits[name][rows].mean()) for name in CONTEXTS
  }
  songs = examples.song[rows]
  for gain, other in (("gain", "shuffled"), ("null_gain", "null")):
    won = (bits[other] - bits["true"])[rows]
    if not np.isfinite(won).all():
      raise ValueError(
        "the weights give codes a likelihood that is no number: their training "
        "diverged, take an earlier checkpoint"
      )
    found = intervals.mean(won, intervals.draws(songs, rng))
    figures |= {
      gain: found["mean"],
      f"{gain}_low": found["low"],
      f"{gain}_high": found["high"],
    }
  return {
    name: None if value is None else round(value, 4)
    for name, value in figures.items()
  }


def _bits(
  config: model.ModelConfig,
  params: model.Params,
  context: Int[Array, "b t q"],
  target: Int[Array, "b t q"],
  conditions: dict[str, Int[Array, " b"]],
  mask: Bool[Array, "b t"],
  drop_context: Bool[Array, " b"],
  level: int,
) -> Float[Array, " b"]:
  """Mean negative log2-likelihood of the masked codes of a level."""
  visible = jnp.full_like(target, config.codes)
  visible = visible.at[:, :, :level].set(target[:, :, :level])
  visible = visible.at[:, :, level].set(
    jnp.where(mask, config.codes, target[:, :, level])
  )
  logits = model.apply(
    config,
    params,
    context,
    visible,
    conditions,
    level,
    drop_context=drop_context,
  )
  log_p = jnp.take_along_axis(
    jax.nn.log_softmax(logits), target[:, :, level : level + 1], axis=2
  )[:, :, 0]
  nats = -jnp.sum(log_p, axis=1, where=mask) / mask.sum(axis=1)
  return nats / math.log(2)


def rows(result: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
  """What `listening` returns, as figures by what they are of."""
  found = {f"{share} % masked": x for share, x in result["masked"].items()}
  found |= {f"level {level}": x for level, x in result["levels"].items()}
  if "100 % masked" in found:
    del found["level 0"]  # is the same
  for name, of_category in result["categories"].items():
    if everything := of_category["masked"].get("100"):
      found[name] = everything
  return found


def table(result: Mapping[str, Any]) -> str:
  """What `listening` returns, to print, and what it comes to."""
  named = rows(result)
  width = max(map(len, named))
  heads = "".join(f"{name:>9}" for name in CONTEXTS)
  lines = [
    f"bits per masked frame, {result['examples']} examples of "
    f"{result['songs']} songs; levels and instruments with all masked",
    f"{'':<{width}}{heads}   {'gain':<21}   gain over null",
  ]
  for name, figures in named.items():
    bits = "".join(f"{figures[context]:>9.2f}" for context in CONTEXTS)
    gain, null_gain = said(figures, "gain"), said(figures, "null_gain")
    lines.append(f"{name:<{width}}{bits}   {gain:<21}   {null_gain}")
  low = result["masked"].get("100", {}).get("gain_low")
  if low is not None:
    lines.append("It listens." if low > 0 else "Not shown to listen.")
  return "\n".join(lines)


def said(figures: Mapping[str, Any], gain: str) -> str:
  """A gain, "gain" or "null_gain", with its interval, in a few characters."""
  return intervals.said(
    *(figures[name] for name in (gain, f"{gain}_low", f"{gain}_high"))
  )


def can_exchange(songs: np.ndarray) -> bool:
  """Whether each example can have the context of another song's."""
  _, counts = np.unique(songs, return_counts=True)
  return len(songs) >= 2 and 2 * counts.max() <= len(songs)


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
  if not can_exchange(songs):
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
