"""The genres of the band: one file per genre, with one table each.

To add one, write a file like the others, and add its name to
`categories.GENRES`.
"""

import importlib

from stemgen_jax import categories
from stemgen_jax.data.sources.band.genre import Genre

# Name -> genre, of every genre of the band.
BOOK: dict[str, Genre] = {
  name: importlib.import_module(f"{__name__}.{name}").GENRE
  for name in categories.GENRES
  if name != "other"
}
