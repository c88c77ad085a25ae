"""Settings every test shares."""

import atexit
import os
import shutil
import tempfile

# What a test downloads or compiles is not the user's. Tests run tiny programs,
# and most of their time is compilation. So the compiler optimizes little
# (`optimized_compilation` undoes that), and one cache serves the whole run,
# including the processes that tests start.
_cache = tempfile.mkdtemp(prefix="stemgen-jax-")
atexit.register(shutil.rmtree, _cache, ignore_errors=True)
os.environ |= {
  "STEMGEN_JAX_CACHE": _cache,
  "JAX_COMPILATION_CACHE_DIR": os.path.join(_cache, "compiled"),
  "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
  "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
}
# With tensors this small a second OpenMP thread mostly waits for the first, and
# takes a core from the other tests for that (13 times the work, measured).
os.environ.setdefault("OMP_NUM_THREADS", "1")

import chromium  # noqa: E402
import jax  # noqa: E402  (reads the variables above)
import jaxtyping  # noqa: E402
import pytest  # noqa: E402

# MLIR fusion emitters take half of the compilation of a training step; newer
# versions of XLA have no others.
if jax.__version_info__ < (0, 11):
  os.environ["XLA_FLAGS"] = " ".join(
    (
      os.environ.get("XLA_FLAGS", ""),
      "--xla_cpu_use_fusion_emitters=false",
      "--xla_cpu_parallel_codegen_split_count=1",
    )
  )
# Before the first computation: eight simulated devices stand for a mesh.
jax.config.update("jax_num_cpu_devices", 8)
# Arrays of different ranks meet only where axes are added explicitly.
jax.config.update("jax_numpy_rank_promotion", "raise")
# Annotations of these rooms are checked at every call. Not those of settings
# and configurations, whose own checks of wrong types are tested.
jaxtyping.install_import_hook(
  [
    f"stemgen_jax.{module}"
    for module in (
      "data.beats",
      "generation.stem_audio",
      "model.attention",
      "model.embedding",
      "model.projection",
      "model.rotation",
      "model.scale_head",
      "model.scales",
      "model.transformer",
      "model.weights",
      "sampling.decode",
      "sampling.decode_level",
      "sampling.guidance",
      "sampling.kernels",
      "sampling.loops",
      "sampling.noise",
      "sampling.ranking",
      "sampling.schedule",
      "sampling.windows",
      "training.audition",
      "training.early_stopping",
      "training.masking",
      "training.metrics",
      "training.optimizer",
      "training.planning.collectives",
      "training.planning.dry_run",
      "training.planning.flops",
      "training.prefetch",
      "training.scores",
      "training.step",
      "training.transfer",
    )
  ],
  "typechecking.check",
)


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


@pytest.fixture(scope="module")
def optimized_compilation():
  """Compile as outside of tests: programs that run longer than they compile."""
  jax.config.update("jax_disable_most_optimizations", False)
  yield
  jax.config.update("jax_disable_most_optimizations", True)


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
  with chromium.running(tmp_path_factory.mktemp("profile")) as browser:
    yield browser


@pytest.fixture(scope="session")
def first_tab(browser):
  """One tab for all tests: its process starts once."""
  return browser.open("about:blank")
