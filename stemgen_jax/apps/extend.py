"""Continue a take under a longer piece of music.

The longer music begins with that of the take; the take itself stays:

  stemgen-jax extend bass.wav longer_mix.wav

A take that was generated from nothing continues to a length:

  stemgen-jax extend drums.wav --seconds=1:30 --out=longer.wav
"""

from absl import flags

from stemgen_jax.cli.flags import takes
from stemgen_jax.cli.flags.bound import bound

WORDS = ("take", "context")
FLAGS = flags.FlagValues()
_add = bound(FLAGS)
takes.define_edit(FLAGS)
_add.string(
  "context",
  None,
  "The longer music, which begins with that of the take; in the take's sample "
  "rate and channels.",
)
_add.time(
  "seconds", None, "Without --context: the new length of a take from nothing."
)


main = takes.main_of("extend", FLAGS)
