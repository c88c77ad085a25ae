"""Accelerators that a run may be planned for."""

import dataclasses

# Dense bf16 FLOP/s of one device as JAX counts devices, from its maker's data
# sheets. A device is known by a part of its `device_kind`, the first that fits.
_BF16 = {
  "H100 PCIe": 756e12,
  "H100": 989e12,
  "H200": 989e12,
  "A100": 312e12,
  "L40S": 362e12,
  "L4": 121e12,
  "TPU v4": 275e12,
  "TPU v5 lite": 197e12,
  "TPU v5e": 197e12,
  "TPU v5": 459e12,
  "TPU v6": 918e12,
}


def peak_flops(device_kind: str) -> float | None:
  """FLOP/s of a device in bf16; None where it is not known, as of a CPU.

  Args:
    device_kind: As JAX calls it, such as "NVIDIA H100 80GB HBM3".
  """
  return next(
    (peak for name, peak in _BF16.items() if name in device_kind), None
  )


@dataclasses.dataclass(frozen=True)
class Hardware:
  """One device, as its maker describes it.

  Attributes:
    name: What `--device` calls it.
    kind: What JAX calls it, or a part of that.
    memory: Bytes.
    links: Bytes per second that it can send to its neighbours.
    joined: Devices that those links join.
    network: Bytes per second that it can send to the others.
  """

  name: str
  kind: str
  memory: float
  links: float
  joined: int
  network: float

  @property
  def flops(self) -> float:
    """Dense bfloat16 operations per second at most."""
    return peak_flops(self.kind) or 0.0

  def bandwidth(self, devices: int) -> float:
    """Bytes per second that a device sends in a run of so many."""
    return self.links if devices <= self.joined else self.network


# GPUs: NVIDIA's data sheets of the SXM modules, NVLink one way; beyond a node
# of eight, one 200 (A100) or 400 (H100, H200) Gb/s adapter for each.
# TPUs: Google Cloud's pages of the versions; links one way, all of a chip's;
# beyond a pod 25 Gb/s a chip.
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


def find(name: str) -> Hardware:
  """The device of that name, whatever its case.

  Raises:
    ValueError: there is none in the table.
  """
  for known, hardware in HARDWARE.items():
    if name.lower() == known.lower():
      return hardware
  raise ValueError(f"--device={name}: expected one of {', '.join(HARDWARE)}")
