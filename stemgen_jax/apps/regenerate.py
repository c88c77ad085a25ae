"""Plays parts of a take anew and leaves the rest alone.

By time in seconds, or by bars of a tempo; several at once if you like:

  stemgen-jax regenerate --take=bass.wav --regions=2.5-4,6-7 --out=bass2.wav
  stemgen-jax regenerate --take=bass.wav --bars=3-4 --bpm=120 --out=bass2.wav

Outside the regions every sample stays, but for a cross-fade of one codec
frame (20 ms at 50 frames a second) on either side.
"""

from typing import TYPE_CHECKING, Any

from absl import flags

from stemgen_jax.cli import takes
from stemgen_jax.generation import regions
from stemgen_jax.generation.context import Region
from stemgen_jax.generation.take import Take

if TYPE_CHECKING:
  from stemgen_jax.generation.stemgen import StemGen

FLAGS = flags.FlagValues()
flags.DEFINE_string(
  "take",
  None,
  "The stem to go on from, with its NAME.codes.npz beside it.",
  flag_values=FLAGS,
)
flags.DEFINE_string(
  "context",
  None,
  "What the take was played to; needed for --mix and --picture only.",
  flag_values=FLAGS,
)
flags.DEFINE_string(
  "regions",
  None,
  "What is played anew, FROM-TO in seconds, as 2.5-4,10-12.",
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
  "beats_per_bar", 4, "Beats that a bar has.", flag_values=FLAGS
)
flags.DEFINE_float(
  "first_beat", 0.0, "When bar 1 begins, in seconds.", flag_values=FLAGS
)
takes.define_flags(FLAGS, of_take=True)


def main(argv: list[str]) -> None:
  """Checks everything the user gave, then loads the model and plays.

  Raises:
    ValueError, OSError: something given cannot be; nothing is written then.
  """
  del argv
  wanted = _regions()

  def regenerate(player: "StemGen", take: Take, new: dict[str, Any]) -> Take:
    return player.regenerate(take, wanted, **new)

  takes.change_take(
    FLAGS,
    FLAGS.context,
    regenerate,
    check=lambda take, _: take.context.frames_of(wanted),
  )


def _regions() -> list[Region]:
  if (FLAGS.regions is None) == (FLAGS.bars is None):
    raise ValueError(
      "give either --regions, as --regions=2.5-4, or --bars with --bpm, as "
      "--bars=5-8 --bpm=120"
    )
  if FLAGS.regions is not None:
    return regions.parse_seconds(FLAGS.regions)
  if FLAGS.bpm is None:
    raise ValueError(f"--bars={FLAGS.bars}: give the tempo too, as --bpm=120")
  return [
    regions.bars(
      first,
      last,
      bpm=FLAGS.bpm,
      beats_per_bar=FLAGS.beats_per_bar,
      first_beat=FLAGS.first_beat,
    )
    for first, last in regions.parse_bars(FLAGS.bars)
  ]
