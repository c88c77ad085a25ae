"""The ablations of the paper's tables 1 and 2, at a quarter of its steps.

  stemgen-jax evaluate --what=decoding --grid=configs/paper_decoding.py \\
    --seconds=5 --out=out/paper_decoding

"both", which is also table 2's bias 0.1, has all of the paper's numbers but
the steps, and is its best; "naive" has neither guidance nor causal bias.
configs/paper_decoding_whole.py has these two at the paper's own steps.
"""

import dataclasses

from stemgen_jax.sampling import PRESETS, Settings

STEPS = (32, 16, 8, 8)


def guided(steps: tuple[int, ...], audio: float, instrument: float) -> Settings:
  """The paper's settings with other steps and scales."""
  return dataclasses.replace(
    PRESETS["paper"],
    steps=steps,
    guidance={"context": audio, "category": instrument},
  )


def naive(steps: tuple[int, ...]) -> Settings:
  """Neither guidance nor causal bias."""
  return dataclasses.replace(guided(steps, 1.0, 1.0), w_causal=0.0)


def get_settings() -> dict[str, Settings]:
  """By name, as the rows of the tables are called."""
  best = guided(STEPS, 3.0, 3.0)
  return {
    "both": best,
    "audio only": guided(STEPS, 3.0, 1.0),
    "instrument only": guided(STEPS, 1.0, 3.0),
    "none": guided(STEPS, 1.0, 1.0),
    "bias 0": dataclasses.replace(best, w_causal=0.0),
    "bias 0.2": dataclasses.replace(best, w_causal=0.2),
    "bias 0.5": dataclasses.replace(best, w_causal=0.5),
    "naive": naive(STEPS),
  }
