"""Judges weights on songs that they were not trained on.

All there is to know, as report.html and report.json: 400 stems are played to
contexts of held-out songs, and judged beside the real stems, another song's,
and the real ones through the codec. It takes hours, may be stopped at any
time, and goes on where it was; calls at the same time share the work:

  stemgen-jax evaluate --out=out/report

Less of it: fewer examples, and only what is quick:

  stemgen-jax evaluate --out=out/report --examples=40 --mirdd=false

Weights and a data set of your own, whose songs are still where they were:

  stemgen-jax evaluate --out=out/mine --weights=runs/mine/model.safetensors \\
    --data=data/mine

Does the model listen? How well it predicts a real stem from the music the
stem was played to, against another song's music, silence and nothing:

  stemgen-jax evaluate --what=listening --out=out/listening

It writes listening.json: bits per masked frame (less is better), and as the
gain what the true context is worth against another song's.

Does it sound like the instrument? Level, brightness, noisiness and onsets of
stems played to the package's loops, beside those of real stems:

  stemgen-jax evaluate --what=sound --out=out/sound

Does it keep time with loops of any kind? Drums and bass are played to each, and
their beats held against the loop's; played/ in --out has them to listen to:

  stemgen-jax evaluate --what=loops --files='my_loops/*.wav' --out=out/loops

Which way to decode is worth its passes? The same examples under every setting
of a file, with several seeds, as decoding.md and decoding.png; settings that
are added to the file later join those that are done:

  stemgen-jax evaluate --what=decoding --grid=configs/decoding.py \\
    --seconds=5 --out=out/decoding
"""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from absl import flags

from stemgen_jax import audio, disk
from stemgen_jax.cli.flags import owners
from stemgen_jax.sampling.settings import PRESETS

if TYPE_CHECKING:
  from stemgen_jax.data.examples import Examples
  from stemgen_jax.evaluation.metrics.descriptors import Describe
  from stemgen_jax.evaluation.metrics.embeddings import Embedding
  from stemgen_jax.evaluation.subject import Subject
  from stemgen_jax.generation.stemgen import StemGen
  from stemgen_jax.model import ModelConfig, Weights

WHAT = ("all", "listening", "sound", "loops", "decoding")
_OF_ALL, _OF_LISTENING, _OF_DECODING = 400, 96, 48
_LAST_SEED = 2**31 - 1  # examples and takes add to it

