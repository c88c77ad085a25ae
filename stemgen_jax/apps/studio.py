"""Build a song layer by layer in the browser, or over HTTP.

Start the studio, and open the address that it prints:

  stemgen-jax studio

Continue the song of another folder, with other weights:

  stemgen-jax studio my_song --weights=runs/mine/model.safetensors

Only programs of this machine reach it. Its HTTP API is described on the page
/docs, with examples in stemgen_jax/studio/README.md.
"""

import pathlib

from absl import flags

from stemgen_jax.cli.flags import model
from stemgen_jax.cli.flags.bound import bound
from stemgen_jax.cli.flags.required import required

WORDS = ("session",)
FLAGS = flags.FlagValues()
_add = bound(FLAGS)
_add.string(
  "session", "stemgen_song", "Folder of the song; a new one is started."
)
_add.integer("port", 8300, "Number of the port; 0 for any.")
_add.bool("open", False, "Open the page in the browser.")
model.define(FLAGS)


def main(argv: list[str]) -> None:
  """Serve the studio until the process is asked to end.

  Raises:
    ValueError, OSError: a flag is invalid, or the folder cannot be used.
  """
  del argv
  # It imports soundfile: --help does not wait for it.
  from stemgen_jax.cli import takes

  if not 0 <= FLAGS.port < 65536:
    raise ValueError(f"--port={FLAGS.port}: expected 0 to 65535")
  folder = pathlib.Path(required(FLAGS, "session", "my_song"))
  takes.check_weights(FLAGS)
  from stemgen_jax.studio import server

  server.run(
    folder,
    lambda: server.StemGen.load(
      FLAGS.weights,
      codec=FLAGS.codec,
      codec_device=FLAGS.codec_device,
      codec_backend=FLAGS.codec_backend,
      dtype=FLAGS.dtype,
    ),
    FLAGS.weights,
    port=FLAGS.port,
    browser=FLAGS.open,
  )
