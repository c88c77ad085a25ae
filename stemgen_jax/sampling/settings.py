"""How a take is sampled: steps, ranking, guidance. Presets by name."""

import dataclasses
from collections.abc import Mapping

RANKS = ("paper", "gumbel")
GUIDANCE_FORMS = ("paper", "nested")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
  """Numbers and choices of the masked sampling (StemGen, section 2.3).

  Changing a number never compiles the decoding program anew; changing `rank`
  or the number of guidance branches does.

  Attributes:
    steps: sampling steps per level, coarse to fine, each at least 1; levels
      beyond the last entry use the last entry.
    rank: which candidates stay. "paper" is eq. 1; "gumbel" is VampNet's
      log p + annealed Gumbel noise.
    w_confidence: eq. 1, weight of the candidate's probability.
    w_causal: eq. 1, weight of being early in the window.
    w_random: eq. 1, weight of a uniform random number.
    rank_temperature: noise of rank "gumbel" at the first step of each level,
      falling linearly to 0; as `steps` where entries are missing.
    guidance_form: "paper" is eq. 3, each source against nothing; "nested"
      adds one source after the other, the context last.
    guidance: one scale for "context" and for each condition of the model.
    temperature: of the candidates' distribution, above 0; 1 leaves it as is.

  Raises:
    ValueError: a value outside the range given here.
  """

  steps: tuple[int, ...] = (16, 8, 8, 4)
  rank: str = "paper"
  w_confidence: float = 0.1
  w_causal: float = 0.1
  w_random: float = 1.0
  rank_temperature: tuple[float, ...] = (8.0, 8.0, 4.0, 4.0)
  guidance_form: str = "paper"
  guidance: Mapping[str, float] = dataclasses.field(
    default_factory=lambda: {"context": 3.0, "category": 3.0}
  )
  temperature: float = 1.0

  def __post_init__(self):
    if not self.steps or any(steps < 1 for steps in self.steps):
      raise ValueError(
        f"steps {self.steps}: give at least one step for each level, "
        "such as (16, 8, 8, 4)"
      )
    if self.rank not in RANKS:
      raise ValueError(
        f"rank {self.rank!r}: expected one of {', '.join(RANKS)}"
      )
    if self.guidance_form not in GUIDANCE_FORMS:
      raise ValueError(
        f"guidance_form {self.guidance_form!r}: expected one of "
        f"{', '.join(GUIDANCE_FORMS)}"
      )
    if not self.rank_temperature or min(self.rank_temperature) < 0:
      raise ValueError(
        f"rank_temperature {self.rank_temperature}: give one number of 0 "
        "or more for each level"
      )
    if self.temperature <= 0:
      raise ValueError(
        f"temperature {self.temperature}: it must be above 0; 1 samples "
        "the model's own probabilities"
      )

  def steps_at(self, level: int) -> int:
    """Steps of a level (0 is the coarsest)."""
    return self.steps[min(level, len(self.steps) - 1)]

  def rank_temperature_at(self, level: int) -> float:
    """First noise temperature of rank "gumbel" at a level."""
    return self.rank_temperature[min(level, len(self.rank_temperature) - 1)]


PRESETS = {
  "default": Settings(),
  # All of the paper's numbers, so that other defaults do not change them.
  "paper": Settings(
    steps=(128, 64, 32, 32),
    rank="paper",
    w_confidence=0.1,
    w_causal=0.1,
    w_random=1.0,
    guidance_form="paper",
    guidance={"context": 3.0, "category": 3.0},
    temperature=1.0,
  ),
}


def preset(name: str) -> Settings:
  """Settings by name: "default", or "paper" with exactly the paper's numbers.

  Raises:
    ValueError: no preset has this name.
  """
  if name not in PRESETS:
    raise ValueError(
      f"no settings are called {name!r}: expected one of {', '.join(PRESETS)}"
    )
  return PRESETS[name]
