"""Tests of regions as musicians write them."""

import pytest

from stemgen_jax.generation import regions


def test_seconds_and_bars_are_parsed():
  assert regions.parse_seconds("2.5-4, 10-12.25") == [(2.5, 4.0), (10.0, 12.25)]
  assert regions.parse_bars("5-8, 12") == [(5, 8), (12, 12)]


@pytest.mark.parametrize(
  ("text", "seconds"),
  [
    ("8", 8.0),
    ("2.5s", 2.5),
    ("1:30", 90.0),
    ("1:02.5", 62.5),
    ("10:00", 600.0),
    ("0:00", 0.0),
  ],
)
def test_times_are_seconds_or_minutes(text, seconds):
  assert regions.parse_time(text) == seconds


@pytest.mark.parametrize("text", ["", "1:75", "1:60", "-1:30", "1:-3", "1:2:3"])
def test_invalid_times_are_errors(text):
  with pytest.raises(ValueError, match=f"'{text}' is not a time"):
    regions.parse_time(text)


@pytest.mark.parametrize(
  ("text", "expected"),
  [
    ("1:00-1:30", [(60.0, 90.0)]),
    ("0:02.5\u20134, 1:02.5-63s", [(2.5, 4.0), (62.5, 63.0)]),
  ],
)
def test_regions_in_minutes(text, expected):
  assert regions.parse_seconds(text) == expected


def test_bars_follow_tempo_metre_and_first_beat():
  assert regions.bars(5, 8, bpm=120) == (8.0, 16.0)
  assert regions.bars(1, 1, bpm=90, beats_per_bar=3, first_beat=0.25) == (
    0.25,
    2.25,
  )


@pytest.mark.parametrize(
  "text",
  ["", "2", "2-3-4", "a-b", "1-2,,3-4", "1:00-0:30", "1-1", "0-nan", "1-inf"],
)
def test_invalid_regions_are_errors(text):
  with pytest.raises(ValueError, match="region"):
    regions.parse_seconds(text)


@pytest.mark.parametrize("text", ["", "x", "5-", "-", "1.5"])
def test_invalid_bars_are_errors(text):
  with pytest.raises(ValueError, match="bar"):
    regions.parse_bars(text)


@pytest.mark.parametrize(
  ("given", "name"),
  [
    ({"bpm": 0}, "bpm 0"),
    ({"first": 0}, "bars 0-2"),
    ({"first": 3}, "bars 3-2"),
    ({"beats_per_bar": 0}, "beats_per_bar 0"),
    ({"first_beat": -1}, "first_beat -1"),
  ],
)
def test_invalid_tempo_is_an_error(given, name):
  with pytest.raises(ValueError, match=name):
    regions.bars(**{"first": 1, "last": 2, "bpm": 120} | given)
