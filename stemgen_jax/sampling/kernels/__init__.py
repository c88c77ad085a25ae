"""Candidates and ranks from the logits of a level, in one pass."""

from stemgen_jax.sampling.kernels.api import REFERENCE, Kernel, pick
from stemgen_jax.sampling.kernels.reference import Picks

__all__ = ["REFERENCE", "Kernel", "Picks", "pick"]
