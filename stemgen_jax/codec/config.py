"""The shape of EnCodec's networks, as plain fields; imports no PyTorch."""

import dataclasses
import math
import pathlib

from stemgen_jax import recipes

_RANGES = {
  "sample_rate": (1, 768_000),
  "channels": (1, 64),
  "filters": (1, 4096),
  "latent": (1, 1 << 14),
  "levels": (1, 128),
  "codes_per_level": (1, 1 << 16),
  "lstm": (0, 16),
}
_CHOICES = {
  "norm": ("none", "time_group_norm"),
  "pad_mode": ("constant", "reflect"),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class NetworkConfig:
  """Shape of the three networks.

  The defaults are the demo codec: 50 frames/s of 4 x 10 bits, 2.7M parameters.
  It has no LSTM and pads with zeros, so that a code depends on its
  neighborhood only; identity skips, for speed; and no normalization, see
  `normalization`. The published codecs differ, see `published`.

  Attributes:
    sample_rate: samples per second.
    channels: audio channels.
    ratios: upsampling factors of the decoder; their product is the hop.
    filters: channels at the full sample rate; doubled at every ratio.
    latent: width of a frame's vector.
    levels: residual quantizers.
    codes_per_level: codes per quantizer.
    norm: "none", or "time_group_norm": over channels and the whole input.
      Weight norm is "none" with its two factors multiplied beforehand.
    pad_mode: padding of the convolutions: "constant" (zeros) or "reflect".
    causal: whether convolutions see the past only.
    conv_skip: whether residual blocks skip through a convolution.
    lstm: layers of the LSTM between convolutions and latents.
  """

  sample_rate: int = 32_000
  channels: int = 1
  ratios: tuple[int, ...] = (2, 2, 2, 4, 4, 5)
  filters: int = 8
  latent: int = 128
  levels: int = 4
  codes_per_level: int = 1024
  norm: str = "none"
  pad_mode: str = "constant"
  causal: bool = False
  conv_skip: bool = False
  lstm: int = 0

  def validate(self) -> None:
    """Raise ValueError, naming the field, if it is out of range."""
    for name, (least, most) in _RANGES.items():
      if not least <= getattr(self, name) <= most:
        raise ValueError(
          f"{name} is {getattr(self, name)}: expected {least} to {most}"
        )
    if not 1 <= len(self.ratios) <= 16 or not all(
      1 <= ratio <= 64 for ratio in self.ratios
    ):
      raise ValueError(f"ratios are {self.ratios}: expected 1 to 16 of 1 to 64")
    for name, known in _CHOICES.items():
      if getattr(self, name) not in known:
        raise ValueError(
          f"{name} is {getattr(self, name)!r}: expected one of "
          f"{', '.join(known)}"
        )

  @property
  def hop(self) -> int:
    """Samples per frame."""
    return math.prod(self.ratios)


# The codecs that Meta AI published. Of the two in the EnCodec paper (arXiv
# 2210.13438) the variants of 6 kbit/s: 8 levels at 24 kHz, 4 at 48 kHz. The one
# at 32 kHz is that of MusicGen (arXiv 2306.05284) and StemGen.
# Reflection as transformers publishes these networks. audiocraft's default for
# 32 kHz is zeros, which gives other codes in the first and last few frames.
_COMMON = NetworkConfig(latent=128, levels=4, pad_mode="reflect", lstm=2)
CONFIGS = {
  "encodec_24khz": dataclasses.replace(
    _COMMON,
    sample_rate=24_000,
    ratios=(8, 5, 4, 2),
    filters=32,
    levels=8,
    causal=True,
    conv_skip=True,
  ),
  "encodec_32khz": dataclasses.replace(
    _COMMON,
    sample_rate=32_000,
    ratios=(8, 5, 4, 4),
    filters=64,
    codes_per_level=2048,
  ),
  "encodec_48khz": dataclasses.replace(
    _COMMON,
    sample_rate=48_000,
    channels=2,
    ratios=(8, 5, 4, 2),
    filters=32,
    norm="time_group_norm",
    conv_skip=True,
  ),
}


def read(path: pathlib.Path, checksum: str) -> tuple[str, NetworkConfig]:
  """Read the description of exported weights, the .json file next to them.

  Args:
    path: file of the weights.
    checksum: its checksum.

  Returns:
    Name of the codec and shape of its networks.

  Raises:
    FileNotFoundError: the description is missing.
    ValueError: it is corrupt, or belongs to other weights.
  """
  description_path = path.with_suffix(".json")
  if not description_path.is_file():
    raise FileNotFoundError(
      f"{path} needs its description next to it: no file {description_path}"
    )
  try:
    fix = "export it again"
    description = recipes.read_sealed(description_path, fix)
    name, expected = description["name"], description["checksum"]
    config = recipes.build(NetworkConfig, description["config"])
    config.validate()
  except (ValueError, KeyError) as error:
    raise ValueError(
      f"{description_path} does not describe a codec: {error}"
    ) from error
  if checksum != expected:
    raise ValueError(
      f"{path} has checksum {checksum[:12]}, but {description_path.name}"
      f" belongs to {expected[:12]}: the file is corrupt or of another export"
    )
  return name, config
