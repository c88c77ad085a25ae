"""Compare batched with sequential sampling; they differ on accelerators."""

import argparse
import dataclasses

import numpy as np

from stemgen_jax import audio, sampling
from stemgen_jax.generation import estimate
from stemgen_jax.generation.stemgen import StemGen
from stemgen_jax.paths import LOOPS


def run(arguments: argparse.Namespace) -> None:
  """Count equal codes of takes sampled together and one by one."""
  stemgen = StemGen.load(arguments.weights)
  context = audio.read(LOOPS / "chords.flac")
  settings = sampling.preset(arguments.preset)
  if arguments.steps:
    steps = tuple(map(int, arguments.steps.split(",")))
    settings = dataclasses.replace(settings, steps=steps)
  seeds = list(range(arguments.takes))

  def codes(exact: bool) -> np.ndarray:
    takes = stemgen.takes(
      context, "bass", seeds, settings=settings, exact=exact
    )
    return np.stack([take.codes for take in takes])  # [takes, t, q]

  together, alone = codes(exact=False), codes(exact=True)
  same = together == alone  # [takes, t, q]
  print(
    f"{len(seeds)} takes of {same.shape[1]} frames on {estimate.device()}: "
    f"{same.all((1, 2)).sum()} are equal in all codes"
  )
  for level in range(same.shape[2]):
    print(f"level {level}: {100 * same[..., level].mean():.3f} % of the codes")
