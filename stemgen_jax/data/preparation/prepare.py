"""Prepare a data set: pairs of context and target of songs, as codes.

Songs are encoded to one file each (`encoding`, `workers`), and a TFDS builder
packs these into ArrayRecord (`packing`). A prepared folder holds

    prepare.json         configuration of the records; others are refused
    songs/ID.npz         the pairs of a song, kept so that a restart is cheap
    stem_codes/NAME/1.0.0/*.array_record     the records
    problems.csv         songs and stems that were left out, and why
    beats.npz            beats of the songs, where the source knows them
    codebooks.npy, silence.npy, manifest.json     (see `manifest`)
"""

import contextlib
import dataclasses
import importlib.metadata
import pathlib
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from stemgen_jax import disk, locks, recipes
from stemgen_jax.codec import Codec, ScaledCodec
from stemgen_jax.codec import device as device_lib
from stemgen_jax.data import beats, songs, stem_index
from stemgen_jax.data.manifest import RECIPE, Manifest, recipe_of
from stemgen_jax.data.preparation import (
  encoding,
  listing,
  packing,
  pairs,
  song_codes,
  statistics,
)
from stemgen_jax.data.preparation import problems as problems_lib
from stemgen_jax.data.preparation import workers as workers_lib
from stemgen_jax.data.sources import restore

# Packages that the records depend on; the manifest states their versions.
_PACKAGES = (
  *("stemgen-jax", "numpy", "scipy", "soundfile", "soxr", "torch"),
  *("encodec", "tensorflow-datasets", "array_record"),
)
_Summaries = Mapping[str, song_codes.Summary]


