"""Print the cost of takes before they are generated, for --dry_run."""

from typing import TYPE_CHECKING

from absl import flags

from stemgen_jax.generation.request import GenerationRequest
from stemgen_jax.sampling.settings import PRESETS

if TYPE_CHECKING:
  from stemgen_jax.generation.stemgen import StemGen


def show(
  values: flags.FlagValues, stemgen: "StemGen", request: GenerationRequest
) -> None:
  """Print the time of a stem for every preset and number of takes at once."""
  from stemgen_jax.generation import estimate, sampler

  cases = {f"--preset={name}": each for name, each in PRESETS.items()}
  if request.settings and request.settings not in PRESETS.values():
    cases["as requested"] = request.settings
  seconds = request.sound.seconds if request.sound else values.seconds
  rows = estimate.costs(
    stemgen,
    seconds,
    sorted({1, min(values.takes, sampler.at_once(exact=values.exact))}),
    cases,
    given=request.conditions,
    loop=request.loop,
  )
  codec_seconds = estimate.codec_seconds(stemgen, seconds)
  print(
    f"one stem of {seconds:.1f} s, on {estimate.device()}; the codec takes "
    f"about {codec_seconds:.1f} s more:"
  )
  for name, takes, passes, flops, duration in rows:
    together = f", {takes} takes at once" if takes > 1 else ""
    work = f" ({passes} passes, {flops / 1e9:.0f} GFLOP)" * values.verbose
    print(f"  {name:<17} about {duration:>6.1f} s{together}{work}")