FLAGS = flags.FlagValues()
_WHAT = flags.DEFINE_string(
  "what", "all", f"What to judge: {', '.join(WHAT)}.", flag_values=FLAGS
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
  "The codec that --weights were trained with, a "
  ".safetensors file or encodec_32khz:FILE (24, 48). Default: the one that "
  "--weights name.",
  flag_values=FLAGS,
)
_DATA = flags.DEFINE_string(
  "data",
  None,
  "A prepared folder, of which the test split is used; for listening and "
  "sound also an .npz of `stemgen-jax prepare --export_heldout`. Default: test "
  "songs of the source that the weights were trained on, for the demo the "
  "band; for listening and sound the examples that come with the demo "
  "weights.",
  flag_values=FLAGS,
)
_EXAMPLES = flags.DEFINE_integer(
  "examples",
  None,
  f"How many examples. Default: {_OF_ALL}, for listening and "
  f"sound {_OF_LISTENING}, for decoding {_OF_DECODING}.",
  flag_values=FLAGS,
)
_SEED = flags.DEFINE_integer(
  "seed",
  0,
  "Of the list of examples, the stems, masks, exchanged contexts and "
  "intervals.",
  flag_values=FLAGS,
)
_SECONDS = flags.DEFINE_float(
  "seconds", 10.0, "Length of an example that is played.", flag_values=FLAGS
)
_PRESET = flags.DEFINE_enum(
  "preset", "default", list(PRESETS), "How to sample.", flag_values=FLAGS
)
_MIRDD = flags.DEFINE_bool(
  "mirdd",
  None,
  "Describe every mix for MIRDD: half a minute an example, for decoding half a "
  "minute a take. Default: yes, for decoding no.",
  flag_values=FLAGS,
)
_VGGISH = flags.DEFINE_string(
  "vggish",
  None,
  "FAD with VGGish too: its weights, as torchvggish's vggish-10086976.pth or "
  "a .safetensors of the same tensors.",
  flag_values=FLAGS,
)
_CLAP = flags.DEFINE_string(
  "clap",
  None,
  "FAD with CLAP too: a folder with config.json, preprocessor_config.json and "
  "model.safetensors, as laion/larger_clap_music's.",
  flag_values=FLAGS,
)
_FILES = flags.DEFINE_string(
  "files", None, "For loops: all files that match.", flag_values=FLAGS
)
_GRID = flags.DEFINE_string(
  "grid",
  None,
  "For decoding: a file whose get_settings() returns Settings by name.",
  flag_values=FLAGS,
)
_REFERENCE = flags.DEFINE_string(
  "reference",
  None,
  "For decoding: the setting that the others are compared with. Default: the "
  "first of --grid.",
  flag_values=FLAGS,
)
_SEEDS = flags.DEFINE_integer(
  "seeds", 3, "For decoding: takes of each example.", flag_values=FLAGS
)
_SHOWN = flags.DEFINE_integer(
  "shown", 6, "How many examples the page plays.", flag_values=FLAGS
)
_VARIATIONS = flags.DEFINE_integer(
  "variations",
  3,
  "How often each step of the page's sessions is tried; 0 leaves them out.",
  flag_values=FLAGS,
)
_OWNERS = {
  "codec": ("all", "sound", "loops", "decoding"),
  "data": ("all", "listening", "sound", "decoding"),
  "examples": ("all", "listening", "sound", "decoding"),
  "seconds": ("all", "loops", "decoding"),
  "preset": ("all", "sound", "loops"),
  "mirdd": ("all", "decoding"),
  "vggish": ("all", "decoding"),
  "clap": ("all", "decoding"),
  "shown": ("all",),
  "variations": ("all",),
  "files": ("loops",),
  "grid": ("decoding",),
  "reference": ("decoding",),
  "seeds": ("decoding",),
}
"""Flags, and what they are for."""


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
  owners.check(FLAGS, "what", _OWNERS)
  if not 0 <= _SEED.value <= _LAST_SEED:
    raise ValueError(f"--seed={_SEED.value}: expected 0 to {_LAST_SEED}")
  if not _OUT.value:
    raise ValueError("--out is missing: name a folder, as --out=out/report")
  name = "report" if _WHAT.value == "all" else _WHAT.value
  path = pathlib.Path(_OUT.value) / f"{name}.json"
  disk.check_folder(path.parent)
  path.parent.mkdir(parents=True, exist_ok=True)
  disk.check_writable(path, True, (".json",))

  # Here, so that --help and mistakes in the flags answer at once.
  from stemgen_jax.generation import compilation

  work = {
    "all": _all,
    "listening": _listening,
    "sound": _sound,
    "loops": _loops,
    "decoding": _decoding,
  }
  compilation.keep_programs()
  result = work[_WHAT.value]()
  disk.write_json(
    path, result | {"weights": _WEIGHTS.value, "seed": _SEED.value}
  )
  print(f"wrote {path}")


