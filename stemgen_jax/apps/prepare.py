"""Makes a training set: songs into pairs of a mix and a stem, as codes.

Without files of your own, the built-in band writes and plays the songs:

  stemgen-jax prepare --source=band --songs=300 --out=data/band

From multitracks: Slakh2100, MUSDB18-HQ, MoisesDB, or a folder of your own with
a folder for each song and a file for each stem, called by its instrument:

  stemgen-jax prepare --source=folder --root=my_songs --out=data/mine --dry_run

Instruments are told by the files' names; a table, stems.csv in --root, goes
before these for the files and songs that it names, see README.

Songs and stems that cannot be used are left out and named in problems.csv in
--out; with --strict they are refused.

It may be stopped at any time; the same command goes on where it was, and takes
in songs that were added, mended or labelled anew since. A folder keeps to one
codec and one set of flags; other flags need another --out.

A page that shows what is in it, and plays some of its pairs:

  stemgen-jax prepare --inspect --out=data/band

The examples that `stemgen-jax evaluate` judges weights by, from the test
split of a finished set:

  stemgen-jax prepare --out=data/band --export_heldout=heldout.npz
"""

import dataclasses
import functools
import os
import pathlib
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from absl import flags

from stemgen_jax import disk
from stemgen_jax.cli.flags import sources
from stemgen_jax.codec import weight_files
from stemgen_jax.data.manifest import bound_recipe
from stemgen_jax.data.preparation import pairs

if TYPE_CHECKING:
  from stemgen_jax.data.manifest import Manifest
  from stemgen_jax.data.preparation.beam import Cluster
  from stemgen_jax.data.songs import Songs

_LONGEST = 60.0  # seconds of a segment
# What cannot be had without the songs of a split.
_MISSED = {
  "train": "there is nothing to learn from",
  "valid": "training can neither listen nor tell its best step",
  "test": "evaluate --data has nothing to judge by",
}

FLAGS = flags.FlagValues()
sources.define(FLAGS)
_OUT = flags.DEFINE_string(
  "out", None, "Folder of the training set.", flag_values=FLAGS
)
_CODEC = flags.DEFINE_string(
  "codec",
  "demo",
  "What turns audio into codes: demo, a .safetensors file, or encodec_24khz, "
  "encodec_32khz, encodec_48khz, with their weights' file behind a colon if it "
  "is not to be looked for or downloaded: encodec_32khz:model.safetensors.",
  flag_values=FLAGS,
)
_DEFAULTS = pairs.PairConfig()
_SEGMENT_SECONDS = flags.DEFINE_float(
  "segment_seconds",
  None,
  "Songs are cut into segments of this length, at most 60. Default: that of "
  "the longest song in whole seconds, at most 60; of a set that is prepared "
  "again, as it was.",
  flag_values=FLAGS,
)
_PAIRS = flags.DEFINE_integer(
  "pairs", _DEFAULTS.pairs, "Pairs per segment.", flag_values=FLAGS
)
_EMPTY_SHARE = flags.DEFINE_float(
  "empty_share",
  _DEFAULTS.empty_share,
  "Share of pairs that begin from silence.",
  flag_values=FLAGS,
)
_SUBSET_SIZES = flags.DEFINE_enum(
  "subset_sizes",
  _DEFAULTS.subset_sizes,
  pairs.SUBSET_SIZES,
  "Contexts of all sizes alike (uniform), or every subset of stems alike.",
  flag_values=FLAGS,
)
_THRESHOLD_DB = flags.DEFINE_float(
  "threshold_db",
  _DEFAULTS.threshold_db,
  "Loudness below which a second counts as silent, A-weighted dB.",
  flag_values=FLAGS,
)
_MIN_ACTIVE = flags.DEFINE_float(
  "min_active",
  _DEFAULTS.min_active,
  "Share of --segment_seconds in which both sides of a pair must sound.",
  flag_values=FLAGS,
)
_LEVEL_DB = flags.DEFINE_float(
  "level_db",
  _DEFAULTS.level_db,
  "Raise or lower each stem of a context at random by up to this.",
  flag_values=FLAGS,
)
_STRICT = flags.DEFINE_boolean(
  "strict",
  False,
  "Stop at the first song or stem that cannot be used, instead of leaving it "
  "out and naming it in problems.csv.",
  FLAGS,
)
_WORKERS = flags.DEFINE_integer(
  "workers",
  None,
  "Processes that encode. Default: one for each core.",
  flag_values=FLAGS,
)
_RUNNER = flags.DEFINE_string(
  "runner",
  None,
  "Encode on a cluster with this runner of Apache Beam: DataflowRunner, "
  "SparkRunner, FlinkRunner, or DirectRunner to try it here.",
  flag_values=FLAGS,
)
_BEAM = flags.DEFINE_multi_string(
  "beam",
  [],
  "An option of the runner, as --beam=region=europe-west1; may be given "
  "several times.",
  flag_values=FLAGS,
)
_SONG_FILES = flags.DEFINE_string(
  "song_files",
  None,
  "Folder where the workers of --runner leave the encoded songs: a path, or "
  "gs://, s3://, hdfs://. Default: in --out, if they see that.",
  flag_values=FLAGS,
)
_DRY_RUN = flags.DEFINE_boolean(
  "dry_run", False, "Check everything and say what would be done.", FLAGS
)
_INSPECT = flags.DEFINE_boolean(
  "inspect",
  False,
  "Do not prepare: write inspect.html, a page that shows and plays what is in "
  "--out.",
  FLAGS,
)
_EXPORT_HELDOUT = flags.DEFINE_string(
  "export_heldout",
  None,
  "Do not prepare: write examples of the test split of --out to this .npz.",
  flag_values=FLAGS,
)
_OVERWRITE = flags.DEFINE_boolean(
  "overwrite", False, "Replace the .npz of --export_heldout.", FLAGS
)
_HELDOUT = flags.DEFINE_integer(
  "heldout", 96, "How many examples to export.", flag_values=FLAGS
)
_WINDOW = flags.DEFINE_integer(
  "window", 400, "Frames of an exported example.", flag_values=FLAGS
)


