"""Tests of the settings."""

import pytest

from stemgen_jax.sampling import Settings, preset


def test_paper_preset_has_the_papers_numbers():
  paper = preset("paper")
  assert paper.steps == (128, 64, 32, 32)
  assert (paper.w_confidence, paper.w_causal, paper.w_random) == (0.1, 0.1, 1.0)
  assert paper.guidance == {"context": 3.0, "category": 3.0}
  assert (paper.rank, paper.guidance_form) == ("paper", "paper")


def test_finer_levels_take_the_last_entry():
  assert [Settings(steps=(9, 3)).steps_at(q) for q in range(4)] == [9, 3, 3, 3]


@pytest.mark.parametrize(
  "wrong",
  [
    {"steps": ()},
    {"steps": (4, 0)},
    {"steps": 8},
    {"steps": (2.5,)},
    {"guidance_interval": 0.5},
    {"guidance_ramp": (1.0, 1.0, 1.0)},
    {"guidance": {"context": (), "category": 1.0}},
    {"temperature": 1e-39},
    {"rank_temperature": 1e39},
    {"rank": "best"},
    {"guidance_form": "none"},
    {"temperature": 0.0},
    {"rank_temperature": (-1.0,)},
    {"temperature": (1.0, 0.0)},
    {"schedule": "slow"},
    {"top_k": -1},
    {"top_p": (1.0, 1.5)},
    {"top_p": ()},
    {"guidance_interval": (0.5, 0.5)},
    {"temperature": float("inf")},
    {"w_random": float("nan")},
    {"guidance_ramp": (1.0, float("inf"))},
    {"guidance": {"context": (1.0, float("nan")), "category": 1.0}},
  ],
)
def test_wrong_values_are_named(wrong):
  (name,) = wrong
  with pytest.raises(ValueError, match=f"^{name} "):
    Settings(**wrong)


def test_unknown_preset_lists_the_known_ones():
  with pytest.raises(ValueError, match="default, fast, paper"):
    preset("papper")
