"""Prepares a folder of `stem_codes`: pairs of context and target as codes.

Songs are encoded to one file each (`song_files`), and a TFDS builder packs
these into ArrayRecord (`packing`). A prepared folder holds

    prepare.json         what the records depend on; the folder is bound to it
    songs/ID.npz         the pairs of a song, kept so that a restart is cheap
    stem_codes/NAME/1.0.0/*.array_record     the records
    problems.csv         what was left out, and why
    codebooks.npy, silence.npy, manifest.json     (see `manifest`)
"""

import collections
import contextlib
import dataclasses
import functools
import importlib.metadata
import json
import pathlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from stemgen_jax import categories, disk
from stemgen_jax.codec import Codec, ScaledCodec, scales
from stemgen_jax.data import songs
from stemgen_jax.data.manifest import (
  RECIPE,
  Manifest,
  bound_recipe,
)
from stemgen_jax.data.preparation import (
  encoding,
  listing,
  packing,
  pairs,
  song_codes,
)
from stemgen_jax.data.preparation import problems as problems_lib

_PACKAGES = (
  "stemgen-jax",
  "numpy",
  "scipy",
  "soundfile",
  "soxr",
  "torch",
  "encodec",
  "tensorflow-datasets",
  "array_record",
)


def prepare(
  source: songs.Songs,
  load_codec: Callable[[], Codec],
  out: str | pathlib.Path,
  config: pairs.PairConfig,
  *,
  workers: int = 0,
  cluster: Callable[..., None] | None = None,
  strict: bool = False,
) -> Manifest:
  """Makes a data set of codes in the folder `out`, or finishes one.

  One that is finished is left alone, unless songs have been added, changed or
  moved to another split since: then these are encoded, and all packed anew.

  Args:
    source: of the songs. If it is a dataclass its fields are part of the
      configuration.
    load_codec: makes the codec; with `workers` it must pickle, as must the
      songs.
    out: the folder; made if it is not there.
    config: how pairs are drawn.
    workers: processes that encode; 0 encodes in this one.
    cluster: encodes in their stead, a `cluster.Cluster`.
    strict: stop at a song of which something has to be left out; otherwise
      such songs and stems are, and are named in `report.FILE`.

  Returns:
    The manifest of the finished data set.

  Raises:
    ValueError: no song can be used, `strict` stopped at one, or `out` holds
      something else or another configuration.
    OSError: `out` cannot be written; what is done is kept.
  """
  listed = listing.look(source, config, strict=strict)
  split_songs = listed.splits
  if workers < 0:
    raise ValueError(f"workers is {workers}, expected 0 or more")
  codec = load_codec()
  out = pathlib.Path(out)
  recipe = check(source, codec, out, config)
  out.mkdir(parents=True, exist_ok=True)
  if not (out / RECIPE).is_file():
    disk.write_json(out / RECIPE, recipe)
  folder = out / "songs"
  ids = [song_id for split in split_songs.values() for song_id in split]
  with contextlib.suppress(FileNotFoundError):
    finished = Manifest.load(out)
    if _is_current(finished, source, split_songs, folder):
      if strict:
        _refuse_left_out(problems_lib.read(out))
      return finished
    Manifest.remove(out)  # first: what follows may be killed
  folder.mkdir(exist_ok=True)
  encode_missing = cluster or functools.partial(
    encoding.encode_missing, workers=workers
  )
  encode_missing(source, ids, load_codec, config, folder, strict=strict)
  problems = problems_lib.gather(listed.problems, folder, ids)
  problems_lib.write(out, problems)
  if strict:  # songs may have been encoded by a run that was not
    _refuse_left_out(problems)
  counts, per_category, level = _count(folder, split_songs)
  scaled = isinstance(codec, ScaledCodec)
  name = f"{source.name}_{codec.name}"
  # Of songs as they were, if a run was killed after it had packed them.
  shutil.rmtree(out / packing.StemCodes.name, ignore_errors=True)
  builder = packing.StemCodes(
    data_dir=out,
    file_format="array_record",
    config=packing.StemCodesConfig(
      name=name,
      songs={
        split: ids
        for split, ids in split_songs.items()
        if counts[split]["pairs"]
      },
      folder=folder,
      levels=codec.levels,
      scaled=scaled,
    ),
  )
  packing.pack(builder)
  manifest = Manifest(
    name=name,
    records=str(pathlib.Path(builder.data_dir).relative_to(out)),
    codec=codec.name,
    checksum=codec.checksum,
    sample_rate=codec.sample_rate,
    channels=codec.channels,
    frame_rate=codec.frame_rate,
    levels=codec.levels,
    codes=codec.codes_per_level,
    segment_seconds=config.segment_seconds,
    frames=codec.frames(round(config.segment_seconds * codec.sample_rate)),
    counts=counts,
    listed={split: len(ids) for split, ids in split_songs.items()},
    song_ids=split_songs,
    categories=per_category,
    context_rms_db=level,
    segment_frames=codec.framing.segment_frames if scaled else 0,
    scale_ratio=_scale_ratio(folder, split_songs["train"]) if scaled else {},
    config=recipe,
    versions={name: importlib.metadata.version(name) for name in _PACKAGES},
    codebooks=codec.codebooks(),
    silence=encoding.silence_codes(codec, config.segment_seconds),
  )
  manifest.save(out)
  return manifest


