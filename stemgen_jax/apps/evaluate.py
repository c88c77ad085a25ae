"""Evaluate weights on songs that they were not trained on.

The full evaluation, as report.html and report.json: 400 stems are generated to
contexts of held-out songs and compared with the real stems, another song's
stems, and the real ones through the codec. First all stems are generated, then
worker processes, one per core, measure them. It takes more than an hour on two
cores, may be stopped in either phase, and resumes; commands started at the same
time share the work:

  stemgen-jax evaluate --out=out/report

A quick version: fewer examples, and without the slow descriptors:

  stemgen-jax evaluate --out=out/report --examples=40 --mirdd=false

Weights and a data set of your own, whose songs are still where they were:

  stemgen-jax evaluate --out=out/mine --weights=runs/mine/model.safetensors \\
    --data=data/mine

Does the model use the context? How well it predicts a real stem from its own
context, compared with another song's context, silence and no context:

  stemgen-jax evaluate --what=listening --out=out/listening

It writes listening.json: bits per masked frame (less is better), and as the
gain the bits that the true context saves over another song's.

Does it sound like the instrument? Level, brightness, noisiness and onsets of
stems generated to the package's loops, compared with those of real stems:

  stemgen-jax evaluate --what=sound --out=out/sound

Does it keep time with loops of any kind? Drums and bass are generated to each,
and their beats compared with the loop's; the folder played/ in --out has the
audio:

  stemgen-jax evaluate --what=loops --files='my_loops/*.wav' --out=out/loops

Does it follow recordings of any kind? Stems are generated to each, and the
recording is searched among all by onsets and pitch:

  stemgen-jax evaluate --what=retrieval --files='my_loops/*.wav' \\
    --out=out/retrieval

Do people think that it fits? A page on which listeners rate generated, real and
random stems without knowing which is which, as one file that works offline:

  stemgen-jax evaluate --what=blind --out=out/blind

And the means of the answers that they saved on it, with intervals:

  stemgen-jax evaluate --what=blind --answers=ann.json,bob.json --out=out/blind

How good are live stems, of which only part of the context is known?

  stemgen-jax evaluate --what=live --preset=fast --seconds=12 --examples=32 \\
    --out=out/live

Do the figures notice errors? Real stems of the band are transposed, shifted,
stretched and given the chords of the bar before, without a model:

  stemgen-jax evaluate --what=perturbation --songs=24 --out=out/perturbation

Which sampling settings are worth their passes? The same examples under every
setting of a file, with several seeds, as decoding.md and decoding.png;
settings added to the file later extend the existing results:

  stemgen-jax evaluate --what=decoding --grid=configs/decoding.py \\
    --seconds=5 --out=out/decoding

The tables of the paper, with its examples and steps; --only and --steps take
fewer:

  stemgen-jax evaluate --what=decoding --grid=configs/paper_slakh.py \\
    --weights=slakh.safetensors --data=data/slakh \\
    --vggish=vggish-10086976.pth --out=out/paper_slakh
"""

import dataclasses
import pathlib
import shutil

from absl import flags

from stemgen_jax import disk, locks
from stemgen_jax.cli.flags import fields, owners
from stemgen_jax.cli.flags.required import required
from stemgen_jax.evaluation.options import Options
from stemgen_jax.evaluation.studies import STUDIES, grid
from stemgen_jax.evaluation.study import Study
from stemgen_jax.web import hub

# Files with the configuration of results.
_RECIPES = {"evaluation.json", "recipe.json", "settings.json"}

FLAGS = flags.FlagValues()
_WHAT = flags.DEFINE_string(
  "what", "all", f"The study: {', '.join(STUDIES)}.", flag_values=FLAGS
)
fields.define(
  FLAGS,
  Options,
  examples="Default: "
  + ", ".join(
    f"{study.name} {study.defaults['examples']}"
    for study in STUDIES.values()
    if "examples" in study.defaults
  )
  + ".",
  mirdd="Default: yes, for decoding no.",
)


def main(argv: list[str]) -> None:
  """Run a study; write and print its figures.

  Raises:
    ValueError: a flag is invalid, or weights and examples do not belong
      together.
    OSError: weights or examples are missing, or --out cannot be written.
  """
  del argv
  if not (study := STUDIES.get(_WHAT.value)):
    raise ValueError(
      f"--what={_WHAT.value}: expected one of {', '.join(STUDIES)}"
    )
  owned = {name: study.flags for name, study in STUDIES.items()}
  owners.check(FLAGS, "what", owned)
  for name, example in {"out": "out/report", **study.required}.items():
    required(FLAGS, name, example)
  options = fields.parse(FLAGS, Options)
  if options.grid:
    own = grid.options(options.grid)
    own = {name: x for name, x in own.items() if not FLAGS[name].present}
    options = dataclasses.replace(options, **own)
  options = study.resolve(options)
  if options.answers:
    _check_unused("weights", *study.flags)
  path = pathlib.Path(FLAGS.out) / f"{study.file or study.name}.json"
  # Before any work, which may take hours.
  disk.check_writable(path, True, (".json",))
  options = dataclasses.replace(options, weights=hub.fetch(options.weights))
  is_new = not path.parent.exists()
  # Not `only_writer`: processes share the examples of a study.
  with locks.made(path.parent):
    disk.remove_leftovers(path.parent, deep=True)
    try:
      _run(study, options, path)
    except (ValueError, OSError, ModuleNotFoundError):
      if is_new:
        _remove_recipes(path.parent)
      raise


def _check_unused(*names: str) -> None:
  """Refuse flags of the page where its answers are summarized."""
  for name in names:
    if name != "answers" and FLAGS[name].present:
      raise ValueError(
        f"--{name} has no effect with --answers, whose page exists: leave it "
        "out"
      )


def _remove_recipes(folder: pathlib.Path) -> None:
  """Empty the folder of a study that was refused before it had results."""
  files = [path for path in folder.rglob("*") if not path.is_dir()]
  if {path.name for path in files} <= _RECIPES:
    for path in folder.iterdir():
      shutil.rmtree(path) if path.is_dir() else path.unlink()


def _run(study: Study, options: Options, path: pathlib.Path) -> None:
  module = study.load()  # imports jax
  subject = study.prepare(options)
  result = module.run(subject)
  print(module.table(result))
  # Before the page, which takes further minutes.
  disk.write_json(
    # Answers are of the weights that their page was made with.
    path,
    {**result, "weights": options.weights, "seed": options.seed, **result},
  )
  if hasattr(module, "write"):
    module.write(subject, result)
  print(f"wrote {path}")
