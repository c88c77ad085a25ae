"""What the sources that read files have in common.

Every split is by song, and a song's split depends on nothing but its id, so
it stays where it is when others are added.
"""

import functools
import math
import pathlib
import zlib
from collections.abc import Iterable, Sequence

import numpy as np
import soundfile
from jaxtyping import Float32

from stemgen_jax import audio
from stemgen_jax.data.songs import Problem, Songs, Stem

SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".aif", ".aiff")
"""Of files that are taken for audio."""
VALID_SHARE = TEST_SHARE = 0.1
"""Of the songs of sources that come without splits."""


def check_root(root: str, what: str) -> pathlib.Path:
  """The folder of a data set.

  Raises:
    ValueError: none was named.
    FileNotFoundError, NotADirectoryError: there is no such folder.
  """
  if not root:
    raise ValueError(f"--root is missing: name the folder of {what}")
  path = pathlib.Path(root)
  if not path.exists():
    raise FileNotFoundError(f"--root={root}: no such folder")
  if not path.is_dir():
    raise NotADirectoryError(f"--root={root} is a file: expected a folder")
  return path


def folders(path: pathlib.Path) -> list[pathlib.Path]:
  """Subfolders by name, without hidden ones."""
  return sorted(p for p in path.iterdir() if p.is_dir() and p.name[0] != ".")


def audio_files(
  path: pathlib.Path, *, nested: bool = False
) -> list[pathlib.Path]:
  """Audio files in a folder but hidden ones; `nested`: in those within too.

  A link that leads nowhere is among them, so that it is named as missing.
  """
  found = path.rglob("*") if nested else path.iterdir()
  return sorted(
    p
    for p in found
    if p.suffix.lower() in SUFFIXES and p.name[0] != "." and not p.is_dir()
  )


def split_of(song_id: str) -> str:
  """The split of a song whose source has none: by its id alone."""
  place = zlib.crc32(song_id.encode()) / 2**32
  if place < VALID_SHARE:
    return "valid"
  return "test" if place < VALID_SHARE + TEST_SHARE else "train"


def stem(
  name: str,
  category: str,
  files: Iterable[pathlib.Path],
  *,
  target: bool = True,
  role: str = "",
) -> Stem | Problem:
  """A stem that is the sum of some files; a problem if one is not there."""
  files = tuple(files)
  missing = [file for file in files if not file.is_file()]
  if missing:
    return Problem("missing file", f"no such file: {missing[0]}", name)
  read = functools.partial(read_sum, files)
  return Stem(name, category, read, target, files, role)


def sorted_out(
  found: Iterable[Stem | Problem],
) -> tuple[tuple[Stem, ...], tuple[Problem, ...]]:
  """Stems and problems, each in their order."""
  found = tuple(found)
  return (
    tuple(one for one in found if isinstance(one, Stem)),
    tuple(one for one in found if isinstance(one, Problem)),
  )


def read_sum(files: Sequence[pathlib.Path]) -> audio.Audio:
  """The sum of files that begin together, in the highest of their rates.

  Raises:
    ValueError, OSError: one cannot be read.
  """
  sounds = [audio.read(file) for file in files]
  if len(sounds) == 1:
    return sounds[0]
  rate = max(sound.sample_rate for sound in sounds)
  channels = max(sound.channels for sound in sounds)
  parts = [convert(sound, rate, channels) for sound in sounds]
  length = max(map(len, parts))
  total = np.sum([audio.fit(part, length) for part in parts], axis=0)
  return audio.Audio(total.astype(np.float32), rate)


def longest_seconds(source: Songs, most: float) -> float:
  """Length of a source's longest song, or `most`, in whole seconds upwards.

  Read from the files' headers, and no further than to one of `most` seconds;
  files that cannot be read are passed over, and so are songs without files.
  """
  longest = 0.0
  for song in source.songs():
    for file in song.files:
      try:
        longest = max(longest, soundfile.info(file).duration)
      except (soundfile.LibsndfileError, TypeError, OSError):
        continue  # told when it is decoded
      if longest >= most:
        return most
  return float(math.ceil(longest)) or most


def convert(
  sound: audio.Audio, sample_rate: int, channels: int
) -> Float32[np.ndarray, "samples {channels}"]:
  """The sound in another rate (Hz) and number of channels, through mono."""
  samples = sound.samples
  if sound.channels != channels:
    samples = audio.spread(audio.fold_down(samples), channels)
  return audio.resample(samples, sound.sample_rate, sample_rate)
