"""Run the command `prepare`: prepare, plan, inspect or export a data set.

Its flags are in `apps.prepare`, which imports this module, and with it the
codec, scipy and TFDS, after it has checked them.
"""

import dataclasses
import functools
import pathlib
import sys
from collections.abc import Mapping, Sequence

from stemgen_jax import codec as codec_lib
from stemgen_jax import locks, text_tables
from stemgen_jax.data import batches, beats, songs
from stemgen_jax.data.manifest import Manifest, recipe_of
from stemgen_jax.data.preparation import (
  inspect_page,
  pairs,
  plan,
  problems,
  skipping,
)
from stemgen_jax.data.preparation import prepare as prepare_lib
from stemgen_jax.data.sources import multitracks, restore
from stemgen_jax.data.sources.band import Band
from stemgen_jax.data.sources.folder import Folder
from stemgen_jax.data.sources.midi import Midi
from stemgen_jax.data.sources.mma import Mma

# Consequence of a split without songs.
_MISSED = {
  "train": "there is nothing to learn from",
  "valid": "training can neither audition nor find its best step",
  "test": "evaluate --data has nothing to evaluate on",
}
# Least number of songs of a split that serves its purpose.
_LEAST = {"train": 1, "valid": 1, "test": restore.LEAST_SONGS}


# Steps and batch of the paper's run.
_PAPER_RUN = 150_000, 40


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
  """Flags of the command `prepare`, by their names.

  Attributes:
    segment_seconds: length of the segments; None for that of an existing set,
      or of the longest song, at most that of the `PairConfig`.
    codec: name of the codec.
    codec_device: device of the codec, see `codec.device.choose`.
    codec_backend: implementation of the codec, see `codec.backends`.
    workers: processes that encode, see `preparation.prepare.prepare`.
    runner: Beam runner that encodes in their place, if any.
    beam: options of the runner.
    song_files: folder that the runner's workers share, if any.
    skip: songs and stems to leave out, see `skipping`.
    strict: refuse songs and stems that cannot be used.
    keep_suspicious: use suspicious stems as targets.
    dry_run: only print what would be done.
  """

  segment_seconds: float | None
  codec: str
  codec_device: str
  codec_backend: str
  workers: int | None
  runner: str | None
  beam: Sequence[str]
  song_files: str | None
  skip: str
  strict: bool
  keep_suspicious: bool
  dry_run: bool


def prepare(
  source: songs.Songs,
  out: pathlib.Path,
  config: pairs.PairConfig,
  options: Options,
) -> None:
  """Prepare a data set, or show what would be done, and print the result.

  Args:
    source: source of the songs.
    out: folder of the data set.
    config: how pairs are drawn.
    options: flags of the command.

  Raises:
    ValueError, OSError: see `preparation.prepare.prepare`.
  """
  # Once: large sources take seconds to list.
  found, skipped = skipping.apply(
    source.name, tuple(source.songs()), options.skip
  )
  if skipped:
    print(skipped)
  if options.segment_seconds is None:
    seconds = _segment_seconds(source, found, out, config.segment_seconds)
    config = dataclasses.replace(config, segment_seconds=seconds)
  config = prepare_lib.continued(out, config)
  load_codec = functools.partial(
    codec_lib.load,
    options.codec,
    device=options.codec_device,
    backend=options.codec_backend,
  )
  machines, cluster = "on this machine", None
  if runner := options.runner:
    from stemgen_jax.data.preparation.beam import Cluster  # optional package

    cluster = Cluster(runner, tuple(options.beam), options.song_files)
    cluster.pipeline()  # reports mistakes in its options before any work
    machines = " ".join(["by", runner, *options.beam])
    machines += f", song files in {options.song_files or out / 'songs'}"
  if options.dry_run:
    listed = plan.show(
      source,
      found,
      load_codec(),
      out,
      config,
      machines,
      strict=options.strict,
      keep_suspicious=options.keep_suspicious,
    )
    _warn_of_splits(source, {x: len(ids) for x, ids in listed.splits.items()})
    return
  before, had_beats = Manifest.written(out), (out / beats.FILE).is_file()
  with locks.only_writer(out, folder=True):
    manifest = prepare_lib.prepare(
      source,
      load_codec,
      out,
      config,
      found=found,
      workers=options.workers,
      cluster=cluster,
      strict=options.strict,
      keep_suspicious=options.keep_suspicious,
    )
  print(_summary(manifest))
  seen = manifest.examples_seen(*_PAPER_RUN)
  print(f"for comparison, with the paper's run: {seen}")
  left_out = problems.read(out)
  print(problems.table(left_out))
  if left_out:
    print(f"all problems: {out / problems.FILE}")
  counts = {split: count["songs"] for split, count in manifest.counts.items()}
  _warn_of_splits(source, counts)
  is_new = Manifest.written(out) != before
  added = "nothing to add" if had_beats else f"added only {beats.FILE}"
  print(f"wrote {out}" if is_new else f"{out} is finished: {added}")


