"""Makes a training set: songs into pairs of a mix and a stem, as codes.

Without files of your own, the built-in band writes and plays the songs:

  stemgen-jax prepare --source=band --songs=300 --out=data/band

From multitracks: Slakh2100, MUSDB18-HQ, MoisesDB, or a folder of your own with
a folder for each song and a file for each stem, called by its instrument:

  stemgen-jax prepare --source=folder --root=my_songs --out=data/mine --dry_run

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

import functools
import os
import pathlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from absl import flags

from stemgen_jax import source_flags
from stemgen_jax.data import pairs

if TYPE_CHECKING:
  from stemgen_jax.codec import Codec
  from stemgen_jax.data.cluster import Cluster
  from stemgen_jax.data.manifest import Manifest
  from stemgen_jax.data.songs import Songs

_LISTED = 20  # songs that --dry_run shows

FLAGS = flags.FlagValues()
source_flags.define(FLAGS)
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
  "Songs are cut into segments of this length, at most 60. Default: the "
  "length of the songs.",
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
  "Share of a segment in which both sides of a pair must sound.",
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
  source_flags.check(FLAGS)
  workers = _WORKERS.value
  if workers is None:
    workers = os.cpu_count() or 1
  config = pairs.PairConfig(
    segment_seconds=_longest_segment()
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
  from stemgen_jax.data import report, stem_codes

  source = source_flags.make(FLAGS)
  load_codec = functools.partial(codec.load, _CODEC.value)
  cluster = _cluster()
  if _DRY_RUN.value:
    print(_plan(source, config, load_codec(), cluster, _OUT.value))
    return
  manifest = stem_codes.prepare(
    source,
    load_codec,
    _OUT.value,
    config,
    workers=workers,
    cluster=cluster,
    strict=_STRICT.value,
  )
  print(_summary(manifest))
  problems = report.read(pathlib.Path(_OUT.value))
  print(report.table(problems))
  if problems:
    print(f"all of them: {pathlib.Path(_OUT.value, report.FILE)}")
  print(f"wrote {_OUT.value}")


def _longest_segment() -> float:
  """A minute, as in the paper; the band's songs may be shorter."""
  return min(FLAGS.seconds, 60.0) if FLAGS.source == "band" else 60.0


def _plan(
  source: "Songs",
  config: pairs.PairConfig,
  codec: "Codec",
  cluster: "Cluster | None",
  out: str,
) -> str:
  """What preparing would do."""
  from stemgen_jax.data import listing, report

  listed = listing.look(source, config, strict=_STRICT.value)
  songs = ", ".join(
    f"{len(ids)} {split}" for split, ids in listed.splits.items() if ids
  )
  done = len(list(pathlib.Path(out, "songs").glob("*.npz")))
  where = "on this machine"
  if cluster:
    where = " ".join(["by", cluster.runner, *cluster.options])
    where += f", song files in {cluster.shared or out + '/songs'}"
  return "\n".join(
    [
      *_songs(source),
      f"{source.name}: {songs} songs, {done} of them are encoded",
      f"stems to play: {_stems(listed.stems, target=True)}",
      f"only heard: {_stems(listed.stems, target=False)}",
      report.table(listed.problems),
      f"codec {codec.name} ({codec.checksum[:12]}), {where}",
      "dry run: nothing was done, no audio was read",
    ]
  )


def _songs(source: "Songs") -> Iterator[str]:
  """The first songs and their stems, a line each."""
  total = 0
  for total, song in enumerate(source.songs(), 1):
    if total <= _LISTED:
      stems = ", ".join(f"{stem.name} {stem.category}" for stem in song.stems)
      yield f"{song.id} ({song.split}): {stems or 'no stems'}"
  if total > _LISTED:
    yield f"and {total - _LISTED} more"


def _stems(stems: dict[tuple[str, bool], int], *, target: bool) -> str:
  counts = {
    name: n for (name, is_target), n in stems.items() if is_target == target
  }
  ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
  return ", ".join(f"{name} {count}" for name, count in ordered) or "none"


def _cluster() -> "Cluster | None":
  if not _RUNNER.value:
    if _BEAM.value or _SONG_FILES.value:
      raise ValueError(
        "--beam and --song_files are for a cluster: name its --runner"
      )
    return None
  from stemgen_jax.data.cluster import Cluster

  cluster = Cluster(_RUNNER.value, tuple(_BEAM.value), _SONG_FILES.value)
  cluster.pipeline()  # mistakes in its options, before work starts
  return cluster


def _inspect(out: pathlib.Path) -> None:
  from stemgen_jax import codec
  from stemgen_jax.data import inspect_page
  from stemgen_jax.data.manifest import Manifest

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
