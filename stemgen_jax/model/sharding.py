"""Placement of arrays on the mesh: all of its rules.

The mesh has two axes. `data` splits the batch and, as in FSDP, the width of
every large kernel; `model` splits heads and the SwiGLU's hidden width (tensor
parallelism). Embeddings and norms are small and whole on every device. Without
a mesh every rule is None, and the same code runs on one device.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, PartitionSpec

# Logical name of an array's axis -> axis of the mesh.
RULES: dict[str, str] = {
  "batch": "data",
  "embed": "data",
  "heads": "model",
  "mlp": "model",
}

COPIES = "copies"
"""Axis of a mesh on which every device holds the whole state."""


def alone() -> bool:
  """Return whether arrays are whole: no mesh, copies, or in `shard_map`."""
  mesh = jax.sharding.get_abstract_mesh()
  return mesh.empty or mesh.are_all_axes_manual or COPIES in mesh.axis_names


def spec(*axes: str | None) -> PartitionSpec | None:
  """Return the placement of an array.

  Args:
    *axes: for each axis a key of `RULES`, or None if it is not split.

  Returns:
    PartitionSpec, or None on one device.
  """
  if alone():
    return None
  return PartitionSpec(*(axis and RULES[axis] for axis in axes))


def make_mesh(data: int = 0, model: int = 1) -> Mesh | None:
  """Return the `(data, model)` mesh, or None for one device.

  With several processes, process i holds the i-th block of a batch's rows.

  Args:
    data: devices along `data`; 0 for all available.
    model: devices along `model`.

  Raises:
    ValueError: there are too few devices, or a process would not have its own
      part of the `data` axis.
  """
  available, processes = jax.device_count(), jax.process_count()
  data = data or max(available // model, 1)
  wanted = f"a mesh of {data} x {model} (mesh_data, mesh_model)"
  if data * model > available:
    raise ValueError(
      f"{wanted} needs {data * model} devices; there are {available}"
    )
  if processes > 1 and (data * model < available or data % processes):
    raise ValueError(
      f"{wanted} does not fit {processes} processes with {available} devices "
      "in all; expected all devices, and a data axis that the processes divide"
    )
  if data * model == 1:
    return None
  devices = jax.devices()[: data * model]
  if processes == 1:
    return jax.make_mesh((data, model), ("data", "model"), devices=devices)
  # `jax.make_mesh` may permute devices by topology: a process would then not
  # hold consecutive rows.
  devices.sort(key=lambda device: (device.process_index, device.id))
  return Mesh(
    np.array(devices).reshape(data, model),
    ("data", "model"),
    axis_types=(AxisType.Explicit,) * 2,
  )


def place_batch(batch: dict[str, np.ndarray]) -> dict[str, jax.Array]:
  """Place this process's share of a batch on the devices of the mesh."""
  mesh = jax.sharding.get_mesh()
  if mesh.empty:
    return jax.device_put(batch)
  # Copies draw the masks of the whole batch, and then take their rows.
  split = None if COPIES in mesh.axis_names else RULES["batch"]
  sharding = jax.NamedSharding(mesh, PartitionSpec(split))
  return jax.tree.map(
    lambda x: jax.make_array_from_process_local_data(sharding, x), batch
  )


def make_copies(devices: int) -> Mesh:
  """Return a mesh of devices that each hold the whole state."""
  return jax.make_mesh((devices,), (COPIES,), devices=jax.devices()[:devices])


def count_copies() -> int:
  """Return the number of devices that each hold the whole state."""
  mesh = jax.sharding.get_mesh()
  return mesh.size if COPIES in mesh.axis_names else 1


@contextlib.contextmanager
def without_copies() -> Iterator[None]:
  """Leave a mesh of copies for a while; another mesh stays."""
  if COPIES not in jax.sharding.get_mesh().axis_names:
    yield
    return
  with jax.set_mesh(Mesh(np.empty((), object), ())):
    yield


def on_copies(step: Callable) -> Callable:
  """Run a function of whole arrays on every device, where there are copies."""
  if COPIES not in jax.sharding.get_abstract_mesh().axis_names:
    return step
  whole = PartitionSpec()
  return jax.shard_map(step, in_specs=whole, out_specs=whole, check_vma=False)


def in_copy() -> bool:
  """Return whether the code runs on one of several copies."""
  return COPIES in jax.sharding.get_abstract_mesh().manual_axes


def own_rows(tree: Any, axis: int = 0) -> Any:
  """Return this copy's share of the rows of every array; elsewhere all."""
  if not in_copy():
    return tree
  count, index = jax.lax.axis_size(COPIES), jax.lax.axis_index(COPIES)

  def own(x: jax.Array) -> jax.Array:
    size = x.shape[axis] // count
    return jax.lax.dynamic_slice_in_dim(x, index * size, size, axis)

  return jax.tree.map(own, tree)


def all_rows(tree: Any) -> Any:
  """Invert `own_rows`, for the first axis."""
  if not in_copy():
    return tree
  return jax.tree.map(lambda x: jax.lax.all_gather(x, COPIES, tiled=True), tree)


def sum_over_copies(tree: Any) -> Any:
  """Return the sums over all copies; elsewhere the arguments."""
  return jax.lax.psum(tree, COPIES) if in_copy() else tree
