"""The genres of the band: one file per genre, with one table each.

To add one, write a file like the others, list it here, and add its name to
`categories.GENRES`.
"""

from stemgen_jax.data.sources.band.genre import Genre
from stemgen_jax.data.sources.band.genres import (
  ambient,
  bossa_nova,
  electronic,
  folk,
  funk,
  hip_hop,
  jazz,
  lofi,
  pop,
  reggae,
  rock,
  techno,
)

# Name -> genre, of every genre of the band.
BOOK: dict[str, Genre] = {
  module.GENRE.name: module.GENRE
  for module in (
    lofi,
    techno,
    electronic,
    hip_hop,
    pop,
    rock,
    funk,
    jazz,
    bossa_nova,
    reggae,
    folk,
    ambient,
  )
}
