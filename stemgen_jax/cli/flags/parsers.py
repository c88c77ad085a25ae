"""Values of flags as musicians write them: shares, times, regions."""

from collections.abc import Callable
from typing import Any

from absl import flags

from stemgen_jax.generation import regions


class Share(flags.ArgumentParser):
  """Parse a share above 0, at most 1, from "0.3" or "30%"."""

  syntactic_help = "a share, such as 0.3 or 30%"

  def parse(self, argument: str | float) -> float:
    """Return the share.

    Raises:
      ValueError: the text is not a share, or out of range.
    """
    number, percent, rest = str(argument).partition("%")
    try:
      share = float(number) / (100 if percent else 1)
    except ValueError:
      share = float("nan")
    if not rest.strip() and 0 < share <= 1:
      return share
    hint = f"; did you mean {number}%?" if 1 < share <= 100 else ""
    raise ValueError(
      "expected above 0, at most 1, such as 0.3 or 30%"
      f"{'' if percent else hint}"
    )


class Parsed(flags.ArgumentParser):
  """Parse a value by a function of its text, which raises ValueError."""

  def __init__(self, function: Callable[[str], Any]) -> None:
    super().__init__()
    self._function = function

  def parse(self, argument: Any) -> Any:
    """Return the value."""
    return self._function(argument) if isinstance(argument, str) else argument


KINDS: dict[str, flags.ArgumentParser] = {
  "bars": Parsed(regions.parse_bars),
  "regions": Parsed(regions.parse_seconds),
  "share": Share(),
  "time": Parsed(regions.parse_time),
}
"""Parsers by the kind of flag, see `bound`."""
