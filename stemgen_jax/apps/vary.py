"""Plays a share of a take anew: more of the same, a little different.

Half of the time, in runs of half a second, is played anew:

  stemgen-jax vary --take=bass.wav --out=bass2.wav

The notes stay, and their sound changes:

  stemgen-jax vary --take=bass.wav --share=1 --from_level=1 --out=bass2.wav
"""

from typing import TYPE_CHECKING, Any

from absl import flags

from stemgen_jax.audio import Audio
from stemgen_jax.cli import takes
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
flags.DEFINE_float(
  "share",
  0.5,
  "Share of the time that is played anew, up to 1.",
  flag_values=FLAGS,
)
flags.DEFINE_integer(
  "from_level",
  0,
  "Codec levels coarser than this stay everywhere: 0 plays all anew, 1 and "
  "above keep the notes and change their sound.",
  flag_values=FLAGS,
)
takes.define_flags(FLAGS, of_take=True)


def main(argv: list[str]) -> None:
  """Checks everything the user gave, then loads the model and plays.

  Raises:
    ValueError, OSError: something given cannot be; nothing is written then.
  """
  del argv
  if not 0 < FLAGS.share <= 1:
    raise ValueError(f"--share={FLAGS.share:g}: expected above 0, at most 1")
  if FLAGS.from_level < 0:
    raise ValueError(f"--from_level={FLAGS.from_level}: expected 0 or more")
  takes.change_take(FLAGS, FLAGS.context, _vary, _check_level)


def _check_level(take: Take, context: Audio | None) -> None:
  del context
  levels = take.codes.shape[1]
  if FLAGS.from_level >= levels:
    raise ValueError(
      f"--from_level={FLAGS.from_level}: expected 0 to {levels - 1}, as the "
      f"take has {levels} levels"
    )


def _vary(player: "StemGen", take: Take, new: dict[str, Any]) -> Take:
  return player.vary(
    take, share=FLAGS.share, from_level=FLAGS.from_level, **new
  )
