"""Settings every test shares."""

import atexit
import os
import shutil
import tempfile

import jax

# Before the first computation: eight simulated devices stand for a mesh.
jax.config.update("jax_num_cpu_devices", 8)
os.environ.setdefault("OMP_NUM_THREADS", "2")

# What a test downloads or compiles is not the user's.
_cache = tempfile.mkdtemp(prefix="stemgen-jax-")
atexit.register(shutil.rmtree, _cache, ignore_errors=True)
os.environ["STEMGEN_JAX_CACHE"] = _cache
os.environ.pop("JAX_COMPILATION_CACHE_DIR", None)  # of the commands run here


def pytest_addoption(parser):
  parser.addoption(
    "--soak", action="store_true", help="run what is marked soak, too: hours"
  )


def pytest_collection_modifyitems(config, items):
  if config.getoption("--soak"):
    return
  left_out = [item for item in items if item.get_closest_marker("soak")]
  items[:] = [item for item in items if item not in left_out]
  config.hook.pytest_deselected(items=left_out)
