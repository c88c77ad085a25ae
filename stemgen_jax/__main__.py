"""Run a command: `stemgen-jax COMMAND --flags`, `python -m stemgen_jax ...`."""

import sys

from stemgen_jax.cli.dispatch import main

__all__ = ["main"]

if __name__ == "__main__":
  sys.exit(main())
