"""The paper's best and naive decoding at its own 128/64/32/32 steps.

  stemgen-jax evaluate --what=decoding --grid=configs/paper_decoding_whole.py \\
    --seconds=5 --examples=32 --seeds=1 --mirdd --out=out/paper_decoding_whole
"""

import dataclasses

from stemgen_jax.sampling import PRESETS, Settings


def get_settings() -> dict[str, Settings]:
  """The paper's settings, and the same without guidance and causal bias."""
  paper = PRESETS["paper"]
  naive = dataclasses.replace(
    paper, w_causal=0.0, guidance={"context": 1.0, "category": 1.0}
  )
  return {"paper": paper, "naive": naive}
