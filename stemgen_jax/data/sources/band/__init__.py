"""The band, a source of songs that it writes and renders itself.

A song is a function of (seed, number). `writer.write` draws its genre, tempo,
key, form and chords, and `players` play the genre's grooves over them;
`render` turns a part into audio, in mono or at its place on a `stage`. To add
a genre, add a file in `genres/`.

Licences: the scores are this project's (Apache-2.0). Audio is rendered with
tinysoundfont (MIT) from the soundfont that pretty_midi ships (TimGM6mb.sf2,
GPL-2) or any other General MIDI soundfont.
"""

from stemgen_jax.data.sources.band.render import render
from stemgen_jax.data.sources.band.score import Chord, Note, Part, Score
from stemgen_jax.data.sources.band.source import Band, StereoBand
from stemgen_jax.data.sources.band.style import Style
from stemgen_jax.data.sources.soundfont import default_soundfont

__all__ = [
  "Band",
  "Chord",
  "Note",
  "Part",
  "Score",
  "StereoBand",
  "Style",
  "default_soundfont",
  "render",
]
