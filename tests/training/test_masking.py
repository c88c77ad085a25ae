import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from stemgen_jax.training.masking import training_mask

V = 16


def draw(b=512, t=40, q=4, seed=0, **options):
  key, codes_key = jax.random.split(jax.random.key(seed))
  codes = jax.random.randint(codes_key, (b, t, q), 0, V)
  masked_target, masked, level = jax.jit(
    lambda key, codes: training_mask(key, codes, V, **options)
  )(key, codes)
  return tuple(np.asarray(x) for x in (codes, masked_target, masked, level))


@pytest.mark.parametrize(
  "options",
  [{}, {"span_share": 1.0}, {"prefix_share": 1.0}, {"hidden_share": 1.0}],
)
def test_coarser_levels_are_clean_and_finer_ones_masked(options):
  codes, target, masked, level = draw(**options)
  for i in range(len(codes)):
    q = level[i]
    np.testing.assert_array_equal(target[i, :, :q], codes[i, :, :q])
    np.testing.assert_array_equal(target[i, :, q] == V, masked[i])
    known = ~masked[i]
    np.testing.assert_array_equal(target[i, known, q], codes[i, known, q])
    assert (target[i, :, q + 1 :] == V).all()


@pytest.mark.parametrize("options", [{}, {"span_share": 1.0}])
def test_ratio_follows_the_cosine_of_a_uniform_angle(options):
  _, _, masked, _ = draw(b=4096, t=200, **options)
  # P(cos(u) <= r) for u ~ U[0, pi/2].
  for r in (0.1, 0.3, 0.5, 0.7, 0.9):
    expected = 1 - math.acos(r) / (math.pi / 2)
    assert (masked.mean(1) <= r).mean() == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize("t", [1, 2, 3])
@pytest.mark.parametrize(
  "options", [{}, {"span_share": 0.5, "prefix_share": 0.5}]
)
def test_at_least_one_frame_is_masked(t, options):
  _, _, masked, _ = draw(b=4096, t=t, **options)
  assert masked.any(1).all()


def test_levels_are_uniform_or_weighted_or_given():
  level = draw(b=8192)[3]
  np.testing.assert_allclose(np.bincount(level) / 8192, 0.25, atol=0.02)
  weights = (0.4, 0.3, 0.2, 0.1)
  level = draw(b=8192, level_weights=weights)[3]
  np.testing.assert_allclose(np.bincount(level) / 8192, weights, atol=0.02)
  assert (draw(level=2)[3] == 2).all()


def changes(masked):
  """Number of times the mask goes from known to masked, edges included."""
  padded = np.pad(masked.astype(int), ((0, 0), (1, 1)))
  return (np.diff(padded, axis=1) == 1).sum(1)


def test_span_is_one_run_anywhere():
  _, _, masked, _ = draw(span_share=1.0)
  assert (changes(masked) == 1).all()
  assert (masked[:, 0] & ~masked[:, -1]).any()
  assert (~masked[:, 0] & masked[:, -1]).any()
  assert (~masked[:, 0] & ~masked[:, -1]).any()


def test_prefix_is_known_and_the_rest_masked():
  _, _, masked, _ = draw(prefix_share=1.0)
  assert (changes(masked) == 1).all()
  assert masked[:, -1].all()
  assert not masked[:, 0].all()


def test_hidden_share_masks_every_frame_and_leaves_the_others():
  _, _, before, _ = draw(b=4096, span_share=0.2, prefix_share=0.1)
  _, _, after, _ = draw(
    b=4096, span_share=0.2, prefix_share=0.1, hidden_share=0.3
  )
  changed = (before != after).any(1)
  assert after[changed].all()
  hidden = after.all(1).mean() - before.all(1).mean()
  assert hidden == pytest.approx(0.3 * (1 - before.all(1).mean()), abs=0.03)


def test_shares_are_of_the_examples():
  _, _, masked, _ = draw(b=4096, t=200, span_share=0.2, prefix_share=0.1)
  runs = changes(masked) == 1
  assert runs.mean() == pytest.approx(0.3, abs=0.05)
  at_end = runs & masked[:, -1] & ~masked[:, 0]
  assert at_end.mean() == pytest.approx(0.1, abs=0.03)


def test_same_key_gives_the_same_mask():
  first, again, other = draw(seed=1), draw(seed=1), draw(seed=2)
  np.testing.assert_array_equal(first[2], again[2])
  assert (first[2] != other[2]).any()
  assert jnp.asarray(first[1]).dtype == first[0].dtype
