"""Tests of guidance."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stemgen_jax.sampling import Settings, guidance


def _settings(form, **scales):
  return Settings(guidance_form=form, guidance=scales)


def test_paper_form_is_equation_3():
  settings = _settings("paper", context=3.0, category=2.0)
  keep, weights, _ = guidance.branches(settings, ("category",))
  np.testing.assert_array_equal(
    keep, [[False, False], [True, False], [False, True]]
  )
  np.testing.assert_array_equal(weights, [1 - 3 - 2, 2, 3])
  log_p = jax.nn.log_softmax(jax.random.normal(jax.random.key(0), (3, 5, 7)))
  np.testing.assert_allclose(
    guidance.mix(jnp.asarray(weights), log_p),
    3 * log_p[2] + 2 * log_p[1] + (1 - 3 - 2) * log_p[0],
    rtol=1e-4,
  )


def test_normalizers_of_the_branches_do_not_matter():
  settings = _settings("paper", context=3.0, category=2.0)
  weights = jnp.asarray(guidance.branches(settings, ("category",)).weights)
  logits = 3 * jax.random.normal(jax.random.key(0), (3, 5, 7))
  np.testing.assert_allclose(
    jax.nn.log_softmax(guidance.mix(weights, logits)),
    jax.nn.log_softmax(guidance.mix(weights, jax.nn.log_softmax(logits))),
    atol=1e-4,
  )


@pytest.mark.parametrize(
  ("context", "category", "kept"),
  [(1, 0, [False, True]), (0, 1, [True, False]), (0, 0, [False, False])],
)
def test_scales_of_0_and_1_are_one_branch(context, category, kept):
  settings = _settings("paper", context=context, category=category)
  keep, weights, _ = guidance.branches(settings, ("category",))
  np.testing.assert_array_equal(keep, [kept])
  np.testing.assert_array_equal(weights, [1])


def test_nested_form_goes_from_the_category_to_both_in_two_branches():
  settings = _settings("nested", context=2.5, category=1.0)
  keep, weights, _ = guidance.branches(settings, ("category",))
  np.testing.assert_array_equal(keep, [[True, False], [True, True]])
  np.testing.assert_array_equal(weights, [1 - 2.5, 2.5])


def test_nested_form_adds_one_source_after_the_other():
  settings = _settings("nested", context=4.0, category=2.0, genre=3.0)
  keep, weights, _ = guidance.branches(settings, ("category", "genre"))
  np.testing.assert_array_equal(keep.sum(1), [0, 1, 2, 3])
  u, c, cg, cga = np.random.default_rng(0).normal(size=(4, 6))
  np.testing.assert_allclose(
    weights @ np.stack([u, c, cg, cga]),
    u + 2 * (c - u) + 3 * (cg - c) + 4 * (cga - cg),
    rtol=1e-5,
  )


@pytest.mark.parametrize(
  "scales", [{"context": 3.0}, {"context": 1, "category": 1, "genre": 1}]
)
def test_scales_for_other_sources_than_the_models_are_refused(scales):
  with pytest.raises(ValueError, match="category"):
    guidance.branches(_settings("paper", **scales), ("category",))


def test_paper_form_of_three_conditions():
  settings = _settings("paper", context=3.0, category=2.0, genre=4.0, role=5.0)
  keep, weights, _ = guidance.branches(settings, ("category", "genre", "role"))
  np.testing.assert_array_equal(keep, np.eye(5, 4, -1, bool))
  np.testing.assert_array_equal(weights, [1 - 14, 2, 4, 5, 3])


def test_nested_form_of_three_conditions_at_scale_1_takes_two_branches():
  settings = _settings("nested", context=2.5, category=1, genre=1, role=1)
  keep, weights, _ = guidance.branches(settings, ("category", "genre", "role"))
  np.testing.assert_array_equal(keep, [[True] * 3 + [False], [True] * 4])
  np.testing.assert_array_equal(weights, [1 - 2.5, 2.5])
