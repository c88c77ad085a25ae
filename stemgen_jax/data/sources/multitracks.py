"""Helpers of the sources that read files.

Every split is by song, and a song's split depends only on its id, so it stays
the same when other songs are added.
"""

import dataclasses
import functools
import math
import pathlib
import zlib
from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Float32

from stemgen_jax import audio
from stemgen_jax.data.songs import Problem, Song, Stem

# Suffixes of files that are read as audio.
SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".aif", ".aiff")
# Folders that systems add, next to hidden ones: of zip files made on a Mac, of
# network drives, of Windows.
_OF_SYSTEMS = ("__MACOSX", "@eaDir", "$RECYCLE.BIN")
# Shares of songs, for sources that come without splits.
VALID_SHARE = TEST_SHARE = 0.1

Found = Stem | Problem

_UNPLACED = "begins with the song: it has no time reference, as others have"
_DELAYED = "mp3 without its encoder's delay: may begin about 25 ms late"


def check_root(root: str, what: str) -> pathlib.Path:
  """Return the folder of a data set.

  Args:
    root: value of --root.
    what: name of the data set, for the message.

  Raises:
    ValueError: `root` is empty.
    FileNotFoundError, NotADirectoryError: no such folder.
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
  """Return the subfolders by name, without hidden ones and loops of links."""
  return sorted(
    p
    for p in path.iterdir()
    if p.is_dir() and not is_hidden(p.name) and not leads_back(p, path)
  )


def is_hidden(name: str) -> bool:
  """Return True for names of files and folders that no song is in."""
  return name.startswith(".") or name in _OF_SYSTEMS


def leads_back(link: pathlib.Path, folder: pathlib.Path) -> bool:
  """Return True for a link in a folder to that folder, or one around it."""
  return link.is_symlink() and folder.resolve().is_relative_to(link.resolve())


def audio_files(
  path: pathlib.Path, *, nested: bool = False
) -> list[pathlib.Path]:
  """Return the audio files of a folder by name, without hidden ones.

  A broken link is among them, so that it is reported as missing.

  Args:
    path: the folder.
    nested: include the files of all folders inside it.
  """
  found = path.rglob("*") if nested else path.iterdir()
  return sorted(
    p
    for p in found
    if p.suffix.lower() in SUFFIXES
    and not any(map(is_hidden, p.relative_to(path).parts))
    and not p.is_dir()
  )


def split_of(song_id: str) -> str:
  """Return the split of a song whose source has none, from its id alone."""
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
) -> Found:
  """Return a stem that is the sum of files; a problem if one is missing."""
  files = tuple(files)
  missing = [file for file in files if not file.is_file()]
  if missing:
    return Problem("missing file", f"no such file: {missing[0]}", name)
  read = functools.partial(read_sum, files)
  return Stem(name, category, read, target, files, role)


def song(
  song_id: str,
  split: str,
  genre: str,
  found: Iterable[Found],
  mixtures: Iterable[pathlib.Path] = (),
) -> Song:
  """Return a song of stems and problems, each in their order.

  Its mixture is the first of `mixtures` that exists.
  """
  found = tuple(found)
  stems = tuple(one for one in found if isinstance(one, Stem))
  problems = tuple(one for one in found if isinstance(one, Problem))
  mixture = next((file for file in mixtures if file.is_file()), None)
  return Song(song_id, split, genre, stems, problems, mixture=mixture)


def read_sum(files: Sequence[pathlib.Path]) -> audio.Audio:
  """Sum files at the highest of their sample rates.

  They begin together, or where their time references place them. A very long
  file is read in mono. Notes of the readers begin with the name of their file.

  Raises:
    ValueError, OSError: a file cannot be read.
  """
  sounds = [audio.read(file, fold=True) for file in files]
  begins, places = placed([x.time_reference / x.sample_rate for x in sounds])
  notes = tuple(
    f"{file.name}: {note}"
    for file, sound, place in zip(files, sounds, places)
    for note in (*sound.notes, *([_DELAYED] * sound.delayed), place)
    if note
  )
  if len(sounds) == 1:
    return dataclasses.replace(sounds[0], notes=notes)
  rate = max(sound.sample_rate for sound in sounds)
  channels = max(sound.channels for sound in sounds)
  parts = [convert(sound, rate, channels) for sound in sounds]
  if any(begins):
    parts = [
      np.pad(part, ((round(begin * rate), 0), (0, 0)))
      for part, begin in zip(parts, begins)
    ]
  length = max(map(len, parts))
  # [files, n, c] -> [n, c]
  total = np.sum([audio.fit(part, length) for part in parts], axis=0)
  first = min(x.time_reference / x.sample_rate for x in sounds)
  return audio.Audio(
    total.astype(np.float32),
    rate,
    notes=notes,
    time_reference=round(first * rate),
  )


def placed(times: Sequence[float | None]) -> tuple[list[float], list[str]]:
  """Return where sounds begin in their song in seconds, and notes on them.

  Args:
    times: time references in seconds, 0 for files without one; None for
      unreadable files.
  """
  known = [time for time in times if time is not None]
  origin = min(known, default=0.0)
  if max(known, default=0.0) - origin > audio.LONGEST:
    # From a session that begins at an hour, next to files without one.
    origin = min(time for time in known if time)
  begins, notes = [], []
  for time in times:
    begin, note = (time or 0.0) - origin, ""
    if begin > audio.LONGEST:
      begin = 0.0
      note = f"begins with the others: its time reference is {time:.0f} s"
    elif time is None or begin < 0:
      begin, note = 0.0, "" if time is None else _UNPLACED
    elif begin:
      note = f"begins at {begin:.2f} s, by its time reference"
    begins.append(begin)
    notes.append(note)
  return begins, notes


def longest_seconds(found: Iterable[Song], most: float) -> float:
  """Return the length of the longest song in seconds, rounded up.

  Reads the headers of the songs' files, until one has `most` seconds; not of
  a song that states its length.
  Unreadable files and songs without files are skipped.

  Args:
    found: the songs.
    most: greatest result, also returned if no file can be read.
  """
  longest = 0.0
  for song in found:
    longest = max(longest, song.seconds or 0.0)
    for file in song.files if song.seconds is None else ():
      try:
        longest = max(longest, audio.stated_seconds(file))
      except (ValueError, OSError):
        continue  # reported when it is decoded
      if longest >= most:
        break
    if longest >= most:
      return most
  return float(math.ceil(longest)) or most


def convert(
  sound: audio.Audio, sample_rate: int, channels: int
) -> Float32[np.ndarray, "samples {channels}"]:
  """Return samples [n, channels] at another sample rate in Hz.

  If the number of channels differs, they are mixed to mono first.
  """
  # Channels first: resampling is the slow part.
  samples = audio.with_channels(sound.samples, channels)
  return audio.resample(samples, sound.sample_rate, sample_rate)
