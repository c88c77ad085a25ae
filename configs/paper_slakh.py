"""Reproduce tables 1 and 2 of the paper: FAD and MIRDD on Slakh2100.

Command:
  stemgen-jax evaluate --what=decoding --grid=configs/paper_slakh.py \\
    --weights=slakh.safetensors --data=data/slakh \\
    --vggish=vggish-10086976.pth --out=out/paper_slakh
Hardware: one GPU of 80 GB with 16 CPU cores, see configs/reproduce.md.
Wall time: about 5 hours on an A100, 6 for the figures; estimated, not measured.
Result: not run with weights of configs/slakh.py so far; with the demo weights
  the tables in configs/README.md, "The paper's tables".

400 examples of 20 s at 128/64/32/32 steps, once each, as in the paper. "both",
with all of its parameters, is the best row of table 1 and the row with causal
bias 0.1 of table 2. "naive" has neither guidance nor causal bias.

The paper leaves two points open, and both readings are rows. "none" is eq. 3 at
(1, 1), which multiplies the predictions from audio and instrument alone; "none
joint" is the model's own prediction from both, at a third of the passes. The
guidance scales are 3, or in rows "drawn" uniform for each example, above 1 and
at most 4.

FAD with VGGish needs --vggish. MIRDD depends on its extractors, so the last row
of the table, real mixes against other real ones, is the scale to compare with.
"""

import dataclasses
from typing import Any

from stemgen_jax.evaluation.studies.grid import Drawn
from stemgen_jax.sampling import PRESETS, Settings

DRAWN = (1.0, 4.0)  # above the first, at most the second


def guided(audio: float, instrument: float) -> Settings:
  """Return the paper's settings with other guidance scales."""
  guidance = {"context": audio, "category": instrument}
  return dataclasses.replace(PRESETS["paper"], guidance=guidance)


def get_settings() -> dict[str, Settings | Drawn]:
  """Return the settings by name, one per row of the tables."""
  best, none = guided(3.0, 3.0), guided(1.0, 1.0)
  both = {"context": DRAWN, "category": DRAWN}
  return {
    "both": best,
    "audio only": guided(3.0, 1.0),
    "instrument only": guided(1.0, 3.0),
    "none": none,
    "none joint": dataclasses.replace(none, guidance_form="nested"),
    "both drawn": Drawn(settings=none, guidance=both),
    "audio drawn": Drawn(settings=none, guidance={"context": DRAWN}),
    "instrument drawn": Drawn(settings=none, guidance={"category": DRAWN}),
    "bias 0": dataclasses.replace(best, w_causal=0.0),
    "bias 0.2": dataclasses.replace(best, w_causal=0.2),
    "bias 0.5": dataclasses.replace(best, w_causal=0.5),
    "naive": dataclasses.replace(none, w_causal=0.0),
  }


def get_options() -> dict[str, Any]:
  """Return the paper's protocol: values of flags that are not given."""
  return {"examples": 400, "seconds": 20.0, "seeds": 1, "mirdd": True}