def prepare(
  source: songs.Songs,
  load_codec: Callable[[], Codec],
  out: str | pathlib.Path,
  config: pairs.PairConfig,
  *,
  found: Iterable[songs.Song] | None = None,
  workers: int | None = 0,
  cluster: Callable[..., dict[str, song_codes.Summary]] | None = None,
  strict: bool = False,
  keep_suspicious: bool = False,
) -> Manifest:
  """Make a data set of codes in the folder `out`, or finish one.

  A finished set stays as it is, unless songs have been added, changed or moved
  to another split since: then these are encoded, and all songs are packed
  again.

  Args:
    source: source of the songs. If it is a dataclass its fields are part of
      the configuration.
    load_codec: makes the codec; with `workers` it must pickle, as must the
      songs.
    out: folder of the data set; made if it does not exist.
    config: how pairs are drawn.
    found: `source.songs()`, if it has been called already.
    workers: processes that encode; 0 encodes in this one. None for one per
      processor, or for a codec on a GPU as many as its memory suffices for.
    cluster: `beam.Cluster` that encodes in place of `workers`.
    strict: stop at a song of which something has to be left out; otherwise
      such songs and stems are left out and named in `problems.FILE`.
    keep_suspicious: use suspicious stems, see `suspicious`.

  Returns:
    The manifest of the finished data set.

  Raises:
    ValueError: no song can be used, `strict` stopped at one, or `out` holds
      something else or another configuration.
    OSError: `out` cannot be written; finished songs are kept.
  """
  found = source.songs() if found is None else found
  listed = listing.check(
    source, found, config, strict=strict, keep_suspicious=keep_suspicious
  )
  if workers is not None and workers < 0:
    raise ValueError(f"workers is {workers}, expected 0 or more")
  codec = load_codec()
  # Only codecs over networks have a device.
  device = getattr(codec, "device", "")
  if workers is None:
    workers = device_lib.workers(device or "cpu", device_lib.processors())
  out = pathlib.Path(out)
  recipe = check(source, codec, out, config)
  out.mkdir(parents=True, exist_ok=True)
  # First of all files: from here on other configurations are refused.
  if not (out / RECIPE).is_file():
    disk.write_json(out / RECIPE, recipe)
  task = encoding.Task(config, out / "songs", strict, keep_suspicious)
  ids = [song_id for split in listed.splits.values() for song_id in split]
  summaries = song_codes.summaries(task.folder, ids)
  with contextlib.suppress(FileNotFoundError):
    finished = Manifest.load(out)
    if _is_current(finished, listed, summaries, task):
      if not (out / beats.FILE).is_file():  # of an earlier version
        beats.Beats.of_songs(listed.songs).save(out)
      known = _reported(out, listed, summaries)
      if strict:
        problems_lib.refuse_left_out(known)
      return finished
    Manifest.remove(out)  # first: this process may be killed later on
  task.folder.mkdir(exist_ok=True)
  for partial in task.folder.glob(".*.part"):  # of a process that was killed
    partial.unlink()
  missing = workers_lib.find_missing(
    listed.songs, summaries, task.folder, keep_suspicious=keep_suspicious
  )
  done = len(ids) - len(missing)
  # Encoders return the summaries, so that no file is opened to count its pairs.
  if cluster:
    summaries |= cluster(source, missing, load_codec, task, done=done)
  else:
    summaries |= workers_lib.encode_missing(
      missing, load_codec, task, workers=workers, done=done
    )
  problems = _problems(listed, summaries)
  problems_lib.write(out, problems)
  if strict:  # songs may have been encoded by a run without it
    problems_lib.refuse_left_out(problems)
  # Counted before packing: TFDS refuses splits without records.
  counts = _count(listed.splits, summaries)
  _check_pairs(out, listed.splits, counts, summaries)
  name = f"{source.name}_{codec.name}"
  splits = {x: ids for x, ids in listed.splits.items() if counts[x]["pairs"]}
  records = _pack(out, packing.StemCodes, name, codec, splits)
  stems, segments = "", {}
  if config.contexts == "spectrum":
    stems = _pack(out, packing.StemSpectra, name, codec, splits)
    segments = stem_index.write(out, stems, splits)
  beats.Beats.of_songs(listed.songs).save(out)
  training = [summaries[song_id] for song_id in listed.splits["train"]]
  scaled = isinstance(codec, ScaledCodec)
  manifest = Manifest(
    name=name,
    records=records,
    stems=stems,
    segments=segments,
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
    listed={split: len(ids) for split, ids in listed.splits.items()},
    song_ids=listed.splits,
    segment_frames=codec.framing.segment_frames if scaled else 0,
    **statistics.of_pairs(training, config.loudness_db, scaled=scaled),
    # Not in the recipe: a run on another device continues the same set.
    codec_device=device,
    config=recipe,
    versions={name: importlib.metadata.version(name) for name in _PACKAGES},
    codebooks=codec.codebooks(),
    silence=encoding.silence_codes(codec, config.segment_seconds),
  )
  manifest.save(out)
  return manifest


def continued(out: pathlib.Path, config: pairs.PairConfig) -> pairs.PairConfig:
  """Return the configuration to continue a folder of an earlier version with.

  Its records have the loudness of the songs.
  """
  known = recipe_of(out).get("pairs", {"loudness_db"})
  if "loudness_db" in known:
    return config
  return dataclasses.replace(config, loudness_db=None)


def check(
  source: songs.Songs, codec: Codec, out: pathlib.Path, config: pairs.PairConfig
) -> dict[str, Any]:
  """Return the configuration of a data set if it can be prepared in `out`.

  Raises:
    ValueError, NotADirectoryError: the folder holds something else.
    ImportError, OSError: records could not be written.
  """
  fields = recipes.as_json(source) if dataclasses.is_dataclass(source) else {}
  recipe = {
    "source": source.name,
    "source_key": restore.key_of(source),
    "source_config": fields,
    "codec": codec.name,
    "codec_checksum": codec.checksum,
    "pairs": recipes.as_json(config),
  }
  for name in ("contexts", "usual_levels"):  # as recipes of earlier versions
    if getattr(config, name) == getattr(pairs.PairConfig, name):
      del recipe["pairs"][name]
  disk.check_folder(out)
  if existing := recipe_of(out):
    if "source_key" not in existing:  # of an earlier version
      del recipe["source_key"]
    recipes.check_same(out, existing, recipe)
    recipe = existing  # may lack fields of later versions
  elif out.exists() and {x.name for x in out.iterdir()} - {locks.NAME}:
    raise ValueError(
      f"{out} is not empty and holds no data set: give a new folder for --out"
    )
  packing.check_packing()
  return recipe


