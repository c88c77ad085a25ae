"""The .codes.npz file of a take: codes of the stem and of its context.

Three arrays: `codes` and `context`, uint16 [t, q], and `about`, a string of
JSON with the metadata of the take and the fields of its `EncodedContext`.
"""

import dataclasses
import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int

from stemgen_jax import disk, recipes
from stemgen_jax.codec.framing import Framing
from stemgen_jax.generation.context import EncodedContext
from stemgen_jax.sampling.settings import Settings

SUFFIX = ".codes.npz"
FORMAT = 2
# Fields of the encoded context as files of format 1 call them.
_OLD_NAMES = {"back": "inverse_gain", "seconds_to_hear": "encoding_seconds"}
# JSON has one type for numbers: 1.0 may be read as 1.
_KINDS = {bool: bool, int: int, float: (int, float), str: str, dict: dict}


class SavedCodes(NamedTuple):
  """The contents of a file; `about` is the metadata of the take."""

  codes: Int[np.ndarray, "t q"]
  context: EncodedContext
  settings: Settings
  about: dict[str, Any]


def path_of(path: str | os.PathLike[str]) -> pathlib.Path:
  """Return the path of the codes of a stem, next to the stem itself."""
  return pathlib.Path(path).with_suffix(SUFFIX)


def write(
  path: pathlib.Path,
  codes: Int[np.ndarray, "t q"],
  context: EncodedContext,
  about: dict[str, Any],
) -> None:
  """Write the file in one step; replace the file at `path`.

  Args:
    path: ends in .codes.npz.
    codes: codes of the stem.
    context: encoded context of the stem.
    about: metadata of the take, with `codec_checksum`.
  """
  fields = {name: getattr(context, name) for name in _types(EncodedContext)}
  fields["framing"] = dataclasses.asdict(context.framing)
  about = about | {"format": FORMAT, "encoded_context": fields}
  with disk.replacing(path) as temporary, open(temporary, "wb") as file:
    np.savez_compressed(
      file,
      codes=codes.astype(np.uint16),
      context=context.codes.astype(np.uint16),
      about=np.array(json.dumps(about)),
    )


def read(path: pathlib.Path) -> SavedCodes:
  """Read a file of this format or an earlier one.

  Raises:
    FileNotFoundError: no such file.
    ValueError: the file is corrupt, or of a later format.
  """
  if not path.is_file():
    raise FileNotFoundError(
      f"{path}: no such file; expected the codes that `stemgen-jax generate` "
      "writes next to a take"
    )
  try:
    with disk.open_npz(path) as file:
      codes, context = (
        file[name].astype(np.int32) for name in ("codes", "context")
      )  # [t, q]
      about = json.loads(str(file["about"]))
  except disk.NPZ_ERRORS as error:
    raise ValueError(f"{path} is corrupt: {error}") from error
  if codes.ndim != 2 or codes.shape != context.shape:
    raise ValueError(f"{path} is corrupt: codes of shape {codes.shape}")
  _check(path, about, {})
  if about.get("format", 1) not in range(1, FORMAT + 1):
    raise ValueError(
      f"{path} has format {about['format']}, expected at most {FORMAT}: update "
      "stemgen-jax"
    )
  _check(path, about, dict.fromkeys(("stem", "weights", "origin"), str))
  _check(path, about, {"codec_checksum": str, "seed": int})
  fields: Any = about.get("encoded_context", about.get("heard"))  # format 1
  for part in (fields, about.get("settings"), about.get("cost")):
    _check(path, part, {})
  _check(path, about["cost"], {"passes": int, "flops": float, "seconds": float})
  fields = {_OLD_NAMES.get(key, key): value for key, value in fields.items()}
  fields = {"scales": (), "encoding_seconds": 0.0} | fields
  _check(path, fields, _types(EncodedContext), exact=True)
  framing = fields.pop("framing")
  _check(path, framing, _types(Framing), exact=True)
  return SavedCodes(
    codes,
    EncodedContext(codes=context, framing=Framing(**framing), **fields),
    _settings(path, about["settings"]),
    about,
  )


def _types(kind: type) -> dict[str, Any]:
  fields = dataclasses.fields(kind)
  return {field.name: field.type for field in fields if field.name != "codes"}


def _check(
  path: pathlib.Path,
  values: Any,
  types: Mapping[str, Any],
  *,
  exact: bool = False,
) -> None:
  """Raise ValueError unless values from JSON have the expected types.

  Args:
    path: the file, for the message.
    values: values by name.
    types: type of each value.
    exact: other values are unknown fields, an error.
  """
  if not isinstance(values, dict):
    raise ValueError(f"{path} is corrupt: {values!r} is not a JSON object")
  if exact and (unknown := values.keys() - types.keys()):
    raise ValueError(
      f"{path} is corrupt, or of another version: unknown {sorted(unknown)}"
    )
  for name, kind in types.items():
    value, expected = values.get(name), _KINDS.get(kind, (list, tuple, dict))
    # In Python true and false are integers, too.
    if not isinstance(value, expected) or isinstance(value, bool) != (
      kind is bool
    ):
      raise ValueError(f"{path} is corrupt: {name} is {value!r}")


def _settings(path: pathlib.Path, values: dict[str, Any]) -> Settings:
  types = {
    field.name: str if isinstance(field.default, str) else float
    for field in dataclasses.fields(Settings)
  }
  for name, value in values.items():
    for entry in value.values() if isinstance(value, dict) else [value]:
      for item in entry if isinstance(entry, list) else [entry]:
        _check(path, {name: item}, {name: types.get(name)})
  try:
    return Settings(**recipes.tuples(values))
  except ValueError as error:  # A value outside its range.
    raise ValueError(f"{path} is corrupt: {error}") from error
