"""Train on several prepared data sets at once, by weight."""

import collections
import dataclasses
import math
from collections.abc import Sequence

from stemgen_jax.data.manifest import Manifest


@dataclasses.dataclass(frozen=True)
class Mixture:
  """Prepared folders, and how often examples come from each.

  Attributes:
    folders: one or more prepared folders.
    weights: one weight per folder, above 0; only their ratios matter.
  """

  folders: tuple[str, ...]
  weights: tuple[float, ...]

  @classmethod
  def parse(cls, text: str) -> "Mixture":
    """Parse "data/a", or "data/a:0.7,data/b:0.3".

    Raises:
      ValueError: a folder has no weight, or a weight is not above 0.
    """
    folders, weights = [], []
    parts = text.split(",")
    for part in parts:
      folder, colon, weight = part.rpartition(":")
      # A single folder needs no weight; its name may contain a colon.
      if len(parts) == 1 and not _is_number(weight):
        folder, colon, weight = part, ":", "1"
      if not folder or not colon or not _is_number(weight):
        raise ValueError(
          f"{text!r}: {part!r} has no weight; several data sets are given as "
          "data/a:0.7,data/b:0.3"
        )
      if not 0 < float(weight) < float("inf"):
        raise ValueError(
          f"{text!r}: weight {weight} of {folder}; expected a finite number "
          "above 0"
        )
      folders.append(folder)
      weights.append(float(weight))
    return cls(tuple(folders), tuple(weights))

  def with_replay(self, replay: "Mixture", share: float) -> "Mixture":
    """Return a mixture of which a share, above 0, below 1, is another one."""

    def scaled(mixture: Mixture, share: float) -> tuple[float, ...]:
      total = sum(mixture.weights)
      return tuple(share * weight / total for weight in mixture.weights)

    return Mixture(
      self.folders + replay.folders,
      scaled(self, 1 - share) + scaled(replay, share),
    )

  def only(self, split: str) -> "Mixture | None":
    """Return the folders that have pairs in a split; None if none has."""
    kept = [
      (folder, weight)
      for folder, weight in zip(self.folders, self.weights)
      if Manifest.load(folder).counts.get(split, {}).get("pairs")
    ]
    return Mixture(*zip(*kept)) if kept else None

  def manifest(self) -> Manifest:
    """Return one manifest for all folders.

    Of several folders, counts are summed, levels and scale ratios are averaged
    by weight, records have the shortest length, and `config` has the parts.

    Raises:
      FileNotFoundError: a folder holds no finished data set.
      ValueError: the folders do not fit together, see `Manifest.check_fits`.
    """
    parts = [Manifest.load(folder) for folder in self.folders]
    first = parts[0]
    if len(parts) == 1:
      return first
    for folder, part in zip(self.folders, parts):
      first.check_fits(part, own=self.folders[0], name=folder)
    categories = collections.Counter()
    counts: dict[str, collections.Counter] = {}
    for part in parts:
      categories.update(part.categories)
      for split, count in part.counts.items():
        counts.setdefault(split, collections.Counter()).update(count)
    levels = [
      {} if part.context_rms_db is None else {"db": part.context_rms_db}
      for part in parts
    ]
    level = _means(levels, self.weights).get("db")
    # Windows must fit into every record.
    shortest = min(parts, key=lambda part: part.frames)
    return dataclasses.replace(
      first,
      name="+".join(part.name for part in parts),
      records="",
      segment_seconds=shortest.segment_seconds,
      frames=shortest.frames,
      silence=shortest.silence,
      stems=first.stems if all(part.stems for part in parts) else "",
      segments=dict(
        sum(
          (collections.Counter(part.segments) for part in parts),
          collections.Counter(),
        )
      ),
      counts={split: dict(count) for split, count in counts.items()},
      listed={},
      song_ids={},
      categories=dict(categories),
      scale_ratio=self._ratios([part.scale_ratio for part in parts]),
      loudness=first.loudness
      and first.loudness
      | {
        "relative_db": self._levels(
          [part.loudness["relative_db"] for part in parts]
        )
      },
      roles=self._roles([part.roles for part in parts]),
      context_rms_db=None if level is None else round(level, 2),
      config={
        "mixture": [
          {"name": part.name, "weight": weight, "config": part.config}
          for part, weight in zip(parts, self.weights)
        ]
      },
    )

  def _levels(self, parts: Sequence[dict[str, float]]) -> dict[str, float]:
    means = _means(parts, self.weights)
    return {name: round(value, 2) for name, value in means.items()}

  def _ratios(self, parts: Sequence[dict[str, float]]) -> dict[str, float]:
    logs = [{name: math.log(x) for name, x in one.items()} for one in parts]
    means = _means(logs, self.weights)
    return {name: round(math.exp(log), 4) for name, log in means.items()}

  def _roles(
    self, parts: Sequence[dict[str, dict[str, float]]]
  ) -> dict[str, dict[str, float]]:
    if not all(parts):  # of older data sets, which do not state their roles
      return {}
    pairs: collections.Counter = collections.Counter()
    for part in parts:
      pairs.update(part["pairs"])
    roles: dict[str, dict[str, float]] = {"pairs": dict(pairs)}
    for name, mean in (
      ("relative_db", self._levels),
      ("scale_ratio", self._ratios),
    ):
      if all(name in part for part in parts):
        roles[name] = mean([part[name] for part in parts])
    return roles


def _means(
  parts: Sequence[dict[str, float]], weights: Sequence[float]
) -> dict[str, float]:
  """Return weighted means by category."""
  # A part without a category has no share in that category's mean.
  sums: dict[str, float] = collections.defaultdict(float)
  totals: dict[str, float] = collections.defaultdict(float)
  for part, weight in zip(parts, weights):
    for category, value in part.items():
      sums[category] += weight * value
      totals[category] += weight
  return {category: sums[category] / totals[category] for category in sums}


def _is_number(text: str) -> bool:
  try:
    float(text)
  except ValueError:
    return False
  return True
