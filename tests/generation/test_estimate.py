"""Costs that are estimated before a stem is generated."""

import dataclasses

import jax
import pytest
from pcm import PcmCodec
from pcm_model import FAST, pcm_config

from stemgen_jax import StemGen, model
from stemgen_jax.generation import estimate


@pytest.mark.parametrize("context", ["codes", "spectrum"])
def test_costs_of_models_of_both_contexts(context):
  config = dataclasses.replace(pcm_config(), context=context)
  params = model.init_params(config, jax.random.key(0))
  stemgen = StemGen(config, params, PcmCodec(), {})
  costs = list(estimate.costs(stemgen, 0.5, [1, 2], {"fast": FAST}))
  assert [(x.settings, x.takes_at_once) for x in costs] == [
    ("fast", 1),
    ("fast", 2),
  ]
  first, second = costs
  assert first.passes == second.passes > 0
  assert min(first.seconds, second.seconds, first.flops) > 0
