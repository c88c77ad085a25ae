"""The parts of the device check: their list, their process, their table."""

import importlib
import importlib.metadata
import json
import os
import subprocess
import sys
import time
import traceback
import types
from collections.abc import Iterator
from typing import Any, NamedTuple

_LONGEST_REASON = 400


class Part(NamedTuple):
  """A part: module and function, and the seconds it may take."""

  module: str
  function: str
  seconds: float


# In the order of running: what matters most comes first.
PARTS = {
  "plan": Part("device_training", "plan", 300),
  "attention": Part("device_training", "attention", 60),
  "train_step": Part("device_training", "train_step", 75),
  "loss": Part("device_training", "loss", 90),
  "stems": Part("device_sampling", "stems", 150),
  "kernel": Part("device_sampling", "kernel", 60),
  "codec": Part("device_sampling", "codec", 75),
  "agreement": Part("device_sampling", "agreement", 60),
  "train_step_fused": Part("device_training", "train_step_fused", 75),
}


def run(names: list[str], lines: str, tiny: bool) -> None:
  """Run parts in this process and write their figures, one per line.

  Args:
    names: keys of `PARTS`, or "device".
    lines: file to append to.
    tiny: use toy sizes.
  """
  stand_in_for_jaxtyping()
  with open(lines, "a") as file:

    def write(part: str, **entry: Any) -> None:
      file.write(json.dumps({"part": part, **entry}) + "\n")
      file.flush()

    for name in names:
      began = time.monotonic()
      try:
        for figure in _figures(name, tiny):
          write(name, figure=figure)
        status, reason = "done", ""
      except Exception as error:
        traceback.print_exc()
        status, reason = "failed", describe(error)
      seconds = round(time.monotonic() - began, 1)
      write(name, status=status, reason=reason, seconds=seconds)


def _figures(name: str, tiny: bool) -> Iterator[dict[str, Any]]:
  if name == "device":
    yield device()
    return
  module = importlib.import_module(PARTS[name].module)
  yield from getattr(module, PARTS[name].function)(tiny)


def describe(error: Exception) -> str:
  """Return an error in one line."""
  text = " ".join(f"{type(error).__name__}: {error}".split())
  return text[:_LONGEST_REASON]


def figure(name: str, value: Any, unit: str, **more: Any) -> dict[str, Any]:
  """Return a figure; numbers are rounded to 6 digits.

  Args:
    name: the measured quantity.
    value: number, text, list of numbers, or None where it was not measured.
    unit: unit, "" for counts and text.
    **more: circumstances, such as `dtype` or `reason`.
  """

  def rounded(x: Any) -> Any:
    return float(f"{x:.6g}") if isinstance(x, float) else x

  value = [rounded(x) for x in value] if isinstance(value, list) else value
  return {"name": name, "value": rounded(value), "unit": unit, **more}


def failure(name: str, error: Exception, **more: Any) -> dict[str, Any]:
  """Return a figure that could not be measured, with the reason."""
  return figure(name, None, "", reason=describe(error), **more)


def device() -> dict[str, Any]:
  """Describe devices, driver and versions."""
  import jax

  devices = jax.devices()
  versions = {"python": sys.version.split()[0]}
  for name in ("jax", "jaxlib", "flax", "optax", "numpy", "torch"):
    try:
      versions[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
      versions[name] = "missing"
  try:
    versions["driver"] = subprocess.run(
      ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"],
      capture_output=True,
      text=True,
      timeout=30,
      check=True,
    ).stdout.strip()
  except (OSError, subprocess.SubprocessError) as error:
    versions["driver"] = f"unknown ({type(error).__name__})"
  return {
    "backend": jax.default_backend(),
    "device": devices[0].device_kind,
    "devices": len(devices),
    "capability": str(getattr(devices[0], "compute_capability", "")),
    "platform": devices[0].client.platform_version.splitlines()[0],
    "processors": os.cpu_count(),
    "versions": versions,
  }


def stand_in_for_jaxtyping() -> None:
  """Let the package import jaxtyping where it is not installed.

  Its annotations are not checked here.
  """
  try:
    import jaxtyping  # noqa: F401
  except ImportError:

    class Annotation:
      def __class_getitem__(cls, _: Any) -> Any:
        return Any

    class StandIn(types.ModuleType):
      def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
          raise AttributeError(name)
        return Any if name in ("Array", "ArrayLike") else Annotation

    sys.modules["jaxtyping"] = StandIn("jaxtyping")


def compare(parts: dict[str, Any]) -> list[dict[str, Any]]:
  """Compare measured steps with the plan of `train --dry_run`."""
  planned = _values(parts.get("plan"))
  compared = []
  for part in ("train_step", "train_step_fused"):
    measured = _values(parts.get(part))
    for name in ("seconds per step", "memory"):
      one, other = measured.get(name), planned.get(name)
      if one and other:
        compared.append(
          figure(f"{part}: {name}, of the plan's", one / other, "")
        )
  return compared


def _values(part: dict[str, Any] | None) -> dict[str, Any]:
  return {x["name"]: x["value"] for x in part["figures"]} if part else {}


def table(result: dict[str, Any]) -> str:
  """Return the result as text."""
  found = result["device"]
  versions = ", ".join(f"{k} {v}" for k, v in found["versions"].items())
  lines = ["", f"{found['device']} x {found['devices']}: {versions}"]
  lines += [f"{result['seconds']:.0f} s in all, random weights", ""]
  for name, part in result["parts"].items():
    reason = f": {part['reason']}" if part["reason"] else ""
    lines.append(f"{name}: {part['status']}{reason}")
    lines += [f"  {_row(x)}" for x in part["figures"]]
  if result["comparison"]:
    lines.append("measured against planned")
    lines += [f"  {_row(x)}" for x in result["comparison"]]
  return "\n".join(lines)


def _row(entry: dict[str, Any]) -> str:
  value, about = entry["value"], dict(entry)
  for name in ("name", "value", "unit"):
    del about[name]
  if isinstance(value, list):
    value = " ".join(f"{x:.4g}" for x in value)
  elif isinstance(value, float):
    value = f"{value:.4g}"
  elif value is None:
    value = "not measured"
  details = ", ".join(f"{k} {v}" for k, v in about.items())
  details = f"  ({details})" if details else ""
  return f"{entry['name']:<44} {value} {entry['unit']}{details}".rstrip()
