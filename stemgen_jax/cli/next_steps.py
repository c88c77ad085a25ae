"""Commands that may follow a take, ready to be copied into a shell."""

import os
import pathlib
import shlex
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterable

from absl import flags

from stemgen_jax import categories
from stemgen_jax.cli import help as help_lib
from stemgen_jax.generation import exported
from stemgen_jax.generation.request import GenerationRequest
from stemgen_jax.generation.take import TakeFiles
from stemgen_jax.sampling.settings import SEEDS

# Flags of the files and seeds of one call.
_OF_CALL = ("out", "mix", "picture", "seed", "takes", "best", "overwrite")
_OF_CODEC = ("codec", "codec_backend", "codec_device")


def after_take(
  values: flags.FlagValues, request: GenerationRequest, files: TakeFiles
) -> str:
  """Return a line with a command that follows a take.

  Args:
    values: flags of the command that has written the take.
    request: the request of that command.
    files: files of the take.
  """
  if files.mix:
    kind = another(values.weights, [request.kind])
    field = categories.kind_field(exported.conditions(values.weights) or ())
    words = ["generate", operand(files.mix), f"--{field}={kind}"]
    if field == "role" and request.genre:
      words.append(f"--genre={request.genre}")
    words += model_flags(values)
    return f"next, {kind} for the mix: {command(words)}"
  if files.codes:
    given = _given(values, _OF_CODEC)  # the take states its weights
    words = ["vary", operand(files.stem), "--share=30%", *given]
    return f"next, a variation: {command(words)}"
  edit = request.edit
  name = "generate" if edit is None else type(edit).__name__.lower()
  seed = (max(request.seeds or [0]) + 1) % SEEDS
  kept = _given(values, [x for x in values if x not in _OF_CALL])
  words = [name, *kept, f"--seed={seed}"]
  return f"next, another take: {command(words)}"


def another(weights: str, have: Collection[str]) -> str:
  """Return a stem that weights know and a song has not, or bass."""
  known = (x for x in exported.kinds(weights) if x not in have)
  return next(known, "bass")


def model_flags(values: flags.FlagValues) -> list[str]:
  """Return the flags of weights and codec, unless they are the default."""
  weights = values.weights  # an edit sets those of its take
  named = [] if weights == "demo" else [f"--weights={weights}"]
  return [*named, *_given(values, _OF_CODEC)]


def operand(path: pathlib.Path) -> str:
  """Return a path that a command does not take for a flag."""
  return str(path) if not str(path).startswith("-") else f".{os.sep}{path}"


def command(words: Iterable[str]) -> str:
  """Return the line of a shell that runs a command of this program."""
  program = ["stemgen-jax"]
  if not shutil.which("stemgen-jax"):
    program = [sys.executable, "-m", "stemgen_jax"]
  quote = subprocess.list2cmdline if os.name == "nt" else shlex.join
  return quote([*program, *words])


def _given(values: flags.FlagValues, names: Iterable[str]) -> list[str]:
  """Return the flags of these names that were given."""
  return [
    values[name].serialize()
    for name in names
    if values[name].present and not help_lib.is_alias(values[name])
  ]
