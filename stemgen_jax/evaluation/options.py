"""Options of `stemgen-jax evaluate`: each field is a flag of its name."""

import dataclasses
from typing import Any

from stemgen_jax.sampling.settings import PRESETS


def _flag(default: Any, text: str, **metadata: Any) -> Any:
  return dataclasses.field(default=default, metadata={"help": text, **metadata})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
  """Values of the flags; None stands for the study's default."""

  out: str | None = _flag(
    None, "Output folder; the study's .json in it is replaced."
  )
  weights: str = _flag(
    "demo",
    "The model: demo, band, hf:OWNER/NAME, an exported .safetensors file, or "
    "the folder of a run, at its best step.",
  )
  codec: str | None = _flag(
    None,
    "Codec that --weights were trained with: a .safetensors file or "
    "encodec_32khz:FILE (24, 48). Default: the one that --weights name.",
  )
  codec_backend: str = _flag(
    "auto",
    "Implementation of the codec: encodec (not for commercial use) or "
    "transformers; auto is the first that is installed.",
  )
  data: str | None = _flag(
    None,
    "A prepared folder, of which --split is used; for listening and "
    "sound also an .npz of `stemgen-jax prepare --export_heldout`. Default: "
    "test songs of the source that the weights were trained on, for the demo "
    "the band; for listening and sound the examples shipped with the weights "
    "of the same codec.",
  )
  split: str = _flag(
    "test",
    "Songs of --data or of the source: test, or valid, by which settings and "
    "models are chosen.",
    choices=["test", "valid"],
  )
  skip: str = _flag(
    "",
    "Songs and stems of --split to leave out, as stemgen-jax prepare --skip.",
  )
  balanced: bool = _flag(
    False,
    "Draw targets by the inverse frequencies of their categories, so that all "
    "have about as many examples.",
  )
  examples: int | None = _flag(None, "Number of examples, at least 2.")
  seed: int = _flag(
    0,
    "Seed of the examples, generated stems, masks, exchanged contexts and "
    "intervals.",
  )
  seconds: float = _flag(10.0, "Length of an example that is generated.")
  preset: str = _flag("default", "How to sample.", choices=list(PRESETS))
  mirdd: bool | None = _flag(
    None,
    "Describe every mix for MIRDD: a minute per example, for decoding "
    "half a minute per take.",
  )
  vggish: str | None = _flag(
    None,
    "Compute FAD with VGGish as well: its weights, torchvggish's "
    "vggish-10086976.pth or a .safetensors file of the same tensors.",
  )
  clap: str | None = _flag(
    None,
    "Compute FAD with CLAP as well: a folder with config.json, "
    "preprocessor_config.json and model.safetensors, as of "
    "laion/larger_clap_music.",
  )
  # For single studies.
  workers: int | None = _flag(
    None,
    "Processes that measure stems, of one thread each; 0 measures in this "
    "one. Default: one per core.",
  )
  files: str | None = _flag(None, "Pattern of recordings, as 'my_loops/*.wav'.")
  anchors: str | None = _flag(
    None,
    "Further stems of every trial, separated by commas: original, shuffled, "
    "silence, metronome, drone.",
  )
  answers: str | None = _flag(
    None,
    "Files of answers that listeners saved on the page in --out, separated by "
    "commas; they are summarized.",
  )
  songs: int | None = _flag(None, "Number of the band's songs, at least 2.")
  bars: int = _flag(2, "Bars of a live chunk, at least 1.")
  grid: str | None = _flag(
    None,
    "Python file whose get_settings() returns Settings by name, as "
    "configs/decoding.py. Its get_options(), if any, returns values of flags "
    "that are not given.",
  )
  only: str | None = _flag(
    None, "Names of the settings in --grid to evaluate. Default: all."
  )
  steps: str | None = _flag(
    None, "Steps per level of all settings, as 32,16,8,8. Default: their own."
  )
  reference: str | None = _flag(
    None,
    "Setting that the others are compared with. Default: the first of --grid.",
  )
  seeds: int = _flag(3, "Takes per example, at least 1.")
  shown: int = _flag(6, "Number of examples with players on the page.")
  variations: int = _flag(
    3,
    "Number of takes at each step of the page's sessions; 0 omits the "
    "sessions.",
  )
