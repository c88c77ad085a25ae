"""The shape of a StemGen model, as plain fields that flags can override."""

import dataclasses

from stemgen_jax import categories

CONDITION_SIZES: dict[str, int] = {
  "category": len(categories.CATEGORIES),
  "genre": len(categories.GENRES),
  "role": len(categories.ROLES),
}
"""Rows of each condition's table; one more row, the last, is its null."""

_CHOICES = {
  "embedding": ("table", "codebook"),
  "attention": ("auto", "dot_product", "map", "cudnn", "splash"),
  "remat": ("none", "dots", "full"),
  "dtype": ("auto", "float32", "bfloat16"),
}


@dataclasses.dataclass(kw_only=True)
class ModelConfig:
  """The paper's model by default: 20 layers x 1024, 16 heads, 20 s.

  Training takes levels, codes, frame rate, latent and codec from the data set,
  whatever is given here; without one, in a dry run, they count.

  Attributes:
    levels: Codec levels, coarse (0) to fine.
    codes: Codes per level, v. The id `codes` is MASK.
    width: Width of a sequence element; each of the two channels (context,
      target) is half of it.
    depth: Transformer blocks.
    heads: Attention heads; `width / heads` must be even, for RoPE.
    mlp: Hidden width of the SwiGLU.
    window: Frames seen in training, and at once in generation.
    frame_rate: Frames per second.
    embedding: "table", a learned row per code (the paper), or "codebook", the
      codec's own vectors through a learned projection plus a table that
      starts at zero; a small model then listens far sooner.
    latent: Width of a codebook vector, for `embedding="codebook"`.
    conditions: Names of the conditions, keys of `CONDITION_SIZES`.
    qk_norm: RMSNorm on the queries and keys of each head.
    rope_base: Base of the rotary embedding's wavelengths, in frames.
    norm_epsilon: Epsilon of the RMSNorms.
    attention: "auto" to choose by backend, or a form of `attention.attend`.
      It belongs to the machine, and exported weights are read as "auto".
    remat: What the backward pass recomputes: nothing, everything but matrix
      products, or everything.
    dtype: Of activations; "auto" is float32 on CPU and bfloat16 elsewhere.
    codec: Name of the codec that the codes come from.
    codec_checksum: Checksum of that codec's weights.
  """

  levels: int = 4
  codes: int = 2048
  width: int = 1024
  depth: int = 20
  heads: int = 16
  mlp: int = 2816
  window: int = 1000
  frame_rate: float = 50.0
  embedding: str = "table"
  latent: int = 0
  conditions: tuple[str, ...] = ("category",)
  qk_norm: bool = False
  rope_base: float = 10000.0
  norm_epsilon: float = 1e-6
  attention: str = "auto"
  remat: str = "dots"
  dtype: str = "auto"
  codec: str = ""
  codec_checksum: str = ""

  def validate(self) -> None:
    """Raises ValueError, naming the field, if the shape cannot be built."""
    sizes = ("levels", "codes", "width", "depth", "heads", "mlp", "window")
    for name in sizes:
      if getattr(self, name) < 1:
        raise ValueError(
          f"model.{name}={getattr(self, name)}: must be at least 1"
        )
    for name, choices in _CHOICES.items():
      if getattr(self, name) not in choices:
        raise ValueError(
          f"model.{name}={getattr(self, name)!r}: expected one of "
          f"{', '.join(choices)}"
        )
    if self.width % (2 * self.heads):
      raise ValueError(
        f"model.width={self.width}: must be a multiple of twice "
        f"model.heads={self.heads}, so that heads have an even width"
      )
    size = self.width // self.heads
    if self.attention == "cudnn" and (
      self.dtype == "float32" or size > 128 or size % 8
    ):
      raise ValueError(
        f"model.attention='cudnn': needs model.dtype 'auto' or 'bfloat16' and "
        f"heads of a multiple of 8 up to 128, here {self.dtype!r} and {size}"
      )
    if self.embedding == "codebook" and self.latent < 1:
      raise ValueError(
        "model.latent=0: embedding='codebook' needs the width of a codebook "
        "vector; the manifest of the data set has it"
      )
    for name in self.conditions:
      if name not in CONDITION_SIZES:
        raise ValueError(
          f"model.conditions: unknown {name!r}, expected some of "
          f"{', '.join(CONDITION_SIZES)}"
        )
