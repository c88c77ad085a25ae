"""Sampling: from the model's probabilities to codes."""

from stemgen_jax.sampling.decode import decode_codes as decode_codes
from stemgen_jax.sampling.settings import Settings as Settings
from stemgen_jax.sampling.settings import preset as preset
