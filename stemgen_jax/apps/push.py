"""Publish exported weights on the Hugging Face Hub.

  stemgen-jax push --weights=my_model.safetensors --repository=my-name/my-model

Publishes the files of `stemgen-jax export` in one commit: weights, description,
model card and plot; and the codec, if the model has one of its own. --dry_run
prints the files and the card. Log in first: hf auth login.
"""

import os
import pathlib
from typing import TYPE_CHECKING

from absl import flags

from stemgen_jax import disk, paths
from stemgen_jax.cli.flags.bound import bound
from stemgen_jax.cli.flags.required import required
from stemgen_jax.codec import shipped_name, weight_files
from stemgen_jax.web import hub

if TYPE_CHECKING:
  from stemgen_jax.model import ModelConfig

FLAGS = flags.FlagValues()
_add = bound(FLAGS)
_add.string("weights", None, "The .safetensors file of stemgen-jax export.")
_add.string("repository", None, "OWNER/NAME; it is created if necessary.")
_add.string(
  "codec",
  None,
  "The codec that --weights were trained with, a .safetensors file, if it is "
  "neither the demo's nor a published one.",
)
_PRIVATE = _add.bool("private", False, "Create a private repository.")
_DRY_RUN = _add.bool("dry_run", False, "Publish nothing; print what would be.")

# Identifiers of licences that the Hub knows.
_LICENCES = (
  *("apache-2.0", "mit", "bsd-3-clause", "gpl-3.0", "agpl-3.0", "openrail"),
  *("cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0"),
  *("cc-by-nc-sa-4.0", "cc-by-nd-4.0", "cc-by-nc-nd-4.0"),
)


def main(argv: list[str]) -> None:
  """Publish weights and print their name with its commit.

  Raises:
    ValueError: a flag is invalid, a file corrupt, or no licence is stated.
    OSError: a file is missing, or the Hub cannot be reached or refuses.
  """
  del argv
  path = paths.weights_file(required(FLAGS, "weights", "model.safetensors"))
  repository = required(FLAGS, "repository", "my-name/my-model")
  hub.check_repository(repository)
  card_path = path.with_suffix(".md")
  for file in (path, path.with_suffix(".json"), card_path):
    if not file.is_file():
      raise FileNotFoundError(f"no {file}: stemgen-jax export writes it")
  files: dict[str, str | bytes] = {}
  for name in (hub.MODEL, "model.json", "model.png"):
    file = path.with_suffix(pathlib.Path(name).suffix)
    if file.is_file():
      files[name] = os.fspath(file)

  # After all checks of the flags: jax takes seconds to load.
  from stemgen_jax import model

  weights = model.load_weights(path)
  licence = weights.metadata.get("license")
  if not licence:
    raise ValueError(
      f"{path} states no licence: export it again, with --license=..."
    )
  files |= _codec_files(weights.config)
  card = _card(card_path, repository, licence)
  files["README.md"] = card.encode()
  if _DRY_RUN.value:
    print(f"{', '.join(files)}\n\n{card}")
    return
  print(f"published {hub.push(repository, files, private=_PRIVATE.value)}")


def _codec_files(config: "ModelConfig") -> dict[str, str]:
  """Return the files of a codec of the model's own."""
  known = config.codec in weight_files.PUBLISHED
  if known or shipped_name(config.codec_checksum):
    return {}
  path = pathlib.Path(required(FLAGS, "codec", "codec.safetensors"))
  about = path.with_suffix(".json")
  for file in (path, about):
    if not file.is_file():
      raise FileNotFoundError(f"--codec={path}: no file {file}")
  if disk.checksum(path) != config.codec_checksum:
    raise ValueError(
      f"--codec={path}: not the codec of the model; expected sha256 "
      f"{config.codec_checksum[:12]}"
    )
  return {hub.CODEC: os.fspath(path), "codec.json": os.fspath(about)}


def _card(path: pathlib.Path, repository: str, licence: str) -> str:
  """Return the model card with the Hub's metadata."""
  import huggingface_hub

  known = licence.lower().replace(" ", "-")
  other = known not in _LICENCES
  data = huggingface_hub.ModelCardData(
    license="other" if other else known,
    license_name=licence if other else None,
    library_name="stemgen-jax",
    pipeline_tag="audio-to-audio",
    tags=["music", "jax"],
  )
  text = path.read_text(encoding="utf-8")
  text = text.replace(f'"{path.stem}.safetensors"', f'"hf:{repository}"')
  text = text.replace(f"]({path.stem}.png)", "](model.png)")
  return f"---\n{data.to_yaml()}\n---\n{text}"
