"""Flags of the commands that write takes."""

from absl import flags

from stemgen_jax.cli.flags import settings

# By the text of --bits; see `audio.Bits`.
BITS = {"16": 16, "24": 24, "float": "float"}


def define(values: flags.FlagValues) -> None:
  """Define the flags of a command that generates takes."""
  _define(values, seed=0, weights="demo")
  settings.define(values)


def define_edit(values: flags.FlagValues) -> None:
  """Define the flags of a command that edits a take."""
  flags.DEFINE_string(
    "take",
    None,
    "The stem to edit, with its NAME.codes.npz next to it.",
    flag_values=values,
  )
  # None: the seed after that of the take, and its weights.
  _define(values, seed=None, weights=None)
  settings.define(values, of_take=True)


def define_own_context(values: flags.FlagValues) -> None:
  """Define --context of an edit that keeps the context of the take."""
  flags.DEFINE_string(
    "context",
    None,
    "The music of the take; needed for --mix and --picture only.",
    flag_values=values,
  )


def _define(
  values: flags.FlagValues, *, seed: int | None, weights: str | None
) -> None:
  flags.DEFINE_string(
    "out",
    None,
    "The file to write, .wav or .flac. With several takes each gets its seed: "
    "NAME-seedS.wav.",
    flag_values=values,
  )
  flags.DEFINE_integer(
    "seed",
    seed,
    "Number of the new take: the same number gives the same take again."
    + (" Default: that of the take plus 1." if seed is None else ""),
    flag_values=values,
  )
  flags.DEFINE_integer(
    "takes", 1, "Number of takes, with seeds counting up.", flag_values=values
  )
  flags.DEFINE_string(
    "mix",
    None,
    "Also write context and stem together, to this file. Never clips: the mix "
    "is lowered as a whole where needed.",
    flag_values=values,
  )
  flags.DEFINE_string(
    "picture",
    None,
    "Also draw waveforms and spectrograms, to this .png.",
    flag_values=values,
  )
  flags.DEFINE_enum(
    "bits",
    "24",
    list(BITS),
    "Sample format of the audio files; float is for .wav.",
    flag_values=values,
  )
  flags.DEFINE_bool(
    "keep_codes",
    True,
    "Write NAME.codes.npz next to each stem, which vary, regenerate and extend "
    "need.",
    flag_values=values,
  )
  flags.DEFINE_bool(
    "overwrite", False, "Replace existing files.", flag_values=values
  )
  flags.DEFINE_string(
    "weights",
    weights,
    "The model: 'demo', a .safetensors file from stemgen-jax export, or the "
    "folder of a run." + (" Default: the take's." if weights is None else ""),
    flag_values=values,
  )
  flags.DEFINE_string(
    "codec",
    None,
    "The codec that --weights were trained with: a .safetensors file, or "
    "encodec_32khz:FILE (24, 48) for published weights kept elsewhere than in "
    "the cache. Default: the one that --weights name.",
    flag_values=values,
  )