def inspect(out: pathlib.Path, codec: str, codec_device: str) -> None:
  """Write the page of a data set and print its path.

  Raises:
    FileNotFoundError: no finished data set in `out`.
    ValueError: the data set was made by another codec.
  """
  checksum = Manifest.load(out).checksum
  path = out / "inspect.html"
  loaded = codec_lib.load(
    codec, expected_checksum=checksum, device=codec_device
  )
  inspect_page.write(out, loaded, path)
  print(
    f"wrote {path}: {path.stat().st_size / 1e6:.1f} MB, open it in a browser"
  )


def export(
  data_dir: pathlib.Path, path: pathlib.Path, window: int, count: int, seed: int
) -> None:
  """Write examples of the test split to a file and print its path.

  Raises:
    FileNotFoundError, ValueError: see `batches.eval_examples`.
  """
  examples = batches.eval_examples(data_dir, "test", window, count, seed)
  examples.save(path)
  print(
    f"wrote {path}: {len(examples)} examples of "
    f"{len(set(examples.song.tolist()))} songs, "
    f"{path.stat().st_size / 1e6:.2f} MB"
  )


def _segment_seconds(
  source: songs.Songs,
  found: tuple[songs.Song, ...],
  out: pathlib.Path,
  most: float,
) -> float:
  """Return the segment length of the existing set, or of the longest song."""
  # A longer song added later must not change the configuration of a set.
  if recipe := recipe_of(out):
    return recipe["pairs"]["segment_seconds"]
  if isinstance(source, Band | Mma):
    return min(source.seconds, most)
  return multitracks.longest_seconds(found, most)


def _warn_of_splits(source: songs.Songs, counts: Mapping[str, int]) -> None:
  """Warn of splits with too few songs, and state how to fill them."""
  for split, missed in _MISSED.items():
    if (count := counts.get(split, 0)) < _LEAST[split]:
      few = f"nothing in the {split} split: {missed}"
      if count:
        few = (
          f"only {count} {split} song: evaluate --data needs {_LEAST[split]}"
        )
      how = f"add songs to its {split} split"
      if isinstance(source, Band | Mma):
        flag = {"train": "songs"}.get(split, f"{split}_songs")
        how = f"give more --{flag}"
      elif isinstance(source, Midi):
        how = f"put files into {source.root}/{split}"
      elif isinstance(source, Folder):
        how = (
          f"put songs into {source.root}/{split}, or a row SONG,,,,{split} "
          "into its stems.csv"
        )
      print(f"warning: {few}; {how}", file=sys.stderr)


def _summary(manifest: Manifest) -> str:
  rows = [
    (split, count["songs"], count["pairs"], count["empty"])
    for split, count in manifest.counts.items()
  ]
  table = text_tables.aligned(rows, ("split", "songs", "pairs", "from silence"))
  instruments = ", ".join(
    f"{name} {count}" for name, count in manifest.categories.items()
  )
  return f"{table}\npairs to train on, by target: {instruments}"
