"""The shape of a StemGen model, as plain fields that flags can override."""

import dataclasses

from stemgen_jax import categories

CONDITION_SIZES: dict[str, int] = {
  "category": len(categories.CATEGORIES),
  "genre": len(categories.GENRES),
  "role": len(categories.ROLES),
}
"""Rows of each condition's table, without the null row, which is the last."""

SPECTRUM_BANDS = 108
"""Bands of `audio.spectrum`, which this room does not import."""

BEAT_PARTS = 8
"""Equal parts of a beat, each of them a place in the bar."""

BAR_BEATS = 8
"""Beats of a bar that have places; further ones have none."""

SCALE_TOKENS = 64
"""Tokens of a segment's scale, see `model.scales`."""

SCALES = -1
"""Number of the level of the scales, which come before level 0.

As an index it is that of their column, the last.
"""

_CHOICES = {
  "context": ("codes", "spectrum"),
  "embedding": ("table", "codebook"),
  "attention": ("auto", "dot_product", "map", "cudnn", "splash"),
  "remat": ("none", "dots", "full"),
  "dtype": ("auto", "float32", "bfloat16"),
}


@dataclasses.dataclass(kw_only=True)
class ModelConfig:
  """Shape of a model; by default the paper's: 20 layers x 1024, 16 heads, 20 s.

  Training overrides levels, codes, frame rate, latent and codec with those of
  the data set; a dry run without a data set uses them as given.

  Attributes:
    levels: codec levels, coarse (0) to fine.
    codes: codes per level, v. The id `codes` is MASK.
    width: width of a sequence element; each of the two channels (context,
      target) has half of it.
    depth: transformer blocks.
    heads: attention heads; `width / heads` must be even, for RoPE.
    mlp: hidden width of the SwiGLU.
    window: frames of a training example and of a pass in generation.
    frame_rate: frames per second.
    embedding: "table", a learned row per code (the paper), or "codebook", the
      codec's own vectors through a learned projection plus a table that
      starts at zero; small models then learn to follow the context far sooner.
    latent: width of a codebook vector, for `embedding="codebook"`.
    context: "codes", the context as codes of the codec (the paper), or
      "spectrum", the spectrum of the real mix, see `audio.spectrum`.
    future: whether there is a learned row for frames whose context is not
      known yet; training sets it by `mask.live_share`.
    scale_frames: frames of a segment, for a model that reads and predicts the
      scales of segments of a `codec.ScaledCodec` (150 of `encodec_48khz`); with
      0, scales are derived from the context.
    conditions: names of the conditions, keys of `CONDITION_SIZES`.
    beats: whether a second head predicts the place in the bar of each frame,
      which training adds to the loss (`beat_weight`): small models of music in
      many tempi then find the beat. Generation does not use it.
    qk_norm: RMSNorm on the queries and keys of each head.
    rope_base: base of the rotary embedding's wavelengths, in frames.
    norm_epsilon: epsilon of the RMSNorms.
    attention: "auto" to choose by backend, or a form of `attention.attend`.
      It depends on the machine, and exported weights are read as "auto".
    remat: values that the backward pass recomputes: "none", "dots" (all but
      matrix products) or "full".
    dtype: dtype of matrix products and, except on CPUs, of activations; "auto"
      is bfloat16 where it is fast, see `products.resolve_dtype`.
    codec: name of the codec that the codes come from.
    codec_checksum: checksum of that codec's weights.
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
  context: str = "codes"
  future: bool = False
  scale_frames: int = 0
  conditions: tuple[str, ...] = ("category",)
  beats: bool = False
  qk_norm: bool = False
  rope_base: float = 10000.0
  norm_epsilon: float = 1e-6
  attention: str = "auto"
  remat: str = "dots"
  dtype: str = "auto"
  codec: str = ""
  codec_checksum: str = ""

  @property
  def columns(self) -> int:
    """Width of code arrays: levels, and the scale tokens if there are any."""
    return self.levels + (self.scale_frames > 0)

  @property
  def stages(self) -> tuple[int, ...]:
    """Levels in the order of decoding, `SCALES` first if there are any."""
    levels = tuple(range(self.levels))
    return (SCALES, *levels) if self.scale_frames else levels

  def validate(self) -> None:
    """Raise ValueError, naming the field, if the shape is invalid."""
    sizes = ("levels", "codes", "width", "depth", "heads", "mlp", "window")
    for name in sizes:
      if getattr(self, name) < 1:
        raise ValueError(
          f"model.{name}={getattr(self, name)}: expected at least 1"
        )
    for name, choices in _CHOICES.items():
      if getattr(self, name) not in choices:
        raise ValueError(
          f"model.{name}={getattr(self, name)!r}: expected one of "
          f"{', '.join(choices)}"
        )
    if self.width % (2 * self.heads):
      raise ValueError(
        f"model.width={self.width}: expected a multiple of twice "
        f"model.heads={self.heads}, so that heads have an even width"
      )
    size = self.width // self.heads
    # Limits of cuDNN's fused kernel.
    if self.attention == "cudnn" and (
      self.dtype == "float32" or size > 128 or size % 8
    ):
      raise ValueError(
        f"model.attention='cudnn': model.dtype {self.dtype!r} and heads of "
        f"{size}; expected 'auto' or 'bfloat16' and a multiple of 8 up to 128"
      )
    if self.embedding == "codebook" and self.latent < 1:
      raise ValueError(
        f"model.latent={self.latent}: embedding='codebook' needs the width of "
        "a codebook vector, which is in the data set's manifest"
      )
    if self.scale_frames:
      self._validate_scales()
    for name in self.conditions:
      if name not in CONDITION_SIZES:
        raise ValueError(
          f"model.conditions: unknown {name!r}; expected some of "
          f"{', '.join(CONDITION_SIZES)}"
        )

  def _validate_scales(self) -> None:
    subject = f"model.scale_frames={self.scale_frames}"
    if self.scale_frames < 0 or self.window % self.scale_frames:
      raise ValueError(
        f"{subject}: model.window is {self.window} frames; expected the frames "
        "of a segment, of which the window is a multiple, or 0"
      )
    if self.codes < SCALE_TOKENS:
      raise ValueError(
        f"{subject}: model.codes is {self.codes}; expected at least the "
        f"{SCALE_TOKENS} tokens of a scale"
      )
    # A submix that is drawn in training has no scales, and of a context that
    # ends within a segment the scale is unknown.
    if self.context != "codes" or self.future:
      raise ValueError(
        f"{subject}: model.context is {self.context!r} and model.future "
        f"{self.future}; expected 'codes' and False, or no scales"
      )
