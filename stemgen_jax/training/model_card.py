"""A model card: what a run knows of its weights, for those who get them."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from stemgen_jax import disk
from stemgen_jax.codec import weight_files
from stemgen_jax.model import ModelConfig
from stemgen_jax.paths import DEMO_CODEC
from stemgen_jax.training import history

_UNKNOWN = "not stated"


def card(path: pathlib.Path, config: ModelConfig, about: Mapping) -> str:
  """The card of exported weights as Markdown; nothing in it is a guess.

  Args:
    path: Of the weights.
    config: Shape of the model.
    about: Their metadata, see `runs.load_run`, with `license` and
      `data_license`, as far as they are known.
  """
  data = about["data"]
  counts = data.get("counts", {})
  validation = about["validation"]
  parts = [
    f"# {path.stem}",
    "A StemGen model (arXiv 2312.08723): it hears a mix and plays one stem "
    "that fits. Made with stemgen-jax:",
    f"```python\nfrom stemgen_jax import StemGen\n\n"
    f'player = StemGen.load("{path.name}")\n```',
    "## Model",
    _table(
      ("layers", config.depth),
      ("width", config.width),
      ("heads", config.heads),
      ("embedding", config.embedding),
      ("conditions", ", ".join(("context", *config.conditions))),
      (
        "window",
        f"{config.window} frames, {config.window / config.frame_rate:g} s",
      ),
      (
        "codec",
        f"{config.codec}, {config.levels} x {config.codes} codes at "
        f"{config.frame_rate:g} frames/s, sha256 {config.codec_checksum}",
      ),
    ),
    "## Training",
    _table(
      ("steps", about["steps"]),
      ("examples a step", about["batch"]),
      ("started from", about["start"] or "random weights"),
      ("devices", about["devices"] or _UNKNOWN),
      ("data", data.get("name", _UNKNOWN)),
      *(
        (split, f"{count['songs']} songs, {count['pairs']} pairs")
        for split, count in counts.items()
      ),
      ("plays", ", ".join(about["categories"]) or _UNKNOWN),
    ),
  ]
  if about["command"]:
    parts.append(f"```\n{about['command']}\n```")
  parts.append("## Validation")
  parts.append(_validation(validation, about["steps"]))
  if about["course"]:
    parts.append("In the course of the training:")
    parts.append(history.table(about["course"]))
    parts.append(f"![the same as a picture]({path.with_suffix('.png').name})")
  parts += [
    "## Licences",
    _table(
      ("these weights", about["license"] or _UNKNOWN),
      ("data", about["data_license"] or _data_licence(data)),
      ("codec", _codec_licence(config)),
    ),
  ]
  return "\n\n".join(parts) + "\n"


def _table(*rows: tuple[str, Any]) -> str:
  return "\n".join(
    ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)]
  )


def _validation(figures: Mapping[str, Any], steps: int) -> str:
  if not figures:
    return "None was measured."
  levels: Sequence[float] = figures["loss_per_level"]
  accuracies: Sequence[float] = figures["accuracy_per_level"]
  per_level = [
    (f"level {q}", f"{loss:.3f} nats, accuracy {accuracy:.3f}")
    for q, (loss, accuracy) in enumerate(zip(levels, accuracies))
  ]
  when = figures["step"]
  of = "these weights" if when == steps else f"the weights of step {when}"
  return f"On held-out songs, of {of}, per masked token:\n\n" + _table(
    *per_level,
    ("all hidden, true context", f"{figures['all_masked_true']:.3f} nats"),
    (
      "all hidden, another's context",
      f"{figures['all_masked_shuffled']:.3f} nats",
    ),
  )


def _data_licence(data: Mapping[str, Any]) -> str:
  made = data.get("config", {})
  # No other source has a hyphen in its name.
  band = str(made.get("source", "")).startswith("band-")
  if band and not made.get("source_config", {}).get("soundfonts"):
    return "Apache-2.0, songs of stemgen-jax's own band"
  return _UNKNOWN


def _codec_licence(config: ModelConfig) -> str:
  if config.codec in weight_files.PUBLISHED:
    return weight_files.PUBLISHED[config.codec].licence
  if config.codec_checksum == disk.checksum(DEMO_CODEC):
    return "Apache-2.0, the demo codec of stemgen-jax"
  return _UNKNOWN
