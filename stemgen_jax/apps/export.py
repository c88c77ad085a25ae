"""Export the weights of a run to one file that StemGen.load reads.

  stemgen-jax export --run=runs/demo --out=my_model.safetensors

Exports the averaged weights of the checkpoint with the highest validation
accuracy. Next to them it writes a .json file with the shape and origin of the
model, a model card, .md, with the same for readers and the training history,
and a plot of the history, .png.
"""

import pathlib

from absl import flags

from stemgen_jax import disk, locks, paths
from stemgen_jax.cli.flags.bound import bound
from stemgen_jax.cli.flags.required import required

DTYPES = ("float16", "float32")

FLAGS = flags.FlagValues()
_add = bound(FLAGS)
_add.string("run", None, "Folder that `stemgen-jax train` made.")
_add.string("out", None, "File to write, .safetensors.")
_STEP = _add.string(
  "step",
  "best",
  "Checkpoint to export: a step, last, or best (highest validation accuracy).",
)
_DTYPE = _add.string(
  "dtype", "float32", "float32, or float16 for half the size."
)
_OVERWRITE = _add.bool(
  "overwrite", False, "Replace existing weights and their .json, .md and .png."
)
_LICENSE = _add.string(
  "license",
  "",
  "Licence of the weights, one line. Permitted use also depends on the data "
  "and the codec.",
)
_DATA_LICENSE = _add.string(
  "data_license", "", "Licence of the music, one line, for the model card."
)


def main(argv: list[str]) -> None:
  """Export weights, description, model card and plot.

  Raises:
    ValueError: a flag is missing or invalid.
    FileNotFoundError: run or step not found.
    FileExistsError: one of the files exists already.
  """
  del argv
  run = required(FLAGS, "run", "runs/demo")
  out = pathlib.Path(required(FLAGS, "out", "model.safetensors"))
  if _DTYPE.value not in DTYPES:
    raise ValueError(
      f"--dtype={_DTYPE.value}: expected one of {', '.join(DTYPES)}"
    )
  step = _STEP.value
  if step not in ("best", "last") and not step.isdecimal():
    raise ValueError(f"--step={step}: expected best, last or a number")
  _check_writable(out)
  run = paths.check_run(run)

  with locks.only_writer(out):
    _check_writable(out)  # another export may have ended since
    _export(run, out)


def _check_writable(out: pathlib.Path) -> None:
  for suffix in (".safetensors", ".json", ".md", ".png"):
    path = out if suffix == ".safetensors" else out.with_suffix(suffix)
    disk.check_writable(path, _OVERWRITE.value, (suffix,))


def _export(run: pathlib.Path, out: pathlib.Path) -> None:
  # After all checks of the flags: jax takes seconds to load.
  from stemgen_jax import model
  from stemgen_jax.training import history, model_card, runs

  weights = runs.load_run(run, _STEP.value)
  metadata = weights.metadata | {
    "license": _LICENSE.value,
    "data_license": _DATA_LICENSE.value,
  }
  model.save_weights(
    out, weights.config, weights.params, metadata, dtype=_DTYPE.value
  )
  card = out.with_suffix(".md")
  disk.write_text(card, model_card.card(out, weights.config, metadata))
  plot = out.with_suffix(".png")
  plot.unlink(missing_ok=True)  # Of overwritten weights.
  if weights.metadata["course"]:
    history.draw(plot, weights.metadata["course"])
  size = out.stat().st_size / 1e6
  print(f"wrote {out}: step {metadata['steps']}, {size:.1f} MB; {card}")
