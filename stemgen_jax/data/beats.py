"""The beats of a data set's songs, and the place in the bar of each frame.

`beats.npz` in a prepared folder has the beats of all songs whose source knows
them: the band's, and those of MIDI files. `model.beats` trains on them.
"""

import pathlib
from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Float, Int, Int32

from stemgen_jax import disk, progress
from stemgen_jax.data.songs import Song
from stemgen_jax.model.config import BAR_BEATS, BEAT_PARTS

UNKNOWN = -1
"""Place of a frame outside of the beats, or of a song without them."""
FILE = "beats.npz"

_ARRAYS = ("song", "count", "beat", "number")


class Beats:
  """Beats of songs, by id.

  Args:
    beats: song -> times of its beats in seconds, float [beats], rising.
    numbers: song -> number of each beat in its bar, from 0, int [beats];
      `UNKNOWN` before the first downbeat.
  """

  def __init__(
    self,
    beats: dict[str, Float[np.ndarray, " beats"]],
    numbers: dict[str, Int[np.ndarray, " beats"]],
  ):
    self._beats, self._numbers = beats, numbers

  @classmethod
  def of_songs(cls, songs: Iterable[Song]) -> "Beats":
    """Read the beats from the scores of songs; those without have none."""
    scored = [(song.id, song.score) for song in songs if song.score]
    beats, numbers = {}, {}
    # A score takes 20 ms to write, a MIDI file 100 ms to read.
    for song, read in progress.bar(scored, desc="beats", unit="song", delay=2):
      score = read()
      if score.beats:
        beats[song] = np.array(score.beats)
        numbers[song] = _numbers(score.beats, score.downbeats)
    return cls(beats, numbers)

  @classmethod
  def load(cls, data_dir: disk.Path) -> "Beats":
    """Read the file of a prepared folder.

    Raises:
      ValueError: the file is missing or corrupt.
    """
    path = pathlib.Path(data_dir, FILE)
    again = "run the same stemgen-jax prepare again, which writes it"
    if not path.is_file():
      raise ValueError(
        f"model.beats: {data_dir} has no {FILE} with the beats of its songs; "
        f"{again}, or give --config.model.beats=false"
      )
    arrays = disk.read_npz(path, f"delete it, and {again}", _ARRAYS)
    corrupt = ValueError(f"{path} is corrupt: delete it, and {again}")
    ids, count, beat, number = (arrays[name] for name in _ARRAYS)
    if (
      [x.dtype.kind for x in arrays.values()] != ["U", "i", "f", "i"]
      or any(x.ndim != 1 for x in arrays.values())
      or len(ids) != len(count)
      or (count < 0).any()
      or not count.sum() == len(beat) == len(number)
      or not np.isfinite(beat).all()
    ):
      raise corrupt
    ends = np.cumsum(count)[:-1]
    beats, numbers = (np.split(x, ends) for x in (beat, number))
    if any((np.diff(times) <= 0).any() for times in beats):
      raise corrupt
    return cls(dict(zip(ids.tolist(), beats)), dict(zip(ids.tolist(), numbers)))

  def save(self, data_dir: disk.Path) -> None:
    """Write the file of a prepared folder in one step."""
    ids = sorted(self._beats)
    counts = [len(self._beats[song]) for song in ids]
    with disk.replacing(pathlib.Path(data_dir, FILE)) as file:
      np.savez_compressed(
        file,
        song=np.array(ids, np.str_),
        count=np.array(counts, np.int32),
        beat=np.concatenate([np.zeros(0), *(self._beats[x] for x in ids)]),
        number=np.concatenate(
          [np.zeros(0, np.int16), *(self._numbers[x] for x in ids)]
        ),
      )

  def __len__(self) -> int:
    return len(self._beats)

  def places(
    self, song: str, seconds: Float[np.ndarray, " t"]
  ) -> Int32[np.ndarray, " t"]:
    """Return the places in the bar at some times of a song.

    A place is the number of the beat times `BEAT_PARTS`, plus the part of the
    beat: 0 to `BAR_BEATS * BEAT_PARTS - 1`, or `UNKNOWN`, as are further beats
    of longer bars.

    Args:
      song: id of the song.
      seconds: times in the song.
    """
    none = np.full(len(seconds), UNKNOWN, np.int32)
    beats = self._beats.get(song, none[:0])
    if len(beats) < 2:
      return none
    last = np.searchsorted(beats, seconds, side="right") - 1  # [t]
    inside = (last >= 0) & (last < len(beats) - 1)
    last = last.clip(0, len(beats) - 2)
    phase = (seconds - beats[last]) / (beats[last + 1] - beats[last])
    part = (phase * BEAT_PARTS).astype(np.int32)
    number = self._numbers[song][last].astype(np.int32)
    known = inside & (number >= 0) & (number < BAR_BEATS)
    # The division may round up to a whole beat.
    part = part.clip(0, BEAT_PARTS - 1)
    return np.where(known, BEAT_PARTS * number + part, none)


def _numbers(
  beats: Sequence[float], downbeats: Sequence[float]
) -> Int[np.ndarray, " beats"]:
  """Return the number of each beat in its bar."""
  # A downbeat is a beat, but for rounding.
  firsts = np.searchsorted(np.array(beats), np.array(downbeats) - 1e-3)
  index = np.arange(len(beats))
  bar = np.searchsorted(firsts, index, side="right") - 1  # [beats]
  numbers = index - firsts[bar.clip(0)] if len(firsts) else index
  return np.where(bar >= 0, numbers, UNKNOWN).astype(np.int16)
