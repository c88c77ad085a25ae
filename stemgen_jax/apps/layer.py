"""Build a song layer by layer in a folder that keeps every take.

Start a session from your music, and generate two takes of a bass for it:

  stemgen-jax layer my_song loop.wav --add=bass --takes=2

Keep one by its number in the list that is printed; then the next instrument,
which is generated for the loop with that bass:

  stemgen-jax layer my_song --keep=3
  stemgen-jax layer my_song --add=piano --takes=3 --keep_best

Change a take, or the mixer; return to an earlier song:

  stemgen-jax layer my_song --vary=3 --share=30%
  stemgen-jax layer my_song --regenerate=3 --regions=1.5-4
  stemgen-jax layer my_song --layer=bass --gain_db=-3 --pan=0.2
  stemgen-jax layer my_song --undo

Write one aligned wav for each layer, the mix, and projects for DAWs
(song.dawproject, song.rpp):

  stemgen-jax layer my_song --export=my_song_files

Or replay a table of steps (the package has drums, chords and melody, after the
sessions of StemGen's demo page):

  stemgen-jax layer out/demo_song --plan=drums
"""

from absl import flags

from stemgen_jax.cli.flags import model, settings
from stemgen_jax.cli.flags.bound import bound

WORDS = ("session", "context")
FLAGS = flags.FlagValues()
_add = bound(FLAGS)
_add.string("session", None, "Folder of the session; a new one is started.")
_add.string("context", None, "A new session: the music to start from.")
_add.time("seconds", None, "A new session: start from nothing, this long.")
_add.bool("loop", False, "A new session: the song is one period of a loop.")
_add.string("plan", None, "A new session: YAML file of steps, or drums, ...")
_add.string("add", None, "Generate takes of this instrument, as a new layer.")
_add.string("add_audio", None, "Add a file of your own as a layer.")
_add.string("layer", None, "The layer that --add, --gain_db, ... are for.")
_add.integer("takes", 1, "With --add: the number of takes, at most 100.")
_add.bool("keep_best", False, "With --add: keep the take that fits best.")
_add.string("genre", "", "With --add: as stemgen-jax generate --genre.")
_add.string("role", "", "With --add: as stemgen-jax generate --role.")
_add.integer("keep", None, "Keep a take: it becomes part of the song.")
_add.integer("discard", None, "Remove a take.")
_add.string("remove", None, "Remove a layer with all its takes.")
_add.integer("vary", None, "Sample a share of a take again, as a new take.")
_add.share("share", 0.5, "With --vary: share of the time, such as 30%.")
_add.integer("regenerate", None, "Sample regions of a take again.")
_add.regions("regions", None, "With --regenerate: as 1.5-4,1:00-1:10.")
_add.string("refresh", None, "Generate a stale layer again.")
_add.time("extend", None, "Lengthen the song and its takes, as to 1:30.")
_add.float("gain_db", None, "With --layer: gain in dB.")
_add.float("pan", None, "With --layer: -1 (left) to 1 (right).")
_add.bool("mute", None, "With --layer: leave it out of the mix (--nomute).")
_add.bool("solo", None, "With --layer: only layers with solo are mixed.")
_add.bool("undo", False, "Return to the song before the last operation.")
_add.bool("redo", False, "Take back an --undo.")
_add.string("export", None, "Write layers, mix and projects to this folder.")
_add.float(
  "bpm", None, "With --export: tempo of the grid. Default: as detected."
)
_add.bool("overwrite", False, "With --export: replace existing files.")
_add.integer("seed", None, "Seed of the first new take. Default: a new one.")
model.define(FLAGS)
settings.define(FLAGS)


def main(argv: list[str]) -> None:
  """Do the operations of the flags in one session, and print its layers.

  Raises:
    ValueError, OSError: a flag is invalid, or a file cannot be read or written.
  """
  del argv
  # It imports soundfile: --help does not wait for it.
  from stemgen_jax.cli import layers

  layers.run(FLAGS)
