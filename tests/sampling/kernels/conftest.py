"""What the tests of the kernels share."""

import jax
import pytest

NEWER = jax.__version_info__ >= (0, 11)
# Mosaic GPU's interpreter and lowering, and libtpu's compiler.
collect_ignore = [] if NEWER else ["test_newer_jax.py"]


def pytest_terminal_summary(terminalreporter):
  if not NEWER:
    terminalreporter.write_line(
      "tests/sampling/kernels/test_newer_jax.py needs jax 0.11: .ci/run runs "
      "it in .venv-kernels"
    )


@pytest.fixture(autouse=True, scope="package")
def quick_compilation():
  # Tiny programs: to compile them is most of the time of these tests.
  jax.config.update("jax_disable_most_optimizations", True)
  yield
  jax.config.update("jax_disable_most_optimizations", False)
