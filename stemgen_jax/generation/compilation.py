"""Compiled programs: kept on disk for the next run, and timed by themselves."""

import contextlib
import dataclasses
import hashlib
import pathlib
import platform
import secrets
import warnings
from collections.abc import Iterator

import jax
from jax import monitoring

from stemgen_jax import paths

# As short as the ones that a take waits for.
_SHORTEST = 0.2  # seconds of compilation
_EVENTS = "/jax/core/compile/"  # tracing, lowering, and the compiler itself


def keep_programs() -> None:
  """Lets JAX keep what it compiles in the cache folder, for later runs.

  A folder of the user's (JAX_COMPILATION_CACHE_DIR, or
  `jax_compilation_cache_dir` of JAX's configuration) stays. Where none can be
  written, every run compiles for itself; as it does with a file that a kill or
  a full disk has left half written, until the folder is deleted.
  """
  if jax.config.jax_compilation_cache_dir is not None:  # pyright: ignore[reportAttributeAccessIssue]
    return
  # Machine code is for one kind of processor, a home folder for many.
  digest = hashlib.sha256(_processor().encode()).hexdigest()[:12]
  folder = paths.cache_folder() / f"programs-{digest}"
  probe = folder / f".{secrets.token_hex(8)}.part"
  try:
    folder.mkdir(parents=True, exist_ok=True)
    probe.touch(exist_ok=False)
    probe.unlink()
  except OSError:
    return
  # One that another run is just writing is compiled anew, as are those that a
  # full disk has no room for.
  warnings.filterwarnings(
    "ignore", "Error (reading|writing) persistent compilation cache entry"
  )
  jax.config.update("jax_persistent_cache_min_compile_time_secs", _SHORTEST)
  jax.config.update("jax_compilation_cache_dir", str(folder))


def _processor() -> str:
  """What machine code here may use."""
  with contextlib.suppress(OSError):
    lines = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8")
    for line in lines.splitlines():
      if line.startswith(("flags", "Features")):  # of x86, of ARM
        return line
  return f"{platform.machine()} {platform.processor()}"


@dataclasses.dataclass
class Compiling:
  """When JAX was compiling, in seconds since the epoch."""

  spans: list[tuple[float, float]] = dataclasses.field(default_factory=list)

  @property
  def seconds(self) -> float:
    """How long, in all; programs within programs count once."""
    total, done = 0.0, 0.0
    for start, end in sorted(self.spans):
      total += max(0.0, end - max(start, done))
      done = max(done, end)
    return total


@contextlib.contextmanager
def timed() -> Iterator[Compiling]:
  """Notes when JAX compiles meanwhile, or loads what it has kept."""
  found = Compiling()

  def listen(
    event: str, start_time: float, end_time: float, **kwargs: str | int
  ) -> None:
    del kwargs
    if event.startswith(_EVENTS):
      found.spans.append((start_time, end_time))

  monitoring.register_event_time_span_listener(listen)
  try:
    yield found
  finally:
    monitoring.unregister_event_time_span_listener(listen)
