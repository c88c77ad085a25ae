"""Flags of the model and its codec, of commands that refer to `generate`."""

from absl import flags

from stemgen_jax.cli.flags.bound import bound


def define(values: flags.FlagValues) -> None:
  """Define the flags that `takes.check_weights` and `takes.load` read."""
  add = bound(values)
  add.string("weights", "demo", "The model, as stemgen-jax generate --weights.")
  add.string("codec", None, "The codec, as stemgen-jax generate --codec.")
  add.string("codec_device", "auto", "As stemgen-jax generate --codec_device.")
  add.string(
    "codec_backend", "auto", "As stemgen-jax generate --codec_backend."
  )
  add.enum(
    "dtype",
    "auto",
    ["auto", "float32", "bfloat16"],
    "As stemgen-jax generate --dtype.",
  )
