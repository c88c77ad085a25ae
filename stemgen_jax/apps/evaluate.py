"""Judges weights on examples that they were not trained on.

Does the model listen? How well it predicts a real stem from the music the
stem was played to, against another song's music, silence and nothing:

  stemgen-jax evaluate --what=listening --out=out/listening

It writes listening.json: bits per masked frame (less is better), and as the
gain what the true context is worth against another song's. Weights and a
data set of your own:

  stemgen-jax evaluate --what=listening --out=out/listening \\
    --weights=runs/mine/model.safetensors --data=data/mine

Does it sound like the instrument? Level, brightness, noisiness and onsets of
stems played to the package's loops, beside those of real stems:

  stemgen-jax evaluate --what=sound --out=out/sound
"""

import pathlib
from typing import TYPE_CHECKING, Any

from absl import flags

from stemgen_jax import audio

if TYPE_CHECKING:
  from stemgen_jax.data.examples import Examples
  from stemgen_jax.model import ModelConfig

WHAT = ("listening", "sound")

FLAGS = flags.FlagValues()
_WHAT = flags.DEFINE_string(
  "what", "listening", f"What to judge: {', '.join(WHAT)}.", flag_values=FLAGS
)
_OUT = flags.DEFINE_string(
  "out",
  None,
  "Folder for the result; a .json of the last time there is replaced.",
  flag_values=FLAGS,
)
_WEIGHTS = flags.DEFINE_string(
  "weights",
  "demo",
  "The model: demo, or an exported .safetensors file.",
  flag_values=FLAGS,
)
_CODEC = flags.DEFINE_string(
  "codec",
  None,
  "For --what=sound: the codec that --weights were trained with, a "
  ".safetensors file or encodec_32khz:FILE (24, 48). Default: the one that "
  "--weights name.",
  flag_values=FLAGS,
)
_DATA = flags.DEFINE_string(
  "data",
  None,
  "A prepared folder, of which the test split is used, or an .npz of "
  "`stemgen-jax prepare --export_heldout`. Default: the examples that come "
  "with the demo weights.",
  flag_values=FLAGS,
)
_EXAMPLES = flags.DEFINE_integer(
  "examples", 96, "How many examples of a prepared folder.", flag_values=FLAGS
)
_SEED = flags.DEFINE_integer(
  "seed", 0, "Of masks, exchanged contexts and intervals.", flag_values=FLAGS
)


def main(argv: list[str]) -> None:
  """Loads weights and examples, judges, writes and prints the figures.

  Raises:
    ValueError: a flag is wrong, or weights and examples do not belong
      together.
    OSError: weights or examples are not there, or --out cannot be written.
  """
  del argv
  if _WHAT.value not in WHAT:
    raise ValueError(f"--what={_WHAT.value}: expected {' or '.join(WHAT)}")
  if not _OUT.value:
    raise ValueError("--out is missing: name a folder, as --out=out/listening")
  path = pathlib.Path(_OUT.value) / f"{_WHAT.value}.json"
  if path.parent.exists() and not path.parent.is_dir():
    raise NotADirectoryError(f"--out={path.parent} is a file, not a folder")
  path.parent.mkdir(parents=True, exist_ok=True)
  audio.check_writable(path, True, (".json",))

  # Here, so that --help and mistakes in the flags answer at once.
  from stemgen_jax.data.manifest import write_json

  result = {"listening": _listening, "sound": _sound}[_WHAT.value]()
  write_json(path, result | {"weights": _WEIGHTS.value, "seed": _SEED.value})
  print(f"wrote {path}")


def _listening() -> dict[str, Any]:
  from stemgen_jax import model
  from stemgen_jax.evaluation import listening

  weights = model.load_weights(_WEIGHTS.value)
  examples = _examples(weights.config)
  result = listening.listening(weights, examples, seed=_SEED.value)
  print(_table(result))
  return result | {
    "steps": weights.metadata.get("steps"),
    "data": _DATA.value or "demo",
    "codec": examples.codec,
    "codec_checksum": examples.checksum,
  }


def _sound() -> dict[str, Any]:
  from stemgen_jax import stemgen
  from stemgen_jax.evaluation import sound

  player = stemgen.StemGen.load(_WEIGHTS.value, codec=_CODEC.value)
  result = sound.sound(player, _examples(player.config), seed=_SEED.value)
  print(sound.table(result))
  return result


def _examples(config: "ModelConfig") -> "Examples":
  from stemgen_jax.data import examples

  data = _DATA.value
  if not data:
    return examples.Examples.load(examples.HELDOUT)
  if not pathlib.Path(data).is_dir():
    return examples.Examples.load(data)

  from stemgen_jax.data import batches

  return batches.eval_examples(
    data, "test", config.window, _EXAMPLES.value, _SEED.value
  )


def _table(result: dict[str, Any]) -> str:
  names = ("true", "shuffled", "silent", "null")
  rows = [
    f"bits per masked frame, {result['examples']} examples of "
    f"{result['songs']} songs",
    f"{'masked':>8}" + "".join(f"{name:>10}" for name in names) + "   gain",
  ]
  for percent, figures in result["masked"].items():
    rows.append(
      f"{percent + ' %':>8}"
      + "".join(f"{figures[name]:>10.2f}" for name in names)
      + f"   {figures['gain']:.2f} ({figures['gain_low']:.2f} to "
      f"{figures['gain_high']:.2f})"
    )
  low = result["masked"]["100"]["gain_low"]
  rows.append("It listens." if low > 0 else "It does not listen.")
  return "\n".join(rows)
