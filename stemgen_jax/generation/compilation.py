"""Keep compiled programs on disk, and measure the time of compilation."""

import contextlib
import dataclasses
import hashlib
import pathlib
import platform
import warnings
from collections.abc import Iterator
from typing import TextIO

import jax
from jax import monitoring

from stemgen_jax import disk, paths, progress

# Seconds of compilation; takes wait for many programs of about that time.
_SHORTEST = 0.2
_MOST_BYTES = 2 << 30  # of the least recently used programs
_EVENTS = "/jax/core/compile/"  # tracing, lowering, and the compiler itself


def keep_programs() -> None:
  """Let JAX keep compiled programs in the cache folder, for later runs.

  A folder that the user has set (JAX_COMPILATION_CACHE_DIR, or
  `jax_compilation_cache_dir` of JAX's configuration) stays. Where the folder
  cannot be written, or others can write to it, every run compiles its
  programs, as it does for a file that was cut off by a kill or a full disk,
  until the folder is deleted.
  """
  if jax.config.jax_compilation_cache_dir is not None:  # pyright: ignore[reportAttributeAccessIssue]
    return
  try:
    folder = _own_folder()
    disk.check_folder(folder)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
  except OSError:
    return
  if not paths.is_private(folder):  # A kept program can run any code.
    warnings.warn(
      f"{folder}: other users can write to it; expected a folder of this user "
      "alone: programs are not kept; delete it",
      stacklevel=2,
    )
    return
  # A program that another run is writing, or that a full disk has no room for,
  # is compiled again.
  warnings.filterwarnings(
    "ignore", "Error (reading|writing) persistent compilation cache entry"
  )
  jax.config.update("jax_persistent_cache_min_compile_time_secs", _SHORTEST)
  # Without a limit every change of a configuration adds its programs for good.
  if jax.config.jax_compilation_cache_max_size == -1:  # pyright: ignore[reportAttributeAccessIssue]
    _add_times(folder)
    jax.config.update("jax_compilation_cache_max_size", _MOST_BYTES)
  jax.config.update("jax_compilation_cache_dir", str(folder))


def _add_times(folder: pathlib.Path) -> None:
  """Add the times of use that JAX expects of every program in a cache.

  They are missing for programs that were kept without a limit, or where a run
  was stopped while it wrote; JAX could not add any program then.
  """
  for program in folder.glob("*-cache"):
    time = program.with_name(program.name.removesuffix("cache") + "atime")
    with contextlib.suppress(OSError):  # another run has deleted it
      if not time.exists():
        time.write_bytes(program.stat().st_mtime_ns.to_bytes(8, "little"))


def folder() -> pathlib.Path | None:
  """Return the folder of `keep_programs`; None if the user has set another."""
  try:
    own = _own_folder()
  except OSError:
    return None
  return own if jax.config.jax_compilation_cache_dir == str(own) else None  # pyright: ignore[reportAttributeAccessIssue]


def is_cold() -> bool:
  """Return whether programs are kept, and none for sampling is there yet."""
  folder = jax.config.jax_compilation_cache_dir  # pyright: ignore[reportAttributeAccessIssue]
  return bool(folder) and not any(
    pathlib.Path(folder).glob("jit_decode_level-*")
  )


def shown(
  file: TextIO | None = None,
) -> contextlib.AbstractContextManager[None]:
  """Print the seconds of the compilation to stdout or a file.

  Programs that are kept load within a second, and print nothing.
  """
  work = "compiling the sampling program, once for these settings"
  return progress.elapsed(work, file=file, after=0 if is_cold() else 1)


def _own_folder() -> pathlib.Path:
  # Home folders are shared by machines, machine code is for one processor. A
  # folder per version can be deleted when that is no longer used.
  digest = hashlib.sha256(_processor().encode()).hexdigest()[:12]
  return paths.cache_folder() / f"programs-{jax.__version__}-{digest}"


def _processor() -> str:
  """Return a description of the instruction set."""
  with contextlib.suppress(OSError):
    lines = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8")
    for line in lines.splitlines():
      if line.startswith(("flags", "Features")):  # of x86, of ARM
        return line
  return f"{platform.machine()} {platform.processor()}"


@dataclasses.dataclass
class Compiling:
  """Times of compilation, in seconds since the epoch."""

  spans: list[tuple[float, float]] = dataclasses.field(default_factory=list)

  @property
  def seconds(self) -> float:
    """Total duration; programs within programs count once."""
    total, done = 0.0, 0.0
    # Sorted by start: only the part after the latest end so far is new.
    for start, end in sorted(self.spans):
      total += max(0.0, end - max(start, done))
      done = max(done, end)
    return total


@contextlib.contextmanager
def timed() -> Iterator[Compiling]:
  """Record when JAX compiles, or loads programs that it has kept."""
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
