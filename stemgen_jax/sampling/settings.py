"""How a take is sampled: steps, ranking, guidance. Presets by name."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

RANKS = ("paper", "gumbel", "random", "low_discrepancy")
SCHEDULES = ("cosine", "linear", "square", "root")
GUIDANCE_FORMS = ("paper", "nested")

PerLevel = float | tuple[float, ...]
"""One number for all levels, or one for each, coarse to fine.

Levels beyond the last entry use the last entry.
"""


def at_level(value: Any, level: int) -> Any:
  """The entry of a `PerLevel` for a level (0 is the coarsest)."""
  if not isinstance(value, tuple | list):
    return value
  return value[min(level, len(value) - 1)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
  """Numbers and choices of the masked sampling (StemGen, section 2.3).

  Changing a number never compiles the decoding program anew; changing `rank`,
  `schedule`, the number of guidance branches, or whether there is a top-k or
  top-p, or an interval, does. Where `PerLevel` is said, a tuple has one entry
  per level, coarse to fine.

  Attributes:
    steps: sampling steps per level, coarse to fine, each at least 1; levels
      beyond the last entry use the last entry.
    schedule: how fast frames are fixed; the share still masked after the
      share u of the steps is "cosine" cos(pi u / 2), "linear" 1 - u,
      "square" 1 - u^2 or "root" 1 - sqrt(u).
    rank: which candidates stay. "paper" is eq. 1; "gumbel" is VampNet's
      log p + annealed Gumbel noise; "random" takes any; "low_discrepancy"
      spreads them evenly over the frames, whatever they are.
    w_confidence: eq. 1, weight of the candidate's probability.
    w_causal: eq. 1, weight of being early in the window.
    w_random: eq. 1, weight of a uniform random number.
    rank_temperature: PerLevel, noise of rank "gumbel", 0 to 1e6; falls linearly
      over the steps of a level, to 0 at the last.
    guidance_form: "paper" is eq. 3, each source against nothing; "nested"
      adds one source after the other, the context last.
    guidance: for "context" and for each condition of the model a scale,
      PerLevel.
    guidance_interval: the part of each level's steps that is guided, from and
      to, 0 to 1; the others take the plain prediction from all sources, which
      is one pass instead of one for each branch.
    guidance_ramp: strength of the guidance at the first and the last step of
      each level, linear between: 0 is the plain prediction from all sources,
      1 the scales as given.
    temperature: PerLevel, of the candidates' distribution, 1e-6 to 1e6; 1
      leaves it as is.
    top_k: PerLevel, candidates come from so many likeliest codes; 0 for all.
    top_p: PerLevel, candidates come from the fewest likeliest codes that hold
      this much probability, above 0; 1 for all.

  Raises:
    ValueError: a value outside the range given here.
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
    if (
      not isinstance(self.steps, tuple | list)
      or not self.steps
      or not all(x >= 1 and float(x).is_integer() for x in self.steps)
    ):
      raise ValueError(
        f"steps {self.steps}: expected whole numbers of at least 1, one per "
        "level, such as (16, 8, 8, 4)"
      )
    for name, choices in (
      ("schedule", SCHEDULES),
      ("rank", RANKS),
      ("guidance_form", GUIDANCE_FORMS),
    ):
      if getattr(self, name) not in choices:
        raise ValueError(
          f"{name} {getattr(self, name)!r}: expected one of "
          f"{', '.join(choices)}"
        )
    for name, lawful, expected in (
      ("rank_temperature", lambda x: 0 <= x <= 1e6, "0 to 1e6"),
      ("temperature", lambda x: 1e-6 <= x <= 1e6, "1e-6 to 1e6"),
      ("top_k", lambda x: x >= 0 and x == int(x), "a whole number, 0 for all"),
      ("top_p", lambda x: 0 < x <= 1, "above 0 and at most 1"),
    ):
      value = getattr(self, name)
      entries = value if isinstance(value, tuple | list) else (value,)
      if not entries or not all(lawful(entry) for entry in entries):
        raise ValueError(
          f"{name} {value}: expected {expected}, one number or one per level"
        )
    for name in ("guidance_interval", "guidance_ramp"):
      if np.shape(getattr(self, name)) != (2,):
        raise ValueError(
          f"{name} {getattr(self, name)}: expected two numbers, such as "
          "(0.0, 1.0)"
        )
    for name in ("w_confidence", "w_causal", "w_random", "guidance_ramp"):
      if not np.isfinite(getattr(self, name)).all():
        raise ValueError(f"{name} {getattr(self, name)}: expected finite")
    for source, scale in self.guidance.items():
      if not np.size(scale) or not np.isfinite(scale).all():
        raise ValueError(
          f"guidance of {source} {scale}: expected finite numbers, one or one "
          "per level"
        )
    low, high = self.guidance_interval
    if not 0 <= low < high <= 1:
      raise ValueError(
        f"guidance_interval {self.guidance_interval}: expected from and to, "
        "0 to 1"
      )

  @property
  def truncated(self) -> bool:
    """Whether any level has a top-k or a top-p."""

    def entries(value):
      return value if isinstance(value, tuple | list) else (value,)

    return any(entries(self.top_k)) or min(entries(self.top_p)) < 1

  def steps_at(self, level: int) -> int:
    """Steps of a level (0 is the coarsest)."""
    return at_level(self.steps, level)


PRESETS = {
  "default": Settings(guidance_ramp=(2.0, 0.0)),
  # The finest levels, where guidance changes little, take one pass.
  "fast": Settings(
    steps=(4, 2, 1, 1),
    guidance={"context": (2.5, 2.5, 1.0, 1.0), "category": 1.0},
    guidance_ramp=(2.0, 0.0),
  ),
  # All of the paper's numbers, so that other defaults do not change them.
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
  """Settings by name.

  "paper" has exactly the paper's numbers; "default" is what our ablation found
  best (configs/README.md, 44 passes of the model); "fast" takes 12, with
  which it could show no loss of rhythm or harmony.

  Raises:
    ValueError: no preset has this name.
  """
  if name not in PRESETS:
    raise ValueError(
      f"no settings are called {name!r}: expected one of {', '.join(PRESETS)}"
    )
  return PRESETS[name]
