"""Run a command: `stemgen-jax COMMAND --flags`, `python -m stemgen_jax ...`."""

import os
import sys

if __name__ == "__main__" and not sys.flags.safe_path:
  # -m puts the working directory first on the path, where a module of a data
  # set could stand in for one that a library looks for. Without installation
  # the package itself is found there: then last.
  _first = sys.path.pop(0)
  if os.path.isfile(os.path.join(_first, "stemgen_jax", "__main__.py")):
    sys.path.append(_first)
  os.environ["PYTHONSAFEPATH"] = "1"  # of worker processes

from stemgen_jax.cli.dispatch import main

__all__ = ["main"]

if __name__ == "__main__":
  sys.exit(main())
