"""Find a command, parse its flags, run it, and report errors in one line.

A command is a module of `stemgen_jax.apps` with a docstring (its help), absl
flags and `main(argv)`. Its flags are in `FLAGS = flags.FlagValues()` of its
own, or else in absl's global ones; `WORDS` names those whose values may be
given without the flag. Importing it must be quick: jax and torch are imported
after the user's input is checked.
"""

import contextlib
import importlib
import logging
import os
import pathlib
import re
import select
import signal
import sys
import tempfile
import traceback
import types
from collections.abc import Sequence
from typing import Any

from absl import flags
from absl import logging as absl_logging

from stemgen_jax import signals
from stemgen_jax.cli import help as help_lib
from stemgen_jax.cli import mistakes
from stemgen_jax.version import __version__

TRACE = "STEMGEN_JAX_TRACE"
_MOST_LINES = 3
_MOST = 200  # characters of an unexpected error
_UNREAD = 141  # exit code that shells give a program that SIGPIPE ends
# Flags whose addresses of the network a library opens.
_REMOTE = ("beam", "song_files")
# Extras of setup.py, and the modules that they install.
_EXTRAS = {
  "band": ("mido", "pretty_midi"),
  "evaluate": ("librosa", "mir_eval", "onnxruntime"),
  "hub": ("huggingface_hub",),
  "studio": ("fastapi", "fastapi_offline", "uvicorn", "wavesurf"),
  "link": ("aalink",),
  "live": ("sounddevice",),
  "train": (
    *("array_record", "google", "grain", "ml_collections", "optax", "orbax"),
    *("tensorflow_datasets", "yaml"),
  ),
}


def main(argv: Sequence[str] | None = None) -> int:
  """Run a command and return the exit code; an error is one line on stderr."""
  argv = list(sys.argv[1:] if argv is None else argv)
  trace = "--trace" in argv or os.environ.get(TRACE, "0") not in ("", "0")
  argv = [argument for argument in argv if argument != "--trace"]
  _silence_libraries()
  with signals.ending(quiet=not trace) as stop:
    try:
      return _run(argv)
    except KeyboardInterrupt:
      return _fail("stopped", 128 + (stop.number or signal.SIGINT))
    except Exception as error:
      if stop.asked:  # A library has made another error of it.
        return _fail("stopped", 128 + stop.number)
      if isinstance(error, BrokenPipeError) and any(
        map(_is_unread, (sys.stdout, sys.stderr))
      ):
        return _UNREAD
      if trace:
        raise
      return _fail(_describe(error), 1)


def _is_unread(stream: Any) -> bool:
  """Return whether the reader of an output, such as `head`, has ended."""
  try:
    stream.flush()
    poll = select.poll()
    poll.register(stream.fileno(), 0)  # errors are always reported
    return any(event & select.POLLERR for _, event in poll.poll(0))
  except BrokenPipeError:
    return True
  except (AttributeError, OSError):  # Windows, or not a file
    return False


def _describe(error: Exception) -> str:
  """Return the line about an error, of the user or of the program."""
  from stemgen_jax import disk  # numpy, which --help does not wait for

  if full := disk.why_full(error):
    what, remedy = full
    begin = "" if what in str(error) else f"{what}: "
    end = f"; {remedy}, then run the same command again"
    return f"error: {begin}{error}{'' if remedy in str(error) else end}"
  if isinstance(error, (ValueError, OSError, ImportError, flags.Error)):
    text = str(error)
    if isinstance(error, flags.IllegalFlagValueError):  # of a word
      text = mistakes.value(text)
    return (
      f"error: {text}{_missing_extra(error) or mistakes.nearest_choice(text)}"
    )
  if isinstance(error, MemoryError):
    return f"error: too little memory ({error})"
  kind, message = type(error).__name__, " ".join(str(error).split())[:_MOST]
  try:
    with tempfile.NamedTemporaryFile(
      "w",
      prefix="stemgen-jax-",
      suffix=".txt",
      delete=False,
      encoding="utf-8",
      errors="backslashreplace",
    ) as file:
      traceback.print_exception(error, file=file)
    where = f"its trace is in {file.name}"
  except OSError:
    where = f"{TRACE}=1 prints its trace"
  return f"this is a bug in stemgen-jax ({kind}: {message}); {where}"


