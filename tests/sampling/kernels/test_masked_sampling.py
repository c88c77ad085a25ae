"""The fused kernel against the reference, on every launcher that runs here."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P
from problem import pick, problem, shapes

from stemgen_jax import model
from stemgen_jax.model import sharding, transformer
from stemgen_jax.sampling import Settings, decode_codes, noise
from stemgen_jax.sampling.kernels import REFERENCE, Kernel, api, tile

TPU = Kernel(launcher="mosaic_tpu", interpret=True)
# The quick compilation of newer versions may round sums differently in the two
# paths.
if jax.__version_info__ >= (0, 11):
  pytestmark = pytest.mark.usefixtures("optimized_compilation")


def test_noise_is_bit_identical_to_the_samplings():
  keys = noise.frame_keys(
    jnp.array([0, 2**32 - 1], jnp.uint32),
    jnp.array([[0, 7], [1, 2**30]]),
    3,
    9,
    1,
  )
  words = jax.random.key_data(keys)
  counter = jnp.broadcast_to(jnp.arange(1000, dtype=jnp.uint32), (2, 2, 1000))
  high, low = tile.threefry(
    (words[..., :1], words[..., 1:]), jnp.zeros_like(counter), counter
  )
  bits = jax.vmap(jax.vmap(lambda key: jax.random.bits(key, (1000,))))(keys)
  np.testing.assert_array_equal(high ^ low, bits)
  drawn = jax.jit(tile.gumbel)((words[..., :1], words[..., 1:]), counter)
  np.testing.assert_array_equal(
    drawn, jax.jit(noise.gumbel, static_argnums=1)(keys, 1000)
  )


@pytest.mark.parametrize(
  ("frames", "codes", "rank"),
  [(8, 128, "paper"), (16, 256, "gumbel"), (64, 1024, "random")],
)
@pytest.mark.parametrize(
  ("n", "b", "t", "v"),
  [(1, 1, 5, 6), (2, 3, 37, 1000), (3, 2, 20, 300), (1, 1, 64, 1024)],
)
def test_codes_equal_the_references_for_all_block_sizes(
  n, b, t, v, frames, codes, rank
):
  given = problem(n, b, t, v)
  plain = pick(REFERENCE, given, rank=rank, codes=v)
  fused = pick(
    dataclasses.replace(TPU, frames=frames, codes=codes),
    given,
    rank=rank,
    codes=v,
  )
  np.testing.assert_array_equal(fused.codes, plain.codes)
  np.testing.assert_allclose(fused.log_p, plain.log_p, atol=1e-5)
  np.testing.assert_allclose(fused.rank, plain.rank, atol=1e-5)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_logits_beyond_the_codes_are_never_picked(dtype):
  given = problem(2, 2, 50, 200, dtype=dtype)
  given["values"] = given["values"].at[..., 130:].set(jnp.nan)
  plain = pick(REFERENCE, given, codes=130)
  fused = pick(dataclasses.replace(TPU, codes=128), given, codes=130)
  np.testing.assert_array_equal(fused.codes, plain.codes)
  np.testing.assert_allclose(fused.log_p, plain.log_p, atol=1e-5)
  assert fused.codes.max() < 130
  assert jnp.isfinite(fused.rank).all()


@pytest.mark.parametrize(("frames", "codes"), [(8, 128), (64, 512)])
def test_with_the_head_inside_codes_agree(frames, codes):
  given = problem(2, 5, 1000, 700, d=24)
  plain = pick(REFERENCE, given, codes=700)
  kernel = dataclasses.replace(TPU, head=True, frames=frames, codes=codes)
  fused = pick(kernel, given, codes=700)
  assert (fused.codes == plain.codes).mean() >= 0.9999
  same = fused.codes == plain.codes
  np.testing.assert_allclose(fused.log_p[same], plain.log_p[same], atol=1e-3)


def test_with_the_head_inside_no_logit_is_rounded_as_activations_are():
  given = problem(2, 5, 1000, 700, d=24, dtype=jnp.bfloat16)
  plain = pick(REFERENCE, given, codes=700)
  fused = pick(dataclasses.replace(TPU, head=True, frames=64), given, codes=700)
  assert (fused.codes == plain.codes).mean() >= 0.9999


def test_on_eight_devices_codes_are_the_same():
  given = problem(1, 8, 21, 300)
  plain = pick(REFERENCE, given, codes=300)
  split = {"values", "keys", "order"}
  specs = {name: P("data") if name in split else P() for name in given}
  fused = jax.jit(
    jax.shard_map(
      lambda given: pick(dataclasses.replace(TPU, codes=128), given, codes=300),
      mesh=jax.make_mesh(
        (8,), ("data",), axis_types=(jax.sharding.AxisType.Auto,)
      ),
      in_specs=(specs,),
      out_specs=P("data"),
      check_vma=False,
    )
  )(given)
  np.testing.assert_array_equal(fused.codes, plain.codes)


def test_a_top_k_takes_the_reference():
  given = problem(1, 1, 16, 64)
  top = (jnp.int32(3), jnp.float32(1.0))
  plain = pick(REFERENCE, given, codes=64, top=top)
  fused = pick(TPU, given, codes=64, top=top)
  np.testing.assert_array_equal(fused.codes, plain.codes)
  assert (pick(TPU, given, codes=64).codes != plain.codes).any()


@pytest.mark.parametrize("rank", ["paper", "gumbel"])
def test_takes_are_identical_with_and_without_the_kernel(rank):
  config = model.ModelConfig(
    levels=2, codes=32, width=16, depth=2, heads=2, mlp=32, window=16
  )
  params = model.init_params(config, jax.random.key(1))
  context = np.random.default_rng(3).integers(0, 32, (3, 16, 2))
  settings = Settings(steps=(4, 2), rank=rank, guidance_interval=(0.0, 0.7))

  def take(**given):
    return decode_codes(
      config,
      params,
      context,
      {"category": np.zeros(3, int)},
      np.arange(3),
      settings,
      **given,
    )

  plain = take()
  np.testing.assert_array_equal(take(kernel=TPU), plain)
  inside = take(
    kernel=dataclasses.replace(TPU, head=True), apply=transformer.apply_hidden
  )
  assert (inside == plain).mean() > 0.99
  with jax.set_mesh(sharding.make_mesh(2)):
    np.testing.assert_array_equal(take(kernel=TPU, at_once=1), plain)


@pytest.mark.parametrize("d", [0, 48])
def test_it_lowers_for_a_tpu(d):
  given = problem(2, 1, 100, 1000, d=d)
  kernel = Kernel(launcher="mosaic_tpu", head=d > 0)
  lowered = (
    jax.jit(lambda given: pick(kernel, given, codes=1000))
    .trace(shapes(given))
    .lower(lowering_platforms=("tpu",))
  )
  assert "tpu_custom_call" in lowered.as_text()


def test_unknown_launchers_are_refused():
  with pytest.raises(ValueError, match="unknown kernel 'cuda'"):
    Kernel(launcher="cuda")
  with pytest.raises(ValueError, match="begins after the head"):
    Kernel(launcher="mosaic_gpu", head=True)


@pytest.mark.parametrize("backend", ["tpu", "gpu"])
def test_no_backend_uses_a_kernel_unless_it_is_chosen(monkeypatch, backend):
  launched = []

  def launch(kernel, *_):
    launched.append(kernel)
    raise NotImplementedError

  monkeypatch.setattr(api, "_launch", launch)
  monkeypatch.setattr(jax, "default_backend", lambda: backend)
  # Of this shape no program has been compiled yet.
  config = model.ModelConfig(
    levels=1, codes=31, width=16, depth=1, heads=2, mlp=32, window=8
  )
  params = model.init_params(config, jax.random.key(1))

  def take(**given):
    return decode_codes(
      config,
      params,
      np.zeros((1, 8, 1), int),
      {"category": np.zeros(1, int)},
      np.arange(1),
      Settings(steps=(1,)),
      **given,
    )

  take()
  assert not launched
  with pytest.raises(NotImplementedError):
    take(kernel=TPU)
  assert launched == [TPU]
