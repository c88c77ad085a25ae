"""Transfer weights to the codec of a data set, as a start for training.

  stemgen-jax transfer --weights=demo --data=data/full_band \\
    --out=transferred.safetensors
  stemgen-jax train --config=configs/full_band.py --data=data/full_band \\
    --start=transferred.safetensors --out=runs/full_band

A model reads and predicts the codes of one codec. This keeps its blocks, and
fits the embeddings and heads of another codec's codes to those that it has, on
audio that both codecs encode. Training from such weights learns to follow the
context much sooner than from new ones.
"""

import pathlib

from absl import flags

from stemgen_jax import codec as codec_lib
from stemgen_jax import disk, locks
from stemgen_jax.cli.flags.bound import bound
from stemgen_jax.cli.flags.required import required
from stemgen_jax.data.manifest import Manifest

FLAGS = flags.FlagValues()
_add = bound(FLAGS)
_add.string("weights", None, "demo, exported weights, or the folder of a run.")
_add.string("data", None, "Folder that `stemgen-jax prepare` made.")
_add.string("out", None, "File to write, .safetensors.")
_PAIRS = _add.integer(
  "pairs", 130, "Number of training pairs whose audio both codecs encode."
)
_CODEC = _add.string(
  "codec", None, "Codec of the data, if it is a file. Default: its name."
)
_WEIGHTS_CODEC = _add.string(
  "weights_codec", None, "Codec of the weights, likewise."
)
_OVERWRITE = _add.bool("overwrite", False, "Replace existing weights.")


def main(argv: list[str]) -> None:
  """Write weights for the codec of a data set.

  Raises:
    ValueError: a flag is invalid, the codecs are the same, or one has scales.
    FileNotFoundError: weights, data or codec not found.
    FileExistsError: the file exists already.
  """
  del argv
  source = required(FLAGS, "weights", "demo")
  data = required(FLAGS, "data", "data/full_band")
  out = pathlib.Path(required(FLAGS, "out", "transferred.safetensors"))
  if _PAIRS.value < 1:
    raise ValueError(f"--pairs={_PAIRS.value}: expected at least 1")
  manifest = Manifest.load(data)
  _check_writable(out)

  # After all checks of the flags: jax and torch take seconds to load.
  from stemgen_jax import model
  from stemgen_jax.data.records import Records
  from stemgen_jax.training import runs, transfer

  weights = runs.load_any(source)
  config = weights.config
  if config.codec_checksum == manifest.checksum:
    raise ValueError(
      f"--data={data}: its codec {manifest.codec!r} is that of --weights="
      f"{source}; expected another one; give train --start={source}"
    )
  if config.context != "codes" or config.scale_frames:
    raise ValueError(
      f"--weights={source}: context {config.context!r}, scale_frames "
      f"{config.scale_frames}; expected weights that read codes alone"
    )
  ours = codec_lib.load(
    _CODEC.value or manifest.codec, expected_checksum=manifest.checksum
  )
  theirs = codec_lib.load(
    _WEIGHTS_CODEC.value or config.codec,
    expected_checksum=config.codec_checksum,
  )
  for codec in (ours, theirs):
    transfer.check_codec(codec)
  with locks.only_writer(out):
    _check_writable(out)  # another command may have ended since
    records = Records(data, "train")
    matched = transfer.matched_codes(records, ours, theirs, _PAIRS.value)
    transferred, explained = transfer.transfer(weights, manifest, *matched)
    model.save_weights(
      out, transferred.config, transferred.params, transferred.metadata
    )
  print(
    f"wrote {out}: {100 * explained:.0f} % of the variance of the embeddings "
    f"explained; start a run with stemgen-jax train --start={out}"
  )


def _check_writable(out: pathlib.Path) -> None:
  for suffix in (".safetensors", ".json"):
    path = out if suffix == ".safetensors" else out.with_suffix(suffix)
    disk.check_writable(path, _OVERWRITE.value, (suffix,))
