"""Pack songs' files into records: the TFDS data set `stem_codes`.

The records are in ArrayRecord files; TensorFlow is not needed.
"""

import contextlib
import dataclasses
import io
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.core import shuffle

from stemgen_jax import disk
from stemgen_jax.audio import spectrum
from stemgen_jax.data.preparation import encoding, song_codes

_MEMORY = 1 << 30  # bytes of records of a split; more are shuffled in files
_FILES = 64  # open at once; each is sorted in memory


@dataclasses.dataclass(kw_only=True)
class StemCodesConfig(tfds.core.BuilderConfig):
  """One (source, codec): `name` is "SOURCE_CODEC".

  Attributes:
    songs: split -> ids of its songs.
    folder: folder of the songs' files.
    levels: q, codes per frame.
    scaled: whether the codec has scales (`codec.ScaledCodec`).
  """

  # TFDS logs the repr, which would list thousands of songs.
  songs: dict[str, list[str]] = dataclasses.field(
    default_factory=dict, repr=False
  )
  folder: pathlib.Path = pathlib.Path()
  levels: int = 0
  scaled: bool = False


class StemCodes(tfds.core.GeneratorBasedBuilder):
  """Pack the songs' files; a record is a pair over one whole segment."""

  VERSION = tfds.core.Version("1.0.0")
  RELEASE_NOTES = {"1.0.0": "Pairs of context and target codes."}  # noqa: RUF012

  @property
  def _config(self) -> StemCodesConfig:
    return cast(StemCodesConfig, self.builder_config)

  def _info(self) -> tfds.core.DatasetInfo:
    def tensor(shape, dtype, doc):
      # Bytes are read twice as fast as lists of integers.
      return tfds.features.Tensor(
        shape=shape, dtype=dtype, encoding="bytes", doc=doc
      )

    codes = (None, self._config.levels)
    more = {}
    if self._config.scaled:
      for side in ("context", "target"):
        doc = f"of the {side}'s segments, as the codec cuts them"
        more[f"{side}_scales"] = tensor((None,), np.float32, doc)
    return tfds.core.DatasetInfo(
      builder=self,
      description="Context mix and target stem of songs, as codec codes.",
      features=tfds.features.FeaturesDict(
        {
          "context": tensor(codes, np.uint16, "codes of the context mix"),
          "target": tensor(codes, np.uint16, "codes of the target stem"),
          "context_active": tensor((None,), np.bool_, "per second"),
          "target_active": tensor((None,), np.bool_, "per second"),
          "gains": tensor((None,), np.float32, "of each stem in the context"),
          "context_rms_db": np.float32,
          "stem": np.int32,
          "category": np.int32,
          "genre": np.int32,
          "role": np.int32,
          "song_id": tfds.features.Text(),
          "start": np.float32,
        }
        | more
      ),
    )

  def _split_generators(self, dl_manager):
    return {
      split: self._generate_examples(ids)
      for split, ids in self._config.songs.items()
    }

  def _generate_examples(self, ids):
    for song_id in ids:
      path = song_codes.song_path(self._config.folder, song_id)
      for record in song_codes.SongCodes.load(path).rows():
        key = f"{song_id}/{record.pop('segment')}/{record.pop('index')}"
        del record["relative_db"]  # the manifest has its means
        yield key, record | {"song_id": song_id}


class StemSpectra(tfds.core.GeneratorBasedBuilder):
  """Pack the songs' stems; a record is a segment, with all of its stems.

  Axes of stems and frames are flattened, see `records.StemRecords`.
  """

  VERSION = tfds.core.Version("1.0.0")
  RELEASE_NOTES = {"1.0.0": "Codes and spectra of stems."}  # noqa: RUF012

  @property
  def _config(self) -> StemCodesConfig:
    return cast(StemCodesConfig, self.builder_config)

  def _info(self) -> tfds.core.DatasetInfo:
    def tensor(dtype, doc, *more):
      shape = (None, *more)
      return tfds.features.Tensor(
        shape=shape, dtype=dtype, encoding="bytes", doc=doc
      )

    return tfds.core.DatasetInfo(
      builder=self,
      description="All stems of songs, as codec codes and as spectra.",
      features=tfds.features.FeaturesDict(
        {
          "target": tensor(np.uint16, "codes", self._config.levels),
          "spectrum": tensor(np.float16, "log band powers", spectrum.BANDS),
          "power": tensor(np.float16, "log powers of the frames"),
          "active": tensor(np.bool_, "per stem and second"),
          "able": tensor(np.bool_, "whether the stem may be a target"),
          "loudness_db": tensor(np.float32, "of each stem in the song"),
          "category": tensor(np.int32, "of each stem"),
          "role": tensor(np.int32, "of each stem"),
          "genre": np.int32,
          "song_id": tfds.features.Text(),
          "start": np.float32,
        }
      ),
    )

  def _split_generators(self, dl_manager):
    return {
      split: self._generate_examples(ids)
      for split, ids in self._config.songs.items()
    }

  def _generate_examples(self, ids):
    levels = self._config.levels
    flat = {"target": (-1, levels), "spectrum": (-1, spectrum.BANDS)}
    for song_id in ids:
      path = song_codes.song_path(self._config.folder, song_id)
      stems = song_codes.SongCodes.load(path).stems
      for number, row in enumerate(stems.rows() if stems else ()):
        row = {
          name: x.reshape(flat.get(name, -1)) if np.ndim(x) else x
          for name, x in row.items()
        }
        yield f"{song_id}/{number}", row | {"song_id": song_id}


