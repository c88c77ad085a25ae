"""Suggest what was meant by unknown commands, flags and words."""

import contextlib
import difflib
import os
import pathlib
import re
import shlex
import types
from collections.abc import Mapping, Sequence

from absl import flags

from stemgen_jax import categories, disk
from stemgen_jax.cli import help as help_lib

# What people type -> a command.
_COMMANDS = {
  **dict.fromkeys(("make", "create", "new", "compose", "add"), "generate"),
  **dict.fromkeys(("redo", "fix", "replace"), "regenerate"),
  **dict.fromkeys(("continue", "lengthen", "longer"), "extend"),
  **dict.fromkeys(("variation", "change"), "vary"),
  **dict.fromkeys(("session", "song", "project"), "layer"),
}
# What people type -> flags, of which the first that a command has is meant.
_FLAGS = {
  **dict.fromkeys(
    ("i", "input", "in", "file", "song", "music", "audio", "mix", "track"),
    ("context", "take"),
  ),
  **dict.fromkeys(("o", "output", "save", "write"), ("out", "export")),
  **dict.fromkeys(("s", "stem", "instrument", "category"), ("stem", "add")),
  **dict.fromkeys(("n", "number", "count", "variations"), ("takes",)),
  **dict.fromkeys(("length", "duration", "time"), ("seconds", "extend")),
  **dict.fromkeys(("region", "start", "end", "from", "to"), ("regions",)),
  **dict.fromkeys(("amount", "strength", "percent"), ("share",)),
  **dict.fromkeys(("volume", "gain"), ("gain_db",)),
  **dict.fromkeys(("tempo", "speed"), ("bpm",)),
  **dict.fromkeys(("model", "checkpoint"), ("weights",)),
  **dict.fromkeys(("quality", "fast"), ("preset",)),
  **dict.fromkeys(("force", "replace", "f", "y", "yes"), ("overwrite",)),
}
# What people type -> fields of a run's configuration.
_FIELDS = {
  "batch_size": "batch",
  "checkpoint_every": "save_every",
  "eval_every": "validate_every",
  "learning_rate": "optimizer.learning_rate",
  "lr": "optimizer.learning_rate",
}
_AUDIO = (".wav", ".flac", ".ogg", ".mp3", ".aif", ".aiff")
# What people type -> why there is no such flag, where a command has none of the
# flags above.
_ABSENT = {
  **dict.fromkeys(
    ("bpm", "tempo", "speed", "key", "scale", "chords"),
    "tempo and harmony are those of the music",
  ),
  **dict.fromkeys(
    ("prompt", "text", "description", "style"),
    "there are no text prompts, the stem follows the music",
  ),
  **dict.fromkeys(
    ("start", "end", "from", "to", "region", "regions"),
    "all of the music is used, cut it before",
  ),
  **dict.fromkeys(
    ("volume", "gain"), "the level follows the music, change it in the mix"
  ),
}
# Python's and absl's messages about values -> ours.
_VALUES = {
  "invalid literal for int": "expected a whole number",
  "could not convert string to float": "expected a number",
  "('Non-boolean argument": "expected true or false",
}
# Flags whose values may have a space, which a shell needs quotes for.
_FILES = ("context", "take", "out", "mix", "add_audio")
_FOLDERS = ("session", "export")
# Flags of the first input of commands that take no words.
_MAIN = {
  "export": "run",
  "prepare": "root",
  "train": "config",
  "train_codec": "files",
  "evaluate": "weights",
}
_INSTRUMENTS = ("stem", "instrument", "add")
_DASHES = "-\u2013\u2014"  # text editors make longer ones of two


def command(typed: str, names: Sequence[str]) -> str:
  """Return the line about an unknown command.

  Args:
    typed: the first argument.
    names: names of the commands.
  """
  plain = typed.lower().replace("-", "_")
  meant = ""
  if typed.startswith(tuple(_DASHES)):
    meant = f"; expected a command first, as stemgen-jax generate {typed}"
  elif typed.lower().endswith(_AUDIO) or os.path.isfile(typed):
    meant = _did_you_mean(shlex.join(["stemgen-jax", "generate", typed]))
  elif plain in _COMMANDS:
    meant = _did_you_mean(_COMMANDS[plain])
  elif categories.lookup(typed):
    flag = shlex.quote(f"--stem={typed}")
    meant = _did_you_mean(f"stemgen-jax generate FILE {flag}")
  return (
    f"unknown command {typed!r}{meant or nearest(plain, names)}; expected one "
    f"of {', '.join(names)}"
  )


def flag(
  wrong: str, name: str, app: types.ModuleType, values: flags.FlagValues
) -> str:
  """Return the line about an unknown flag of a command.

  Args:
    wrong: its name.
    name: name of the command.
    app: module of the command.
    values: flags of the command.
  """
  known = {flag.name: flag.name for flag in help_lib.flags_of(app, values)}
  group = wrong.partition(".")[0] + "."
  alike = [x.removeprefix(group) for x in known if x.startswith(group)]
  members = f"; --{group}NAME is one of {', '.join(alike)}" if alike else ""
  known |= {x: x for x in values if help_lib.is_alias(values[x])}
  plain = wrong.lower()
  others = [x for x in _FLAGS.get(plain, ()) if x in known]
  near = _did_you_mean(f"--{others[0]}") if others else ""
  if not near and plain in _ABSENT:
    near = f": {_ABSENT[plain]}"
  # Below 0.65 the nearest of many flags is usually unrelated.
  near = near or nearest(plain, known, "--", cutoff=0.65)
  if not near and hasattr(app, "config_fields"):
    fields = {x.rpartition(".")[2]: x for x in app.config_fields()}
    near = field(wrong, fields)  # --depth is .model.depth
  return f"unknown flag --{wrong}{near}{members}; see stemgen-jax {name} --help"


