"""Does the model use its context? Predictions from different contexts.

The codes of a real stem are masked, partly or wholly, and predicted from a
context: the stem's own, another song's, silence, or none (the learned null). A
model that uses the context predicts best from the true one. The figures with
all frames masked count most: otherwise a masked frame can be predicted from
its neighbours.
"""

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Shaped
from numpy.random import Generator

from stemgen_jax import categories, model, text_tables
from stemgen_jax.data.examples import Examples
from stemgen_jax.evaluation.metrics import intervals
from stemgen_jax.evaluation.subject import Subject
from stemgen_jax.model.config import SCALES

CONTEXTS = ("true", "shuffled", "silent", "null")


def run(subject: Subject) -> dict[str, Any]:
  """Measure the examples of a subject."""
  config, count = subject.weights.config, subject.options.examples
  return evaluate(subject, subject.coded_examples(config, count or 0))


def evaluate(subject: Subject, examples: Examples) -> dict[str, Any]:
  """Return what `listening` returns, with the source of the examples."""
  weights, options = subject.weights, subject.options
  return listening(weights, examples, seed=options.seed) | {
    "steps": weights.metadata.get("steps"),
    "data": options.data or "the examples in the package",
    "codec": examples.codec,
    "codec_checksum": examples.checksum,
  }


