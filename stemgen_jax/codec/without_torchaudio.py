"""A stand-in of torchaudio while other packages are imported."""

import contextlib
import importlib.machinery
import sys
import types
import warnings


@contextlib.contextmanager
def importable_torchaudio():
  """Let other packages import torchaudio where its own import fails.

  EnCodec and transformers import it for helpers that are never called here.
  Next to a CPU build of PyTorch its import looks for CUDA libraries and fails.
  """
  names = "torchaudio", "torchaudio.transforms"
  try:
    import torchaudio  # noqa: F401

    stand_ins = {}
  except (ImportError, OSError, RuntimeError):
    # A failed import leaves some of its submodules behind.
    for name in [n for n in sys.modules if n.partition(".")[0] == names[0]]:
      del sys.modules[name]
    stand_ins = {name: types.ModuleType(name) for name in names}
    for name, module in stand_ins.items():
      module.__spec__ = importlib.machinery.ModuleSpec(name, None)
  sys.modules.update(stand_ins)
  try:
    with warnings.catch_warnings():
      warnings.simplefilter("ignore")
      yield
  finally:
    # Later importers must not take a stand-in for the real package.
    for name in stand_ins:
      del sys.modules[name]
