"""Selection of the kernels' tests by the version of jax."""

import jax

NEWER = jax.__version_info__ >= (0, 11)
# Mosaic GPU's interpreter and lowering, and libtpu's compiler.
collect_ignore = [] if NEWER else ["test_newer_jax.py"]


def pytest_terminal_summary(terminalreporter):
  if not NEWER:
    terminalreporter.write_line(
      "tests/sampling/kernels/test_newer_jax.py needs jax 0.11: .ci/run runs "
      "it in .venv-kernels"
    )
