"""The .codes.npz file of a take: its codes, those of its context, and why.

Three arrays: `codes` and `context`, uint16 [t, q], and `about`, a string of
JSON with the metadata of the take and the fields of its `EncodedContext`.
"""

import dataclasses
import json
import os
import pathlib
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

_NUMBER = (int, float)
_ABOUT = {
  "seed": int,
  "stem": str,
  "weights": str,
  "codec_checksum": str,
  "origin": str,
  "settings": dict,
  "cost": dict,
}
_COST = {"passes": int, "flops": _NUMBER, "seconds": _NUMBER}
_CONTEXT = {
  "gain": _NUMBER,
  "inverse_gain": _NUMBER,
  "level_db": _NUMBER,
  "from_nothing": bool,
  "loop": bool,
  "samples": int,
  "sample_rate": int,
  "channels": int,
  "stretch": _NUMBER,
  "framing": dict,
}


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
  fields = {
    field.name: getattr(context, field.name)
    for field in dataclasses.fields(EncodedContext)
    if field.name != "codes"
  }
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
      )
      about = json.loads(str(file["about"]))
  except disk.NPZ_ERRORS as error:
    raise ValueError(f"{path} is corrupt: {error}") from error
  if codes.ndim != 2 or codes.shape != context.shape:
    raise ValueError(
      f"{path} is corrupt: codes of shape {codes.shape} and {context.shape}; "
      "expected [t, q] twice"
    )
  if not isinstance(about, dict):
    raise ValueError(f"{path} is corrupt: `about` is not a JSON object")
  if about.get("format", 1) not in range(1, FORMAT + 1):
    raise ValueError(
      f"{path} has format {about['format']}, expected at most {FORMAT}: update "
      "stemgen-jax"
    )
  _check(path, about, _ABOUT)
  _check(path, about["cost"], _COST)
  fields = about.get("encoded_context", about.get("heard"))
  return SavedCodes(
    codes, _context(path, context, fields), _settings(path, about), about
  )


def _context(
  path: pathlib.Path, codes: Int[np.ndarray, "t q"], fields: Any
) -> EncodedContext:
  _check(path, {"context": fields}, {"context": dict})
  fields = {_OLD_NAMES.get(key, key): value for key, value in fields.items()}
  _check(path, fields, _CONTEXT, EncodedContext)
  framing = fields.pop("framing")
  _check(path, framing, {"hop": int}, Framing)
  return EncodedContext(codes=codes, framing=Framing(**framing), **fields)


def _settings(path: pathlib.Path, about: dict[str, Any]) -> Settings:
  values = about["settings"]
  _check(path, values, {"guidance": dict}, Settings)
  for field in dataclasses.fields(Settings):
    if field.name in values and isinstance(field.default, str):
      _check(path, values, {field.name: str})
  numbers = {k: v for k, v in values.items() if not isinstance(v, str)}
  for name, value in (numbers | numbers.pop("guidance")).items():
    for entry in value if isinstance(value, list) else [value]:
      _check(path, {name: entry}, {name: _NUMBER})
  try:
    return Settings(**recipes.tuples(values))
  except ValueError as error:  # A value outside its range.
    raise ValueError(f"{path} is corrupt: {error}") from error


def _check(
  path: pathlib.Path,
  values: dict[str, Any],
  types: dict[str, Any],
  whole: type | None = None,
) -> None:
  """Raise ValueError unless values from JSON can be used.

  Args:
    path: the file, for the message.
    values: values by name.
    types: type or types of those that must be there.
    whole: dataclass that has a field for each value.
  """
  for name, kind in types.items():
    value = values.get(name)
    # In Python true and false are numbers, too.
    if not isinstance(value, kind) or isinstance(value, bool) != (kind is bool):
      raise ValueError(f"{path} is corrupt: {name} is {value!r}")
  known = {field.name for field in dataclasses.fields(whole)} if whole else ()
  if whole and (unknown := values.keys() - known):
    raise ValueError(
      f"{path} is corrupt, or of another version: unknown fields "
      f"{', '.join(sorted(unknown))} of {whole.__name__}"
    )
