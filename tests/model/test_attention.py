import functools
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax._src.cudnn import fused_attention_stablehlo

from stemgen_jax.model import ModelConfig, apply, init_params
from stemgen_jax.model.attention import attend, check_form
from stemgen_jax.model.sharding import make_mesh


def total(form, q, k, v, valid=None, interpret=False):
  out = attend(q, k, v, valid=valid, form=form, interpret=interpret)
  return jnp.square(out.astype(jnp.float32)).sum()


def gradient(form, **options):
  function = functools.partial(total, form, **options)
  return jax.jit(jax.value_and_grad(function, (0, 1, 2)))


def check(one, two):
  jax.tree.map(
    lambda x, y: np.testing.assert_allclose(x, y, atol=1e-4, rtol=1e-4),
    one,
    two,
  )


@pytest.mark.parametrize("padded", [False, True])
def test_map_is_the_dot_product(padded):
  q, k, v = jax.random.normal(jax.random.key(0), (3, 2, 7, 3, 4))
  valid = jnp.arange(7)[None] < jnp.array([[5], [7]]) if padded else None
  check(
    gradient("map")(q, k, v, valid), gradient("dot_product")(q, k, v, valid)
  )


@pytest.mark.parametrize(
  ("frames", "padded"), [(128, False), (130, False), (130, True)]
)
def test_splash_is_the_dot_product(frames, padded):
  # 130 frames do not fill the kernel's blocks: padding is not attended to.
  q, k, v = jax.random.normal(jax.random.key(0), (3, 2, frames, 2, 8))
  valid = (
    jnp.arange(frames)[None] < jnp.array([[70], [129]]) if padded else None
  )
  check(
    gradient("splash", interpret=True)(q, k, v, valid),
    gradient("dot_product")(q, k, v, valid),
  )


KERNELS = {
  "splash": ("tpu", "tpu_custom_call", 3),
  "cudnn": ("cuda", "__cudnn$fmha", 2),
}
"""Platform, name, and calls of forward and backward."""


def lowered(form, mesh=None):
  """Lower forward and backward of the paper's heads for another machine."""
  platform, name, count = KERNELS[form]

  def array(shape, dtype, *axes):
    sharding = None if mesh is None else jax.NamedSharding(mesh, jax.P(*axes))
    return jax.ShapeDtypeStruct(shape, dtype, sharding=sharding)

  heads = array((4, 1000, 16, 64), jnp.bfloat16, "data", None, "model", None)
  valid = array((4, 1000), jnp.bool_, "data", None)
  texts = [
    gradient(form).trace(*given).lower(lowering_platforms=(platform,)).as_text()
    for given in ((heads, heads, heads), (heads, heads, heads, valid))
  ]
  assert [text.count(name) for text in texts] == [count, count]
  return texts


@pytest.fixture
def cudnn(monkeypatch):
  """Provide the version of cuDNN, which jax reads before lowering."""
  version = types.SimpleNamespace(cudnn_get_version=lambda: 91300)
  monkeypatch.setattr(fused_attention_stablehlo, "cuda_versions", version)


@pytest.mark.parametrize("form", KERNELS)
def test_kernels_lower_for_their_platform(form, cudnn):
  plain, padded = lowered(form)
  if form == "cudnn":
    assert "fmhaScaleBias" not in plain
    assert "fmhaScaleBias" in padded


@pytest.mark.parametrize("form", KERNELS)
def test_kernels_run_on_each_devices_own_heads(form, cudnn):
  mesh = make_mesh(2, 4)
  assert mesh is not None
  with jax.set_mesh(mesh):
    plain, _ = lowered(form, mesh)
  # 4 examples by 2, 16 heads by 4.
  assert ("2x4x1024x64" if form == "splash" else "2x1000x4x64") in plain


@pytest.mark.parametrize("form", KERNELS)
def test_a_kernel_of_another_backend_is_refused(form):
  with pytest.raises(ValueError, match=f"model.attention='{form}' needs a"):
    check_form(form)
  for known in ("auto", "dot_product", "map"):
    check_form(known)


@pytest.mark.parametrize("changes", [{"dtype": "float32"}, {"heads": 4}])
def test_limits_of_cudnn_are_named(changes):
  ModelConfig(attention="cudnn").validate()
  with pytest.raises(ValueError, match=r"model\.attention='cudnn'"):
    ModelConfig(attention="cudnn", **changes).validate()


@pytest.mark.parametrize("form", KERNELS)
def test_the_model_trains_with_a_kernel(form, cudnn):
  config = ModelConfig(
    levels=2, codes=16, width=64, depth=2, heads=2, mlp=64, window=200,
    attention=form, dtype="bfloat16",
  )  # fmt: skip
  platform, name, count = KERNELS[form]

  def loss(params, codes, level):
    category = {"category": jnp.zeros(3, jnp.int32)}
    return apply(config, params, codes, codes, category, level).sum()

  text = (
    jax.jit(jax.grad(loss))
    .trace(
      jax.eval_shape(lambda: init_params(config, jax.random.key(0))),
      jax.ShapeDtypeStruct((3, 200, 2), jnp.int32),
      jax.ShapeDtypeStruct((3,), jnp.int32),
    )
    .lower(lowering_platforms=(platform,))
    .as_text()
  )
  # Layers are scanned: one call is for all of them. With recomputation the
  # forward kernel appears twice.
  assert text.count(name) == count + 1
