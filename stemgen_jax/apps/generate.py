"""Listens to your music and plays along: writes a new stem for it.

Give it a mix and an instrument; the stem comes back in the format of your
file: same length, sample rate and channels, so that it lines up in your DAW.

  stemgen-jax generate --context=my_mix.wav --stem=bass --out=bass.wav

Four takes to choose from, bass-seed3.wav ... bass-seed6.wav, each with the
mix beside it (the same seed always gives the same take):

  stemgen-jax generate --context=my_mix.wav --stem=bass --out=bass.wav \\
    --seed=3 --takes=4 --mix=mix.wav

A loop for a loop, which repeats without a click:

  stemgen-jax generate --context=loop.wav --loop --stem=bass --out=bass.wav

Eight seconds of drums from nothing, with a picture:

  stemgen-jax generate --seconds=8 --stem=drums --out=drums.flac \\
    --picture=drums.png

What it would cost, for every preset, without playing: --dry_run. Any setting
of the sampling is a flag, such as --settings.rank=low_discrepancy,
--settings.guidance.context=3 or --settings.top_k=0,0,64,64 (per level).

The model hears a window of some seconds at a time; longer music is played in
windows that overlap by half. Passes are counted for each of them.

Instruments: piano, organ, guitar, bass, strings, ensemble, brass, reed, pipe,
synth_lead, synth_pad, drums, ... and what you call them: "e-piano", "sax".
"""

import re
import sys
from typing import TYPE_CHECKING

from absl import flags

from stemgen_jax import audio, categories
from stemgen_jax.cli import takes as takes_lib
from stemgen_jax.cli.flags import settings as settings_lib
from stemgen_jax.sampling.settings import PRESETS, Settings

if TYPE_CHECKING:
  from stemgen_jax.generation.stemgen import StemGen

FLAGS = flags.FlagValues()
flags.DEFINE_string(
  "context",
  None,
  "The music to play along with: wav, flac, ogg, mp3 or aiff, 0.2 s to 10 "
  "minutes.",
  flag_values=FLAGS,
)
flags.DEFINE_float(
  "seconds",
  None,
  "Without --context: start from nothing, this long.",
  flag_values=FLAGS,
)
flags.DEFINE_bool(
  "loop",
  False,
  "The context is one period of a loop, and so shall the stem be.",
  flag_values=FLAGS,
)
flags.DEFINE_string(
  "stem", "bass", "The instrument that plays along.", flag_values=FLAGS
)
flags.DEFINE_string(
  "genre",
  "",
  f"For weights that listen to it: {', '.join(categories.GENRES)}.",
  flag_values=FLAGS,
)
flags.DEFINE_string(
  "role",
  "",
  f"The same, what the stem does in the music: {', '.join(categories.ROLES)}.",
  flag_values=FLAGS,
)
flags.DEFINE_bool(
  "exact",
  False,
  "One take at a time also on GPU and TPU, so that a seed gives the same take "
  "to the last bit whatever --takes is. On a CPU it always does.",
  flag_values=FLAGS,
)
flags.DEFINE_bool(
  "dry_run",
  False,
  "Print what a stem of this length costs, write nothing.",
  flag_values=FLAGS,
)
takes_lib.define_flags(FLAGS, of_take=False)


def main(argv: list[str]) -> None:
  """Checks everything the user gave, then loads the model and plays.

  Raises:
    ValueError, OSError: something given cannot be; nothing is written then.
  """
  del argv
  category = categories.parse_category(FLAGS.stem)
  genre = categories.parse_genre(FLAGS.genre) if FLAGS.genre else ""
  role = categories.parse_role(FLAGS.role) if FLAGS.role else ""
  settings = settings_lib.parse(FLAGS)
  settings_lib.check_scales(FLAGS, genre=genre, role=role)
  plans = []
  if not FLAGS.dry_run:
    if FLAGS.mix and not FLAGS.context:
      raise ValueError(f"--mix={FLAGS.mix}: there is no --context to mix with")
    plans = takes_lib.plan_files(FLAGS, [FLAGS.context], FLAGS.seed)
  context, seconds = _read_context()
  if context:
    for path in (path for files in plans for path in files.sounds):
      audio.check_format(path, context)
  takes_lib.check_weights(FLAGS)
  takes_lib.check_conditions(FLAGS, genre=genre, role=role)
  if re.sub(r"[\W_]+", "", FLAGS.stem.lower()) != category.replace("_", ""):
    print(f"{FLAGS.stem!r} is played as {category}")

  player = takes_lib.load_player(FLAGS)
  if FLAGS.dry_run:
    _print_costs(player, seconds, settings)
    return
  if untrained := player.untrained(category):
    print(f"warning: {untrained}", file=sys.stderr)
  takes_lib.write_takes(
    FLAGS,
    plans,
    lambda progress: player.takes(
      context,
      category,
      [files.seed for files in plans],
      genre=genre,
      role=role,
      seconds=FLAGS.seconds,
      loop=FLAGS.loop,
      exact=FLAGS.exact,
      settings=settings,
      progress=progress,
    ),
    context,
  )


def _read_context() -> tuple[audio.Audio | None, float]:
  """What is played to, if anything, and how long it lasts in seconds."""
  path, seconds = FLAGS.context, FLAGS.seconds
  if seconds is not None and not path:
    audio.check_seconds(seconds, f"--seconds={seconds:g}")
    if FLAGS.loop:
      raise ValueError("--loop is said of --context, and there is none")
    return None, seconds
  if not path or seconds is not None:
    raise ValueError(
      "give either --context=FILE, the music to play along with, or "
      "--seconds=N, to start from nothing"
    )
  context = audio.read(path, longest=audio.LONGEST)
  audio.check_seconds(context.seconds, path)
  return context, context.seconds


def _print_costs(player: "StemGen", seconds: float, asked: Settings) -> None:
  """Passes, operations and time of a stem, for every preset and batch."""
  from stemgen_jax.generation import estimate, stemgen

  settings = {f"--preset={name}": each for name, each in PRESETS.items()}
  if asked not in PRESETS.values():
    settings["as asked"] = asked
  asked_for = {"category": True, "genre": FLAGS.genre, "role": FLAGS.role}
  costs = estimate.costs(
    player,
    seconds,
    sorted({1, min(FLAGS.takes, stemgen.at_once(exact=FLAGS.exact))}),
    settings,
    given=[name for name, value in asked_for.items() if value],
    loop=FLAGS.loop,
  )
  print(
    f"one stem of {seconds:.1f} s, on {estimate.device()}, without the codec:"
  )
  for name, takes, passes, flops, time in costs:
    together = f", {takes} takes at once" if takes > 1 else ""
    print(
      f"  {name:<17} {passes:>6} passes {flops / 1e9:>9.0f} GFLOP, "
      f"about {time:.1f} s{together}"
    )
