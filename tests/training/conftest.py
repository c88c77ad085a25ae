import jax
import pytest
import tones
from jax.experimental.compilation_cache import compilation_cache
from loudness import Loudness

from stemgen_jax.data.preparation import pairs, prepare


@pytest.fixture(autouse=True, scope="package")
def quick_compilation(tmp_path_factory):
  # Tiny programs: to compile them is most of the time of these tests, and
  # many runs here compile the same ones.
  jax.config.update("jax_disable_most_optimizations", True)
  folder = str(tmp_path_factory.mktemp("compiled"))
  jax.config.update("jax_compilation_cache_dir", folder)
  jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
  compilation_cache.reset_cache()
  yield
  jax.config.update("jax_disable_most_optimizations", False)
  jax.config.update("jax_compilation_cache_dir", None)
  jax.config.update("jax_persistent_cache_min_compile_time_secs", 1)
  compilation_cache.reset_cache()


@pytest.fixture(scope="session")
def codes(tmp_path_factory):
  """Prepared codes of tones; beside them, room for compiled programs."""
  out = tmp_path_factory.mktemp("codes") / "codes"
  config = pairs.PairConfig(segment_seconds=2.0, pairs=4)
  prepare.prepare(tones.Tones(), Loudness, out, config)
  return out
