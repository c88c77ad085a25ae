"""Reproduce tables 1 and 2 of the paper with a quarter of its steps.

Command:
  stemgen-jax evaluate --what=decoding --grid=configs/paper_decoding.py \\
    --seconds=5 --mirdd --out=out/paper_decoding
Hardware: two threads of one CPU core.
Wall time: not recorded; 1296 takes of 5 s (9 settings, 48 examples, 3 seeds).
Result: the table in configs/README.md, "The paper's tables".

"both" has all parameters of the paper except the steps. It is the paper's best
setting and also the row with causal bias 0.1 of table 2. The paper does not
define "none": eq. 3 at (1, 1) multiplies the predictions from audio and
instrument alone; "none, joint" is the model's own prediction from both, at a
third of the passes. "naive" has neither guidance nor causal bias.
configs/paper_decoding_whole.py evaluates "both" and "naive" with the paper's
own steps.
"""

import dataclasses

from stemgen_jax.sampling import PRESETS, Settings

STEPS = (32, 16, 8, 8)  # per level, coarse to fine; the paper: 4 times


def guided(steps: tuple[int, ...], audio: float, instrument: float) -> Settings:
  """Return the paper's settings with other steps and guidance scales."""
  return dataclasses.replace(
    PRESETS["paper"],
    steps=steps,
    guidance={"context": audio, "category": instrument},
  )


def naive(steps: tuple[int, ...]) -> Settings:
  """Return settings without guidance and causal bias."""
  return dataclasses.replace(guided(steps, 1.0, 1.0), w_causal=0.0)


def get_settings() -> dict[str, Settings]:
  """Return the settings by name, one per row of the tables."""
  best, none = guided(STEPS, 3.0, 3.0), guided(STEPS, 1.0, 1.0)
  return {
    "both": best,
    "audio only": guided(STEPS, 3.0, 1.0),
    "instrument only": guided(STEPS, 1.0, 3.0),
    "none": none,
    "none, joint": dataclasses.replace(none, guidance_form="nested"),
    "bias 0": dataclasses.replace(best, w_causal=0.0),
    "bias 0.2": dataclasses.replace(best, w_causal=0.2),
    "bias 0.5": dataclasses.replace(best, w_causal=0.5),
    "naive": naive(STEPS),
  }
