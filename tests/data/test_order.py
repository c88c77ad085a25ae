import collections

import pytest

from stemgen_jax.data.order import Order


def test_each_data_set_yields_all_records_before_it_repeats():
  order = Order([5, 3], [3, 1], seed=0)
  handed = collections.defaultdict(list)
  for position in range(400):
    part, record = order[position]
    handed[part].append(record)
  for part, size in enumerate((5, 3)):
    epochs = [
      tuple(handed[part][start : start + size])
      for start in range(0, len(handed[part]) - size, size)
    ]
    assert {tuple(sorted(epoch)) for epoch in epochs} == {tuple(range(size))}
    assert len(set(epochs)) > 4


@pytest.mark.parametrize("first", [0, 7, 9_998, 123_456_789])
def test_consecutive_positions_have_the_share_of_each_set(first):
  order = Order([50, 50], [3, 1], seed=0)
  counts = collections.Counter(order[first + i][0] for i in range(400))
  assert abs(counts[1] - 100) <= 1


def test_positions_do_not_depend_on_the_order_of_access():
  one, other = Order([7, 9], [1, 2], 4), Order([7, 9], [1, 2], 4)
  forwards = [one[position] for position in range(50)]
  assert [other[position] for position in reversed(range(50))] == forwards[::-1]
  assert [Order([7, 9], [1, 2], 5)[p] for p in range(50)] != forwards


def test_a_weight_may_not_be_negligible():
  with pytest.raises(ValueError, match="would never be seen"):
    Order([5, 5], [1.0, 1e-6], seed=0)
