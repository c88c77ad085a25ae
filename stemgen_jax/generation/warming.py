"""Compile the sampling program of a model before its first take."""

from stemgen_jax import model
from stemgen_jax.generation import engine, sampler
from stemgen_jax.generation.request import GenerationRequest
from stemgen_jax.generation.stemgen import StemGen
from stemgen_jax.sampling import preset


def warm(stemgen: StemGen) -> None:
  """Compile, or load, the program of one take with the usual settings.

  Other values of settings, and other contexts, use the same program.
  """
  weights = model.Weights(stemgen.config, stemgen.params, stemgen.metadata)
  request = GenerationRequest(seconds=1.0).validate()
  request = request.for_weights(weights.config.conditions, stemgen.name)
  weights = sampler.with_dtype(weights, request)
  settings = engine.with_guidance(
    preset("default"), weights.config.conditions, request.conditions
  )
  sampler.compile_programs(weights, request, settings)
