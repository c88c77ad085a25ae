"""The style of the band: the ranges that songs are drawn from."""

import dataclasses

from stemgen_jax import categories
from stemgen_jax.data.sources.band import genres, harmony, rhythm
from stemgen_jax.data.sources.band.genre import Genre


@dataclasses.dataclass(frozen=True)
class Style:
  """Ranges of songs; the default allows everything the band can play.

  Attributes:
    genres: names from `categories.GENRES`.
    keys: tonics from `harmony.KEYS`.
    modes: names from `harmony.MODES`.
    meters: names from `rhythm.METERS`.
    tempo: slowest and fastest, beats per minute.
    swing: whether to swing; False makes everything straight.
    categories: instruments that songs may have.
    programs: number of General MIDI programs (or drum kits) per category, the
      most typical first; None allows all programs of the genre.

  Raises:
    ValueError: an unknown name, or ranges that exclude every genre.
  """

  genres: tuple[str, ...] = tuple(genres.BOOK)
  keys: tuple[str, ...] = harmony.KEYS
  modes: tuple[str, ...] = tuple(harmony.MODES)
  meters: tuple[str, ...] = tuple(rhythm.METERS)
  tempo: tuple[float, float] = (70.0, 160.0)
  swing: bool = True
  categories: tuple[str, ...] = categories.CATEGORIES
  programs: int | None = None

  def __post_init__(self):
    for field, known in (
      ("genres", genres.BOOK),
      ("keys", harmony.KEYS),
      ("modes", harmony.MODES),
      ("meters", rhythm.METERS),
      ("categories", categories.CATEGORIES),
    ):
      unknown = [name for name in getattr(self, field) if name not in known]
      if unknown or not getattr(self, field):
        raise ValueError(
          f"style {field} {getattr(self, field)}: expected one or more of"
          f" {', '.join(known)}"
        )
    if not 0 < self.tempo[0] <= self.tempo[1]:
      raise ValueError(f"style tempo {self.tempo}: expected slowest, fastest")
    if self.programs is not None and self.programs < 1:
      raise ValueError(f"style programs {self.programs}: expected 1 or more")
    if not self.playable():
      raise ValueError(
        "no genre of this style plays in its tempo, meters and modes; widen"
        f" one of them: {self}"
      )

  def tempo_of(self, genre: Genre) -> tuple[float, float]:
    """Return a genre's slowest and fastest tempo; slowest > fastest if none."""
    return (
      max(self.tempo[0], genre.tempo[0]),
      min(self.tempo[1], genre.tempo[1]),
    )

  def progressions_of(self, genre: Genre) -> list[str]:
    """Return the genre's progressions in the style's modes."""
    return [
      line
      for family in genre.harmony
      for line in harmony.PROGRESSIONS[family]
      if harmony.mode_of(line) in self.modes
    ]

  def playable(self) -> tuple[str, ...]:
    """Return the names of the genres that this style does not exclude."""
    return tuple(filter(self._plays, self.genres))

  def _plays(self, name: str) -> bool:
    genre = genres.BOOK[name]
    slowest, fastest = self.tempo_of(genre)
    meters = set(genre.grooves) & set(self.meters)
    return bool(slowest <= fastest and meters and self.progressions_of(genre))
