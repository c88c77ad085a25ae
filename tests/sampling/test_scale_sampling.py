"""Scales of segments are sampled first, one token for each segment."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from known_models import NO_GUIDANCE, decode
from scaled_model import TOKENS as CONFIG

from stemgen_jax.model.config import SCALE_TOKENS, SCALES
from stemgen_jax.sampling import Settings, cost, kernels, windows
from stemgen_jax.sampling.settings import SCALE_STEPS

PLAIN = Settings(steps=(3, 1), guidance=NO_GUIDANCE)
GUIDED = dataclasses.replace(
  PLAIN, guidance={"context": 4.0, "category": 2.0}, guidance_ramp=(2.0, 0.0)
)


def adversarial(config, params, context, target, conditions, level, **_):
  """Prefers ids that are not tokens by far."""
  b, t = target.shape[:2]
  logits = jax.random.normal(params, (b, t, config.codes))
  ids = jnp.arange(config.codes)[None, None]
  return jnp.where(ids < SCALE_TOKENS, logits, 1e6)


@pytest.mark.parametrize(
  "settings", [PLAIN, dataclasses.replace(GUIDED, rank="paper")]
)
def test_other_ids_than_tokens_are_never_sampled(settings):
  found = decode(
    adversarial,
    CONFIG,
    settings,
    b=8,
    params=jax.random.key(0),
    context=np.zeros((8, 16, 3), int),
  )
  # Codes may be any ids, and here they are others.
  assert (found[..., :SCALES] >= SCALE_TOKENS).mean() > 0.9
  assert (found[..., SCALES] < SCALE_TOKENS).all()
  assert (found[..., SCALES] >= 0).all()
  tokens = found[..., SCALES].reshape(8, 4, 4)
  assert (tokens == tokens[..., :1]).all()
  assert len(np.unique(tokens)) > 5


def staged(config, params, context, target, conditions, level, *, valid, **_):
  """A scale is the number of those known, a code that of known scales."""
  known = jnp.where(valid, target[..., SCALES] != config.codes, True)
  segments = known[:, :: config.scale_frames].sum(-1)
  codes = jnp.where(level == SCALES, segments, 10 + segments)
  # While scales are sampled, no code is known.
  early = (level == SCALES) & (target[..., :SCALES] != config.codes).any((1, 2))
  chosen = jax.nn.one_hot(jnp.where(early, 60, codes), config.codes)
  return jnp.broadcast_to(
    1e4 * chosen[:, None], (*target.shape[:2], config.codes)
  )


def test_scales_come_first_and_known_ones_stay():
  known = np.full((3, 16, 3), 33)
  known_mask = np.zeros((3, 16, 3), bool)
  known_mask[1, 4:8, SCALES] = True
  known_mask[2, :6] = True
  known_mask[2, 6:8, SCALES] = True
  valid = np.ones((3, 16), bool)
  valid[0, 10:] = False
  found = decode(
    staged,
    CONFIG,
    PLAIN,
    b=3,
    context=np.zeros((3, 16, 3), int),
    known=known,
    known_mask=known_mask,
    valid=valid,
  )
  scales = found[:, ::4, SCALES]
  # One is fixed at a time; the last segment of the first item has two frames.
  assert sorted(scales[0, :3]) == [1, 2, 3]
  assert (found[0, 10:] == 0).all()
  assert (found[0, 8:10, SCALES] == scales[0, 2]).all()
  assert scales[1, 1] == 33
  assert sorted(np.delete(scales[1], 1)) == [1, 2, 3]
  assert (scales[2, :2] == 33).all()
  assert sorted(scales[2, 2:]) == [2, 3]
  # Codes follow, with all scales known.
  assert (found[2, :6, :SCALES] == 33).all()
  assert (found[2, 6:, :SCALES] == 14).all()
  assert (found[0, :10, :SCALES] == 14).all()


def test_the_scales_of_a_take_do_not_depend_on_its_batch():
  def both(config, params, context, target, conditions, level, **_):
    return jnp.zeros((*target.shape[:2], config.codes))

  given = {"context": np.zeros((3, 16, 3), int), "seeds": np.array([5, 6, 7])}
  settings = dataclasses.replace(PLAIN, rank="low_discrepancy", steps=(1,))
  together = decode(both, CONFIG, settings, b=3, **given)
  alone = decode(both, CONFIG, settings, b=3, at_once=1, **given)
  np.testing.assert_array_equal(alone, together)
  assert len({tuple(take) for take in together[:, ::4, SCALES]}) == 3


def test_partial_segments_and_kernels_with_the_head_are_refused():
  for t, kernel in (
    (14, kernels.REFERENCE),
    (16, kernels.Kernel(launcher="mosaic_tpu", head=True)),
  ):
    context = np.zeros((1, t, 3), int)
    with pytest.raises(ValueError, match="whole segments of 4 frames"):
      decode(adversarial, CONFIG, PLAIN, context=context, kernel=kernel)


def test_passes_for_the_scales_are_counted():
  without = dataclasses.replace(CONFIG, scale_frames=0)
  more = cost.passes(GUIDED, CONFIG) - cost.passes(GUIDED, without)
  # Three branches in each step but the last, which is not guided.
  assert more == 3 * (SCALE_STEPS - 1) + 1
  none_left = cost.passes(GUIDED, CONFIG, [16, 16, 0])
  assert none_left == cost.passes(GUIDED, without)


@pytest.mark.parametrize("frames", [3, 16, 17, 66, 400])
@pytest.mark.parametrize("share", [0.05, 0.5, 1.0])
def test_windows_begin_with_a_segment(frames, share):
  unknown = np.random.default_rng(frames).random((frames, 1)) < share
  starts = windows.starts(~unknown, 16, 4)
  assert all(start % 4 == 0 for start in starts)
  covered = np.zeros(frames + 16, bool)
  for start in starts:
    covered[start : start + 16] = True
  assert covered[:frames][unknown[:, 0]].all()
  assert max(starts, default=0) <= max(0, frames + 3 - 16)
