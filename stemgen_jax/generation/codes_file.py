"""The .codes.npz file of a take: codes of the stem and of its context.

Arrays: `codes` and `context`, uint16 [t, q]; `spectrum`, float16 [t, bands], if
the model reads that of its context; `scales`, float32 [segments], if the model
predicts them; and `about`, a string of JSON with the metadata of the take and
the fields of its `EncodedContext`.
"""

import dataclasses
import glob
import json
import os
import pathlib
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float32, Int

from stemgen_jax import disk, recipes
from stemgen_jax.audio.spectrum import BANDS
from stemgen_jax.generation.context import EncodedContext

T = TypeVar("T")

SUFFIX = ".codes.npz"
FORMAT = 2
_DTYPES = ("float32", "bfloat16")
_LEAST_GAIN_DB = -120.0  # far below what any stem needs so as not to clip
_FIX = "generate the take again"
_NEEDED = ("seed", "settings", "stem", "weights", "codec_checksum", "origin")
_OPTIONAL = ("genre", "role", "codec_device", "dtype", "devices", "coherence")
# Attributes of a take, by their names in the cost.
_OF_COST = {
  "passes": "passes",
  "flops": "flops",
  "seconds": "elapsed",
  "seconds_to_compile": "compiling",  # missing in files of format 1
  # The others are missing in files of earlier versions.
  "seconds_to_decode": "decoding",
  "seconds_to_import": "importing",
  "seconds_to_load": "loading",
}
# Fields of the encoded context, by their names in files of format 1.
_OLD_NAMES = {"back": "inverse_gain", "seconds_to_hear": "encoding_seconds"}


def _meant(path: pathlib.Path) -> str:
  """Suggest a take for the music that was given in its place, or ""."""
  begin = glob.escape(path.name.removesuffix(SUFFIX))
  for codes in sorted(path.parent.glob(f"{begin}-*{SUFFIX}")):
    for suffix in (".wav", ".flac"):
      take = codes.with_name(codes.name.removesuffix(SUFFIX) + suffix)
      if take.is_file():
        return f"; did you mean {take}?"
  return ""


def path_of(path: str | os.PathLike[str]) -> pathlib.Path:
  """Return the path of the codes of a stem, next to the stem itself."""
  return pathlib.Path(path).with_suffix(SUFFIX)


def write(
  path: pathlib.Path,
  codes: Int[np.ndarray, "t q"],
  context: EncodedContext,
  about: dict[str, Any],
  scales: Float32[np.ndarray, " segments"] | None = None,
) -> None:
  """Write the file in one step; replace the file at `path`.

  Args:
    path: ends in .codes.npz.
    codes: codes of the stem.
    context: encoded context of the stem.
    about: metadata of the take, with `codec_checksum`.
    scales: scales of the stem's segments, if the model predicts them.
  """
  fields = dataclasses.asdict(context)
  del fields["codes"], fields["spectrum"]  # arrays of their own
  arrays: Any = {} if scales is None else {"scales": scales}
  if context.spectrum is not None:
    arrays["spectrum"] = context.spectrum.astype(np.float16)
  about = about | {"format": FORMAT, "encoded_context": fields}
  with disk.replacing(path) as file:
    np.savez_compressed(
      file,
      # Half the size of int32; no codec has more than 65536 codes.
      codes=codes.astype(np.uint16),
      context=context.codes.astype(np.uint16),
      about=np.array(json.dumps(about)),
      **arrays,
    )


def read(
  path: pathlib.Path, kind: type[T], **known: Any
) -> tuple[T, dict[str, Any]]:
  """Read a file of this format or an earlier one.

  Args:
    path: ends in .codes.npz.
    kind: class of the result, which is `Take`.
    **known: attributes of the result that are not in the file.

  Returns:
    The take, and its metadata as JSON.

  Raises:
    FileNotFoundError: no such file.
    ValueError: the file is corrupt, or of a later format.
  """
  if not path.is_file():
    raise FileNotFoundError(
      f"{path}: no such file; expected the codes that `stemgen-jax generate` "
      f"writes next to a take{_meant(path)}"
    )
  names = ("codes", "context", "about", "spectrum", "scales")
  arrays = disk.read_npz(
    path, _FIX, names, described=names[2:3], optional=names[3:]
  )
  about = arrays["about"]
  version = about.get("format", 1) if isinstance(about, dict) else None
  if version not in range(1, FORMAT + 1):
    raise ValueError(
      f"{path} has format {version!r}, expected 1 to {FORMAT}: update "
      "stemgen-jax, or generate the take again"
    )
  try:
    codes, context = (arrays[x].astype(np.int32) for x in names[:2])  # [t, q]
    if codes.shape != context.shape:
      raise ValueError(f"codes of shape {codes.shape} and {context.shape}")
    spectrum = arrays.get("spectrum")
    if spectrum is not None:
      if spectrum.shape != (len(codes), BANDS) or spectrum.dtype.kind != "f":
        raise ValueError(f"spectrum of shape {spectrum.shape}")
      spectrum = spectrum.astype(np.float32)
    # Format 1 has another name for the encoded context, and for two fields.
    encoded = dict(about.get("encoded_context") or about["heard"])
    encoded = {_OLD_NAMES.get(key, key): x for key, x in encoded.items()}
    fields = {name: about[name] for name in _NEEDED}
    fields |= {name: about[name] for name in _OPTIONAL if name in about}
    if fields.get("dtype", "float32") not in _DTYPES:
      raise ValueError(
        f"dtype {fields['dtype']!r}, expected {' or '.join(_DTYPES)}"
      )
    later = [name for name in _OF_COST if name.startswith("seconds_to_")]
    cost = dict.fromkeys(later, 0.0) | about["cost"]
    fields |= {ours: cost[theirs] for theirs, ours in _OF_COST.items()}
    fields |= {
      "codes": codes,
      "scales": arrays.get("scales"),
      "context": encoded | {"codes": context, "spectrum": spectrum},
    }
  except (AttributeError, KeyError, TypeError, ValueError) as error:
    raise _corrupt(path, error) from error
  # By itself: a KeyError of the program is not a corrupt file.
  try:
    take: Any = recipes.build(kind, fields | known)
    take.context.validate()
    if (scales := take.scales) is not None:
      inside = ((scales >= 0) & (scales <= 1)).all()
      if len(scales) != len(take.context.scales) or not inside:
        raise ValueError(f"scales of the stem {scales}")
    return take, about
  except ValueError as error:
    raise _corrupt(path, error) from error


def gain_db(path: pathlib.Path, about: dict[str, Any]) -> float:
  """Return the gain in dB, at most 0, that the file of the stem was lowered by.

  Raises:
    ValueError: the metadata states none that is possible.
  """
  stated = about.get("gain_db", 0.0)
  known = isinstance(stated, int | float) and not isinstance(stated, bool)
  if not known or not _LEAST_GAIN_DB <= stated <= 0:
    raise _corrupt(path, ValueError(f"gain_db {stated!r}"))
  return float(stated)


def _corrupt(path: pathlib.Path, error: Exception) -> ValueError:
  return ValueError(f"{path} is corrupt ({error}): {_FIX}")
