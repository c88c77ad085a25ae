"""The operations that devices can do at most, to set a run's beside them."""

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
