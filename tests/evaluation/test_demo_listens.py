from stemgen_jax import model
from stemgen_jax.data import examples
from stemgen_jax.evaluation import listening


def test_the_demo_weights_listen():
  heldout = examples.Examples.load(examples.HELDOUT)
  assert len(heldout) >= 64
  found = listening.listening(
    model.load_weights("demo"), heldout, masked=(100,)
  )["masked"]["100"]
  # With every frame hidden only the context can help.
  assert found["gain_low"] > 0.1
  assert found["true"] < min(found["shuffled"], found["silent"], found["null"])