def _is_current(
  manifest: Manifest,
  source: songs.Songs,
  split_songs: dict[str, list[str]],
  folder: pathlib.Path,
) -> bool:
  """Whether a finished data set has the songs as they are now.

  Where the songs' files have been deleted, as they may be, only their ids are
  compared, and of older sets their number.
  """
  if manifest.song_ids and any(
    sorted(manifest.song_ids[split]) != sorted(ids)
    for split, ids in split_songs.items()
  ):
    return False
  listed = manifest.listed or {
    split: count["songs"] for split, count in manifest.counts.items()
  }
  if any(listed[split] != len(ids) for split, ids in split_songs.items()):
    return False
  if not any(folder.glob("*.npz")):
    return True
  ids = [song_id for split in split_songs.values() for song_id in split]
  return not encoding.find_missing(source, ids, folder, retry=False)


def _refuse_left_out(problems: Sequence[tuple[str, songs.Problem]]) -> None:
  """Raises ValueError, for --strict, if anything had to be left out."""
  bad = [(song, problem) for song, problem in problems if problem.left_out]
  if bad:
    song, problem = bad[0]
    where = f"song {song}: {problem.stem or 'left out'}"
    more = f"; {len(bad) - 1} more" if len(bad) > 1 else ""
    raise ValueError(
      f"--strict: {where}: {problem.message}{more}; mend it, or prepare "
      "without --strict"
    )


def check(
  source: songs.Songs,
  codec: Codec,
  out: pathlib.Path,
  config: pairs.PairConfig,
) -> dict[str, Any]:
  """The recipe that `prepare` binds a folder to, if it can be made there.

  Raises:
    ValueError, NotADirectoryError: the folder holds something else.
    ImportError, OSError: no records could be written.
  """
  recipe = {
    "source": source.name,
    "source_config": _plain(source),
    "codec": codec.name,
    "codec_checksum": codec.checksum,
    "pairs": _plain(config),
  }
  disk.check_folder(out)
  if bound := bound_recipe(out):
    differing = [
      f"{name} {ours!r} there, {theirs!r} now"
      for name, ours, theirs in _differences(bound, recipe)
    ]
    if differing:
      raise ValueError(
        f"{out} holds a data set of another configuration "
        f"({'; '.join(differing[:4])}): give another --out, or delete it"
      )
  elif out.exists() and any(out.iterdir()):
    raise ValueError(
      f"{out} is not empty and holds no data set: give a new folder for --out"
    )
  packing.check_packing()
  return recipe


def _differences(old: Any, new: Any, name: str = "") -> Iterator[tuple]:
  if isinstance(old, dict) and isinstance(new, dict):
    for key in sorted(old.keys() | new.keys()):
      inner = f"{name}.{key}" if name else key
      yield from _differences(old.get(key), new.get(key), inner)
  elif old != new:
    yield name, old, new


def _plain(value: Any) -> Any:
  """A dataclass as JSON gives it back; {} for a source that is none."""
  fields = {}
  if dataclasses.is_dataclass(value) and not isinstance(value, type):
    fields = dataclasses.asdict(value)
  return json.loads(json.dumps(fields, default=str))


def _count(
  folder: pathlib.Path, split_songs: dict[str, list[str]]
) -> tuple[dict[str, dict[str, int]], dict[str, int], float | None]:
  """Pairs per split; of training, pairs per category and contexts' level."""
  counts, per_category, levels = {}, collections.Counter(), []
  for split, ids in split_songs.items():
    files = [
      song_codes.SongCodes.load(song_codes.song_path(folder, song_id))
      for song_id in ids
    ]
    counts[split] = {
      "songs": sum(len(file.index) > 0 for file in files),
      "pairs": sum(len(file.index) for file in files),
      "empty": sum(int((~file.has_context).sum()) for file in files),
    }
    if split == "train":
      for file in files:
        per_category.update(file.category.astype(int).tolist())
        levels.extend(file.context_rms_db[file.has_context].tolist())
  training = split_songs["train"]
  total = sum(count["pairs"] for count in counts.values())
  if not total or (training and not counts["train"]["pairs"]):
    why = ""
    if files := [x for split in split_songs for x in split_songs[split]]:
      path = song_codes.song_path(folder, (training or files)[0])
      told = [p for p in song_codes.facts_of(path)[0] if p.left_out]
      why = f", as {(training or files)[0]}: {told[0].message}" if told else ""
    raise ValueError(
      f"the {len(training)} songs to train on give no pair of stems{why}; see "
      f"{folder.parent / problems_lib.FILE}"
    )
  names = {
    name: per_category[i]
    for i, name in enumerate(categories.CATEGORIES)
    if per_category[i]
  }
  level = round(float(np.mean(levels)), 2) if levels else None
  return counts, names, level


def _scale_ratio(folder: pathlib.Path, song_ids: list[str]) -> dict[str, float]:
  """How loud targets are beside their contexts: see `Manifest`."""
  logs = collections.defaultdict(list)
  for song_id in song_ids:
    path = song_codes.song_path(folder, song_id)
    for pair in song_codes.SongCodes.load(path).rows():
      logs[int(pair["category"])].extend(
        scales.log_ratios(pair["target_scales"], pair["context_scales"])
      )
  return {
    categories.CATEGORIES[category]: round(float(np.exp(np.mean(log))), 4)
    for category, log in sorted(logs.items())
    if log
  }
