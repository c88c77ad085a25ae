"""Parse regions of time: seconds, or bars at a tempo."""

from stemgen_jax.generation.context import Region


def parse_seconds(text: str) -> list[Region]:
  """Return regions in seconds from "2.5-4,10-12.25".

  Raises:
    ValueError: the text has another form.
  """
  regions = []
  for part in text.split(","):
    # Three parts, or a negative number, do not unpack into two.
    try:
      start, end = (float(number) for number in part.split("-"))
    except ValueError:
      raise ValueError(
        f"{part.strip()!r} is not a region: expected FROM-TO in seconds, as "
        "2.5-4"
      ) from None
    regions.append((start, end))
  return regions


def parse_bars(text: str) -> list[tuple[int, int]]:
  """Return first and last bars from "5-8,12".

  Raises:
    ValueError: the text has another form.
  """
  found = []
  for part in text.split(","):
    first, dash, last = part.partition("-")  # "12" is one bar, 12-12
    try:
      found.append((int(first), int(last if dash else first)))
    except ValueError:
      raise ValueError(
        f"{part.strip()!r} is not a bar: expected a number, or FIRST-LAST, as "
        "5-8"
      ) from None
  return found


def bars(
  first: int,
  last: int,
  *,
  bpm: float,
  beats_per_bar: int = 4,
  first_beat: float = 0.0,
) -> Region:
  """Return the region from the start of a bar to the end of another.

  Args:
    first, last: numbers of the bars, counted from 1.
    bpm: beats per minute, above 0.
    beats_per_bar: at least 1.
    first_beat: start of bar 1 in seconds, 0 or more.

  Raises:
    ValueError: a value is outside its range.
  """
  if not bpm > 0:
    raise ValueError(f"bpm {bpm:g}: expected beats per minute, above 0")
  if beats_per_bar < 1:
    raise ValueError(f"beats_per_bar {beats_per_bar}: expected 1 or more")
  if not 1 <= first <= last:
    raise ValueError(f"bars {first}-{last}: expected FIRST-LAST, from 1")
  if first_beat < 0:
    raise ValueError(f"first_beat {first_beat:g}: expected 0 s or more")
  bar = beats_per_bar * 60.0 / bpm  # seconds
  return first_beat + (first - 1) * bar, first_beat + last * bar
