"""Agreement of logits, loss and gradients with a plain PyTorch model."""

import jax
import numpy as np
import pytest
import torch
import torch_transformer
from flax.traverse_util import flatten_dict

from stemgen_jax import model
from stemgen_jax.training import scores


@pytest.mark.parametrize("embedding", ["table", "codebook"])
def test_logits_and_gradients_agree_with_pytorch(embedding):
  b = 3
  config = model.ModelConfig(
    levels=2,
    codes=16,
    width=32,
    depth=2,
    heads=2,
    mlp=40,
    window=12,
    embedding=embedding,
    latent=6,
    qk_norm=embedding == "codebook",
    dtype="float32",
    remat="none",
  )
  rng = np.random.default_rng(0)
  params = jax.jit(lambda: model.init_params(config, jax.random.key(0)))()
  # Norms start at 1 and a table at 0, which would hide missing ones.
  params = jax.tree.map(
    lambda x: x + 0.1 * rng.standard_normal(x.shape, np.float32), params
  )
  shape = (b, config.window, config.levels)
  context, target = rng.integers(config.codes, size=(2, *shape))
  masked = rng.random(shape[:2]) < 0.5
  level = np.array([0, 1, 0])
  masked_target = target.copy()
  for row, active in enumerate(level):
    masked_target[row, masked[row], active:] = config.codes
  # The second example has no context, the third no category.
  inputs = jax.tree.map(
    jax.numpy.asarray,
    (context, masked_target, {"category": np.array([1, 2, 18])}, level),
  )
  drop_context = jax.numpy.array([False, True, False])

  scored = target, masked, level

  @jax.jit
  def ours(params):
    def loss_of(params):
      logits = model.apply(config, params, *inputs, drop_context=drop_context)
      arrays = (jax.numpy.asarray(x) for x in scored)
      sums = scores.score(logits, *arrays, scale_frames=0)
      return sums["level_loss"].sum() / masked.sum(), logits

    return jax.value_and_grad(loss_of, has_aux=True)(params)

  (loss, logits), gradients = ours(params)
  theirs = torch_transformer.Transformer(config)
  flat = flatten_dict(params, sep="/")
  if embedding == "codebook":
    theirs.books.copy_(torch.tensor(np.asarray(flat["embedding/codebooks"])))
  views = torch_transformer.in_our_layout(theirs, lambda x: x.detach())
  assert {x.removesuffix("/0").removesuffix("/1") for x in views} == {
    x for x in flat if not x.endswith("codebooks")
  }
  for name, view in views.items():
    view.copy_(_leaf(flat, name))
  tensors = jax.tree.map(lambda x: torch.tensor(np.asarray(x)).long(), inputs)
  theirs_logits = theirs(*tensors, torch.tensor(np.asarray(drop_context)))
  theirs_loss = torch_transformer.loss(
    theirs_logits, *map(torch.tensor, scored)
  )
  theirs_loss.backward()
  np.testing.assert_allclose(logits, theirs_logits.detach().numpy(), atol=1e-4)
  np.testing.assert_allclose(loss, theirs_loss.item(), atol=1e-5)
  flat = flatten_dict(gradients, sep="/")
  expected = torch_transformer.in_our_layout(
    theirs, lambda x: torch.as_tensor(x.grad)
  )
  for name, view in expected.items():
    np.testing.assert_allclose(
      _leaf(flat, name), view, atol=1e-4, rtol=1e-4, err_msg=name
    )


def _leaf(flat, name):
  """Return a leaf of ours by its path, with the number of its block."""
  if name.startswith("blocks/"):
    name, _, number = name.rpartition("/")
    return torch.tensor(np.asarray(flat[name][int(number)]))
  return torch.tensor(np.asarray(flat[name]))
