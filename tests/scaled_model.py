"""Small models of codecs with scales."""

from stemgen_jax import model

NAME, RATE = "encodec_48khz", 48_000

STEREO = model.ModelConfig(
  levels=4,
  codes=64,
  width=16,
  depth=1,
  heads=2,
  mlp=16,
  window=300,
  frame_rate=150 / 0.99,
  codec=NAME,
  codec_checksum="c" * 64,
)
"""A model of `random_codec(NAME)`, which predicts no scales."""

TOKENS = model.ModelConfig(
  levels=2,
  codes=70,
  width=16,
  depth=1,
  heads=2,
  mlp=16,
  window=16,
  scale_frames=4,
)
"""A model that predicts a scale for every four frames."""
