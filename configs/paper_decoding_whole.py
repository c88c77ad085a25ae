"""Compare the paper's best and naive decoding at its own 128/64/32/32 steps.

Command:
  stemgen-jax evaluate --what=decoding --grid=configs/paper_decoding_whole.py \\
    --seconds=5 --examples=32 --seeds=1 --mirdd --out=out/paper_decoding_whole
Hardware: two threads of one CPU core.
Wall time: not recorded; 64 takes of 5 s with 768 passes per window.
Result: the last table in configs/README.md.
"""

import dataclasses

from stemgen_jax.sampling import PRESETS, Settings


def get_settings() -> dict[str, Settings]:
  """Return the paper's settings with and without guidance and bias."""
  paper = PRESETS["paper"]
  naive = dataclasses.replace(
    paper, w_causal=0.0, guidance={"context": 1.0, "category": 1.0}
  )
  return {"paper": paper, "naive": naive}
