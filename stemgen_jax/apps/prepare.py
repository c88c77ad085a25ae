"""Make a training set: pairs of a context and a stem, as codes.

Without files of your own, the built-in band writes and renders the songs:

  stemgen-jax prepare --source=band --songs=300 --out=data/band

The band and MIDI files are rendered in the format of the codec, in stereo for
encodec_48khz.

From a folder of MIDI files, rendered with a soundfont to a stem per instrument:

  stemgen-jax prepare --source=midi --root=my_midi --out=data/midi

From the accompaniment styles of Debian's `mma`, whose MIDI files are in --root:

  stemgen-jax prepare --source=mma --root=mma_songs --out=data/mma

From multitracks: Slakh2100, MUSDB18-HQ, MoisesDB, or a folder of your own with
a folder for each song and a file for each stem, named after its instrument:

  stemgen-jax prepare --source=folder --root=my_songs --out=data/mine --dry_run

Instruments follow from the names of the files; a table, stems.csv in --root,
overrides them for the files and songs that it names, see the README of
stemgen_jax/data.

Songs and stems that cannot be used are left out and named in problems.csv in
--out; --strict refuses them instead. Suspicious stems, such as white noise and
copies, are listed too, and are not used as targets unless --keep_suspicious is
given.

Stop it at any time: the same command resumes, and includes songs that were
added, repaired or relabelled since. A folder keeps to one codec and one set of
flags; other flags need another --out.

A page that shows the data set and plays some of its pairs:

  stemgen-jax prepare --inspect --out=data/band

The examples that `stemgen-jax evaluate` evaluates weights on, from the test
split of a finished set:

  stemgen-jax prepare --out=data/band --export_heldout=heldout.npz
"""

import pathlib
import re
from typing import Any

from absl import flags

from stemgen_jax import disk
from stemgen_jax.cli.flags import fields, sources
from stemgen_jax.cli.flags.bound import bound
from stemgen_jax.cli.flags.required import required
from stemgen_jax.codec import (
  backends,
  check_name,
  device,
  shape_of,
  weight_files,
)
from stemgen_jax.data.manifest import Manifest, recipe_of
from stemgen_jax.data.preparation import pairs

FLAGS = flags.FlagValues()
sources.define(FLAGS)
_add = bound(FLAGS)
_add.string("out", None, "Folder of the training set.")
_CODEC = _add.string(
  "codec",
  "demo",
  "Codec that turns audio into codes: demo or band, a .safetensors file, or "
  "encodec_24khz, encodec_32khz, encodec_48khz, which are downloaded unless "
  "they are in a cache, or read from a file after a colon: "
  "encodec_32khz:model.safetensors.",
)
_CODEC_DEVICE = _add.string(
  "codec_device",
  device.AUTO,
  "Where the codec encodes: cpu, cuda or cuda:N; auto is a GPU if PyTorch "
  "finds one.",
)
_CODEC_BACKEND = _add.string(
  "codec_backend",
  "auto",
  "Implementation of the codec: encodec (not for commercial use) or "
  "transformers; auto is the first that is installed.",
)
_SEGMENT_SECONDS = _add.time(
  "segment_seconds",
  None,
  "Length of the segments that songs are cut into, at most 60. Default: length "
  "of the longest song in whole seconds, at most 60; an existing set keeps its "
  "own.",
)
# Flags that are fields of PairConfig, in the order of --help.
_PAIR_FLAGS = {
  "empty_share": "Share of pairs that begin from silence.",
  "subset_sizes": "Draw contexts of all sizes alike (uniform), or every subset "
  "of stems alike.",
  "threshold_db": "Loudness below which a second counts as silent, A-weighted "
  "dB.",
  "min_active": "Share of --segment_seconds in which both sides of a pair must "
  "sound.",
  "level_db": "Raise or lower each stem of a context at random by up to this, "
  "in dB.",
  "usual_levels": "First bring each stem to the usual level of its category "
  "in a mix; for raw, unmixed tracks.",
}
_PAIRS = _add.integer(
  "pairs",
  None,
  "Pairs per segment. Default: 24, or 4 with --contexts=spectrum, where they "
  "are for evaluation; an existing set keeps its own.",
)
_CONTEXTS = _add.enum(
  "contexts",
  None,
  pairs.CONTEXTS,
  "Store contexts as codes of some mixes, or also the spectra of all stems, of "
  "which training mixes a new context for every example. Default: codes; an "
  "existing set keeps its own.",
)
for _name, _text in _PAIR_FLAGS.items():
  _default = getattr(pairs.PairConfig(), _name)
  if isinstance(_default, str):
    _add.enum(_name, _default, pairs.SUBSET_SIZES, _text)
  elif isinstance(_default, bool):  # before int: a bool is one
    _add.bool(_name, _default, _text)
  elif isinstance(_default, int):
    _add.integer(_name, _default, _text)
  else:
    _add.float(_name, _default, _text)
