"""Engines with a codec that is plain PCM."""

from pcm_model import params, sampler, tiny

__all__ = ["params", "sampler", "tiny"]
