"""Generate stems while the music plays, chunk by chunk, on its bar lines.

Play along with a file: while two bars sound, the next two are generated from
the music up to now. The waiting is simulated, the time of the work is real; the
last line tells whether this machine is fast enough:

  stemgen-jax live --context=my_mix.wav --stem=bass --bpm=120 --out=bass.wav

At the speed of the music, with 16-bit samples from a pipe, to a pipe:

  ... | stemgen-jax live --context=- --sample_rate=48000 --channels=2 \\
    --stem=bass --bpm=120 --out=- | ...

A loop that repeats, around which layers enter one after the other and change,
and a script of changes ("9 bass mute" is one):

  stemgen-jax live --context=loop.wav --loop --stem=drums,bass,piano \\
    --change_every=4 --repeats=16 --monitor --out=song.wav --script=song.txt

With the inputs and outputs of a sound card (pip install -e '.[live]'), until
Ctrl-C:

  stemgen-jax live --device=default --stem=bass --bpm=120 --out=bass.wav

In time with other programs by Ableton Link (pip install -e '.[live,link]'):

  stemgen-jax live --device=default --stem=bass --link --out=bass.wav
"""

from absl import flags

from stemgen_jax.cli.flags import model, settings
from stemgen_jax.cli.flags.bound import bound
from stemgen_jax.live import options

WORDS = ("context",)
FLAGS = flags.FlagValues()
_add = bound(FLAGS)
_add.string(
  "context", None, "The music to play along with: a file, or - for PCM samples."
)
_add.list("stem", ["bass"], "The instruments to generate, a layer each.")
_add.float(
  "bpm", None, "Beats per minute. Default: as detected in the first 8 s."
)
_add.integer("beats_per_bar", 4, "Beats of a bar.")
_add.float("first_beat", 0.0, "With --bpm: seconds from the start to bar 1.")
_add.string("out", None, "The file to write, .wav or .flac, or - for PCM.")
_add.bool("monitor", False, "Add the context to the output.")
_add.float("gain_db", 0.0, "Gain of the output, in dB.")
_add.integer("bars", 2, "Bars of a chunk.")
_add.float(
  "slack",
  None,
  "Beats from the request for a chunk to its start, at most a chunk. Default: "
  "4, or the length of the --loop.",
)
_add.enum(
  "cover", "loop", list(options.COVERS), "What sounds if a chunk is late."
)
_add.enum(
  "future",
  "auto",
  list(options.FUTURES),
  "Context that is not known yet: unknown, or the latest bars again; auto: as "
  "the weights were trained.",
)
_add.bool("follow", False, "Adopt a detected tempo that differs from --bpm.")
_add.bool("link", False, "Follow tempo and bars of Ableton Link.")
_add.bool("loop", False, "The context is one period of a loop, which repeats.")
_add.integer("repeats", 8, "With --loop: number of repetitions.")
_add.integer(
  "change_every",
  0,
  "With --loop: repetitions until the next layer is generated again; 0: never.",
)
_add.string("script", None, "File of changes: lines of a bar and a change.")
_add.bool("realtime", False, "Play a file at the speed of the music.")
_add.bool(
  "untimed",
  False,
  "Do not count the time of the work: a file gets the same output each time, "
  "with all passes.",
)
_add.string(
  "device", None, "Instead of --context: sound card, default or INPUT,OUTPUT."
)
_add.integer("count_in", 1, "With --device and --bpm: bars of clicks before.")
_add.integer("sample_rate", 48000, "Of PCM and of a sound card, in Hz.")
_add.integer("channels", 2, "Of PCM and of a sound card.")
_add.string("genre", "", "As stemgen-jax generate --genre.")
_add.list(
  "role",
  [],
  "As stemgen-jax generate --role. Weights without instruments have a layer "
  "for each role, and no --stem.",
)
_add.integer("seed", 0, "Seed of all layers.")
_add.enum(
  "bits", "24", ["16", "24", "float"], "Of --out; PCM is 16 unless float."
)
_add.bool("overwrite", False, "Replace an existing file.")
model.define(FLAGS)
settings.define(FLAGS)


def main(argv: list[str]) -> None:
  """Play along with the context of the flags.

  Raises:
    ValueError, OSError: a flag is invalid, or a file cannot be read or written.
  """
  del argv
  # It imports soundfile: --help does not wait for it.
  from stemgen_jax.cli import live

  live.run(FLAGS)
