"""Settings of the sampling: steps, ranks, guidance; presets by name."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from stemgen_jax.model.config import SCALES

SCALE_STEPS = 4
"""Steps for the scales of a window, which has few segments."""

SEEDS = 2**32
"""Number of seeds: the keys of the decoder are made from uint32."""

RANKS = ("paper", "gumbel", "random", "low_discrepancy")
SCHEDULES = ("cosine", "linear", "square", "root")
GUIDANCE_FORMS = ("paper", "nested")

PerLevel = float | tuple[float, ...]
"""One number for all levels, or one per level, coarse to fine.

Levels beyond the last entry use the last entry.
"""


def at_level(value: Any, level: int) -> Any:
  """Return the entry of a `PerLevel` for a level (0 is the coarsest).

  Scales take that of level 0.
  """
  if not isinstance(value, tuple | list):
    return value
  return value[min(max(level, 0), len(value) - 1)]


def _entries(value: Any) -> tuple | list:
  return value if isinstance(value, tuple | list) else (value,)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
  """Numbers and choices of the masked sampling (StemGen, section 2.3).

  A change of a number needs no new compilation. A change of `rank`, of
  `schedule`, of the number of guidance branches, or of whether there is a
  top-k, a top-p or an interval does.

  Attributes:
    steps: sampling steps per level, coarse to fine, each at least 1; levels
      beyond the last entry use the last entry.
    schedule: share of frames still masked after the share u of the steps:
      "cosine" cos(pi u / 2), "linear" 1 - u, "square" 1 - u^2 or "root"
      1 - sqrt(u).
    rank: order in which candidates are kept. "paper" is eq. 1; "gumbel" is
      VampNet's log p + annealed Gumbel noise; "random" is uniform;
      "low_discrepancy" is evenly spaced in time.
    w_confidence: eq. 1, weight of the candidate's probability.
    w_causal: eq. 1, weight of early frames in the window.
    w_random: eq. 1, weight of a uniform random number.
    rank_temperature: PerLevel, noise of rank "gumbel", 0 to 1e6; falls linearly
      over the steps of a level, to 0 at the last.
    guidance_form: "paper" is eq. 3, each source alone against none; "nested"
      adds one source after the other, the context last.
    guidance: PerLevel scales, for "context" and each condition of the model.
    guidance_interval: guided part of each level's steps, from and to, 0 to 1;
      other steps take the plain prediction from all sources, in one pass
      instead of one per branch.
    guidance_ramp: strength of the guidance at the first and the last step of
      each level, linear in between: 0 is the plain prediction from all
      sources, 1 the scales as given.
    temperature: PerLevel, temperature of the candidates' distribution, 1e-6 to
      1e6; 1 leaves it unchanged.
    top_k: PerLevel, number of most likely codes to draw from; 0 for all.
    top_p: PerLevel, draw from the fewest most likely codes that have this
      probability together, above 0; 1 for all.

  Raises:
    ValueError: a value is out of range.
  """

  steps: tuple[int, ...] = (12, 6, 3, 3)
  schedule: str = "cosine"
  rank: str = "gumbel"
  w_confidence: float = 0.1
  w_causal: float = 0.1
  w_random: float = 1.0
  rank_temperature: PerLevel = (8.0, 8.0, 4.0, 4.0)
  guidance_form: str = "nested"
  guidance: Mapping[str, PerLevel] = dataclasses.field(
    default_factory=lambda: {"context": 2.5, "category": 1.0}
  )
  guidance_interval: tuple[float, float] = (0.0, 1.0)
  guidance_ramp: tuple[float, float] = (1.0, 1.0)
  temperature: PerLevel = 1.0
  top_k: int | tuple[int, ...] = 0
  top_p: PerLevel = 1.0

  def __post_init__(self):
    def require(name: str, valid: object, expected: str) -> None:
      if not valid:
        value = getattr(self, name)
        raise ValueError(f"{name} {value!r}: expected {expected}")

    require(
      "steps",
      isinstance(self.steps, tuple | list)
      and self.steps
      and all(x >= 1 and float(x).is_integer() for x in self.steps),
      "whole numbers of at least 1, one per level, such as (16, 8, 8, 4)",
    )
    for name, choices in (
      ("schedule", SCHEDULES),
      ("rank", RANKS),
      ("guidance_form", GUIDANCE_FORMS),
    ):
      require(
        name, getattr(self, name) in choices, f"one of {', '.join(choices)}"
      )
    for name, is_valid, expected in (
      ("rank_temperature", lambda x: 0 <= x <= 1e6, "0 to 1e6"),
      ("temperature", lambda x: 1e-6 <= x <= 1e6, "1e-6 to 1e6"),
      ("top_k", lambda x: x >= 0 and x == int(x), "a whole number, 0 for all"),
      ("top_p", lambda x: 0 < x <= 1, "above 0 and at most 1"),
    ):
      entries = _entries(getattr(self, name))
      valid = entries and all(map(is_valid, entries))
      require(name, valid, f"{expected}; one number or one per level")
    for name in ("guidance_interval", "guidance_ramp"):
      two = np.shape(getattr(self, name)) == (2,)
      require(name, two, "two numbers, such as (0.0, 1.0)")
    for name in ("w_confidence", "w_causal", "w_random", "guidance_ramp"):
      require(name, np.isfinite(getattr(self, name)).all(), "finite")
    for source, scale in self.guidance.items():
      if not np.size(scale) or not np.isfinite(scale).all():
        raise ValueError(
          f"guidance of {source} {scale}: expected finite; one number or one "
          "per level"
        )
    # An empty interval would be guidance that has no effect.
    low, high = self.guidance_interval
    require("guidance_interval", 0 <= low < high <= 1, "from and to, 0 to 1")

  @property
  def truncated(self) -> bool:
    """True if any level has a top-k or a top-p."""
    return any(_entries(self.top_k)) or min(_entries(self.top_p)) < 1

  def steps_at(self, level: int) -> int:
    """Return the steps of a level (0 is the coarsest), or of `SCALES`."""
    return SCALE_STEPS if level == SCALES else at_level(self.steps, level)


PRESETS = {
  # The best of our ablation, see configs/README.md.
  "default": Settings(guidance_ramp=(2.0, 0.0)),
  # Guidance changes the finest levels little: one step of one pass each.
  "fast": Settings(
    steps=(4, 2, 1, 1),
    guidance={"context": (2.5, 2.5, 1.0, 1.0), "category": 1.0},
    guidance_ramp=(2.0, 0.0),
  ),
  # All numbers are stated, so that a new default does not change them.
  "paper": Settings(
    steps=(128, 64, 32, 32),
    schedule="cosine",
    rank="paper",
    w_confidence=0.1,
    w_causal=0.1,
    w_random=1.0,
    guidance_form="paper",
    guidance={"context": 3.0, "category": 3.0},
    guidance_interval=(0.0, 1.0),
    guidance_ramp=(1.0, 1.0),
    temperature=1.0,
    top_k=0,
    top_p=1.0,
  ),
}


def preset(name: str) -> Settings:
  """Return settings by name.

  "paper" has exactly the paper's numbers; "default" was best in our ablation
  (configs/README.md) and takes 44 passes of the model; "fast" takes 12, at
  which the ablation found no significant loss of tempo or harmony.

  Raises:
    ValueError: no preset has this name.
  """
  if name not in PRESETS:
    raise ValueError(
      f"unknown preset {name!r}: expected one of {', '.join(PRESETS)}"
    )
  return PRESETS[name]