def _all() -> dict[str, Any]:
  from stemgen_jax import sampling
  from stemgen_jax.evaluation.reporting import page as page_lib
  from stemgen_jax.evaluation.reporting import sessions, summary
  from stemgen_jax.evaluation.studies import full

  count = _count(_OF_ALL)
  for name, value in (("shown", _SHOWN), ("variations", _VARIATIONS)):
    if value.value < 0:
      raise ValueError(f"--{name}={value.value}: expected 0 or more")
  subject = _subject()
  settings = sampling.preset(_PRESET.value)
  embeddings = _embeddings(subject.player)
  out = pathlib.Path(_OUT.value or "")
  describe = _describe(usual=True)
  recipe = _recipe(subject, embeddings) | {
    "settings": dataclasses.asdict(settings),
    "mirdd": describe is not None,
  }
  playing = {"settings": settings, "seed": _SEED.value}
  full.claim(out, recipe)
  # First, as it is quick, and its mistakes are not found out after hours.
  heard = _listening_of_all(subject.player)
  judged = full.run(
    subject.player,
    subject.examples,
    out,
    count=count,
    recipe=recipe,
    **playing,
    embeddings=embeddings,
    describe=describe,
  )
  result = summary.summarise(judged, _SEED.value)
  result |= {
    "weights": _WEIGHTS.value,
    "preset": _PRESET.value,
    "data": _DATA.value or subject.source.name,
  }
  if heard:
    result["listening"] = heard
  print(summary.table(result))
  page = out / "report.html"
  numbers = [one.about["number"] for one in judged]
  page_lib.write(
    page,
    result,
    [
      (example, full.stem(subject.player, example, out, **playing))
      for example in map(subject.examples.example, numbers[: _SHOWN.value])
    ],
    sessions.sessions(
      subject.player, settings, variations=_VARIATIONS.value, seed=_SEED.value
    ),
  )
  print(f"wrote {page}: {page.stat().st_size / 1e6:.1f} MB")
  return result


def _decoding() -> dict[str, Any]:
  from stemgen_jax.evaluation.reporting import decoding_table
  from stemgen_jax.evaluation.studies import decoding, grid

  settings = grid.load(_GRID.value)
  reference = _REFERENCE.value or next(iter(settings))
  if reference not in settings:
    raise ValueError(
      f"--reference={reference}: {_GRID.value} has {', '.join(settings)}"
    )
  if _SEEDS.value < 1:
    raise ValueError(f"--seeds={_SEEDS.value}: expected 1 or more")
  count = _count(_OF_DECODING)
  subject = _subject()
  embeddings = _embeddings(subject.player)
  describe = _describe(usual=False)
  out = pathlib.Path(_OUT.value or "")
  found = decoding.run(
    subject.player,
    subject.examples,
    out,
    settings,
    count=count,
    seeds=range(_SEED.value, _SEED.value + _SEEDS.value),
    recipe=_recipe(subject, embeddings) | ({"mirdd": True} if describe else {}),
    embeddings=embeddings,
    describe=describe,
  )
  result = decoding.summarise(found, reference, _SEED.value)
  table = decoding_table.table(result)
  with disk.replacing(out / "decoding.md") as partial:
    partial.write_text(table + "\n", encoding="utf-8")
  decoding_table.draw(out / "decoding.png", result)
  print(table)
  return result


def _describe(*, usual: bool) -> "Describe | None":
  if not (usual if _MIRDD.value is None else _MIRDD.value):
    return None
  from stemgen_jax.evaluation.metrics import descriptors

  descriptors.check()
  return descriptors.describe


def _count(usual: int) -> int:
  count = usual if _EXAMPLES.value is None else _EXAMPLES.value
  if count < 2:
    raise ValueError(f"--examples={count}: expected at least 2")
  return count


def _subject() -> "Subject":
  from stemgen_jax.evaluation import subject

  return subject.load(
    _WEIGHTS.value,
    codec=_CODEC.value,
    data=_DATA.value,
    seconds=_SECONDS.value,
    seed=_SEED.value,
  )


def _embeddings(player: "StemGen") -> dict[str, "Embedding"]:
  from stemgen_jax.evaluation.metrics import embeddings, notes

  notes.check()
  found: dict[str, Embedding] = {
    "codec": embeddings.codec_latents(player.codec),
    "notes": embeddings.keys,
  }
  if _VGGISH.value:
    from stemgen_jax.evaluation.metrics import vggish

    found["vggish"] = vggish.load(_VGGISH.value)
  if _CLAP.value:
    from stemgen_jax.evaluation.metrics import clap

    found["clap"] = clap.load(_CLAP.value)
  return found


