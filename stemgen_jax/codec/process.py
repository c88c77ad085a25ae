"""A codec in a process of its own, for commands that start from nothing.

Importing PyTorch takes as long as importing JAX and loading its programs. In
two threads they take longer than one after the other (measured), as imports
hold Python's lock; in two processes they run at the same time.
"""

import gc
import glob
import importlib
import multiprocessing
import pathlib
import sys
import threading
import types
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from jaxtyping import Float

from stemgen_jax import signals
from stemgen_jax.codec import backends, device
from stemgen_jax.codec import config as config_lib
from stemgen_jax.codec.framing import Framing
from stemgen_jax.codec.protocol import Codes, NetworkFormat, Samples

# Device files of GPUs that PyTorch may find: CUDA, ROCm, and WSL's.
_GPUS = ("/dev/nvidia[0-9]*", "/dev/kfd", "/dev/dxg")


def is_useful(device: str) -> bool:
  """Return whether a codec on `device` can and should load in its own process.

  On a GPU, PyTorch and JAX have to agree on its memory first; see
  `device.choose`. A process that has started JAX's threads cannot be forked.
  """
  on_cpu = device == "cpu" or (
    device == "auto" and not any(map(glob.glob, _GPUS))
  )
  started = {"jax", "torch"} & sys.modules.keys()
  return on_cpu and not started and sys.platform == "linux"


class CodecProcess(NetworkFormat):
  """A `codec.Codec` that forwards to an `EncodecCodec` in a child process.

  Methods wait until the codec has been loaded, and raise its errors.
  """

  def __init__(self, path: pathlib.Path, checksum: str, backend: str = "auto"):
    """Start to load a codec.

    Args:
      path: file of the weights.
      checksum: its checksum.
      backend: see `backends`.

    Raises:
      FileNotFoundError, ValueError: see `config.read`.
    """
    name, config = config_lib.read(path, checksum)
    super().__init__(name, config, checksum, Framing(hop=config.hop), "cpu")
    context = multiprocessing.get_context("fork")
    self._connection, other = context.Pipe()
    self._lock = threading.Lock()
    # A daemon is terminated when this process exits.
    self._process = context.Process(
      target=_serve,
      args=(self._connection, other, path, checksum, backend),
      daemon=True,
    )
    with signals.blocked():
      self._process.start()
    other.close()

  def wait(self) -> None:
    """Return when the codec has been loaded; raise the errors of loading."""
    self._call("frames", 0)

  def encode(self, audio: Samples) -> Codes:
    """See `codec.Codec.encode`."""
    return self._call("encode", audio)

  def decode(self, codes: Codes) -> Samples:
    """See `codec.Codec.decode`."""
    return self._call("decode", codes)

  def codebooks(self) -> Float[np.ndarray, "q v latent"]:
    """See `codec.Codec.codebooks`."""
    return self._call("codebooks")

  def _call(self, method: str, *arguments: Any) -> Any:
    try:
      with self._lock:  # An answer is that of the latest call.
        self._connection.send((method, arguments))
        result = self._connection.recv()
    except (EOFError, OSError) as error:
      self._process.join(1)
      raise OSError(
        f"codec {self.name!r}: its process ended (exit code "
        f"{self._process.exitcode}); expected it to answer; is there too "
        "little memory?"
      ) from error
    if isinstance(result, Exception):
      raise result
    return result


def _postpone(name: str) -> None:
  """Import a module only when something in it is used."""
  stand_in = types.ModuleType(name)

  def load(attribute: str) -> Any:
    if attribute.startswith("__"):  # of the import system
      raise AttributeError(attribute)
    if sys.modules.get(name) is stand_in:
      del sys.modules[name]
    return getattr(importlib.import_module(name), attribute)

  vars(stand_in)["__getattr__"] = load
  sys.modules[name] = stand_in


def _serve(
  parent: Connection,
  connection: Connection,
  path: pathlib.Path,
  checksum: str,
  backend: str,
) -> None:
  """Load the codec, then answer calls until the other process ends."""
  parent.close()  # Otherwise its end would never be noticed.
  signals.in_worker()
  device.limit_spinning()
  gc.disable()  # Imports make many objects and no garbage: 10 % (measured).
  # PyTorch's rules for tensors without data are not used by encodec and take a
  # quarter of its import (measured).
  if backends.choose(backend) == "encodec":
    _postpone("torch._meta_registrations")
  codec: Any = None
  failed: Exception | None = None
  try:
    from stemgen_jax.codec import encodec

    codec = encodec.load(path, checksum, backend=backend)
  except Exception as error:
    failed = error
  gc.enable()
  while True:
    try:
      method, arguments = connection.recv()
    except EOFError:
      return
    try:
      result = failed or getattr(codec, method)(*arguments)
    except Exception as error:
      result = error
    connection.send(result)
