"""Sample regions of a take again and keep the rest.

By time, or by bars of a tempo; several at once if you like:

  stemgen-jax regenerate bass.wav --regions=2.5-4,1:06-1:07.5
  stemgen-jax regenerate bass.wav --bars=3-4 --bpm=120 --out=bass2.wav

Outside of the regions every sample stays, except for a cross-fade of one codec
frame (20 ms at 50 frames a second) on either side.
"""

from absl import flags

from stemgen_jax.cli.flags import takes
from stemgen_jax.cli.flags.bound import bound

WORDS = ("take",)
FLAGS = flags.FlagValues()
_add = bound(FLAGS)
takes.define_edit(FLAGS)
takes.define_own_context(FLAGS)
_add.regions(
  "regions",
  None,
  "Regions to sample again, FROM-TO in seconds, as 2.5-4, or minutes, as "
  "1:00-1:30; several with commas.",
)
_add.bars(
  "bars", None, "The same in bars, as 5-8,12, counted from 1; see --bpm."
)
_add.float(
  "bpm",
  None,
  "Tempo in beats per minute; by default that of --context, or of the take, "
  "as detected.",
)
_add.integer("beats_per_bar", 4, "Number of beats of a bar.")
_add.time("first_beat", 0.0, "Start of bar 1 in seconds.")


main = takes.main_of("regenerate", FLAGS)
