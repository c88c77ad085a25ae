"""The device of a codec: check its name, choose it, share a GPU with JAX."""

import os
import re

AUTO = "auto"
# Bytes of GPU memory for one process that encodes and decodes: PyTorch's
# context, and the largest networks on a chunk of 30 s. Estimated from the
# sizes of their layers.
NEEDED = 4 * 2**30
# Share of a GPU's memory that JAX takes by default.
_JAX_SHARE = 0.75
# Settings of JAX's allocator; any of them is the user's own choice.
_FRACTION = "XLA_PYTHON_CLIENT_MEM_FRACTION"
_CHOSEN = (
  _FRACTION,
  "XLA_CLIENT_MEM_FRACTION",
  "XLA_PYTHON_CLIENT_PREALLOCATE",
  "XLA_PYTHON_CLIENT_ALLOCATOR",
)
# PyTorch's threads wait for each other after each operation, by default in a
# loop of about a millisecond. Where other programs use the processors, 10 s of
# audio then take many times as long (measured); 2000 rounds are microseconds.
_SPINS = {"GOMP_SPINCOUNT": "2000"}
# More processes of one GPU would mostly wait for each other.
_MOST_WORKERS = 8


def check(name: str) -> None:
  """Raise ValueError unless `name` can name a device; imports no PyTorch."""
  if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", name):
    raise ValueError(
      f"--codec_device={name}: expected auto, cpu, cuda, or cuda:N for GPU N"
    )


def processors() -> int:
  """Return the number of processors that this process may use."""
  if hasattr(os, "sched_getaffinity"):
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1


def limit_spinning() -> None:
  """Let PyTorch's threads sleep while they wait; call before its import."""
  if "OMP_WAIT_POLICY" not in os.environ:
    for name, value in _SPINS.items():
      os.environ.setdefault(name, value)


def choose(name: str = AUTO) -> str:
  """Return "cpu", "cuda" or "cuda:N"; "auto" is a GPU if PyTorch finds one.

  JAX is asked to leave `NEEDED` bytes of that GPU to PyTorch, unless the user
  has configured its memory. That has an effect only before JAX is used.

  Args:
    name: "auto", "cpu", "cuda" or "cuda:N".

  Raises:
    ValueError: the name is unknown, or there is no such GPU.
  """
  check(name)
  if name == "cpu":
    return name
  import torch  # takes seconds

  count = torch.cuda.device_count() if torch.cuda.is_available() else 0
  if name == AUTO:
    name = "cuda" if count else "cpu"
  elif not count:
    raise ValueError(
      f"--codec_device={name}: PyTorch {torch.__version__} finds no CUDA GPU; "
      "expected auto or cpu, or a PyTorch built for CUDA and its driver"
    )
  elif _number(name) >= count:
    raise ValueError(
      f"--codec_device={name}: PyTorch finds {count} GPUs; expected cuda:0 to "
      f"cuda:{count - 1}"
    )
  if name != "cpu" and not any(each in os.environ for each in _CHOSEN):
    share = min(_JAX_SHARE, max(0.1, 1 - NEEDED / _memory(name)))
    os.environ[_FRACTION] = f"{share:.2f}"
  return name


def workers(name: str, processors: int) -> int:
  """Return the number of processes that encode on a chosen device.

  Args:
    name: result of `choose`.
    processors: processors of the machine.
  """
  if name == "cpu":
    return processors
  fitting = int(_memory(name) // NEEDED)
  return max(1, min(processors, fitting, _MOST_WORKERS))


def _number(name: str) -> int:
  return int(name.partition(":")[2] or 0)


def _memory(name: str) -> int:
  import torch

  return torch.cuda.get_device_properties(_number(name)).total_memory
