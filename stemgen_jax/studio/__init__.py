"""The studio: sessions over HTTP, and in the browser; see README.md."""

from stemgen_jax.studio.app import create_app
from stemgen_jax.studio.studio import Studio

__all__ = ["Studio", "create_app"]
