"""Songs of accompaniment styles, which the program `mma` performs.

`styles` lists what the installed `mma` has, `writer` draws a song and lets
`mma` write it as a MIDI file, and `source` passes the files to the MIDI source.

Licences: `mma` and its styles are GPL-2.0-or-later. It is run as a program; no
part of it, and no song that it writes, is part of this package.
"""

from stemgen_jax.data.sources.mma.source import Mma

__all__ = ["Mma"]