def main(argv: list[str]) -> None:
  """Prepares a data set, or exports examples of one.

  Raises:
    ValueError: a flag is wrong, or the folder holds something else.
    FileNotFoundError: the codec's weights, or the set to export from.
  """
  del argv
  if not _OUT.value:
    raise ValueError("--out is missing: name a folder, as --out=data/band")
  if _EXPORT_HELDOUT.value:
    _export(_OUT.value, pathlib.Path(_EXPORT_HELDOUT.value))
    return
  if _INSPECT.value:
    _inspect(pathlib.Path(_OUT.value))
    return
  sources.check(FLAGS)
  out = disk.check_folder(_OUT.value)
  _check_codec(out)
  workers = _WORKERS.value
  if workers is None:
    workers = os.cpu_count() or 1
  config = pairs.PairConfig(
    segment_seconds=_LONGEST
    if _SEGMENT_SECONDS.value is None
    else _SEGMENT_SECONDS.value,
    pairs=_PAIRS.value,
    empty_share=_EMPTY_SHARE.value,
    subset_sizes=_SUBSET_SIZES.value,
    threshold_db=_THRESHOLD_DB.value,
    min_active=_MIN_ACTIVE.value,
    level_db=_LEVEL_DB.value,
    seed=FLAGS.seed,
  )

  # Here, so that --help and mistakes in the flags answer at once.
  from stemgen_jax import codec
  from stemgen_jax.data.preparation import plan, prepare
  from stemgen_jax.data.preparation import problems as problems_lib

  source = sources.make(FLAGS)
  if _SEGMENT_SECONDS.value is None:
    seconds = _segment_seconds(source, bound_recipe(out))
    config = dataclasses.replace(config, segment_seconds=seconds)
  load_codec = functools.partial(codec.load, _CODEC.value)
  cluster = _cluster()
  if _DRY_RUN.value:
    where = "on this machine"
    if cluster:
      where = " ".join(["by", cluster.runner, *cluster.options])
      where += f", song files in {cluster.shared or out / 'songs'}"
    listed = plan.show(
      source, load_codec(), out, config, where, strict=_STRICT.value
    )
    _warn_of_splits({x: len(ids) for x, ids in listed.splits.items()})
    return
  manifest = prepare.prepare(
    source,
    load_codec,
    out,
    config,
    workers=workers,
    cluster=cluster,
    strict=_STRICT.value,
  )
  print(_summary(manifest))
  problems = problems_lib.read(out)
  print(problems_lib.table(problems))
  if problems:
    print(f"all of them: {out / problems_lib.FILE}")
  _warn_of_splits({x: count["pairs"] for x, count in manifest.counts.items()})
  print(f"wrote {out}")


