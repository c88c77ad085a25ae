"""Where arrays live on the mesh: every rule of it, in one place.

The mesh has two axes. `data` splits the batch and, as FSDP does, the width of
every large kernel; `model` splits heads and the SwiGLU's hidden width (tensor
parallelism). Embeddings and norms are small and live whole on every device.
Without a mesh every rule is None, and the same code runs on one device.
"""

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, PartitionSpec

RULES: dict[str, str] = {
  "batch": "data",
  "embed": "data",
  "heads": "model",
  "mlp": "model",
}


def alone() -> bool:
  """Whether the code runs on one device: no mesh is set, or in `shard_map`."""
  mesh = jax.sharding.get_abstract_mesh()
  return mesh.empty or mesh.are_all_axes_manual


def spec(*axes: str | None) -> PartitionSpec | None:
  """Placement of an array by the logical names of its axes.

  Args:
    *axes: Per axis a key of `RULES`, or None for an axis that is not split.

  Returns:
    The PartitionSpec, or None when the device is alone.
  """
  if alone():
    return None
  return PartitionSpec(*(axis and RULES[axis] for axis in axes))


def make_mesh(data: int = 0, model: int = 1) -> Mesh | None:
  """The `(data, model)` mesh, or None where one device has all the work.

  With several processes, process i holds the i-th block of a batch's rows.

  Args:
    data: Devices along `data`; 0 takes all that there are.
    model: Devices along `model`.

  Raises:
    ValueError: if the devices do not suffice, or not every process has its
      own part of the `data` axis.
  """
  available, processes = jax.device_count(), jax.process_count()
  data = data or max(available // model, 1)
  wanted = f"a mesh of {data} x {model} (mesh_data, mesh_model)"
  if data * model > available:
    raise ValueError(
      f"{wanted} needs {data * model} devices, here are {available}"
    )
  if processes > 1 and (data * model < available or data % processes):
    raise ValueError(
      f"{wanted} does not fit {processes} processes with {available} devices "
      "in all: it must take all of them, and each process a part of the data "
      "axis to itself"
    )
  if data * model == 1:
    return None
  devices = jax.devices()[: data * model]
  if processes == 1:
    return jax.make_mesh((data, model), ("data", "model"), devices=devices)
  devices.sort(key=lambda device: (device.process_index, device.id))
  return Mesh(
    np.array(devices).reshape(data, model),
    ("data", "model"),
    axis_types=(AxisType.Explicit,) * 2,
  )


def place_batch(batch: dict[str, np.ndarray]) -> dict[str, jax.Array]:
  """Puts this process's share of a batch on the devices of the set mesh."""
  mesh = jax.sharding.get_mesh()
  if mesh.empty:
    return jax.device_put(batch)
  sharding = jax.NamedSharding(mesh, PartitionSpec(RULES["batch"]))
  return jax.tree.map(
    lambda x: jax.make_array_from_process_local_data(sharding, x), batch
  )
