"""Changes as text: typed by a musician, or lines of a script."""

import pathlib
import shlex
from collections.abc import Collection

from stemgen_jax import categories, disk
from stemgen_jax.live.options import Change
from stemgen_jax.sampling.settings import SEEDS

SYNC = "sync"
"""The command that adopts the tempo of the input."""

_CHANGES = (
  "LAYER mute, unmute or again; LAYER stem=piano, genre=techno, role=melodic, "
  "seed=3 or guidance=3"
)
HELP = f"{_CHANGES}; {SYNC} adopts the tempo of the input"


def parse(
  text: str,
  layers: Collection[str],
  conditions: Collection[str] | None = None,
) -> Change:
  """Return the change of a line such as "bass mute" or "bass seed=3".

  Args:
    text: name of a layer, and one or more words.
    layers: names of the layers.
    conditions: names of the conditions of the weights; None if unknown.

  Raises:
    ValueError: it is not such a line.
  """
  words = shlex.split(text)
  if not words or words[0] not in layers:
    raise ValueError(f"{text!r}: expected one of {', '.join(layers)} first")
  if not words[1:]:
    raise ValueError(f"{text!r}: expected {_CHANGES}")
  mute, again, controls = None, False, {}
  for word in words[1:]:
    name, equals, value = word.partition("=")
    if word in ("mute", "unmute"):
      mute = word == "mute"
    elif word == "again":
      again = True
    elif equals and conditions is not None and _lacks(conditions, name):
      raise ValueError(
        f"{text!r}: the weights have no {name}; expected "
        f"{', '.join(conditions) or 'no such word'}"
      )
    elif equals and name in _VALUES:
      controls[name] = _VALUES[name](value)
    else:
      raise ValueError(f"{text!r}: unknown {word!r}; expected {_CHANGES}")
  return Change(words[0], controls, mute, again)


def _lacks(conditions: Collection[str], name: str) -> bool:
  if name == "stem":
    return categories.kind_field(conditions) != "stem"
  return name in ("genre", "role") and name not in conditions


def read_script(
  path: disk.Path,
  layers: Collection[str],
  conditions: Collection[str] | None = None,
) -> list[tuple[int, Change]]:
  """Read a script: lines of a bar, from 1, and a change that enters there.

  Empty lines, and what follows a #, are ignored.

  Raises:
    OSError: the file cannot be read.
    ValueError: a line is not as described.
  """
  path = pathlib.Path(path)
  if path.is_dir():
    raise IsADirectoryError(f"{path} is a folder: expected a script")
  if not path.is_file():
    raise FileNotFoundError(f"no such file: {path}{disk.similar(path)}")
  try:
    text = path.read_text(encoding="utf-8")
  except UnicodeDecodeError:
    raise ValueError(f"{path}: not text in UTF-8; expected a script") from None
  found = []
  for number, line in enumerate(text.splitlines(), 1):
    line = line.partition("#")[0].strip()
    if not line:
      continue
    bar, _, rest = line.partition(" ")
    where = f"{path}, line {number}"
    if not bar.isdecimal() or int(bar) < 1:
      raise ValueError(f"{where}: bar {bar!r}; expected a number from 1")
    try:
      found.append((int(bar) - 1, parse(rest.strip(), layers, conditions)))
    except ValueError as error:
      raise ValueError(f"{where}: {error}") from None
  return sorted(found, key=lambda x: x[0])


def _seed(text: str) -> int:
  if not text.isdecimal() or int(text) >= SEEDS:
    raise ValueError(f"seed={text}: expected 0 to {SEEDS - 1}")
  return int(text)


def _guidance(text: str) -> float:
  try:
    value = float(text)
  except ValueError:
    value = float("nan")
  if not abs(value) <= 100:
    raise ValueError(f"guidance={text}: expected a number up to 100")
  return value


_VALUES = {
  "stem": categories.parse_stem,
  "genre": categories.parse_genre,
  "role": categories.parse_role,
  "seed": _seed,
  "guidance": _guidance,
}
