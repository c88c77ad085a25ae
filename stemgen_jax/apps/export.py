"""Writes the weights of a run to one file that StemGen.load reads.

  stemgen-jax export --run=runs/demo --out=my_model.safetensors

Takes the averaged weights of the checkpoint with the highest validation
accuracy and writes, beside the weights, a .json with the model's shape and
where it comes from, and a model card, .md, with the same for people and the
course of the training, which is drawn in a .png.
"""

import pathlib

from absl import flags

from stemgen_jax import disk
from stemgen_jax.cli.flags.required import required

DTYPES = ("float16", "float32")

FLAGS = flags.FlagValues()
flags.DEFINE_string(
  "run", None, "Folder that `stemgen-jax train` made.", flag_values=FLAGS
)
flags.DEFINE_string(
  "out", None, "File to write, .safetensors.", flag_values=FLAGS
)
_STEP = flags.DEFINE_string(
  "step",
  "best",
  "Of which checkpoint: a step, last, or best, of the highest validation "
  "accuracy.",
  flag_values=FLAGS,
)
_DTYPE = flags.DEFINE_string(
  "dtype",
  "float32",
  "float32, or float16 for half the size.",
  flag_values=FLAGS,
)
_OVERWRITE = flags.DEFINE_bool(
  "overwrite",
  False,
  "Replace weights that exist, and their .json, .md and .png.",
  flag_values=FLAGS,
)
_LICENSE = flags.DEFINE_string(
  "license",
  "",
  "Of the weights, one line. What may be done with weights also depends on "
  "the data and the codec.",
  flag_values=FLAGS,
)
_DATA_LICENSE = flags.DEFINE_string(
  "data_license", "", "Of the music, one line, for the card.", flag_values=FLAGS
)


def main(argv: list[str]) -> None:
  """Exports.

  Raises:
    ValueError: a flag is missing or wrong.
    FileNotFoundError: there is no such run or step.
    FileExistsError: weights of that name, or what belongs beside them, exist
      already.
  """
  del argv
  run = pathlib.Path(required(FLAGS, "run", "runs/demo"))
  out = pathlib.Path(required(FLAGS, "out", "model.safetensors"))
  if _DTYPE.value not in DTYPES:
    raise ValueError(
      f"--dtype={_DTYPE.value}: expected one of {', '.join(DTYPES)}"
    )
  step = _STEP.value
  if step not in ("best", "last") and not step.isdecimal():
    raise ValueError(f"--step={step}: expected best, last or a number")
  out.parent.mkdir(parents=True, exist_ok=True)
  disk.check_writable(out, _OVERWRITE.value, (".safetensors",))
  for suffix in (".json", ".md", ".png"):
    beside = out.with_suffix(suffix)
    disk.check_writable(beside, _OVERWRITE.value, (suffix,))

  from stemgen_jax import model
  from stemgen_jax.training import history, model_card, runs

  weights = runs.load_run(run, step)
  metadata = weights.metadata | {
    "license": _LICENSE.value,
    "data_license": _DATA_LICENSE.value,
  }
  model.save_weights(
    out, weights.config, weights.params, metadata, dtype=_DTYPE.value
  )
  about = out.with_suffix(".md")
  about.write_text(model_card.card(out, weights.config, metadata), "utf-8")
  picture = out.with_suffix(".png")
  picture.unlink(missing_ok=True)  # A run without validations has none.
  if weights.metadata["course"]:
    history.draw(picture, weights.metadata["course"])
  size = out.stat().st_size / 1e6
  print(f"wrote {out}: step {metadata['steps']}, {size:.1f} MB; {about}")
