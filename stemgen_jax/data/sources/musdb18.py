"""MUSDB18-HQ: 150 songs of four stems each, as wav files.

train/ and test/ hold a folder for each song, with bass.wav, drums.wav,
other.wav, vocals.wav and mixture.wav. Rafii et al., "MUSDB18-HQ - an
uncompressed version of MUSDB18", 2019, https://zenodo.org/records/3338373.
"""

import dataclasses
import pathlib
from collections.abc import Iterator

from stemgen_jax import categories
from stemgen_jax.data.songs import Song
from stemgen_jax.data.sources import multitracks

# Songs of train/ that are the usual validation split: the list of `musdb`.
VALID = frozenset(
  (
    "ANiMAL - Rockshow",
    "Actions - One Minute Smile",
    "Alexander Ross - Goodbye Bolero",
    "Clara Berry And Wooldog - Waltz For My Victims",
    "Fergessen - Nos Palpitants",
    "James May - On The Line",
    "Johnny Lokke - Promises & Lies",
    "Leaf - Summerghost",
    "Meaxic - Take A Step",
    "Patrick Talbot - A Reason To Leave",
    "Skelpolu - Human Mistakes",
    "Traffic Experiment - Sirens",
    "Triviul - Angelsaint",
    "Young Griffo - Pennies",
  )
)

_STEMS = ("bass", "drums", "other", "vocals")


@dataclasses.dataclass(frozen=True)
class Musdb18:
  """MUSDB18-HQ in a folder: a `songs.Songs`.

  Attributes:
    root: folder of train/ and test/.
    vocals: whether vocals may be targets; they are always in contexts.
    name: name of the data set.

  Raises:
    ValueError: the folder holds something else.
    FileNotFoundError, NotADirectoryError: no such folder.
  """

  root: str
  vocals: bool = False
  name: str = "musdb18"

  def __post_init__(self):
    root = multitracks.check_root(self.root, "MUSDB18-HQ")
    if next(root.glob("t*/*.stem.mp4"), None):
      raise ValueError(
        f"--root={self.root} is MUSDB18 with .stem.mp4 files: expected "
        "MUSDB18-HQ, or these as wav (musdbconvert of the package musdb)"
      )
    if not any(root.glob("train/*/")) and not any(root.glob("test/*/")):
      raise ValueError(
        f"--root={self.root} holds no MUSDB18-HQ: expected train/ and test/ "
        "with a folder for each song"
      )

  def songs(self) -> Iterator[Song]:
    """Yield all songs, those of train/ first."""
    for part in ("train", "test"):
      parent = pathlib.Path(self.root, part)
      for folder in multitracks.folders(parent) if parent.is_dir() else ():
        stems = (
          multitracks.stem(
            name,
            categories.parse_category(name),
            [folder / f"{name}.wav"],
            target=self.vocals or name != "vocals",
          )
          for name in _STEMS
        )
        split = "valid" if part == "train" and folder.name in VALID else part
        mixture = [folder / "mixture.wav"]
        yield multitracks.song(folder.name, split, "other", stems, mixture)