def listening(
  weights: model.Weights,
  examples: Examples,
  *,
  masked: Sequence[int] = (70, 100),
  batch: int = 8,
  seed: int = 0,
) -> dict[str, Any]:
  """Measure bits per masked frame under four contexts.

  At level 0, by share of masked frames and by category; and with all frames
  masked, at each level. Coarser levels are visible, finer ones masked, and the
  conditions are always given. All contexts of an example share its mask. `gain`
  is shuffled - true, `null_gain` null - true; `_low` to `_high` are their 95 %
  bootstrap intervals over songs, None for fewer than `intervals.FEWEST_SONGS`.

  Args:
    weights: parameters and configuration of the model.
    examples: codes of at least two songs, none with an empty context; their
      first `config.window` frames are used.
    masked: percentages of masked frames, 1 to 100.
    batch: number of examples per pass.
    seed: seed of masks, exchanged contexts and bootstrap.

  Returns:
    A dict for JSON: `examples`, `songs`, `window` in frames, `masked` with
    the figures by percentage, `categories` with `examples`, `songs` and the
    same of each, `levels` with the figures by level, from 0 on, and `summed`,
    those of the sum over the levels, also of each category.

  Raises:
    ValueError: the examples come from another codec than the model's, one song
      has more than half of them, or a likelihood is not finite.
  """
  config = weights.config
  # Codes of another codec would give meaningless figures.
  weights.check_codec(examples.codec, examples.checksum)
  examples = examples.with_scales(config.scale_frames).crop(config.window)
  n, t, _ = examples.target.shape
  batch = min(batch, n)  # fewer examples take less time
  rng = np.random.default_rng(seed)
  others = other_songs(examples.song, rng)
  given = examples.inputs(config.context)  # [n, t, q] or [n, t, bands]
  silence = np.broadcast_to(
    examples.silence_inputs(config.context), given.shape
  )
  contexts = {
    "true": given,
    "shuffled": given[others],
    "silent": silence,
    "null": silence,  # replaced by the null row in the model
  }
  conditions = {name: examples.condition(name) for name in config.conditions}
  predict = jax.jit(functools.partial(_bits, config), static_argnums=6)

  def bits(name: str, mask: np.ndarray, level: int = 0) -> np.ndarray:
    """Return bits per masked frame of each example, [n]."""
    found = []
    for first in range(0, n, batch):
      # Fill the last batch with the first rows, so that one shape compiles.
      rows = np.arange(first, first + batch) % n
      found.append(
        predict(
          weights.params,
          contexts[name][rows],
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
  everything = np.ones(n, bool)
  complete = None  # bits at level 0 with all frames masked
  for percent in masked:
    # Ranks of random numbers: exactly so many frames are masked in each row.
    order = rng.random((n, t)).argsort(axis=1).argsort(axis=1)
    mask = order < max(1, round(t * percent / 100))
    found = {name: bits(name, mask) for name in CONTEXTS}
    if mask.all():
      complete = found
    result["masked"][str(percent)] = _figures(found, everything, examples, rng)
    for number in np.unique(examples.category):
      # [n]: the examples of one instrument.
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
  everywhere = np.ones((n, t), bool)
  total = {name: np.zeros(n) for name in CONTEXTS}
  for level in range(config.levels):
    if level or complete is None:
      found = {name: bits(name, everywhere, level) for name in CONTEXTS}
    else:
      found = complete  # the same passes
    result["levels"][str(level)] = _figures(found, everything, examples, rng)
    total = {name: total[name] + found[name] for name in CONTEXTS}
  # By the chain rule, the bits of a whole frame.
  result["summed"] = _figures(total, everything, examples, rng)
  for number in np.unique(examples.category):
    rows = examples.category == number
    of_category = result["categories"][categories.CATEGORIES[number]]
    of_category["summed"] = _figures(total, rows, examples, rng)
  return result


def _figures(
  bits: dict[str, Float[np.ndarray, " n"]],
  rows: Bool[np.ndarray, " n"],
  examples: Examples,
  rng: Generator,
) -> dict[str, float | None]:
  """Return means over the rows, and gains of the true context."""
  figures: dict[str, float | None] = {
    name: round(float(bits[name][rows].mean()), 4) for name in CONTEXTS
  }
  songs = examples.song[rows]
  for gain, other in (("gain", "shuffled"), ("null_gain", "null")):
    gained = (bits[other] - bits["true"])[rows]
    if not np.isfinite(gained).all():
      raise ValueError(
        "weights: a likelihood of codes is not finite; the training diverged, "
        "take an earlier checkpoint"
      )
    found = intervals.mean(gained, intervals.draws(songs, rng))
    figures[gain] = found["mean"]
    figures |= {f"{gain}_{end}": found[end] for end in ("low", "high")}
  return figures


def _bits(
  config: model.ModelConfig,
  params: model.Params,
  context: Shaped[Array, "b t _"],
  target: Int[Array, "b t q"],
  conditions: dict[str, Int[Array, " b"]],
  mask: Bool[Array, "b t"],
  drop_context: Bool[Array, " b"],
  level: int,
) -> Float[Array, " b"]:
  """Return the mean negative log2-likelihood of a level's masked codes."""
  # Codes that the model sees: MASK, `config.codes`, except for coarser levels
  # and the visible frames of this level. [b, t, q]
  visible = jnp.full_like(target, config.codes)
  if config.scale_frames:  # known before level 0
    visible = visible.at[:, :, SCALES].set(target[:, :, SCALES])
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
  # Log-probability of the target's code at each frame.
  log_p = jnp.take_along_axis(  # of [b, t, v]
    jax.nn.log_softmax(logits), target[:, :, level : level + 1], axis=2
  )[:, :, 0]  # [b, t]
  # Mean over the masked frames only.
  nats = -jnp.sum(log_p, axis=1, where=mask) / mask.sum(axis=1)
  return nats / math.log(2)


def rows(result: Mapping[str, Any]) -> list[tuple[str, ...]]:
  """Return label, bits of each context, gain and null gain as cells."""
  found = {f"{share} % masked": x for share, x in result["masked"].items()}
  found |= {f"level {level}": x for level, x in result["levels"].items()}
  if "100 % masked" in found:
    del found["level 0"]  # the same figures
  # Results of earlier versions have no sums.
  parts = {"all": result, **result["categories"]}
  found |= {
    f"{name}, all levels": of["summed"]
    for name, of in parts.items()
    if "summed" in of
  }
  for name, of_category in result["categories"].items():
    if everything := of_category["masked"].get("100"):
      found[f"{name}, level 0"] = everything
  return [
    (
      label,
      *(f"{figures[name]:.2f}" for name in CONTEXTS),
      interval(figures, "gain"),
      interval(figures, "null_gain"),
    )
    for label, figures in found.items()
  ]


def table(result: Mapping[str, Any]) -> str:
  """Return the figures as text, with a verdict on the gain."""
  lines = [
    f"bits per masked frame, {result['examples']} examples of "
    f"{result['songs']} songs; levels and instruments with all masked",
    text_tables.aligned(
      rows(result), ("", *CONTEXTS, "gain", "gain over null"), gap=3
    ),
  ]
  low = result["masked"].get("100", {}).get("gain_low")
  if low is not None:
    lines.append(
      "The model uses its context."
      if low > 0
      else "Not shown to use its context."
    )
  return "\n".join(lines)


def interval(figures: Mapping[str, Any], gain: str) -> str:
  """Format "gain" or "null_gain" with its interval."""
  return intervals.text(
    *(figures[name] for name in (gain, f"{gain}_low", f"{gain}_high"))
  )


def can_exchange(songs: np.ndarray) -> bool:
  """Return whether every example can get the context of another song."""
  _, counts = np.unique(songs, return_counts=True)
  return len(songs) >= 2 and 2 * counts.max() <= len(songs)


def other_songs(songs: np.ndarray, rng: Generator) -> Int[np.ndarray, " n"]:
  """Draw for each example one of another song; each is drawn once.

  Raises:
    ValueError: one song has more than half of the examples.
  """
  names, song, counts = np.unique(
    songs, return_inverse=True, return_counts=True
  )
  n, most = len(songs), counts.max(initial=0)
  if not can_exchange(songs):
    raise ValueError(
      f"{n} examples of {len(names)} songs: {most} are of one song, so "
      "contexts cannot be exchanged between songs; give more --examples, or "
      "--data with more test songs"
    )
  # Sort by songs in random order, which gives one run per song; a shift by the
  # length of the longest run moves every example out of its own.
  order = np.lexsort((rng.random(n), rng.permutation(len(names))[song]))
  others = np.empty(n, int)
  others[order] = np.roll(order, most)
  return others
