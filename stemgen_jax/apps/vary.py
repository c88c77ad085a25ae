"""Sample a share of a take again, for a variation of it.

Half of the time, in runs of half a second, is sampled again:

  stemgen-jax vary bass.wav

The notes stay, and their sound changes:

  stemgen-jax vary bass.wav --share=100% --from_level=1
"""

from absl import flags

from stemgen_jax.cli.flags import takes
from stemgen_jax.cli.flags.bound import bound

WORDS = ("take",)
FLAGS = flags.FlagValues()
_add = bound(FLAGS)
takes.define_edit(FLAGS)
takes.define_own_context(FLAGS)
_add.share(
  "share", 0.5, "Share of the time that is sampled again, such as 0.3 or 30%."
)
_add.integer(
  "from_level",
  0,
  "Codec levels coarser than this stay everywhere: 0 samples all of them, 1 "
  "and above keep the notes and change their sound.",
)


main = takes.main_of("vary", FLAGS)