def _recipe(
  subject: "Subject", embeddings: Mapping[str, "Embedding"]
) -> dict[str, Any]:
  """What the result of an example depends on, besides the settings."""
  from stemgen_jax.evaluation.studies import full

  recipe = subject.identity | {
    "embeddings": list(embeddings),
    "measured": full.MEASURED,
  }
  for name, path in (("vggish", _VGGISH.value), ("clap", _CLAP.value)):
    if path:
      file = pathlib.Path(path)
      if file.is_dir():
        file = file / "model.safetensors"
      recipe[name] = disk.checksum(file)
  return recipe


def _listening() -> dict[str, Any]:
  from stemgen_jax import model

  weights = model.load_weights(_WEIGHTS.value)
  count = _count(_OF_LISTENING)
  return _listen(weights, _examples(weights.config, count))


def _listening_of_all(player: "StemGen") -> dict[str, Any] | None:
  """The same of fewer examples, or None where there are none to predict."""
  from stemgen_jax import model
  from stemgen_jax.evaluation.studies import listening

  count = min(_count(_OF_ALL), _OF_LISTENING, _test_pairs())
  examples = _examples(player.config, count)
  if examples.checksum != player.config.codec_checksum and not _DATA.value:
    print(
      "listening is left out: the examples in the package are of the codec "
      f"{examples.codec}, the weights of {player.config.codec}; give --data"
    )
    return None
  if not listening.can_exchange(examples.song):
    print(
      f"listening is left out: one song has more than half of the "
      f"{len(examples)} test pairs, so contexts cannot be exchanged"
    )
    return None
  return _listen(model.load_weights(_WEIGHTS.value), examples)


def _listen(weights: "Weights", examples: "Examples") -> dict[str, Any]:
  from stemgen_jax.evaluation.studies import listening

  result = listening.listening(weights, examples, seed=_SEED.value)
  print(listening.table(result))
  return result | {
    "steps": weights.metadata.get("steps"),
    "data": _DATA.value or "the examples in the package",
    "codec": examples.codec,
    "codec_checksum": examples.checksum,
  }


def _test_pairs() -> int:
  """How many pairs there are to predict, of the package's or of --data."""
  from stemgen_jax.data.manifest import Manifest

  if not _DATA.value:
    return _OF_LISTENING
  counts = Manifest.load(_DATA.value).counts["test"]
  return counts["pairs"] - counts["empty"]


def _sound() -> dict[str, Any]:
  from stemgen_jax import sampling
  from stemgen_jax.evaluation.studies import sound
  from stemgen_jax.generation import stemgen

  count = _count(_OF_LISTENING)
  player = stemgen.StemGen.load(_WEIGHTS.value, codec=_CODEC.value)
  result = sound.sound(
    player,
    _examples(player.config, count),
    settings=sampling.preset(_PRESET.value),
    seed=_SEED.value,
  )
  print(sound.table(result))
  return result | {"preset": _PRESET.value}


def _loops() -> dict[str, Any]:
  from stemgen_jax import sampling
  from stemgen_jax.evaluation.studies import loops
  from stemgen_jax.generation import stemgen

  if not _FILES.value:
    raise ValueError("--files is missing: name loops, as 'my_loops/*.wav'")
  audio.check_seconds(_SECONDS.value, "--seconds")
  files = disk.matching(_FILES.value)
  player = stemgen.StemGen.load(_WEIGHTS.value, codec=_CODEC.value)
  result = loops.loops(
    player,
    files,
    pathlib.Path(_OUT.value or "") / "played",
    seconds=_SECONDS.value,
    settings=sampling.preset(_PRESET.value),
    seed=_SEED.value,
  )
  print(loops.table(result))
  return result


def _examples(config: "ModelConfig", count: int) -> "Examples":
  """The first `count` examples, of the package or of --data."""
  from stemgen_jax import paths
  from stemgen_jax.data import examples

  data = _DATA.value
  if not data or not pathlib.Path(data).is_dir():
    return examples.Examples.load(data or paths.DEMO_HELDOUT).first(count)

  from stemgen_jax.data import batches

  return batches.eval_examples(data, "test", config.window, count, _SEED.value)
