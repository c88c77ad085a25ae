import math

import numpy as np
import pytest
from scipy import special, stats

from stemgen_jax.evaluation.metrics import mirdd


def mixes(rng, count, key=lambda rng: rng.integers(24)):
  """Return mixes with equal descriptors except for key and pitches."""
  return [
    {name: [1.0] for name in mirdd.BINS}
    | {
      "key": [float(key(rng))],
      "note_pitches": rng.normal(60, 6, 20).tolist(),
    }
    for _ in range(count)
  ]


def test_divergences_equal_scipys():
  assert len(mirdd.BINS) == len(mirdd.NAMES) == 10
  edges = np.arange(5) - 0.5
  real, other = [0, 0, 1, 3, 3, 3], [1, 1, 1, 2, 9]  # 9 is in the last bin
  p = np.array([2, 1, 0, 3]) + 0.5
  q = np.array([0, 3, 1, 1]) + 0.5
  assert mirdd.divergence(real, other, edges) == pytest.approx(
    stats.entropy(p, q)
  )
  assert stats.entropy(p, q) == pytest.approx(
    special.rel_entr(p / p.sum(), q / q.sum()).sum()
  )
  assert mirdd.divergence(real, real, edges) == 0
  assert math.isnan(mirdd.divergence(real, [], edges))


def test_only_other_keys_are_above_the_floor():
  rng = np.random.default_rng(0)
  few = lambda rng: rng.integers(4)  # noqa: E731
  described = {
    "real": mixes(rng, 200, few),
    "generated": mixes(rng, 200, few),
    "random": mixes(rng, 200, lambda rng: 12 + rng.integers(4)),
  }
  table = mirdd.table(described)
  assert set(table) == {"floor", "generated", "random"}
  assert table["random"]["key"] > 1 > 0.3 > table["generated"]["key"]
  assert table["floor"]["key"] < 0.3
  for column in table.values():
    names = [name for name in column if name != "mean"]
    assert column["mean"] == pytest.approx(
      np.mean([column[name] for name in names])
    )
