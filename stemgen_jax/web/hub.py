"""Exported weights on the Hugging Face Hub: hf:OWNER/NAME@REVISION.

A repository holds the files of `stemgen-jax export` under fixed names, and the
codec's if it is one of its own. No other file of it is read.
"""

import contextlib
import os
import pathlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from stemgen_jax import disk, paths, recipes

NAME = "hf:OWNER/NAME, or hf:OWNER/NAME@REVISION"
MODEL, CODEC = "model.safetensors", "codec.safetensors"
_TEXTS = ("README.md", "model.png", "codec.json")
_MOST_TEXT = 1 << 24  # bytes
_REPOSITORY = r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*"
_NAME = re.compile(rf"{paths.HUB}({_REPOSITORY})(?:@([\w./-]+))?")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_TIMEOUT = 10.0  # seconds


def parse(name: str) -> tuple[str, str]:
  """Return repository and revision, "" if none is given, of a name.

  Raises:
    ValueError: it is not the name of weights on the Hub.
  """
  match = _NAME.fullmatch(name)
  if not match:
    raise ValueError(f"{name}: expected {NAME}")
  return match[1], match[2] or ""


def check_repository(repository: str) -> None:
  """Raise ValueError unless a --repository to publish to is OWNER/NAME."""
  if not re.fullmatch(_REPOSITORY, repository):
    raise ValueError(
      f"--repository={repository}: expected OWNER/NAME, with no hf: or revision"
    )


def fetch(name: str, *, update: bool = False) -> str:
  """Return the name of weights with its commit; download them if necessary.

  The commit of a branch or tag is resolved once and recorded in the cache
  folder, so that a name means the same weights until it is updated.

  Args:
    name: name of weights. Those that are not on the Hub are returned as is.
    update: resolve the revision again.

  Raises:
    ValueError: the name is invalid, or a file too large or corrupt.
    OSError: there is no such repository, revision or model, or no connection.
  """
  if not name.startswith(paths.HUB):
    return name
  repository, revision = parse(name)
  revision = revision or "main"
  record = paths.cache_folder() / "hub" / repository / "revisions.json"
  known = _recorded(record)
  commit = "" if update else known.get(revision, "")
  if _COMMIT.fullmatch(revision):
    commit = revision
  pinned = f"{paths.HUB}{repository}@{commit}"
  if commit and paths.weights_file(pinned).is_file():
    return pinned
  commit, sizes = _look_up(repository, commit or revision)
  pinned = f"{paths.HUB}{repository}@{commit}"
  _download(repository, commit, sizes, paths.weights_file(pinned).parent)
  if revision != commit:
    disk.write_json(record, known | {revision: commit})
  return pinned


def codec_of(name: str) -> str | None:
  """Return the path of the codec next to weights on the Hub, if any."""
  path = paths.weights_file(name).with_name(CODEC)
  if name.startswith(paths.HUB) and path.is_file():
    return os.fspath(path)
  return None


def push(
  repository: str, files: Mapping[str, str | bytes], *, private: bool = False
) -> str:
  """Publish files in one commit and return the name with its commit.

  Args:
    repository: OWNER/NAME.
    files: path or content of each file, by its name in the repository.
    private: create a private repository.

  Raises:
    ValueError: the address of the Hub is not https.
    OSError: the Hub cannot be reached or refuses.
  """
  with _api(repository) as api:
    import huggingface_hub

    api.create_repo(repository, private=private, exist_ok=True)
    done = api.create_commit(
      repository,
      [
        huggingface_hub.CommitOperationAdd(path, content)
        for path, content in files.items()
      ],
      commit_message="Publish weights with stemgen-jax",
    )
  return f"{paths.HUB}{repository}@{done.oid}"


def _recorded(record: pathlib.Path) -> dict[str, str]:
  if not record.is_file():
    return {}
  found = disk.read_json(record, "delete it")
  return {k: v for k, v in found.items() if _COMMIT.fullmatch(str(v))}


