"""Generate a new stem that fits your music.

Give it a mix and an instrument; the stem comes back in the format of your
file: same length, sample rate and channels, so that it lines up in your DAW.

  stemgen-jax generate my_mix.wav --stem=bass

Four takes to choose from, bass-seed3.wav ... bass-seed6.wav, each with a mix
(the same seed always gives the same take):

  stemgen-jax generate my_mix.wav --stem=bass --out=bass.wav --mix=mix.wav \\
    --seed=3 --takes=4

A loop for a loop, which repeats without a click:

  stemgen-jax generate loop.wav --loop --stem=bass

Eight seconds of drums from nothing, with a picture:

  stemgen-jax generate --seconds=8 --stem=drums --out=drums.flac \\
    --picture=drums.png

The time for every preset, without generating: --dry_run. Any setting of the
sampling is a flag, such as --settings.rank=low_discrepancy,
--settings.guidance.context=3 or --settings.top_k=0,0,64,64 (per level).
"""

from absl import flags

from stemgen_jax import categories
from stemgen_jax.cli.flags import takes
from stemgen_jax.cli.flags.bound import bound

WORDS = ("context",)
FLAGS = flags.FlagValues()
_add = bound(FLAGS)
_add.string(
  "context",
  None,
  "The music, with or without the flag: wav, flac, ogg, mp3 or aiff, 0.2 s to "
  "10 minutes.",
)
_add.time("seconds", None, "Without --context: start from nothing, this long.")
_add.bool(
  "loop", False, "The context is one period of a loop, and so is the stem."
)
_add.string(
  "stem",
  None,
  "The instrument to generate; also --instrument. Default: bass. Weights "
  "without instruments have --role instead.",
)
_add.alias("instrument", "stem")
_add.string(
  "genre",
  "",
  f"For weights with this condition: {', '.join(categories.GENRES)}.",
)
_add.string(
  "role",
  "",
  "For weights with this condition, function of the stem: "
  f"{', '.join(categories.ROLES)}.",
)
_add.bool(
  "exact",
  False,
  "Sample one take at a time on GPU and TPU too, for the same bits with any "
  "--takes.",
)
_add.integer(
  "best",
  None,
  "Write only so many of --takes, those that fit best.",
)
_add.bool("dry_run", False, "Print how long a stem takes, and write nothing.")
takes.define(FLAGS)
main = takes.main_of("generate", FLAGS)


def more_help() -> str:
  """Return the instruments of --weights and the others."""
  from stemgen_jax.cli import about  # numpy

  return about.instruments_help(FLAGS.weights)
