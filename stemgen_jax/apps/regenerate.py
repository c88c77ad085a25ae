"""Sample regions of a take again and keep the rest.

By time in seconds, or by bars of a tempo; several at once if you like:

  stemgen-jax regenerate --take=bass.wav --regions=2.5-4,6-7 --out=bass2.wav
  stemgen-jax regenerate --take=bass.wav --bars=3-4 --bpm=120 --out=bass2.wav

Outside of the regions every sample stays, except for a cross-fade of one codec
frame (20 ms at 50 frames a second) on either side.
"""

from absl import flags

from stemgen_jax.cli.flags import takes

FLAGS = flags.FlagValues()
takes.define_edit(FLAGS)
takes.define_own_context(FLAGS)
flags.DEFINE_string(
  "regions",
  None,
  "Regions to sample again, FROM-TO in seconds, as 2.5-4,10-12.",
  flag_values=FLAGS,
)
flags.DEFINE_string(
  "bars",
  None,
  "The same in bars, as 5-8,12, counted from 1; needs --bpm.",
  flag_values=FLAGS,
)
flags.DEFINE_float("bpm", None, "Tempo in beats per minute.", flag_values=FLAGS)
flags.DEFINE_integer(
  "beats_per_bar", 4, "Number of beats of a bar.", flag_values=FLAGS
)
flags.DEFINE_float(
  "first_beat", 0.0, "Start of bar 1 in seconds.", flag_values=FLAGS
)


def main(argv: list[str]) -> None:
  """Run the command."""
  del argv
  from stemgen_jax.cli import takes as run

  run.regenerate(FLAGS)
