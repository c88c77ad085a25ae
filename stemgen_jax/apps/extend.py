"""Goes on where a take ends, under a longer piece of music.

The longer music begins with what the take was played to, and goes on; what was
played stays:

  stemgen-jax extend --take=bass.wav --context=longer_mix.wav --out=longer.wav

A take that was played from nothing goes on to a length:

  stemgen-jax extend --take=drums.wav --seconds=16 --out=longer.wav
"""

from typing import TYPE_CHECKING, Any

from absl import flags

from stemgen_jax import audio
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
  "The longer music, which begins with what the take was played to; in the "
  "take's sample rate and channels.",
  flag_values=FLAGS,
)
flags.DEFINE_float(
  "seconds",
  None,
  "Without --context: the new length of a take from nothing.",
  flag_values=FLAGS,
)
takes.define_flags(FLAGS, of_take=True)


def main(argv: list[str]) -> None:
  """Checks everything the user gave, then loads the model and plays.

  Raises:
    ValueError, OSError: something given cannot be; nothing is written then.
  """
  del argv
  if bool(FLAGS.context) == (FLAGS.seconds is not None):
    raise ValueError(
      "give either --context=FILE, longer than the take, or --seconds=N for a "
      "take from nothing"
    )
  if FLAGS.seconds is not None:
    audio.check_seconds(FLAGS.seconds, f"--seconds={FLAGS.seconds:g}")
  takes.change_take(
    FLAGS,
    FLAGS.context,
    _extend,
    check=lambda take, context: take.longer(context, FLAGS.seconds),
    longer=True,
  )


def _extend(player: "StemGen", take: Take, new: dict[str, Any]) -> Take:
  return player.extend(take, FLAGS.context, seconds=FLAGS.seconds, **new)
