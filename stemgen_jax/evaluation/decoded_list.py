"""Examples decoded from the records of a prepared set.

They replace those of `protocol` on a machine without the songs. Real stems are
known through the codec only, and names of stems not at all.
"""

import functools
import zlib
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np

from stemgen_jax import audio, categories, disk
from stemgen_jax.audio import Audio
from stemgen_jax.codec import Codec, ScaledCodec, decode
from stemgen_jax.codec.protocol import check_made_by
from stemgen_jax.data.crops import Crop
from stemgen_jax.data.records import Records
from stemgen_jax.evaluation import reference_annotations
from stemgen_jax.evaluation.protocol import Example

LIMITS = (
  "the examples are its records, decoded: beats, chords and keys are "
  "estimated, stems have the mean level of their instrument, and the codec's "
  "own loss is not measured: `real` is `round_trip`, `random` `random_codes`"
)
"""What cannot be measured without the songs, for a line of the output."""


class DecodedList:
  """Examples of a set's held-out records: an `ExampleList` without the songs.

  Every song gives one example before any gives a second.

  Args:
    data: prepared folder.
    codec: codec of the set.
    seconds: length of an example; at most that of the records.
    seed: seed of pairs and crops.
    count: number of examples that are needed.
    split: "test" or "valid".
    skip: ids of songs that are left out.

  Raises:
    ValueError: the set is of another codec, its split has fewer than two
      songs with contexts, or fewer than `count` different examples.
  """

  def __init__(
    self,
    data: disk.Path,
    codec: Codec,
    seconds: float,
    seed: int,
    count: int = 0,
    split: str = "test",
    skip: Collection[str] = (),
  ):
    self._records = Records(data, split)
    manifest = self._records.manifest
    check_made_by(codec, manifest.codec, manifest.checksum)
    self._codec, self._seed = codec, seed
    self._relative_db = manifest.loudness.get("relative_db", {})
    window = min(manifest.frames, round(seconds * manifest.frame_rate))
    if step := manifest.segment_frames:
      window = max(step, window // step * step)
    self._crop = Crop(window, manifest.frame_rate, 0.5, step)
    self._names: dict[tuple[bytes, int], str] = {}
    order = np.random.default_rng(seed).permutation(len(self._records))
    of_song: dict[bytes, list[int]] = {}
    for index in order.tolist():
      record = self._records[index]
      name = categories.CATEGORIES[record["category"]]
      self._names[record["song_id"], record["stem"]] = name
      left_out = record["song_id"].decode() in skip
      if record["context_active"].any() and not left_out:
        of_song.setdefault(record["song_id"], []).append(index)
    if len(of_song) < 2:
      raise ValueError(
        f"{data} has {len(of_song)} {split} songs with contexts, expected at "
        f"least 2: give another --data, or prepare more {split} songs"
      )
    most = max(map(len, of_song.values()))
    self._order = [
      indices[turn]
      for turn in range(most)
      for indices in of_song.values()
      if turn < len(indices)
    ]
    # A crop of the whole record is the same in every turn.
    if window + max(1, step) > manifest.frames and count > len(self._order):
      raise ValueError(
        f"--examples={count}: {data} has {len(self._order)} different examples "
        f"of {window / manifest.frame_rate:g} s, its whole records; expected "
        "at most as many; give fewer --examples or --seconds"
      )
    self._decoded = functools.lru_cache(maxsize=8)(self._decode)

  def __iter__(self) -> Iterator[int]:
    """Yield the places of the list, without end."""
    place = 0
    while True:
      yield place
      place += 1

  def example(self, place: int) -> Example:
    """Return the example at a place."""
    record, first = self._part(place)
    context, real = self._decoded(place)
    category = categories.CATEGORIES[record["category"]]
    song = record["song_id"]
    # Stems that are never targets have no name in the records.
    names = [
      self._names.get((song, index), "")
      for index in np.flatnonzero(record["gains"]).tolist()
    ]
    roles = (*categories.ROLES, "")  # the last one is unknown
    return Example(
      number=place,
      song=song.decode(),
      start=record["start"] + first / self._crop.frame_rate,
      category=category,
      genre=categories.GENRES[record["genre"]],
      role=roles[record.get("role", -1)],
      stems=tuple(name or "other" for name in names),
      context=context,
      real=real,
      random_stem=self._random_stem(place),
      pitched=category not in categories.UNPITCHED
      and any(name not in ("", *categories.UNPITCHED) for name in names),
      annotations=reference_annotations.estimate(
        audio.mono(context), context.sample_rate, bars=True
      ),
      decoded=True,
    )

  def other_context(self, place: int) -> Audio:
    """Return the next other song's context."""
    song = self._part(place)[0]["song_id"]
    following = range(place + 1, place + 1 + len(self._order))
    other = next(x for x in following if self._part(x)[0]["song_id"] != song)
    return self._decoded(other)[0]

  def _part(self, place: int) -> tuple[dict[str, Any], int]:
    """Return the record at a place, and the first frame of its crop."""
    turn, index = divmod(place, len(self._order))
    record = self._records[self._order[index]]
    key = [self._seed, zlib.crc32(record["song_id"]), index, turn]
    u = float(np.random.default_rng(key).random())
    return record, self._crop.first_frame(record, u)

  def _decode(self, place: int) -> tuple[Audio, Audio]:
    """Return context and target at a place."""
    record, first = self._part(place)
    sides = []
    for side in ("context", "target"):
      codes = record[side][None, first : first + self._crop.window]  # [1, t, q]
      scales = None
      if isinstance(self._codec, ScaledCodec):
        step = self._crop.segment_frames
        scales = record[f"{side}_scales"][
          None, first // step : -(-(first + codes.shape[1]) // step)
        ]
      samples = decode(self._codec, codes.astype(np.int32), scales)[0]
      sides.append(samples)
    context, target = sides
    # Targets are encoded at the loudness of contexts.
    name = categories.CATEGORIES[record["category"]]
    gain = np.float32(10 ** (self._relative_db.get(name, 0.0) / 20))
    rate = self._codec.sample_rate
    return Audio(context, rate), Audio(gain * target, rate)

  def _random_stem(self, place: int) -> Audio | None:
    """Return the next stem of the category in another song."""
    own = self._part(place)[0]
    for other in range(place + 1, place + len(self._order)):
      record = self._part(other)[0]
      if (
        record["category"] == own["category"]
        and record["song_id"] != own["song_id"]
      ):
        return self._decoded(other)[1]
    return None
