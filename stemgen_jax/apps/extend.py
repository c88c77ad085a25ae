"""Continue a take under a longer piece of music.

The longer music begins with that of the take; the take itself stays:

  stemgen-jax extend --take=bass.wav --context=longer_mix.wav --out=longer.wav

A take that was generated from nothing continues to a length:

  stemgen-jax extend --take=drums.wav --seconds=16 --out=longer.wav
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
