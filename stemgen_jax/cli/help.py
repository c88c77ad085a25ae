"""The text of `stemgen-jax --help` and `stemgen-jax COMMAND --help`."""

import ast
import pathlib
import pkgutil
import textwrap
import types

from absl import flags

_FLAG_WIDTH, _TEXT_WIDTH = 20, 56
# By path: the commands are a room above this one.
_APPS = pathlib.Path(__file__).parents[1] / "apps"


def command_names() -> list[str]:
  """Return the names of all commands, without importing them."""
  return sorted(module.name for module in pkgutil.iter_modules([str(_APPS)]))


def overview(trace: str) -> str:
  """Return the list of commands, one line each.

  Args:
    trace: environment variable that turns on full traces.
  """
  lines = ["usage: stemgen-jax COMMAND --flag=value ...", "", "commands:"]
  for name in command_names():
    # Parsed, not imported: imports of all commands would take seconds.
    text = (_APPS / f"{name}.py").read_text(encoding="utf-8")
    doc = ast.get_docstring(ast.parse(text)) or ""
    lines.append(f"  {name:<16}{doc.partition(chr(10))[0]}")
  lines += [
    "",
    "stemgen-jax COMMAND --help  explains a command and its flags",
    "stemgen-jax --version  prints the version",
    f"--trace (or {trace}=1)  prints the full trace of an error",
  ]
  return "\n".join(lines)


def command(app: types.ModuleType, values: flags.FlagValues) -> str:
  """Return a command's docstring and the description of its flags.

  `more_help()` of the module, if there is one, returns text between the two.
  """
  lines = [(app.__doc__ or "").strip(), ""]
  if hasattr(app, "more_help"):
    lines += [app.more_help(), ""]
  lines.append("flags:")
  dotted = []
  for flag in flags_of(app, values):
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
    if len(usage) > _FLAG_WIDTH:
      lines.append(f"  {usage}")
      usage = ""
    wrapped = textwrap.wrap(text, _TEXT_WIDTH)
    lines += [f"  {usage:<{_FLAG_WIDTH}}  {wrapped[0]}"]
    lines += [" " * (_FLAG_WIDTH + 4) + line for line in wrapped[1:]]
  for flag in dotted:  # fields of dataclasses, after the flags of their own
    group, _, name = flag.name.partition(".")
    title = f"  --{group}.NAME=..., with one of the names"
    lines += [] if title in lines else [title]
    lines.append(f"    {name:<18}  {flag.help}")
  return "\n".join(lines)


def flags_of(
  app: types.ModuleType, values: flags.FlagValues
) -> list[flags.Flag]:
  """Return a command's flags in the order of their definition, no aliases."""
  found = [
    flag for group in values.flags_by_module_dict().values() for flag in group
  ]
  if values is flags.FLAGS:
    found = values.get_key_flags_for_module(app)
  return [flag for flag in found if not is_alias(flag)]


def is_alias(flag: flags.Flag) -> bool:
  """Return whether a flag is another spelling of one, see `DEFINE_alias`."""
  return (flag.help or "").startswith("Alias for ")
