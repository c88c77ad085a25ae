"""Where shipped assets, the cache, exported weights and the Hub are."""

import contextlib
import os
import pathlib

HUB = "hf:"
ASSETS = pathlib.Path(__file__).parent / "assets"
SHIPPED = ("demo", "band")
"""Names of the weights, each with a codec and held-out codes of its own."""
MODELS = {name: ASSETS / name / "model.safetensors" for name in SHIPPED}
CODECS = {name: ASSETS / name / "codec.safetensors" for name in SHIPPED}
HELDOUT = {name: ASSETS / name / "heldout.npz" for name in SHIPPED}
COHERENCE = ASSETS / "coherence" / "coherence.safetensors"
LOOPS = ASSETS / "loops"
PLANS = ASSETS / "plans"
KNOWN_PROBLEMS = ASSETS / "known_problems.csv"
SLAKH_SPLITS = ASSETS / "slakh_splits.json"
PITCHED_RECORDINGS = ASSETS / "pitched_recordings.txt"


def cache_folder() -> pathlib.Path:
  """Return STEMGEN_JAX_CACHE, or a folder in the platform's cache.

  Raises:
    FileNotFoundError: there is neither, as this user has no home folder.
  """
  chosen = os.environ.get("STEMGEN_JAX_CACHE")
  if chosen:
    return pathlib.Path(chosen).expanduser()
  import platformdirs  # not needed to train or to sample codes

  with contextlib.suppress(RuntimeError):  # of newer versions
    folder = platformdirs.user_cache_path("stemgen-jax")
    if folder.is_absolute():
      return folder
  raise FileNotFoundError(
    "no cache folder, as this user has no home folder: set STEMGEN_JAX_CACHE"
  )


def is_private(folder: pathlib.Path) -> bool:
  """Return whether only this user can write to a folder, where that is known.

  Of a missing folder this is False.
  """
  try:
    found = folder.stat()
  except OSError:
    return False
  if not hasattr(os, "geteuid"):  # Windows
    return True
  return found.st_uid == os.geteuid() and not found.st_mode & 0o022


def hub_endpoint() -> str:
  """Return the address of the Hugging Face Hub, or that of HF_ENDPOINT."""
  return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


def weights_file(name: str) -> pathlib.Path:
  """Return the .safetensors file of a name or of a path without its suffix.

  The name of a folder may contain a dot, as mine.v2; it is not a suffix. That
  of hf:OWNER/NAME@COMMIT is in the cache folder, see `web.hub.fetch`.
  """
  if name in MODELS:
    return MODELS[name]
  if name.startswith(HUB):
    repository, _, commit = name.removeprefix(HUB).partition("@")
    return cache_folder() / "hub" / repository / commit / "model.safetensors"
  path = pathlib.Path(name)
  if path.suffix == ".safetensors":
    return path
  return path.parent / f"{path.name}.safetensors"  # "." has no name


def is_run(path: str | os.PathLike) -> bool:
  """Return whether `path` is the folder of a training run."""
  return (pathlib.Path(path) / "checkpoints").is_dir()


def check_run(path: str | os.PathLike) -> pathlib.Path:
  """Return the folder of a run; raise FileNotFoundError if it is not one."""
  if not is_run(path):
    raise FileNotFoundError(
      f"no run at {path}: it has no folder checkpoints; expected the --out of "
      "stemgen-jax train"
    )
  return pathlib.Path(path)
