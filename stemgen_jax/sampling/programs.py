"""Keep traced programs on disk, next to the compiled ones of JAX's cache.

Without them a process traces and lowers a program only to find that it is
compiled, which takes longer than to load it (measured).
"""

import contextlib
import dataclasses
import functools
import hashlib
import importlib.metadata
import pathlib
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax import export

from stemgen_jax import disk, paths

_TRACED = ("model", "sampling")  # folders of the code that is traced
_PACKAGES = ("jax", "jaxlib", "flax")
_OPTIONS = (
  "jax_default_device",
  "jax_default_matmul_precision",
  "jax_default_prng_impl",
  "jax_enable_x64",
  "jax_random_seed_offset",
  "jax_threefry_partitionable",
)
_DIGEST = hashlib.sha256().digest_size
_loaded: dict[pathlib.Path, Callable] = {}


def call(
  folder: pathlib.Path, function: Callable, described: str, *arguments: Any
) -> jax.Array:
  """Return `function(*arguments)`; keep its program for later processes.

  A kept program can run any code: a folder that other users can write to is
  not used.

  Args:
    folder: an existing folder for the programs of this processor.
    function: a pure function in `_TRACED` that returns one array.
    described: description of the values that it encloses.
    *arguments: nested tuples and dicts of arrays.
  """
  leaves, tree = jax.tree.flatten(arguments)
  shapes = [jax.ShapeDtypeStruct(np.shape(x), x.dtype) for x in leaves]
  options = [getattr(jax.config, name) for name in _OPTIONS]
  key = repr((_SOURCES, _versions(), options, described, tree, shapes)).encode()
  path = folder / f"traced-{hashlib.sha256(key).hexdigest()[:24]}"
  if path not in _loaded:

    def flat(*leaves: Any) -> jax.Array:
      return function(*jax.tree.unflatten(tree, leaves))

    _loaded[path] = flat
    if paths.is_private(folder):
      # Exports of other versions of JAX may differ: `function` needs none.
      with contextlib.suppress(Exception):
        _loaded[path] = _compiled(path, flat, shapes)
  return _loaded[path](*leaves)


def _compiled(path: pathlib.Path, flat: Callable, shapes: list) -> Callable:
  """Return the compiled program of a function, kept or traced."""
  program = _read(path) or _write(path, export.export(jax.jit(flat))(*shapes))
  # A call for "cpu" prepares LAPACK, which is not used: SciPy takes 0.2 s.
  program = dataclasses.replace(
    program,
    platforms=("none",),
    disabled_safety_checks=(export.DisabledSafetyCheck.platform(),),
  )

  def decode_level(*leaves: Any) -> jax.Array:  # the name in JAX's cache
    return program.call(*leaves)

  # Compiled here: a call would compile again for its own result as an
  # argument, which is committed to a device.
  return jax.jit(decode_level).lower(*shapes).compile()


def _digest(folders: tuple[str, ...]) -> str:
  digest = hashlib.sha256()
  for folder in folders:
    files = (pathlib.Path(__file__).parents[1] / folder).rglob("*.py")
    for file in sorted(files):
      digest.update(file.read_bytes())
  return digest.hexdigest()


# At import, 2 ms: the files may be updated while their old code is running.
_SOURCES = _digest(_TRACED)


@functools.cache
def _versions() -> list[str]:
  return [importlib.metadata.version(name) for name in _PACKAGES]


def _read(path: pathlib.Path) -> export.Exported | None:
  """Return a kept program; None for a missing or corrupt file."""
  try:
    kept = path.read_bytes()
  except OSError:
    return None
  program = kept[_DIGEST:]
  if hashlib.sha256(program).digest() != kept[:_DIGEST]:
    return None
  return export.deserialize(bytearray(program))


def _write(path: pathlib.Path, program: export.Exported) -> export.Exported:
  kept = bytes(program.serialize())
  try:
    with disk.replacing(path) as part:
      part.write(hashlib.sha256(kept).digest() + kept)
  except OSError:
    pass  # A full disk: the next process traces it again.
  return program
