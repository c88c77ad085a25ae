"""Accelerators, with their peak FLOP/s, memory and bandwidth."""

import dataclasses
import difflib
import re

# Dense bfloat16 FLOP/s of one JAX device, from its maker's data sheet. The
# first key that is a word of `device_kind` counts, so longer keys come first.
_BF16 = {
  "H100 PCIe": 756e12,
  "H100": 989e12,
  "H200": 989e12,
  "GH200": 989e12,
  "A100": 312e12,
  "L40S": 362e12,
  "L40": 181e12,
  "L4": 121e12,
  "TPU v4": 275e12,
  "TPU v5 lite": 197e12,
  "TPU v5e": 197e12,
  "TPU v5": 459e12,
  "TPU v5p": 459e12,
  "TPU v6": 918e12,
  "TPU v6e": 918e12,
}

_MOST_DEVICES = 1024  # each is simulated


def peak_flops(device_kind: str) -> float | None:
  """Return the peak FLOP/s in bfloat16; None if unknown, as for CPUs.

  Args:
    device_kind: JAX's name of the device, such as "NVIDIA H100 80GB HBM3".
  """
  return next(
    (
      peak
      for name, peak in _BF16.items()
      if re.search(rf"\b{re.escape(name)}\b", device_kind)  # L4, but not L40
    ),
    None,
  )


@dataclasses.dataclass(frozen=True)
class Hardware:
  """One device, as its maker describes it.

  Attributes:
    name: value of `--device`.
    kind: JAX's name of the device, or a part of it.
    memory: bytes.
    links: bytes per second that it can send over direct links.
    joined: number of devices connected by those links.
    network: bytes per second that it can send to all other devices.
  """

  name: str
  kind: str
  memory: float
  links: float
  joined: int
  network: float

  @property
  def flops(self) -> float:
    """Return peak dense bfloat16 operations per second."""
    return peak_flops(self.kind) or 0.0

  def bandwidth(self, devices: int) -> float:
    """Return bytes per second that a device sends in a run of `devices`."""
    return self.links if devices <= self.joined else self.network


# GPUs: NVIDIA's data sheets of the SXM modules, NVLink in one direction;
# between nodes of eight, one 200 (A100) or 400 (H100, H200) Gb/s adapter each.
# TPUs: Google Cloud's documentation; all links of a chip, in one direction;
# between pods 25 Gb/s per chip.
HARDWARE = {
  x.name: x
  for x in (
    Hardware("A100-80GB", "A100", 80e9, 300e9, 8, 25e9),
    Hardware("H100-80GB", "H100", 80e9, 450e9, 8, 50e9),
    Hardware("H200", "H200", 141e9, 450e9, 8, 50e9),
    Hardware("TPU-v4", "TPU v4", 32e9, 270e9, 4096, 3e9),
    Hardware("TPU-v5e", "TPU v5e", 16e9, 180e9, 256, 3e9),
    Hardware("TPU-v5p", "TPU v5", 95e9, 540e9, 8960, 3e9),
    Hardware("TPU-v6e", "TPU v6", 32e9, 360e9, 256, 3e9),
  )
}


# Names of TPU v5e: Google's type "v5litepod-8", JAX's kind "TPU v5 lite".
_V5E = re.compile(r"(tpu[ -]?)?v5[ -]?lite(pod)?")


def find(name: str, flag: str = "device") -> Hardware:
  """Return the device of a name; print it if it is not the name given.

  The name is that of a device without regard to case and signs ("h100-80gb",
  "v5p"), or has its kind as words of its own ("NVIDIA H100 80GB HBM3").

  Raises:
    ValueError: no device, or several, have such a name.
  """
  plain, words = _plain(name), _words(name)
  for known in HARDWARE:
    if plain in (_plain(known), _plain(known).removeprefix("tpu")):
      return HARDWARE[known]
  found = [x for x in HARDWARE.values() if _words(x.kind) <= words]
  if len(found) == 1:
    print(f"{name} is taken as {found[0].name}")
    return found[0]
  names = {_plain(known): known for known in HARDWARE}
  near = [names[x] for x in difflib.get_close_matches(plain, names, 1)]
  raise ValueError(
    f"--{flag}={name}: expected one of {', '.join(HARDWARE)}"
    + "".join(f"; did you mean {x}?" for x in near)
  )


def find_sets(text: str) -> list[tuple[Hardware, int]]:
  """Return the sets of devices in "v5e:16,h100:8,a100".

  Raises:
    ValueError: a device is unknown, or a number is not 1 to 1024.
  """
  fleets = []
  for entry in text.split(","):
    name, colon, number = entry.strip().partition(":")
    count = int(number) if number.isdecimal() else 0
    if colon and not 1 <= count <= _MOST_DEVICES:
      raise ValueError(
        f"--device={entry}: expected NAME or NAME:COUNT, 1 to {_MOST_DEVICES}"
      )
    fleets.append((find(name), count or 1))
  return fleets


def _plain(name: str) -> str:
  return "".join(x for x in name.lower() if x.isalnum())


def _words(name: str) -> set[str]:
  return set(re.findall("[a-z0-9]+", _V5E.sub("tpu v5e ", name.lower())))
