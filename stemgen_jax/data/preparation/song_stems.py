"""The stems of one song for fresh submixes: codes, spectra and loudness."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, UInt16

from stemgen_jax import audio, categories
from stemgen_jax.audio import spectrum
from stemgen_jax.codec import Codec, ScaledCodec
from stemgen_jax.codec.framing import Framing
from stemgen_jax.data import songs

PREFIX = "stems_"


@dataclasses.dataclass(frozen=True, kw_only=True)
class SongStems:
  """The segments of a song; axis 0 of every array is the segment, 1 the stem.

  Attributes:
    target: codes at the reference loudness, uint16 [segments, stems, t, q]; 0
      where a stem cannot be a target.
    spectrum: band powers at the reference loudness, as `spectrum.stored`,
      float16 [segments, stems, t, bands].
    power: mean squares of the frames, likewise, float16 [segments, stems, t].
    active: seconds in which each stem sounds, bool [segments, stems, seconds].
    able: whether a stem may be the target, bool [segments, stems].
    loudness_db: loudness of each stem in the song, float32 [segments, stems].
    category: category ids, int32 [segments, stems].
    role: role ids, int32 [segments, stems].
    genre: genre ids, int32 [segments].
    start: beginnings of the segments in seconds, float32 [segments].
  """

  target: np.ndarray
  spectrum: np.ndarray
  power: np.ndarray
  active: np.ndarray
  able: np.ndarray
  loudness_db: np.ndarray
  category: np.ndarray
  role: np.ndarray
  genre: np.ndarray
  start: np.ndarray

  def rows(self) -> Iterator[dict[str, Any]]:
    """Yield the segments one by one."""
    for row in range(len(self.start)):
      yield {name: array[row] for name, array in vars(self).items()}


NAMES = tuple(field.name for field in dataclasses.fields(SongStems))


def join(rows: Sequence[dict[str, Any]]) -> SongStems:
  """Return the segments of a song in one object."""
  return SongStems(
    **{name: np.stack([row[name] for row in rows]) for name in NAMES}
  )


def measure(
  song: songs.Song,
  clips: Float[np.ndarray, "stems samples channels"],
  active: Bool[np.ndarray, "stems seconds"],
  able: Bool[np.ndarray, " stems"],
  target_codes: Mapping[int, UInt16[np.ndarray, "t q"]],
  codec: Codec,
) -> dict[str, Any]:
  """Return one segment of `SongStems`, without its start.

  Args:
    song: the song.
    clips: the stems in this segment.
    active: seconds in which each stem sounds.
    able: whether each stem may be the target.
    target_codes: codes of the stems that may be, by their indices.
    codec: codec that made them.
  """
  rate = codec.sample_rate
  scaled = isinstance(codec, ScaledCodec)
  framing = codec.framing if scaled else Framing(hop=codec.hop)
  begins = framing.begins(np.arange(codec.frames(clips.shape[1])))
  codes = np.zeros((len(clips), len(begins), codec.levels), np.uint16)
  for stem, of_stem in target_codes.items():
    codes[stem] = of_stem
  loudness = [audio.loudness_db(clip, rate) for clip in clips]
  spectra, powers = [], []
  for clip, loudness_db in zip(clips, loudness):
    at_reference = clip * np.float32(audio.gain_to(loudness_db))
    bands = spectrum.powers(at_reference, rate, begins + framing.hop // 2)
    spectra.append(spectrum.stored(bands))
    powers.append(spectrum.frame_powers(at_reference, begins, framing.hop))
  names = [stem.category for stem in song.stems]
  roles = [categories.role_id(x.role, x.category) for x in song.stems]
  return {
    "target": codes,
    "spectrum": np.stack(spectra),
    "power": spectrum.stored(np.stack(powers)),
    "active": active,
    "able": able,
    "loudness_db": np.array(loudness, np.float32),
    "category": np.array([categories.category_id(x) for x in names], np.int32),
    "role": np.array(roles, np.int32),
    "genre": np.int32(categories.GENRES.index(song.genre)),
  }
