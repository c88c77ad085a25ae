"""Flags of the commands that write takes."""

from collections.abc import Callable

from absl import flags

from stemgen_jax.cli.flags import settings
from stemgen_jax.cli.flags.bound import bound

# By the text of --bits; see `audio.Bits`.
BITS = {"16": 16, "24": 24, "float": "float"}


def define(values: flags.FlagValues) -> None:
  """Define the flags of a command that generates takes."""
  _define(values, seed=0, weights="demo")
  settings.define(values)


def main_of(name: str, values: flags.FlagValues) -> Callable[[list[str]], None]:
  """Return the `main` of a command: the function of its name in `cli.takes`."""

  def main(argv: list[str]) -> None:
    del argv
    # It imports soundfile: --help does not wait for it.
    from stemgen_jax.cli import takes as run

    getattr(run, name)(values)

  return main


def define_edit(values: flags.FlagValues) -> None:
  """Define the flags of a command that edits a take."""
  add = bound(values)
  add.string(
    "take", None, "The stem to edit, with its NAME.codes.npz next to it."
  )
  # None: the seed after that of the take, and its weights.
  _define(values, seed=None, weights=None)
  settings.define(values, of_take=True)


def define_own_context(values: flags.FlagValues) -> None:
  """Define --context of an edit that keeps the context of the take."""
  add = bound(values)
  add.string(
    "context",
    None,
    "The music of the take; needed for --mix and --picture only.",
  )


def _define(
  values: flags.FlagValues, *, seed: int | None, weights: str | None
) -> None:
  add = bound(values)
  add.string(
    "out",
    None,
    "The file to write, .wav or .flac. Default: a new name next to the music, "
    "as song-bass.wav.",
  )
  add.integer(
    "seed",
    seed,
    "The same number gives the same take again."
    + (" Default: that of the take plus 1." if seed is None else ""),
  )
  add.integer(
    "takes", 1, "Number of takes, NAME-seedS.wav, with seeds counting up."
  )
  add.string(
    "mix",
    None,
    "Also write context and stem together, to this file, lowered as a whole "
    "where it would clip.",
  )
  add.string(
    "picture", None, "Also draw waveforms and spectrograms, to this .png."
  )
  add.enum(
    "bits",
    "24",
    list(BITS),
    "Sample format of the audio files; float is for .wav.",
  )
  add.bool(
    "keep_codes",
    True,
    "Write NAME.codes.npz next to each stem, for vary, regenerate and extend.",
  )
  add.bool("overwrite", False, "Replace existing files.")
  add.bool("verbose", False, "Print what each take cost, and its rank.")
  add.string(
    "weights",
    weights,
    "The model: 'demo', a .safetensors file from stemgen-jax export, the "
    "folder of a run, or hf:OWNER/NAME@REVISION on the Hugging Face Hub."
    + (" Default: the take's." if weights is None else ""),
  )
  add.string(
    "codec",
    None,
    "The codec that --weights were trained with: a .safetensors file, or "
    "encodec_32khz:FILE (24, 48) for published weights kept elsewhere than in "
    "the cache. Default: the one that --weights name.",
  )
  add.string(
    "codec_device",
    "auto",
    "cpu, cuda, cuda:N, or auto: a GPU if there is one.",
  )
  add.string(
    "codec_backend",
    "auto",
    "Implementation of the codec: encodec (not for commercial use) or "
    "transformers; auto is the first that is installed.",
  )
  add.enum(
    "dtype",
    "auto",
    ["auto", "float32", "bfloat16"],
    "Dtype of the model's matrix multiplications; auto is that of the take for "
    "an edit, or the faster one here; float32 is portable.",
  )
