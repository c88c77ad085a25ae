"""Sessions: build a song layer by layer; see README.md."""

from stemgen_jax.session.session import Session
from stemgen_jax.session.song import Clip, Layer, Part, Song

__all__ = ["Clip", "Layer", "Part", "Session", "Song"]
