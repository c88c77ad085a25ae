"""Describe the processor."""

import pathlib
import platform

_FLAGS = (
  "avx2",
  "avx512f",
  "avx512_bf16",
  "amx_bf16",
  "avx10_2",
  "sve",
  "bf16",
)


def processor() -> str:
  """Return the processor's name, and the extensions that products use."""
  name, flags = platform.processor() or platform.machine(), ""
  try:
    lines = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8")
  except OSError:
    return name
  for line in lines.splitlines():
    key, _, value = line.partition(":")
    if key.strip() == "model name":
      name = value.strip()
    elif key.strip() in ("flags", "Features"):
      flags = ", ".join(x for x in _FLAGS if x in value.split())
      break
  return f"{name} ({flags or 'no vector extensions listed'})"
