"""Parse times and regions of time: seconds, minutes, or bars at a tempo."""

import math

Region = tuple[float, float]
"""From and to, in seconds."""


def parse_time(text: str) -> float:
  """Return seconds from "8", "2.5 s", "1:30" or "1:02.5".

  Raises:
    ValueError: the text has another form.
  """
  minutes, colon, seconds = text.strip().removesuffix("s").rpartition(":")
  try:
    found = float(seconds)
    if not colon:
      return found
    if minutes.isdecimal() and 0 <= found < 60 and "-" not in seconds:
      return 60 * int(minutes) + found
  except ValueError:
    pass
  raise ValueError(
    f"{text.strip()!r} is not a time: expected seconds, such as 62.5, or "
    "minutes and seconds below 60, such as 1:02.5"
  )


def parse_seconds(text: str) -> list[Region]:
  """Return regions in seconds from "2.5-4,1:02-1:30".

  Raises:
    ValueError: the text has another form, or a region ends before it begins.
  """
  regions = []
  for part in text.replace("\u2013", "-").split(","):  # an en dash
    # Three parts, or a negative number, do not unpack into two.
    try:
      start, end = (parse_time(number) for number in part.split("-"))
    except ValueError:
      raise ValueError(
        f"{part.strip()!r} is not a region: expected FROM-TO in seconds, as "
        "2.5-4, or in minutes and seconds below 60, as 1:00-1:30"
      ) from None
    if not start < end < math.inf:
      raise ValueError(
        f"{part.strip()!r} is not a region: expected FROM before TO, as "
        "1:00-1:30"
      )
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
