"""Communication of a step, read from XLA's partitioned program.

The text is an HLO module after SPMD partitioning, whose shapes are those on one
device.
"""

import dataclasses
import math
import re
from collections import Counter
from collections.abc import Iterator

_KINDS = (
  "all-gather",
  "all-reduce",
  "reduce-scatter",
  "all-to-all",
  "collective-permute",
)
_BITS = {"pred": 8}  # Names of other types end in their number of bits.

# "%body (p: f32[4]) -> f32[4] {" starts a computation, and
# "%ag = bf16[8,2]{1,0} all-gather(%x), dimensions={0}" is an instruction.
_HEAD = re.compile(r"^(?:ENTRY )?%?(\S+) \(.*\{$")
_LINE = re.compile(r"^\s+(?:ROOT )?%?(\S+) = (.*?) ([\w-]+)\((.*)$")
_SHAPE = re.compile(r"\b([a-z]+[0-9]*)\[([0-9,]*)\]")
_CALLED = re.compile(r"(?:to_apply|calls|body)=%?([\w.-]+)")
_BRANCHES = re.compile(r"branch_computations=\{([^}]*)\}")


@dataclasses.dataclass(frozen=True)
class Collective:
  """All collectives of one kind and group size in a step.

  Attributes:
    kind: name of the operation, such as "all-gather".
    devices: devices in a group.
    count: number per step.
    result_bytes: total bytes of the results on one device.
  """

  kind: str
  devices: int
  count: int
  result_bytes: int

  @property
  def sent_bytes(self) -> float:
    """Return bytes that each device sends in a step, with ring algorithms."""
    # In a ring, every device passes on the shards of all others once. An
    # all-reduce is a reduce-scatter followed by an all-gather.
    others = self.devices - 1
    per_byte = {
      "all-gather": others / self.devices,
      "all-reduce": 2 * others / self.devices,
      "reduce-scatter": others,
      "all-to-all": others / self.devices,
      "collective-permute": 1,
    }
    return per_byte[self.kind] * self.result_bytes


@dataclasses.dataclass
class _Line:
  name: str
  shape: str
  operation: str
  rest: str


def read_collectives(text: str) -> list[Collective]:
  """Return the collectives of a step, times the iterations of their loops.

  Raises:
    ValueError: the text is not an HLO module.
  """
  computations = _computations(text)
  if "" not in computations:
    raise ValueError("the text has no ENTRY: expected an HLO module")
  counts: Counter[tuple[str, int]] = Counter()
  sizes: Counter[tuple[str, int]] = Counter()
  for times, lines in _calls(computations, "", 1):
    for line in lines:
      kind = line.operation.removesuffix("-start")
      if kind not in _KINDS:
        continue
      devices, size = _group(line.rest), _bytes(line.shape)
      # Compilers for GPUs and TPUs turn an all-reduce of which every device
      # keeps a slice into a reduce-scatter; the CPU's does not.
      if kind == "all-reduce" and _only_sliced(line.name, lines):
        kind, size = "reduce-scatter", size // devices
      if devices > 1:
        counts[kind, devices] += times
        sizes[kind, devices] += times * size
  return [
    Collective(kind, devices, count, sizes[kind, devices])
    for (kind, devices), count in sorted(counts.items())
  ]


def _computations(text: str) -> dict[str, list[_Line]]:
  """Return instructions by computation; the key of the entry is ""."""
  found: dict[str, list[_Line]] = {}
  lines: list[_Line] = []
  for row in text.splitlines():
    if head := _HEAD.match(row):
      lines = found["" if row.startswith("ENTRY") else head[1]] = []
    elif line := _LINE.match(row):
      lines.append(_Line(*line.groups()))
  return found


def _calls(
  computations: dict[str, list[_Line]], name: str, times: int
) -> Iterator[tuple[int, list[_Line]]]:
  """Yield a computation and all that it calls, with their executions."""
  lines = computations[name]
  yield times, lines
  for line in lines:
    inner = times
    # XLA lists the body of a loop once, whatever its trip count.
    if line.operation == "while":
      inner *= _trips(line.rest, computations)
    called = _CALLED.findall(line.rest)
    for branches in _BRANCHES.findall(line.rest):
      called += [branch.strip(" %") for branch in branches.split(",")]
    for other in called:
      if other in computations:
        yield from _calls(computations, other, inner)


def _trips(rest: str, computations: dict[str, list[_Line]]) -> int:
  """Return the iterations of a `lax.scan`, the only number in its condition."""
  condition = re.search(r"condition=%?([\w.-]+)", rest)
  lines = computations.get(condition[1], []) if condition else []
  numbers = [
    int(line.rest.partition(")")[0])
    for line in lines
    if line.operation == "constant" and line.shape.startswith("s32[]")
  ]
  return numbers[0] if len(numbers) == 1 else 1


def _group(rest: str) -> int:
  """Return the devices per group, from any of XLA's three notations."""
  # mesh['a'=2,'b'=4] {'a','b'}
  if axes := re.search(r"replica_groups=mesh\[(.*?)\].*?\{(.*?)\}", rest):
    sizes = dict(re.findall(r"'(\w+)'=(\d+)", axes[1]))
    return math.prod(int(sizes[name]) for name in re.findall(r"\w+", axes[2]))
  # [groups,devices]<=[total]
  if iota := re.search(r"replica_groups=\[\d+,(\d+)\]<=", rest):
    return int(iota[1])
  # {{0,1},{2,3}}
  if first := re.search(r"replica_groups=\{\{([\d,]+)\}", rest):
    return len(first[1].split(","))
  return 2 if "source_target_pairs" in rest else 1


def _bytes(shape: str) -> int:
  total = 0
  for kind, dims in _SHAPE.findall(shape):
    bits = _BITS.get(kind) or int(re.sub(r"^[a-z]+", "", kind) or 8)
    total += math.prod(int(n) for n in dims.split(",") if n) * bits // 8
  return total


def _only_sliced(name: str, lines: list[_Line]) -> bool:
  """Return whether only slices use a value, directly or after reshapes."""
  # Operands are the text before the closing parenthesis.
  users = [
    line
    for line in lines
    if re.search(
      rf"%?{re.escape(name)}[,)]", line.rest.partition("), ")[0] + ")"
    )
  ]
  renaming = ("convert", "reshape", "transpose", "bitcast", "copy")
  return bool(users) and all(
    user.operation == "dynamic-slice"
    or (user.operation in renaming and _only_sliced(user.name, lines))
    for user in users
  )
