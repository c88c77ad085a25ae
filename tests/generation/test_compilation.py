"""Tests of the cache of compiled programs."""

import os
import subprocess
import sys

import jax
import numpy as np
import pytest

from stemgen_jax.generation import compilation

SCRIPT = """
import jax, jax.numpy as jnp
from stemgen_jax.generation import compilation

compilation._SHORTEST = 0.0  # fast machines compile in less
compilation.keep_programs()

@jax.jit
def compute(x):
  return jnp.sin(x @ x).sum()

with compilation.timed() as compiling:
  print(compute(jnp.ones((8, 8))))
assert compiling.seconds > 0
"""


# A limit on the size of files stands for a full disk: writes fail alike.
FULL = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
"""


def run(cache, before="", script=SCRIPT, **environment) -> str:
  inherited = {
    name: value
    for name, value in os.environ.items()
    if name != "JAX_COMPILATION_CACHE_DIR"  # of the tests
  }
  done = subprocess.run(
    [sys.executable, "-c", before + script],
    env=inherited | {"STEMGEN_JAX_CACHE": str(cache)} | environment,
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  assert done.stderr == ""
  return done.stdout


@pytest.mark.processes
def test_programs_are_kept_for_the_next_run(tmp_path):
  cache = tmp_path / "cache"
  printed = run(cache)
  (folder,) = cache.iterdir()
  assert folder.stat().st_mode & 0o777 == 0o700

  def kept():
    programs = folder.glob("*-cache")
    return {path: path.stat().st_mtime_ns for path in programs}

  written = kept()
  assert written
  assert run(cache) == printed
  assert kept() == written
  # As a run leaves them that was stopped while it wrote.
  for path in written:
    path.write_bytes(path.read_bytes()[:100])
  assert run(cache) == printed
  # As versions left them that kept all programs.
  for path in folder.glob("*-atime"):
    path.unlink()
  limit = "assert jax.config.jax_compilation_cache_max_size == 1 << 31\n"
  run(cache, script=SCRIPT.replace("sin", "cos") + limit)
  assert len(kept()) > len(written)


def test_a_cache_folder_of_others_is_not_used(tmp_path, monkeypatch):
  monkeypatch.setenv("STEMGEN_JAX_CACHE", str(tmp_path))
  folder = compilation._own_folder()
  folder.mkdir()
  folder.chmod(0o777)
  name = "jax_compilation_cache_dir"
  before = getattr(jax.config, name)
  jax.config.update(name, None)
  try:
    with pytest.warns(UserWarning, match="other users can write to it"):
      compilation.keep_programs()
    assert getattr(jax.config, name) is None
  finally:
    jax.config.update(name, before)


@pytest.mark.processes
def test_unwritable_cache_folder_is_ignored(tmp_path):
  (tmp_path / "file").touch()
  run(tmp_path / "file")


@pytest.mark.processes
def test_a_full_disk_keeps_no_programs(tmp_path):
  printed = run(tmp_path / "cache", FULL)
  (folder,) = (tmp_path / "cache").iterdir()
  assert all(path.stat().st_size <= 100 for path in folder.iterdir())
  assert run(tmp_path / "cache") == printed


@pytest.mark.processes
def test_cache_folder_of_the_user_stays(tmp_path):
  own = tmp_path / "own"
  run(
    tmp_path / "cache",
    JAX_COMPILATION_CACHE_DIR=str(own),
    JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS="0",
  )
  assert list(own.iterdir())
  assert not (tmp_path / "cache").exists()


def test_nested_programs_are_timed_once():
  spans = [(1.0, 2.0), (0.0, 4.0), (5.0, 6.0), (5.5, 7.0)]
  assert compilation.Compiling(spans).seconds == 6.0
  with compilation.timed() as compiling:
    jax.jit(lambda x: x + 7.25)(np.ones(3))
  found = list(compiling.spans)
  assert found
  jax.jit(lambda x: x + 8.25)(np.ones(3))
  assert compiling.spans == found
