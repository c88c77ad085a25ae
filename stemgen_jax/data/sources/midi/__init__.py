"""MIDI files as multitracks: one rendered stem per instrument.

`messages` reads a file within bounds, `score` turns it into notes, beats, keys
and chords, `performance` renders an instrument, and `source` lists a folder.
"""

from stemgen_jax.data.sources.midi.score import Part, Score, read
from stemgen_jax.data.sources.midi.source import Midi, StereoMidi

__all__ = ["Midi", "Part", "Score", "StereoMidi", "read"]