def _run(argv: list[str]) -> int:
  if argv[:1] == ["help"]:  # stemgen-jax help generate
    argv = [*argv[1:2], "--help"]
  if not argv or _asks_help(argv[:1]):
    print(help_lib.overview(TRACE))
    return 0
  if argv[0] == "--version":
    print(f"stemgen-jax {__version__}")
    return 0
  name = argv[0].replace("-", "_")
  names = help_lib.command_names()
  if name not in names:
    raise ValueError(mistakes.command(argv[0], names))
  app = importlib.import_module(f"stemgen_jax.apps.{name}")
  values = getattr(app, "FLAGS", flags.FLAGS)
  if _asks_help(argv[1:]):
    if hasattr(app, "more_help"):
      with contextlib.suppress(ValueError, flags.Error):  # printed without help
        _parse([x for x in argv if not _asks_help([x])], app, values)
    print(help_lib.command(app, values))
    return 0
  argv = [argv[0], *(_with_underscores(x, values) for x in argv[1:])]
  _, *words = _parse(argv, app, values)
  # A word stands for the first flag of `app.WORDS` that is not given.
  free = [x for x in getattr(app, "WORDS", ()) if not values[x].present]
  if wrong := mistakes.words(words, free, argv, values):
    raise ValueError(wrong)
  for flag, word in zip(free, words):
    values[flag].parse(word)
  _check_local(values)
  return app.main(argv[:1]) or 0


def _with_underscores(argument: str, values: flags.FlagValues) -> str:
  """Return --dry-run as --dry_run, where only that is a flag."""
  name, equals, value = argument.partition("=")
  if not argument.startswith("--") or name[2:] in values:
    return argument
  known = name[2:].replace("-", "_")
  if known.startswith("no_") and known[3:] in values:
    known = "no" + known[3:]
  elif known not in values:
    return argument
  return f"--{known}{equals}{value}"


def _check_local(values: flags.FlagValues) -> None:
  """Refuse addresses, which would be taken for names of local folders."""
  for name in values:
    value = values[name].value
    if (
      name not in _REMOTE
      and isinstance(value, str)
      and re.match(r"[A-Za-z][\w+.-]*://", value)
    ):
      fix = "mount a bucket to use it as a folder"
      if value.lower().startswith("http"):
        fix = "download it first"
      raise ValueError(
        f"--{name}={value}: expected a path on this machine; {fix}"
      )


def _parse(
  argv: list[str], app: types.ModuleType, values: flags.FlagValues
) -> list[str]:
  """Parse a command's flags and return what is left."""
  if values is not flags.FLAGS:
    values.unparse_flags()  # of an earlier call in this process
    for override in [name for name in values if name.startswith("config.")]:
      delattr(values, override)  # ml_collections defines them at each parsing
    flags.FLAGS.mark_as_parsed()  # absl's own, which libraries read
  if hasattr(app, "config_fields"):
    mistakes.check_configuration(argv)
  try:
    return values(argv)
  except flags.UnrecognizedFlagError as error:
    message = mistakes.flag(error.flagname, argv[0], app, values)
    raise ValueError(message) from None
  except flags.IllegalFlagValueError as error:
    raise ValueError(mistakes.value(str(error))) from None
  except (KeyError, AttributeError) as error:  # of --config.FIELD=VALUE
    fields = app.config_fields() if hasattr(app, "config_fields") else []
    for argument in argv:
      field = argument.partition("=")[0].removeprefix("--config.")
      if argument.startswith("--config.") and field not in fields:
        near = mistakes.field(field, fields)
        raise ValueError(f"unknown flag --config.{field}{near}") from None
    raise ValueError(f"unknown configuration: {error.args[0]}") from error


def _asks_help(argv: Sequence[str]) -> bool:
  return any(argument in ("-h", "-help", "--help", "help") for argument in argv)


def _missing_extra(error: Exception) -> str:
  """Name the extra that installs a module that was not found."""
  if not isinstance(error, ModuleNotFoundError) or not error.name:
    return ""
  module = error.name.partition(".")[0]
  extras = [extra for extra, modules in _EXTRAS.items() if module in modules]
  if not extras:
    return ""
  root = pathlib.Path(__file__).parents[2]
  if not (root / "launch/constraints.txt").is_file():
    return f"; run: pip install 'stemgen-jax[{extras[0]}]'"
  return (
    f"; run in {root}: pip install -e '.[{extras[0]}]' -c "
    "launch/constraints.txt"
  )


def _silence_libraries() -> None:
  """Keep the libraries' log messages off the user's terminal."""
  os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
  os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
  absl_logging.set_verbosity(absl_logging.FATAL)
  for name in ("jax", "orbax", "tensorflow_datasets", "matplotlib"):
    logging.getLogger(name).setLevel(logging.ERROR)


def _fail(message: str, code: int) -> int:
  lines = [line for line in message.splitlines() if line.strip()]
  text = "stemgen-jax: " + "\n".join(lines[:_MOST_LINES])
  with contextlib.suppress(BrokenPipeError):  # as of 2>&1 | head
    print(text, file=sys.stderr)
  return code