def _is_current(
  manifest: Manifest,
  listed: listing.Listing,
  summaries: _Summaries,
  task: encoding.Task,
) -> bool:
  """Return True if a finished data set has the songs as they are now.

  If the songs' files have been deleted, which is allowed, only ids are
  compared, and the number of songs with older sets.
  """
  if manifest.song_ids and any(
    sorted(manifest.song_ids[split]) != sorted(ids)
    for split, ids in listed.splits.items()
  ):
    return False
  counts = manifest.listed or {
    split: count["songs"] for split, count in manifest.counts.items()
  }
  if any(counts[split] != len(ids) for split, ids in listed.splits.items()):
    return False
  if not any(task.folder.glob("*.npz")):
    return True
  return not workers_lib.find_missing(
    listed.songs,
    summaries,
    task.folder,
    retry=False,
    keep_suspicious=task.keep_suspicious,
  )


def _problems(
  listed: listing.Listing, summaries: _Summaries
) -> list[tuple[str, songs.Problem]]:
  """Return the problems of all songs, by their ids."""
  ids = [song_id for split in listed.splits.values() for song_id in split]
  encoded = ((song, x) for song in ids for x in summaries[song].problems)
  return [*listed.problems, *encoded]


def _reported(
  out: pathlib.Path, listed: listing.Listing, summaries: _Summaries
) -> list[tuple[str, songs.Problem]]:
  """Return the problems of a finished set; replace a corrupt file of them."""
  try:
    return problems_lib.read(out)
  except ValueError:
    if not {x.id for x in listed.songs} <= summaries.keys():
      raise
  found = _problems(listed, summaries)
  problems_lib.write(out, found)
  return found


def _count(
  splits: Mapping[str, Sequence[str]], summaries: _Summaries
) -> dict[str, dict[str, int]]:
  """Return `Manifest.counts`."""
  counts = {}
  for split, ids in splits.items():
    of_split = [summaries[song_id] for song_id in ids]
    counts[split] = {
      "songs": sum(len(song.category) > 0 for song in of_split),
      "pairs": sum(len(song.category) for song in of_split),
      "empty": sum(int((~song.has_context).sum()) for song in of_split),
    }
  return counts


def _check_pairs(
  out: pathlib.Path,
  splits: Mapping[str, Sequence[str]],
  counts: Mapping[str, Mapping[str, int]],
  summaries: _Summaries,
) -> None:
  """Raise ValueError if no pair is left, or none to train on."""
  training = splits["train"]
  total = sum(count["pairs"] for count in counts.values())
  if total and not (training and not counts["train"]["pairs"]):
    return
  why = ""
  if ids := [*training, *(x for split in splits for x in splits[split])]:
    bad = [p for p in summaries[ids[0]].problems if p.left_out and not p.stem]
    why = f", as {ids[0]}: {bad[0].message}" if bad else ""
  raise ValueError(
    f"the {len(training)} songs to train on give no pair of stems{why}; see "
    f"{out / problems_lib.FILE}"
  )


def _pack(
  out: pathlib.Path,
  kind: type[packing.StemCodes] | type[packing.StemSpectra],
  name: str,
  codec: Codec,
  splits: dict[str, list[str]],
) -> str:
  """Pack the songs' files into records; return their folder in `out`."""
  # Records of outdated songs, if a run was killed after it had packed them.
  shutil.rmtree(out / kind.name, ignore_errors=True)
  builder = kind(
    data_dir=out,
    file_format="array_record",
    config=packing.StemCodesConfig(
      name=name,
      songs=splits,
      folder=out / "songs",
      levels=codec.levels,
      scaled=isinstance(codec, ScaledCodec),
    ),
  )
  packing.pack(builder)
  return str(pathlib.Path(builder.data_dir).relative_to(out))
