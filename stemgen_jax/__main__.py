"""Run a command: `stemgen-jax COMMAND --flags`, `python -m stemgen_jax ...`."""

import atexit
import contextlib
import os
import signal
import sys
from collections.abc import Sequence

if __name__ == "__main__" and not sys.flags.safe_path:
  # -m puts the working directory first on the path, where a module of a data
  # set could stand in for one that a library looks for. Without installation
  # the package itself is found there: then last.
  _first = sys.path.pop(0)
  if os.path.isfile(os.path.join(_first, "stemgen_jax", "__main__.py")):
    sys.path.append(_first)
  os.environ["PYTHONSAFEPATH"] = "1"  # of worker processes


def main(argv: Sequence[str] | None = None) -> int:
  """Run a command and return its exit code.

  Args:
    argv: its arguments; those of this process, which then does nothing else,
      if None.
  """
  if argv is not None:
    from stemgen_jax.cli import dispatch

    return dispatch.main(argv)
  for stream in (sys.stdout, sys.stderr):
    # A console without a character shows its number, as in \xf1.
    if reconfigure := getattr(stream, "reconfigure", None):
      reconfigure(errors="backslashreplace")
  try:
    from stemgen_jax.cli import dispatch

    code = dispatch.main()
  except KeyboardInterrupt:  # during the import
    code = 130
  # From here on a signal ends the process without a word.
  for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, signal.SIG_DFL)
  if code <= 128:  # else they may wait for work that was interrupted
    atexit._run_exitfuncs()
  for stream in (sys.stdout, sys.stderr):
    with contextlib.suppress(OSError, ValueError):  # closed by the reader
      stream.flush()
  # Python's own exit would wait for threads of libraries, which may be stuck.
  os._exit(code)


if __name__ == "__main__":
  sys.exit(main())