_add.string(
  "skip",
  "",
  "Songs and stems to leave out: a CSV file with the columns song and stem "
  "(empty for the whole song), such as lines of problems.csv; or known, for "
  "published songs that are known to be bad; or several with commas.",
)
_add.bool(
  "strict",
  False,
  "Stop at the first song or stem that cannot be used, instead of leaving it "
  "out and naming it in problems.csv.",
)
_add.bool(
  "keep_suspicious",
  False,
  "Train on white noise, on stems that clip or have a constant offset, on "
  "copies of stems, and on audio that is in two splits; all are reported.",
)
_add.integer(
  "workers",
  None,
  "Processes that encode. Default: one per core, on a GPU as many as fit.",
)
_RUNNER = _add.string(
  "runner",
  None,
  "Encode on a cluster with this runner of Apache Beam: DataflowRunner, "
  "SparkRunner, FlinkRunner, or DirectRunner to try it here.",
)
_BEAM = _add.multi_string(
  "beam",
  [],
  "Option of the runner, as --beam=region=europe-west1; may be given several "
  "times.",
)
_SONG_FILES = _add.string(
  "song_files",
  None,
  "Folder where the workers of --runner write the encoded songs: a path, or "
  "gs://, s3://, hdfs://. Default: in --out, if they see that.",
)
_add.bool("dry_run", False, "Check everything and print what would be done.")
_INSPECT = _add.bool(
  "inspect",
  False,
  "Do not prepare: write inspect.html, a page that shows and plays the data "
  "set in --out.",
)
_EXPORT_HELDOUT = _add.string(
  "export_heldout",
  None,
  "Do not prepare: write examples of the test split of --out to this .npz.",
)
_OVERWRITE = _add.bool(
  "overwrite", False, "Replace the .npz of --export_heldout."
)
_HELDOUT = _add.integer("heldout", 96, "Number of examples to export.")
_WINDOW = _add.integer("window", 400, "Frames of an exported example.")


def main(argv: list[str]) -> None:
  """Prepare a data set, inspect one, or export examples of one.

  Raises:
    ValueError: a flag is wrong, or the folder holds something else.
    FileNotFoundError: no weights of the codec, or no set to export from.
  """
  del argv
  out = pathlib.Path(required(FLAGS, "out", "data/band"))
  if _EXPORT_HELDOUT.value:
    _export(out, pathlib.Path(_EXPORT_HELDOUT.value))
  elif _INSPECT.value:
    _check_codec(out)
    Manifest.load(out)  # raises if there is none
    from stemgen_jax.data.preparation import run

    run.inspect(out, _CODEC.value, _CODEC_DEVICE.value)
  else:
    _prepare(out)


def _prepare(out: pathlib.Path) -> None:
  sources.check(FLAGS)
  disk.check_folder(out)
  _check_codec(out)
  names = [*_PAIR_FLAGS, "seed"]
  if _SEGMENT_SECONDS.value is not None:
    names.append("segment_seconds")
  chosen: dict[str, Any] = {name: FLAGS[name].value for name in names}
  existing = recipe_of(out).get("pairs", {})
  contexts = _CONTEXTS.value or existing.get("contexts", "codes")
  default = pairs.PAIRS[contexts]
  count = (
    existing.get("pairs", default) if _PAIRS.value is None else _PAIRS.value
  )
  chosen |= {"contexts": contexts, "pairs": count}
  try:
    config = pairs.PairConfig(**chosen)
  except ValueError as error:
    text = re.sub(r"^(\w+) is (.+), expected", r"--\1=\2: expected", str(error))
    raise ValueError(text) from error
  if not _RUNNER.value and (_BEAM.value or _SONG_FILES.value):
    raise ValueError(
      "--beam and --song_files are for a cluster: name its --runner"
    )
  known = recipe_of(out).get("source_config", {})
  source = sources.make(FLAGS, shape_of(_CODEC.value), known)
  # Imports scipy and TFDS: --help and mistakes in flags do not wait for them.
  from stemgen_jax.data.preparation import run

  run.prepare(source, out, config, fields.parse(FLAGS, run.Options))


def _check_codec(out: pathlib.Path) -> None:
  """Refuse an unknown codec, or another published one than that of `out`.

  Otherwise its weights would be downloaded before the mistake is noticed.
  """
  check_name(_CODEC.value)
  device.check(_CODEC_DEVICE.value)
  backends.check(_CODEC_BACKEND.value)
  name = _CODEC.value.partition(":")[0]
  used = recipe_of(out).get("codec", name)
  if name in weight_files.PUBLISHED and name != used:
    raise ValueError(
      f"--codec={_CODEC.value}: {out} holds codes of codec {used!r}: give "
      "that one, or another --out"
    )


def _export(data_dir: pathlib.Path, path: pathlib.Path) -> None:
  if path.suffix != ".npz":
    raise ValueError(f"--export_heldout={path}: expected an .npz file")
  disk.check_writable(path, _OVERWRITE.value, (".npz",))
  Manifest.load(data_dir)  # raises if there is none
  from stemgen_jax.data.preparation import run

  run.export(data_dir, path, _WINDOW.value, _HELDOUT.value, FLAGS.seed)
