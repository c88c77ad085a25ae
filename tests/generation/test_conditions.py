"""Tests of category, genre and role as conditions of takes."""

import dataclasses

import jax
import numpy as np
import pytest
from pcm import PcmCodec
from pcm_model import FAST, music, pcm_config, saved

from stemgen_jax import StemGen, categories, model, sampling
from stemgen_jax.generation import engine


def test_untrained_category_gives_a_warning(tiny):
  tiny = dataclasses.replace(tiny, metadata={"categories": ["drums"]})
  with pytest.warns(UserWarning, match="not trained on 'bass'"):
    # Before the first take is sampled.
    takes = tiny.takes(music(), "bass", [0], settings=FAST)
  take = next(takes)
  assert take.audio.samples.any()
  assert not tiny.generate(music(), "drums", settings=FAST).warnings


THREE = ("category", "genre", "role")


@pytest.fixture(scope="module")
def conditioned():
  """Weights with genre and role, on which their logits depend strongly."""
  config = dataclasses.replace(pcm_config(), conditions=THREE)
  params = jax.jit(lambda: model.init_params(config, jax.random.key(0)))()
  return StemGen(config, params | {"head": 30 * params["head"]}, PcmCodec(), {})


def test_weights_without_conditions_take_any_category_but_no_genre():
  config = dataclasses.replace(pcm_config(), conditions=())
  params = jax.jit(lambda: model.init_params(config, jax.random.key(0)))()
  engine = StemGen(config, params, PcmCodec(), {})
  assert engine.generate(music(), "drums", settings=FAST).stem == "drums"
  with pytest.raises(ValueError, match="`genre`=techno: the weights demo have"):
    engine.generate(music(), genre="techno", settings=FAST)


def test_genre_and_role_change_the_codes_with_scales_of_their_own(conditioned):
  def codes(**given):
    scales = {"context": 2.0, "category": 1.0, **given.pop("scales", {})}
    settings = dataclasses.replace(FAST, guidance=scales)
    return conditioned.generate(
      music(), seed=1, settings=settings, **given
    ).codes

  plain = codes()
  techno = codes(genre="Techno")
  lead = codes(genre="Techno", role="melodic")
  more = codes(genre="Techno", role="melodic", scales={"genre": 4.0})
  most = codes(
    genre="Techno", role="melodic", scales={"genre": 4.0, "role": 6.0}
  )
  takes = [plain, techno, lead, more, most]
  for i, one in enumerate(takes):
    for other in takes[:i]:
      assert (one != other).any()
  # A condition without a value is null for any scale.
  np.testing.assert_array_equal(codes(scales={"role": 6.0}), plain)


@pytest.mark.parametrize(
  ("preset", "given", "scales", "passes"),
  [
    ("default", ("category",), (1, 1, 1, 2.5), 2),
    ("default", THREE, (1, 1, 1, 2.5), 2),
    ("paper", ("category",), (3, 0, 0, 3), 3),
    ("paper", ("category", "role"), (3, 0, 3, 3), 4),
    ("paper", THREE, (3, 3, 3, 3), 5),
  ],
)
def test_condition_without_a_value_takes_no_pass(
  conditioned, preset, given, scales, passes
):
  settings = engine.with_guidance(sampling.preset(preset), THREE, given)
  assert tuple(settings.guidance.values()) == scales
  assert tuple(settings.guidance) == (*THREE, "context")
  branches = sampling.guidance.branches(settings, THREE)
  assert len(branches.weights) == passes
  assert branches.weights.sum() == 1


def test_condition_that_the_weights_do_not_have_is_an_error(tiny):
  with pytest.raises(
    ValueError, match="`genre`=techno: the weights demo have no"
  ):
    tiny.generate(music(), genre="techno")
  with pytest.raises(ValueError, match="unknown role 'loud'"):
    tiny.generate(music(), role="loud")
  # Before the context is read, which may take long.
  with pytest.raises(ValueError, match="category 'kazoo'"):
    tiny.generate("missing.wav", "kazoo")


def test_edited_take_keeps_its_genre_and_role(monkeypatch, tmp_path):
  asked = []

  def decode(config, params, context, conditions, *_, **options):
    if not options.get("compile_only"):
      asked.append({name: int(ids[0]) for name, ids in conditions.items()})
    return context

  monkeypatch.setattr(sampling, "decode_codes", decode)
  config = dataclasses.replace(pcm_config(), conditions=THREE)
  tiny = StemGen(config, {}, PcmCodec(), {})
  take = saved(
    tiny.generate(music(), "drums", genre="jazz", role="percussive"),
    tmp_path,
  )
  assert (take.genre, take.role) == ("jazz", "percussive")
  tiny.vary(take)
  jazz = categories.GENRES.index("jazz")
  assert asked == [{"category": 16, "genre": jazz, "role": 0}] * 2
  tiny.generate(music(), "drums")
  sizes = model.CONDITION_SIZES
  assert asked[-1] == {
    "category": 16,
    "genre": sizes["genre"],
    "role": sizes["role"],
  }