def field(wrong: str, fields: Sequence[str] | Mapping[str, str]) -> str:
  """Suggest the field of a configuration that an unknown name stands for."""
  if wrong in _FIELDS:
    return _did_you_mean(f"--config.{_FIELDS[wrong]}")
  return nearest(wrong, fields, "--config.", 0.6)


def words(
  given: Sequence[str],
  free: Sequence[str],
  argv: Sequence[str],
  values: flags.FlagValues,
) -> str:
  """Return the line about words that are not for a command, or "".

  Args:
    given: arguments that are not flags.
    free: flags that words stand for, if any.
    argv: all arguments.
    values: flags of the command.
  """
  usage = " ".join(["stemgen-jax", argv[0], *map(str.upper, free)])
  if len(given) > 1 and os.path.isfile(together := " ".join(given)):
    return f"{given[0]!r}: no such file, did you mean {together!r}, in quotes?"
  for text in given:
    if not os.path.exists(text) and (flag := _flag_of(text, argv, values)):
      near = _did_you_mean(shlex.quote(flag))
      return f"{text!r} belongs to no flag{near}"
  if len(given) <= len(free):
    return ""
  text, name = given[len(free)], _MAIN.get(argv[0].replace("-", "_"), "")
  near = (
    _did_you_mean(shlex.quote(f"--{name}={text}")) if name in values else ""
  )
  return (
    f"{text!r} belongs to no flag{near}; expected {usage} --flag=value; see "
    f"stemgen-jax {argv[0]} --help"
  )


def _flag_of(text: str, argv: Sequence[str], values: flags.FlagValues) -> str:
  """Return the flag that a word was meant to be, or to be a part of, or ""."""
  name, equals, _ = text.lstrip(_DASHES).partition("=")
  if equals and name in values:
    return "--" + text.lstrip(_DASHES)
  before = argv[argv.index(text) - 1]  # argv[0] is the command
  flag, equals, value = before.partition("=")
  name, both = flag.lstrip("-"), f"{before} {text}"
  if before.startswith("-") and equals and name in values:
    sound = text.lower().endswith(_AUDIO)
    whole = value.lower().endswith(_AUDIO)
    if not value:
      return f"{before}{text}"
    if name in (_FILES if sound else _FOLDERS) and not whole:
      return both
    if name in _INSTRUMENTS and categories.lookup(f"{value} {text}"):
      return both
  instrument = next((x for x in _INSTRUMENTS if x in values), "")
  if instrument and categories.lookup(text):
    first = str(values[instrument].value) * bool(values[instrument].present)
    first = first if categories.lookup(first) else ""  # --stem = bass
    both = f"{first} {text}".strip()  # --stem bass guitar
    return f"--{instrument}={both}" if categories.lookup(both) else ""
  for name in ("share", "regions"):
    if name in values and re.search(r"\d", text):
      with contextlib.suppress(ValueError):
        values[name].parser.parse(text)
        return f"--{name}={text}"
  return ""


def check_configuration(argv: Sequence[str]) -> None:
  """Check the file of --config, of which ml_collections says less.

  Raises:
    ValueError, FileNotFoundError: it does not exist or has no configuration.
  """
  for given, following in zip(argv, [*argv[1:], ""]):
    flag, equals, path = given.partition("=")
    if flag not in ("--config", "-config"):
      continue
    path = path if equals else following
    file = pathlib.Path(path.partition(":")[0])  # the rest is its argument
    if not file.is_file():
      raise FileNotFoundError(
        f"--config={path}: no such file{disk.similar(file)}"
      )
    text = file.read_text(encoding="utf-8", errors="replace")
    if "get_config" not in text:
      instead = "expected a configuration, such as configs/demo.py"
      if "get_settings" in text:
        instead = "its decoding settings are for stemgen-jax evaluate --grid"
      raise ValueError(f"--config={path} has no get_config(): {instead}")


def value(message: str) -> str:
  """Return the line about a value that a flag cannot have."""
  message = message.removeprefix("flag ")
  given, colon, reason = message.partition(": ")
  for theirs, ours in _VALUES.items():
    if colon and reason.startswith(theirs):
      return f"{given}: {ours}"
  return message


def nearest(
  name: str,
  names: Sequence[str] | Mapping[str, str],
  prefix: str = "",
  cutoff: float = 0.5,
) -> str:
  """Suggest the nearest name, or the value under it in a mapping."""
  near = difflib.get_close_matches(name, names, 1, cutoff)
  if not near:
    return ""
  meant = names[near[0]] if isinstance(names, Mapping) else near[0]
  return _did_you_mean(f"{prefix}{meant}")


def nearest_choice(message: str) -> str:
  """Suggest the nearest of the choices that an error lists, ours or absl's."""
  found = re.search(
    r"[= ]'?([^\s=']+)'?: (?:expected|value should be) one of <?([^<>]+)",
    message,
  )
  if not found:
    return ""
  return nearest(found[1], re.split(r", |\|| or ", found[2]), cutoff=0.6)


def _did_you_mean(meant: str) -> str:
  return f", did you mean {meant}?"