def _check_codec(out: pathlib.Path) -> None:
  """Refuses a published codec that `out` was not made by, unfetched."""
  name = _CODEC.value.partition(":")[0]
  bound = bound_recipe(out).get("codec", name)
  if name in weight_files.PUBLISHED and name != bound:
    raise ValueError(
      f"--codec={_CODEC.value}: {out} holds codes of codec {bound!r}: give "
      "that one, or another --out"
    )


def _segment_seconds(source: "Songs", recipe: dict[str, Any]) -> float:
  """A minute, as in the paper, or the longest song where that is shorter."""
  if recipe:
    return recipe["pairs"]["segment_seconds"]
  if FLAGS.source == "band":
    return min(FLAGS.seconds, _LONGEST)
  from stemgen_jax.data.sources import multitracks

  return multitracks.longest_seconds(source, _LONGEST)


def _warn_of_splits(counts: Mapping[str, int]) -> None:
  """Tells of splits that have nothing, and how to get them something."""
  for split, missed in _MISSED.items():
    if not counts.get(split):
      how = f"add songs to its {split} split"
      if FLAGS.source == "band":
        flag = {"train": "songs"}.get(split, f"{split}_songs")
        how = f"give more --{flag}"
      elif FLAGS.source == "folder":
        how = (
          f"put songs into {FLAGS.root}/{split}, or a row SONG,,,,{split} into "
          "its stems.csv"
        )
      print(
        f"warning: nothing in the {split} split: {missed}; {how}",
        file=sys.stderr,
      )


def _cluster() -> "Cluster | None":
  if not _RUNNER.value:
    if _BEAM.value or _SONG_FILES.value:
      raise ValueError(
        "--beam and --song_files are for a cluster: name its --runner"
      )
    return None
  from stemgen_jax.data.preparation.beam import Cluster

  cluster = Cluster(_RUNNER.value, tuple(_BEAM.value), _SONG_FILES.value)
  cluster.pipeline()  # mistakes in its options, before work starts
  return cluster


def _inspect(out: pathlib.Path) -> None:
  _check_codec(out)
  from stemgen_jax import codec
  from stemgen_jax.data.manifest import Manifest
  from stemgen_jax.data.preparation import inspect_page

  checksum = Manifest.load(out).checksum
  path = out / "inspect.html"
  inspect_page.write(
    out, codec.load(_CODEC.value, expected_checksum=checksum), path
  )
  print(
    f"wrote {path}: {path.stat().st_size / 1e6:.1f} MB, open it in a browser"
  )


def _export(data_dir: str, path: pathlib.Path) -> None:
  if path.suffix != ".npz":
    raise ValueError(f"--export_heldout={path}: expected an .npz file")
  disk.check_folder(path.parent)
  path.parent.mkdir(parents=True, exist_ok=True)
  disk.check_writable(path, _OVERWRITE.value, (".npz",))

  from stemgen_jax.data import batches

  examples = batches.eval_examples(
    data_dir, "test", _WINDOW.value, _HELDOUT.value, FLAGS.seed
  )
  examples.save(path)
  print(
    f"wrote {path}: {len(examples)} examples of "
    f"{len(set(examples.song.tolist()))} songs, "
    f"{path.stat().st_size / 1e6:.2f} MB"
  )


def _summary(manifest: "Manifest") -> str:
  rows = [f"{'split':<8}{'songs':>8}{'pairs':>8}{'from silence':>14}"]
  for split, count in manifest.counts.items():
    rows.append(
      f"{split:<8}{count['songs']:>8}{count['pairs']:>8}{count['empty']:>14}"
    )
  instruments = ", ".join(
    f"{name} {count}" for name, count in manifest.categories.items()
  )
  return "\n".join([*rows, f"training targets: {instruments}"])
