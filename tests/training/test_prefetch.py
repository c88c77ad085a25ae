import jax
import numpy as np
from fake_data import FakeBatches, tiny_config

from stemgen_jax.model import sharding
from stemgen_jax.training.prefetch import OnDevice, OneBatch


def test_batches_are_on_the_mesh_ahead_of_time():
  plain, source = FakeBatches(tiny_config()), FakeBatches(tiny_config())
  with jax.set_mesh(sharding.make_mesh(4, 1)):
    ahead = OnDevice(source, ahead=2)
    for number in range(1, 4):
      batch, expected = next(ahead), next(plain)
      assert source.number == number + 2
      for name, array in expected.items():
        np.testing.assert_array_equal(batch[name], array)
        assert len(batch[name].sharding.device_set) == 4


def test_position_follows_the_batches_returned():
  ahead = OnDevice(FakeBatches(tiny_config()), ahead=3)
  assert ahead.get_state() == {"number": 0}
  next(ahead)
  state = ahead.get_state()
  expected = next(ahead)
  again = FakeBatches(tiny_config())
  again.set_state(state)
  np.testing.assert_array_equal(next(again)["target"], expected["target"])


def test_one_batch_repeats_also_when_resumed():
  source = FakeBatches(tiny_config())
  next(source)
  one = OneBatch(source)
  first, second = next(one), next(one)
  again = OneBatch(FakeBatches(tiny_config()))
  again.set_state(one.get_state())
  for batch in (second, next(again)):
    np.testing.assert_array_equal(batch["target"], first["target"])
