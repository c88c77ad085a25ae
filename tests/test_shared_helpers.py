"""Small helpers that every room uses."""

import math
import os
import signal

import pytest

from stemgen_jax import disk, finite, progress, recipes, signals, text_tables


def test_columns_are_aligned():
  rows = [("drums", 1.25), ("synth lead", 13)]
  assert text_tables.aligned(rows, ("stem", "gain")).split("\n") == [
    "stem        gain",
    "drums       1.25",
    "synth lead    13",
  ]
  assert text_tables.aligned([]) == ""


def test_markdown_has_a_rule_under_the_header():
  assert text_tables.markdown([("a", 1)], ("x", "y")).split("\n") == [
    "| x | y |",
    "| --- | --- |",
    "| a | 1 |",
  ]


def test_finite_values_alone_count():
  assert finite.mean([1.0, math.nan, 3.0]) == 2.0
  assert math.isnan(finite.mean([]))
  assert finite.or_none(math.inf) is None
  assert finite.or_none(1.23456, 2) == 1.23


def test_a_folder_keeps_its_recipe(tmp_path):
  path = tmp_path / "recipe.json"
  recipe = {"seed": 1, "settings": {"steps": (4, 2)}}
  recipes.check_or_create(path, recipe, "*.npz")
  recipes.check_or_create(path, recipe, "*.npz")
  assert disk.read_json(path, "") == recipes.as_json(recipe)
  other = {"seed": 1, "settings": {"steps": (4, 3)}}
  with pytest.raises(
    ValueError, match=r"settings\.steps \[4, 2\] there, \[4, 3"
  ):
    recipes.check_or_create(path, other, "*.npz")
  path.write_text("[]")
  with pytest.raises(ValueError, match="corrupt"):
    recipes.check_or_create(path, recipe, "*.npz")
  path.unlink()
  (tmp_path / "1.npz").write_bytes(b"")
  with pytest.raises(ValueError, match=r"not found, but .* has results"):
    recipes.check_or_create(path, recipe, "*.npz")


def test_the_second_interrupt_raises():
  before = signal.getsignal(signal.SIGINT)
  with signals.requests() as stop:
    assert not stop.asked
    os.kill(os.getpid(), signal.SIGINT)
    assert stop.asked
    with pytest.raises(KeyboardInterrupt):
      os.kill(os.getpid(), signal.SIGINT)
  assert signal.getsignal(signal.SIGINT) == before


def test_a_bar_passes_items_on(capsys):
  assert list(progress.bar([1, 2], desc="counting", unit="item")) == [1, 2]
  assert "counting" in capsys.readouterr().err
