"""The model card of exported weights, from the metadata of their run."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from stemgen_jax import text_tables
from stemgen_jax.codec import shipped_name, weight_files
from stemgen_jax.model import ModelConfig
from stemgen_jax.training import history

_UNKNOWN = "not stated"


def card(path: pathlib.Path, config: ModelConfig, about: Mapping) -> str:
  """Return the model card in Markdown; unknown facts are "not stated".

  Args:
    path: path of the weights.
    config: shape of the model.
    about: metadata of the weights, see `runs.load_run`, with `license` and
      `data_license`, "" if unknown.
  """
  data = about["data"]
  counts = data.get("counts", {})
  parts = [
    f"# {path.stem}",
    "A StemGen model (arXiv 2312.08723), which generates one stem that fits a "
    "given mix. Made with stemgen-jax:",
    f"```python\nfrom stemgen_jax import StemGen\n\n"
    f'model = StemGen.load("{path.name}")\n```',
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
      ("examples per step", about["batch"]),
      ("started from", about["start"] or "random weights"),
      ("devices", about["devices"] or _UNKNOWN),
      ("data", data.get("name", _UNKNOWN)),
      *(
        (split, f"{count['songs']} songs, {count['pairs']} pairs")
        for split, count in counts.items()
      ),
      ("categories", ", ".join(about["categories"]) or _UNKNOWN),
    ),
  ]
  if about["command"]:
    parts.append(f"```\n{about['command']}\n```")
  parts += ["## Validation", _validation(about["validation"], about["steps"])]
  if about["course"]:  # Empty without validations.
    parts.append("During training:")
    parts.append(history.table(about["course"]))
    parts.append(f"![the same as a plot]({path.with_suffix('.png').name})")
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
  return text_tables.markdown(rows, ("", ""))


def _validation(figures: Mapping[str, Any], steps: int) -> str:
  if not figures:
    return "Not measured."
  levels: Sequence[float] = figures["loss_per_level"]
  accuracies: Sequence[float] = figures["accuracy_per_level"]
  per_level = [
    (f"level {q}", f"{loss:.3f} nats, accuracy {accuracy:.3f}")
    for q, (loss, accuracy) in enumerate(zip(levels, accuracies))
  ]
  if "scale_loss" in figures:  # only of codecs with scales
    loss, accuracy = figures["scale_loss"], figures["scale_accuracy"]
    per_level.append(("scales", f"{loss:.3f} nats, accuracy {accuracy:.3f}"))
  # With --step=last the validation can be older than the weights.
  when = figures["step"]
  of = "these weights" if when == steps else f"the weights of step {when}"
  return f"On held-out songs, for {of}, per masked token:\n\n" + _table(
    *per_level,
    ("all masked, true context", f"{figures['all_masked_true']:.3f} nats"),
    (
      "all masked, shuffled context",
      f"{figures['all_masked_shuffled']:.3f} nats",
    ),
  )


def _data_licence(data: Mapping[str, Any]) -> str:
  recipe = data.get("config", {})
  # No other source has a hyphen in its name.
  band = str(recipe.get("source", "")).startswith("band-")
  # A soundfont of the user has a licence of its own.
  if band and not recipe.get("source_config", {}).get("soundfonts"):
    return "Apache-2.0, songs of stemgen-jax's own band"
  return _UNKNOWN


def _codec_licence(config: ModelConfig) -> str:
  if config.codec in weight_files.PUBLISHED:
    return weight_files.PUBLISHED[config.codec].licence
  name = shipped_name(config.codec_checksum)
  return f"Apache-2.0, the {name} codec of stemgen-jax" if name else _UNKNOWN
