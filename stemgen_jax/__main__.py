"""The one command: `stemgen-jax APP --flags`, `python -m stemgen_jax APP`.

An app is a module of `stemgen_jax.apps` with a docstring (its help), absl
flags and `main(argv)`. Flags in a `FLAGS = flags.FlagValues()` of its own keep
apps apart; without that the global ones are used. Importing an app is quick:
it loads jax and torch only after it has checked what the user gave.
"""

import ast
import difflib
import importlib
import logging
import os
import pathlib
import pkgutil
import sys
import textwrap
import types
from collections.abc import Mapping, Sequence

import absl.logging
from absl import flags

from stemgen_jax import __version__, apps

_TRACE = "STEMGEN_JAX_TRACE"
_MOST_LINES = 3


def main(argv: Sequence[str] | None = None) -> int:
  """Runs an app; returns the exit code. An error is one line on stderr."""
  argv = list(sys.argv[1:] if argv is None else argv)
  trace = "--trace" in argv or os.environ.get(_TRACE, "0") not in ("", "0")
  argv = [argument for argument in argv if argument != "--trace"]
  _quiet()
  try:
    return _run(argv)
  except KeyboardInterrupt:
    return _fail("stopped", 130)
  except (ValueError, OSError, ImportError, flags.Error) as error:
    if trace:
      raise
    return _fail(f"error: {error}", 1)


def _run(argv: list[str]) -> int:
  if not argv or _asks_help(argv[:1]):
    print(_overview())
    return 0
  if argv[0] == "--version":
    print(f"stemgen-jax {__version__}")
    return 0
  name = argv[0].replace("-", "_")
  names = _app_names()
  if name not in names:
    raise ValueError(
      f"no app {argv[0]!r}{_nearest(name, names)}; the apps are "
      f"{', '.join(names)}"
    )
  app = importlib.import_module(f"stemgen_jax.apps.{name}")
  values = getattr(app, "FLAGS", flags.FLAGS)
  if _asks_help(argv[1:]):
    print(_help(app, values))
    return 0
  if values is not flags.FLAGS:
    values.unparse_flags()  # of an earlier call in this process
    for override in [name for name in values if name.startswith("config.")]:
      delattr(values, override)  # defined anew at every parsing
    flags.FLAGS.mark_as_parsed()  # absl's own, which libraries look at
  try:
    rest = values(argv)
  except flags.UnrecognizedFlagError as error:
    wrong = error.flagname
    known = {flag.name: flag.name for flag in _flags(app, values)}
    group = wrong.partition(".")[0] + "."
    alike = [x.removeprefix(group) for x in known if x.startswith(group)]
    named = f"; --{group}NAME is one of {', '.join(alike)}" if alike else ""
    near = _nearest(wrong, known, "--")
    if not near and hasattr(app, "config_fields"):
      fields = {x.rpartition(".")[2]: x for x in app.config_fields()}
      near = _nearest(wrong, fields, "--config.")  # --depth is .model.depth
    raise ValueError(
      f"unknown flag --{wrong}{near}{named}; see stemgen-jax {argv[0]} --help"
    ) from None
  except (KeyError, AttributeError) as error:  # of --config.FIELD=VALUE
    fields = app.config_fields() if hasattr(app, "config_fields") else []
    for argument in argv:
      field = argument.partition("=")[0].removeprefix("--config.")
      if argument.startswith("--config.") and field not in fields:
        near = _nearest(field, fields, "--config.")
        raise ValueError(f"unknown flag --config.{field}{near}") from None
    raise ValueError(f"unknown configuration: {error.args[0]}") from error
  if len(rest) > 1:
    raise ValueError(
      f"{rest[1]!r} belongs to no flag: everything is given as --flag=value; "
      f"see stemgen-jax {argv[0]} --help"
    )
  return app.main(rest) or 0


def _app_names() -> list[str]:
  return sorted(module.name for module in pkgutil.iter_modules(apps.__path__))


def _overview() -> str:
  lines = ["usage: stemgen-jax APP --flag=value ...", "", "apps:"]
  for name in _app_names():
    # Parsed, not imported: the list must not wait for every app's imports.
    path = pathlib.Path(apps.__path__[0], f"{name}.py")
    doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    lines.append(f"  {name:<13}{doc.partition(chr(10))[0]}")
  lines += [
    "",
    "stemgen-jax APP --help  explains an app and its flags",
    "stemgen-jax --version  says which one this is",
    f"--trace (or {_TRACE}=1)  shows where an error came from",
  ]
  return "\n".join(lines)


def _help(app: types.ModuleType, values: flags.FlagValues) -> str:
  lines = [(app.__doc__ or "").strip(), "", "flags:"]
  dotted = []
  for flag in _flags(app, values):
    if "." in flag.name:
      dotted.append(flag)
      continue
    if isinstance(flag, flags.BooleanFlag):
      usage = f"--{flag.name}"
    else:
      default = (flag.default_as_str or "").strip("'")
      empty = flag.default in (None, [])
      usage = f"--{flag.name}={'...' if empty else default}"
    text = " ".join((flag.help or "").split())
    if len(usage) > 20:
      lines.append(f"  {usage}")
      usage = ""
    wrapped = textwrap.wrap(text, 56)
    lines += [f"  {usage:<20}  {wrapped[0]}"]
    lines += [" " * 24 + line for line in wrapped[1:]]
  for flag in dotted:  # many, for the few who look for them
    group, _, name = flag.name.partition(".")
    title = f"  --{group}.NAME=..., with one of the names"
    lines += [] if title in lines else [title]
    lines.append(f"    {name:<18}  {flag.help}")
  return "\n".join(lines)


def _flags(app: types.ModuleType, values: flags.FlagValues) -> list[flags.Flag]:
  """The app's flags in the order of their definition."""
  if values is flags.FLAGS:
    return values.get_key_flags_for_module(app)
  return [
    flag for group in values.flags_by_module_dict().values() for flag in group
  ]


def _asks_help(argv: Sequence[str]) -> bool:
  return any(argument in ("-h", "-help", "--help", "help") for argument in argv)


def _nearest(
  name: str, names: Sequence[str] | Mapping[str, str], prefix: str = ""
) -> str:
  """A suggestion: the nearest name, or what it stands for."""
  near = difflib.get_close_matches(name, names, 1, cutoff=0.5)
  if not near:
    return ""
  meant = names[near[0]] if isinstance(names, Mapping) else near[0]
  return f", did you mean {prefix}{meant}?"


def _quiet() -> None:
  """Keeps the libraries' progress chatter off the user's terminal."""
  os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
  os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
  absl.logging.set_verbosity(absl.logging.ERROR)
  for name in ("jax", "orbax", "tensorflow_datasets", "matplotlib"):
    logging.getLogger(name).setLevel(logging.ERROR)


def _fail(message: str, code: int) -> int:
  lines = [line for line in message.splitlines() if line.strip()]
  print("stemgen-jax: " + "\n".join(lines[:_MOST_LINES]), file=sys.stderr)
  return code


if __name__ == "__main__":
  sys.exit(main())
