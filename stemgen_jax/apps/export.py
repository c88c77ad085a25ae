"""Writes the weights of a run to one file that StemGen.load reads.

  stemgen-jax export --run=runs/demo --out=my_model.safetensors

Takes the averaged weights of the last checkpoint and writes, beside the
weights, a .json with the model's shape and where it comes from.
"""

import functools
import pathlib

from absl import flags

from stemgen_jax import audio

DTYPES = ("float16", "float32")

FLAGS = flags.FlagValues()
_RUN = flags.DEFINE_string(
  "run", None, "Folder that `stemgen-jax train` made.", flag_values=FLAGS
)
_OUT = flags.DEFINE_string(
  "out", None, "File to write, .safetensors.", flag_values=FLAGS
)
_STEP = flags.DEFINE_integer(
  "step", None, "Of which checkpoint. Default: the last.", flag_values=FLAGS
)
_DTYPE = flags.DEFINE_string(
  "dtype",
  "float32",
  "float32, or float16 for half the size.",
  flag_values=FLAGS,
)
_OVERWRITE = flags.DEFINE_bool(
  "overwrite", False, "Replace weights that exist.", flag_values=FLAGS
)
_LICENSE = flags.DEFINE_string(
  "license", "Apache-2.0", "Of the weights, one line.", flag_values=FLAGS
)


def main(argv: list[str]) -> None:
  """Exports.

  Raises:
    ValueError: a flag is missing or wrong.
    FileNotFoundError: there is no such run or step.
    FileExistsError: weights of that name exist already.
  """
  del argv
  run = pathlib.Path(_required(_RUN, "runs/demo"))
  out = pathlib.Path(_required(_OUT, "model.safetensors"))
  if _DTYPE.value not in DTYPES:
    raise ValueError(
      f"--dtype={_DTYPE.value}: expected one of {', '.join(DTYPES)}"
    )
  out.parent.mkdir(parents=True, exist_ok=True)
  audio.check_writable(out, _OVERWRITE.value, (".safetensors",))
  if not (run / "checkpoints").is_dir():
    raise FileNotFoundError(f"no run at {run}: it has no folder checkpoints")

  import jax

  from stemgen_jax.model import weights
  from stemgen_jax.training import metrics
  from stemgen_jax.training.checkpoint import Checkpoints, abstract
  from stemgen_jax.training.step import init_state

  with Checkpoints(run) as checkpoints:
    step, about = checkpoints.about(_STEP.value)
    init = functools.partial(init_state, about.config, codebooks=None)
    state = checkpoints.load(step, abstract(init, jax.random.key(0)))
  validations = [
    line
    for line in metrics.read_log(run / "log.jsonl")
    if line["kind"] == "validation" and line["step"] <= step
  ]
  config = about.config.model
  counts = about.data.get("categories", {})
  weights.save_weights(
    out,
    config,
    state["ema"],
    {
      "steps": step,
      "batch": about.config.batch,
      "codec": config.codec,
      "codec_checksum": config.codec_checksum,
      "categories": [name for name, count in counts.items() if count],
      "context_rms_db": about.data.get("context_rms_db"),
      "scale_ratio": about.data.get("scale_ratio", {}),
      "data": about.data,
      "validation": validations[-1] if validations else {},
      "license": _LICENSE.value,
    },
    dtype=_DTYPE.value,
  )
  size = out.stat().st_size / 1e6
  print(f"wrote {out}: step {step}, {size:.1f} MB")


def _required(flag: flags.FlagHolder[str | None], example: str) -> str:
  if not flag.value:
    raise ValueError(f"--{flag.name} is missing, as --{flag.name}={example}")
  return flag.value