def pack(builder: StemCodes | StemSpectra) -> None:
  """Write the records; TFDS keeps nothing of an unfinished build.

  Raises:
    OSError: the records cannot be written, for example for lack of space.
  """
  _remove_unfinished(builder)
  try:
    _write(builder, _MEMORY)
  except Exception as error:  # ArrayRecord's writer raises its own types
    with contextlib.suppress(OSError):
      _remove_unfinished(builder)
    lines = str(error).strip().splitlines() or [repr(error)]
    raise OSError(
      f"cannot write the records in {builder.data_dir}: {lines[-1]}; the songs "
      f"that are encoded are kept: {encoding.remedy(error)} run the same "
      "command again"
    ) from error


def _write(builder: tfds.core.GeneratorBasedBuilder, memory: int) -> None:
  tfds.disable_progress_bar()
  # TFDS prints a summary, and would make a folder for downloads in `out`.
  with (
    tempfile.TemporaryDirectory() as downloads,
    contextlib.redirect_stdout(io.StringIO()),
    _shuffling_without_tensorflow(memory),
  ):
    builder.download_and_prepare(download_dir=downloads)


@contextlib.contextmanager
def _shuffling_without_tensorflow(memory: int) -> Iterator[None]:
  """Let TFDS shuffle records beyond its memory in files of Python.

  They would be TensorFlow's. The order of the records is that of the hashes of
  their keys, and does not depend on memory or files.
  """

  class NeverRaised(Exception):  # Python's files raise OSError
    pass

  files = SimpleNamespace(GFile=open, exists=os.path.exists, remove=os.remove)
  changes: dict[str, Any] = {
    "tf": SimpleNamespace(
      io=SimpleNamespace(gfile=files),
      errors=SimpleNamespace(ResourceExhaustedError=NeverRaised),
    ),
    "MAX_MEM_BUFFER_SIZE": memory,
    "BUCKETS_NUMBER": _FILES,
  }
  with contextlib.ExitStack() as stack:
    for name, value in changes.items():
      stack.callback(setattr, shuffle, name, getattr(shuffle, name))
      setattr(shuffle, name, value)
    yield


def check_packing() -> None:
  """Pack one number, to fail before hours of encoding instead of after.

  TFDS imports many of its modules only when it writes, and others when it
  shuffles more than its memory holds.

  Raises:
    ImportError, OSError: records cannot be written.
  """
  with tempfile.TemporaryDirectory() as folder:
    builder = _Probe(data_dir=folder, file_format="array_record")
    try:
      _write(builder, memory=0)
    except Exception as error:
      if disk.is_full(error):
        return  # the temporary folder may be on another disk
      lines = str(error).strip().splitlines() or [repr(error)]
      kind = ImportError if isinstance(error, ImportError) else OSError
      raise kind(f"cannot write records: {lines[-1]}") from error


class _Probe(tfds.core.GeneratorBasedBuilder):
  """A data set of one number."""

  VERSION = tfds.core.Version("1.0.0")

  def _info(self) -> tfds.core.DatasetInfo:
    features = tfds.features.FeaturesDict({"number": np.int32})
    return tfds.core.DatasetInfo(builder=self, features=features)

  def _split_generators(self, dl_manager):
    return {"train": [("0", {"number": 0})]}

  def _generate_examples(self):
    raise NotImplementedError


def _remove_unfinished(builder: StemCodes | StemSpectra) -> None:
  """Remove the files of a build that was killed."""
  for stale in pathlib.Path(builder.data_dir).parent.glob("incomplete.*"):
    shutil.rmtree(stale)
