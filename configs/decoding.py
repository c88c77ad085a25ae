"""Compare 25 decoding settings of at most 48 passes per window.

Command:
  stemgen-jax evaluate --what=decoding --grid=configs/decoding.py --seconds=5 \\
    --out=out/decoding
Hardware: two threads of one CPU core.
Wall time: not recorded (estimated beforehand: 4 hours); 3600 takes of 5 s, from
  25 settings, 48 examples and 3 seeds.
Result: the table in configs/README.md, which the presets are based on.

All settings are variations of "base", mostly of one parameter at a time: the
rank, the guidance, the steps at which guidance is applied, the number of steps,
the temperature.
"""

import dataclasses

from stemgen_jax.sampling import Settings

BASE = Settings(
  steps=(12, 6, 3, 3),
  schedule="cosine",
  rank="gumbel",
  rank_temperature=(8.0, 8.0, 4.0, 4.0),
  guidance_form="nested",
  guidance={"context": 2.5, "category": 1.0},
  temperature=1.0,
)


def get_settings() -> dict[str, Settings]:
  """Return the settings by name; the others are compared with "base"."""

  def base(**changes) -> Settings:
    return dataclasses.replace(BASE, **changes)

  def context(*scales: float, category: float = 1.0) -> dict:
    return {"guidance": {"context": scales, "category": category}}

  found = {
    "base": base(),
    # Steps per level; the context is not guided at levels with one step.
    "8 3 1 1": base(steps=(8, 3, 1, 1), **context(2.5, 2.5, 1.0)),
    "4 2 1 1": base(steps=(4, 2, 1, 1), **context(2.5, 2.5, 1.0)),
    "4 1 1 1": base(steps=(4, 1, 1, 1), **context(2.5, 1.0)),
    "2 1 1 1": base(steps=(2, 1, 1, 1), **context(2.5, 1.0)),
    "8 1 1 1": base(steps=(8, 1, 1, 1), **context(2.5, 1.0)),
    "16 4 1 1": base(steps=(16, 4, 1, 1), **context(2.5, 2.5, 1.0)),
    "low discrepancy 8 3 1 1": base(
      rank="low_discrepancy", steps=(8, 3, 1, 1), **context(2.5, 2.5, 1.0)
    ),
    # Rank.
    "eq. 1": base(rank="paper"),
    "random": base(rank="random"),
    "low discrepancy": base(rank="low_discrepancy"),
    "gumbel 1": base(rank_temperature=1.0),
    "gumbel 20": base(rank_temperature=20.0),
    # Guidance: scale and form.
    "unguided": base(**context(1.0)),
    "guidance 1.5": base(**context(1.5)),
    "guidance 4": base(**context(4.0)),
    "eq. 3 3 3": base(
      steps=(8, 4, 2, 2), guidance_form="paper", **context(3.0, category=3.0)
    ),
    "nested both 2.5": base(steps=(8, 4, 2, 2), **context(2.5, category=2.5)),
    # Guidance: strength over the steps of a level.
    "falling": base(guidance_ramp=(2.0, 0.0)),
    "rising": base(guidance_ramp=(0.0, 2.0)),
    "first half": base(steps=(16, 8, 4, 4), guidance_interval=(0.0, 0.5)),
    "falling 4 2 1 1": base(
      steps=(4, 2, 1, 1), guidance_ramp=(2.0, 0.0), **context(2.5, 2.5, 1.0)
    ),
    "falling 8 3 1 1": base(
      steps=(8, 3, 1, 1), guidance_ramp=(2.0, 0.0), **context(2.5, 2.5, 1.0)
    ),
    # Sharpness of the distribution.
    "temperature 0.8": base(temperature=0.8),
    "top-p 0.9": base(top_p=0.9),
  }
  return found
