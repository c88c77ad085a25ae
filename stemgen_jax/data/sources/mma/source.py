"""Songs that `mma` performs, in a folder of MIDI files."""

import dataclasses
import pathlib
from collections.abc import Iterator

from stemgen_jax import disk, progress
from stemgen_jax.data import songs
from stemgen_jax.data.sources import band, multitracks, soundfont
from stemgen_jax.data.sources.band.source import FIRST
from stemgen_jax.data.sources.midi import Midi, StereoMidi
from stemgen_jax.data.sources.mma import styles, writer


@dataclasses.dataclass(frozen=True)
class Mma:
  """Songs of any number in the styles of the installed `mma`: a `songs.Songs`.

  A song is a function of seed, number and seconds, and of the version of `mma`.
  It is written to `root` when songs are listed for the first time; later on
  `mma` is not needed. `Midi` renders it.

  Attributes:
    root: folder of the MIDI files, made if it does not exist.
    seed: seed of the songs.
    train, valid, test: number of songs of each split.
    seconds: least length of a song, 2 to 3600 seconds; it ends with a bar.
    soundfonts: see `Midi`.
    sample_rate: sample rate of the rendered stems in Hz.
    channels: 1, or 2 for the width and the room of a `stage`.
    name: name of the data set.

  Raises:
    ValueError: `root` is empty, or a number is out of range.
    NotADirectoryError: `root` is a file.
    FileNotFoundError: no such soundfont.
  """

  root: str
  seed: int = 0
  train: int = 2000
  valid: int = 100
  test: int = 100
  seconds: float = 30.0
  soundfonts: tuple[str, ...] = ()
  sample_rate: int = 48_000
  channels: int = 1
  name: str = "mma"

  def __post_init__(self):
    if not self.root or pathlib.Path(self.root).exists():
      multitracks.check_root(self.root, "the MIDI files that mma writes")
    for path in self.soundfonts:
      soundfont.check(path)
    if self.channels not in (1, 2):
      raise ValueError(f"channels is {self.channels}, expected 1 or 2")
    self._band()  # raises if a number is out of range

  def songs(self) -> Iterator[songs.Song]:
    """Yield all songs, split by split; write those that are missing.

    Raises:
      FileNotFoundError: songs are missing, and `mma` is not installed.
      ValueError: it does not write songs.
      OSError: the folder cannot be written.
    """
    paths = self._paths()
    kind = StereoMidi if self.channels == 2 else Midi
    midi = kind(self.root, self.soundfonts, self.sample_rate)
    for path in paths:
      # "000012_stdlib_bossanova.mid"
      genre = styles.genre_of(path.stem.replace("_", "/", 2))
      yield dataclasses.replace(
        midi.song(path), split=path.parent.name, genre=genre
      )

  def _band(self) -> band.Band:
    """Return the band with the same numbers of songs."""
    return band.Band(
      seed=self.seed,
      train=self.train,
      valid=self.valid,
      test=self.test,
      seconds=self.seconds,
      sample_rate=self.sample_rate,
    )

  def _paths(self) -> list[pathlib.Path]:
    """Return the files of all songs, after writing those that are missing."""
    folder = pathlib.Path(self.root) / f"seed{self.seed}_{self.seconds:g}s"
    numbers = [(x, n) for x in FIRST for n in self._band().numbers(x)]
    known = {path.name[:6]: path for path in folder.glob("*/*.mid")}
    missing = [x for x in numbers if f"{x[1]:06d}" not in known]
    if missing:
      library = styles.installed()
      for split, number in progress.bar(missing, desc="mma", unit="song"):
        style, content = writer.write(library, self.seed, number, self.seconds)
        name = f"{number:06d}_{style.name.replace('/', '_')}.mid"
        path = known[name[:6]] = folder / split / name
        with disk.replacing(path) as file:
          file.write(content)
    return [known[f"{number:06d}"] for _, number in numbers]
