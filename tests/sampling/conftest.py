import jax
import pytest


@pytest.fixture(autouse=True, scope="package")
def quick_compilation():
  # Tiny programs: to compile them is most of the time of these tests.
  jax.config.update("jax_disable_most_optimizations", True)
  yield
  jax.config.update("jax_disable_most_optimizations", False)
