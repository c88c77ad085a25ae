"""Export a session for other programs: wav files, DAWproject, REAPER."""

from stemgen_jax.session.export.files import export as export

__all__ = ["export"]