def _look_up(repository: str, revision: str) -> tuple[str, dict[str, int]]:
  """Return the commit of a revision, and the sizes of its files in bytes."""
  with _api(f"{repository}@{revision}") as api:
    info = api.model_info(
      repository, revision=revision, files_metadata=True, timeout=_TIMEOUT
    )
    sizes = {x.rfilename: x.size or 0 for x in info.siblings or ()}
  commit = info.sha or ""
  if not _COMMIT.fullmatch(commit):
    raise ValueError(f"hf:{repository}@{revision}: {commit!r} is not a commit")
  for file in (MODEL, "model.json"):
    if file not in sizes:
      raise FileNotFoundError(
        f"hf:{repository}@{revision} has no {file}; expected a repository that "
        "stemgen-jax push made"
      )
  return commit, sizes


def _download(
  repository: str, commit: str, sizes: Mapping[str, int], folder: pathlib.Path
) -> None:
  import huggingface_hub

  # requests takes a while to import.
  from stemgen_jax.web.download import download

  hub = f"{paths.hub_endpoint()}/{repository}/resolve/{commit}"
  token = huggingface_hub.get_token()

  def get(file: str, checksum: str | None = None) -> None:
    most = {} if file in (MODEL, CODEC) else {"most": _MOST_TEXT}
    try:
      download(f"{hub}/{file}", folder / file, checksum, token=token, **most)
    except OSError as error:
      reason = str(error).partition("\n")[0][:160]
      raise ConnectionError(
        f"hf:{repository}@{commit[:12]}: {file} could not be downloaded "
        f"({reason}); the same command resumes"
      ) from error

  get("model.json")
  checksums = _stated_checksums(folder / "model.json")
  for file in (*_TEXTS, CODEC):
    if file in sizes:
      get(file, checksums.get(file))
  # Last: its presence means that all files are there.
  get(MODEL, checksums[MODEL])


def _stated_checksums(about_path: pathlib.Path) -> dict[str, str]:
  """Return the checksums in the description of a model, which is verified."""
  fix = "push it again"
  try:
    about = recipes.read_sealed(about_path, fix)
    codec = about.get("config", {}).get("codec_checksum")
    stated = {MODEL: about.get("checksum"), CODEC: codec}
    for value in stated.values():
      if not isinstance(value, str) or not _SHA256.fullmatch(value):
        raise ValueError(f"{about_path} states no checksums: {fix}")
  except ValueError:
    about_path.unlink()  # so that it is downloaded again
    raise
  return stated


@contextlib.contextmanager
def _api(name: str) -> Iterator[Any]:
  """Yield the API of the Hub; its errors are one line."""
  import huggingface_hub
  from huggingface_hub import errors

  from stemgen_jax.web.download import check_address

  def check(request: Any) -> None:
    check_address(str(request.url))

  check_address(paths.hub_endpoint())
  session = huggingface_hub.get_session()
  hooks = session.event_hooks
  # Called for redirections, too.
  session.event_hooks = hooks | {"request": [*hooks["request"], check]}
  try:
    yield huggingface_hub.HfApi(paths.hub_endpoint())
  except errors.RepositoryNotFoundError as error:
    raise FileNotFoundError(
      f"hf:{name}: no such repository, or a private one; log in with "
      "`hf auth login`"
    ) from error
  except errors.RevisionNotFoundError as error:
    raise FileNotFoundError(f"hf:{name}: no such revision") from error
  # The last one if an upload fails.
  except (errors.HTTPError, ConnectionError, RuntimeError) as error:  # type: ignore
    reason = str(error).partition("\n")[0][:160]
    outcome, fix = "refuses", "log in with `hf auth login`"
    if getattr(error, "response", None) is None:
      outcome = "cannot be reached"
      fix = "weights that were pulled before need no connection"
    raise ConnectionError(
      f"hf:{name}: {paths.hub_endpoint()} {outcome} ({reason}); {fix}"
    ) from error
  finally:
    session.event_hooks = hooks
