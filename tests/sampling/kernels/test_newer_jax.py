"""The GPU's kernel, and the TPU's compiled: jax 0.11 or newer."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import topologies
from problem import pick, problem, shapes

from stemgen_jax import model
from stemgen_jax.model.attention import attend
from stemgen_jax.sampling import Settings, decode_codes
from stemgen_jax.sampling.kernels import REFERENCE, Kernel


@pytest.mark.parametrize(("codes", "rank"), [(128, "paper"), (1024, "gumbel")])
@pytest.mark.parametrize(
  ("n", "b", "t", "v"), [(1, 1, 5, 6), (2, 3, 7, 1000), (3, 2, 5, 300)]
)
def test_codes_equal_the_references_on_gpus_too(n, b, t, v, codes, rank):
  given = problem(n, b, t, v)
  plain = pick(REFERENCE, given, rank=rank, codes=v - 1)
  kernel = Kernel(launcher="mosaic_gpu", codes=codes, interpret=True)
  fused = pick(kernel, given, rank=rank, codes=v - 1)
  np.testing.assert_array_equal(fused.codes, plain.codes)
  np.testing.assert_allclose(fused.log_p, plain.log_p, atol=1e-5)
  np.testing.assert_allclose(fused.rank, plain.rank, atol=1e-5)


def test_takes_are_identical_with_and_without_the_gpus_kernel():
  config = model.ModelConfig(
    levels=2, codes=32, width=16, depth=2, heads=2, mlp=32, window=16
  )
  params = model.init_params(config, jax.random.key(1))
  context = np.random.default_rng(3).integers(0, 32, (1, 16, 2))
  kernel = Kernel(launcher="mosaic_gpu", interpret=True)
  plain, fused = (
    decode_codes(
      config,
      params,
      context,
      {"category": np.zeros(1, int)},
      np.arange(1),
      Settings(steps=(3, 2)),
      kernel=one,
    )
    for one in (REFERENCE, kernel)
  )
  np.testing.assert_array_equal(fused, plain)


@pytest.mark.parametrize(("n", "v"), [(2, 2048), (3, 1000)])
def test_it_lowers_for_cuda(n, v):
  kernel = Kernel(launcher="mosaic_gpu")
  device = jax.sharding.AbstractDevice(
    device_kind="NVIDIA H100 80GB HBM3", num_cores=132, platform="cuda"
  )
  mesh = jax.sharding.AbstractMesh((1,), ("x",), abstract_device=device)
  given = shapes(problem(n, 1, 100, v))
  with jax.sharding.use_abstract_mesh(mesh):
    lowered = (
      jax.jit(lambda given: pick(kernel, given, codes=v))
      .trace(given)
      .lower(lowering_platforms=("cuda",))
    )
  assert "mosaic_gpu" in lowered.as_text()


@pytest.fixture(scope="module")
def tpu():
  topology = topologies.get_topology_desc(
    platform="tpu", topology_name="v5e:2x2"
  )
  return jax.sharding.SingleDeviceSharding(topology.devices[0])


@pytest.mark.parametrize(
  ("n", "t", "v", "d", "dtype"),
  [
    (2, 1000, 2048, 0, jnp.float32),
    (3, 1000, 2048, 1024, jnp.bfloat16),
    (1, 37, 1000, 0, jnp.float32),
    (3, 37, 1000, 48, jnp.float32),
  ],
)
def test_it_compiles_for_a_tpu(tpu, n, t, v, d, dtype):
  kernel = Kernel(launcher="mosaic_tpu", head=d > 0)
  given = shapes(problem(n, 1, t, v, d=d, dtype=dtype), tpu)
  program = jax.jit(lambda given: pick(kernel, given, codes=v))
  compiled = program.lower(given).compile()
  # Temporaries stay on the chip.
  memory = compiled.memory_analysis()
  assert memory is not None
  assert memory.temp_size_in_bytes < 1e6


def test_splash_attention_compiles_for_a_tpu_and_keeps_no_scores(tpu):
  heads = jax.ShapeDtypeStruct((4, 1000, 16, 64), jnp.bfloat16, sharding=tpu)

  def memory(form):
    def total(q, k, v):
      return attend(q, k, v, form=form).astype(jnp.float32).sum()

    gradient = jax.jit(jax.grad(total, (0, 1, 2)))
    compiled = gradient.lower(heads, heads, heads).compile()
    needed = compiled.memory_analysis()
    assert needed is not None
    return needed.temp_size_in_bytes

  assert memory("splash") < memory("dot_product") / 2
