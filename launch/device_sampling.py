"""Parts of the device check: stems, agreement, the kernel, and the codec."""

import dataclasses
import functools
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from device_parts import failure, figure

_PRESETS = ("fast", "default", "paper")


def stems(tiny: bool) -> Iterator[dict[str, Any]]:
  """Time a stem of 20 s of the paper's model with every preset."""
  import jax

  from stemgen_jax import sampling
  from stemgen_jax.sampling import cost
  from stemgen_jax.training.planning import hardware

  model = _Model(tiny)
  yield figure("parameters", model.count() / 1e6, "million")
  device = jax.devices()[0]
  peak = hardware.peak_flops(device.device_kind)
  for takes in (1, 2) if tiny else (1, 8):
    for name in _PRESETS:
      settings = sampling.preset(name)
      one = dataclasses.replace(settings, steps=(1,))
      settings = one if tiny else settings
      about = {"preset": name, "takes": takes, "dtype": model.dtype}
      try:
        began = time.monotonic()
        model.decode(range(takes), one)  # the same programs with fewer steps
        yield figure("compilation", time.monotonic() - began, "s", **about)
        began = time.monotonic()
        model.decode(range(takes), settings)
        seconds = time.monotonic() - began
      except Exception as error:
        yield failure("seconds per stem without codec", error, **about)
        continue
      passes = cost.passes(settings, model.config)
      about["passes"] = passes
      yield figure(
        "seconds per stem without codec", seconds / takes, "s", **about
      )
      rate = takes * passes * cost.pass_flops(model.config) / seconds
      yield figure("rate", rate / 1e12, "TFLOP/s", **about)
      if peak:
        yield figure("MFU", rate / peak, "of the peak", **about)
  most = (device.memory_stats() or {}).get("peak_bytes_in_use")
  yield figure("memory", most and most / 1e9, "GB")


def agreement(tiny: bool) -> Iterator[dict[str, Any]]:
  """Compare takes in a batch with the same takes alone."""
  from stemgen_jax import sampling

  model, settings = _Model(tiny), sampling.preset("fast")
  seeds = range(2 if tiny else 8)
  about = {"takes": len(seeds), "preset": "fast", "dtype": model.dtype}
  together = model.decode(seeds, settings)  # [takes, t, q]
  alone = np.concatenate([model.decode([x], settings) for x in seeds])
  same = together == alone
  equal = int(same.all((1, 2)).sum())
  yield figure(
    "takes with equal codes alone and in a batch", equal, "", **about
  )
  for level in range(same.shape[2]):
    share = float(same[..., level].mean())
    yield figure(f"equal codes, level {level}", share, "of all", **about)
  exact = model.decode(seeds, settings, at_once=1)
  equal = int((exact == alone).all((1, 2)).sum())
  yield figure("the same, one at a time", equal, "", **about)
  again = model.decode(seeds, settings)
  equal = int((again == together).all((1, 2)).sum())
  yield figure("the same, the batch repeated", equal, "", **about)


def kernel(tiny: bool) -> Iterator[dict[str, Any]]:
  """Compare the fused sampling kernel with the plain path."""
  import jax
  import jax.numpy as jnp

  from stemgen_jax import sampling
  from stemgen_jax.sampling import kernels

  if jax.default_backend() == "gpu":
    fused = kernels.Kernel(launcher="mosaic_gpu")
  else:  # as far as this version of jax can interpret them
    newer = jax.__version_info__ >= (0, 11)
    launcher = "mosaic_gpu" if newer else "mosaic_tpu"
    fused = kernels.Kernel(launcher=launcher, interpret=True)
  t, v = (8, 128) if tiny else (1000, 2048)
  for n, b in ((2, 2),) if tiny else ((1, 1), (2, 1), (2, 8), (3, 8)):
    draw = jax.jit(_problem, static_argnums=(2, 3, 4))
    given = draw(jax.random.key(n), np.arange(b, dtype=np.uint32), n, t, v)

    # All arrays are arguments: the draw of constant keys would be folded.
    def pick(which, values, weights, keys, order, v=v):
      return kernels.pick(
        which,
        values,
        weights / weights.sum(),
        jnp.float32(0.9),
        keys,
        order,
        jnp.float32(0.3),
        rank="gumbel",
        codes=v,
      )

    found, about = {}, {"branches": n, "takes": b, "frames": t, "codes": v}
    for name, which in (("plain", kernels.REFERENCE), ("kernel", fused)):
      try:
        compiled = jax.jit(functools.partial(pick, which))
        picks = jax.device_get(compiled(*given))
        times = []
        for _ in range(2 if tiny else 20):
          began = time.monotonic()
          jax.block_until_ready(compiled(*given))
          times.append(time.monotonic() - began)
      except Exception as error:
        yield failure(f"time, {name}", error, launcher=which.launcher, **about)
        continue
      found[name] = picks
      milliseconds = 1e3 * statistics.median(times)
      yield figure(
        f"time, {name}", milliseconds, "ms", launcher=which.launcher, **about
      )
    if len(found) == 2:
      same = found["plain"].codes == found["kernel"].codes
      yield figure("equal codes", float(same.mean()), "of all", **about)
      rank = np.abs(found["plain"].rank - found["kernel"].rank)
      yield figure(
        "largest difference of ranks", float(rank[same].max()), "", **about
      )
  model, settings = _Model(tiny, depth=2), sampling.preset("fast")
  try:
    plain, picked = (
      model.decode([0], settings, kernel=x) for x in (kernels.REFERENCE, fused)
    )
    share = float((plain == picked).mean())
    yield figure("equal codes of a whole stem", share, "of all", depth=2)
  except Exception as error:
    yield failure("equal codes of a whole stem", error, depth=2)


def _problem(key: Any, seeds: Any, n: int, t: int, v: int) -> tuple[Any, ...]:
  """Draw logits of `n` branches, their weights, keys and the order."""
  import jax
  import jax.numpy as jnp

  from stemgen_jax.sampling import noise

  b = len(seeds)
  values = 5 * jax.random.normal(key, (n * b, t, v))
  frames = jnp.broadcast_to(jnp.arange(t), (b, t))
  keys = noise.frame_keys(seeds, frames, 1, 3, 0)
  order = jax.random.uniform(jax.random.fold_in(key, 1), (b, t))
  return values, jnp.array([1.5, -1.0, 0.5])[:n], keys, order


def codec(tiny: bool) -> Iterator[dict[str, Any]]:
  """Compare a GPU's encoding and decoding with the CPU's."""
  from stemgen_jax.codec import device as device_lib
  from stemgen_jax.codec import published  # imports PyTorch and encodec

  gpu = "cpu" if tiny else device_lib.choose("cuda")
  names = ("encodec_48khz",) if tiny else tuple(published.CONFIGS)
  seconds = 0.2 if tiny else 10.0
  for name in names:
    about = {"codec": name, "dtype": "float32", "seconds": seconds}
    try:
      on_cpu = published.untrained(name)
      on_gpu = published.untrained(name, device=gpu)
      rng = np.random.default_rng(0)
      shape = (1, round(seconds * on_cpu.sample_rate), on_cpu.channels)
      audio = 0.1 * rng.standard_normal(shape).astype(np.float32)
      found = {}
      for device, tested in (("cpu", on_cpu), (gpu, on_gpu)):
        # Decode the same codes on both devices.
        codes, encoding = _timed(lambda x=tested, y=audio: x.encode(y))
        given = found["codes"][0] if found else codes
        decoded, decoding = _timed(lambda x=tested, y=given: x.decode(y))
        found.setdefault("codes", []).append(codes)
        found.setdefault("audio", []).append(decoded)
        more = about | {"device": device}
        yield figure("encode", encoding / seconds, "s per s", **more)
        yield figure("decode", decoding / seconds, "s per s", **more)
    except Exception as error:
      yield failure("codec", error, **about)
      continue
    one, other = found["codes"]
    yield figure("codes in use on the CPU", len(np.unique(one)), "", **about)
    for level in range(one.shape[2]):
      share = float((one[..., level] == other[..., level]).mean())
      yield figure(f"equal codes, level {level}", share, "of all", **about)
    one, other = found["audio"]
    worst = float(np.abs(one - other).max() / np.abs(one).max())
    yield figure("error of decoded audio", worst, "of the maximum", **about)


def _timed(work: Callable[[], np.ndarray]) -> tuple[np.ndarray, float]:
  """Return the result and the duration of a second call."""
  work()
  began = time.monotonic()
  return work(), time.monotonic() - began


class _Model:
  """The paper's model with random weights, or a toy of it.

  Args:
    tiny: a toy.
    **changes: to the configuration.
  """

  def __init__(self, tiny: bool, **changes: Any):
    import jax

    from stemgen_jax import model

    small: dict[str, Any] = dict(
      levels=2, codes=32, width=32, depth=2, heads=2, mlp=32, window=16
    )
    self.config = model.ModelConfig(**((small if tiny else {}) | changes))
    key = jax.random.key(0)
    self._params = jax.jit(lambda key: model.init_params(self.config, key))(key)

  @property
  def dtype(self) -> str:
    """Dtype of the activations on this device."""
    from stemgen_jax.model.transformer import product_dtype

    return str(product_dtype(self.config))

  def count(self) -> int:
    """Return the number of parameters."""
    import jax

    return sum(x.size for x in jax.tree.leaves(self._params))

  def decode(self, seeds: Any, settings: Any, **more: Any) -> np.ndarray:
    """Decode one window for each seed, all with one random context."""
    from stemgen_jax import sampling

    config, takes = self.config, len(seeds)
    shape = (1, config.window, config.levels)
    context = np.random.default_rng(0).integers(config.codes, size=shape)
    return sampling.decode_codes(
      config,
      self._params,
      np.repeat(context, takes, axis=0),
      {name: np.zeros(takes, np.int32) for name in config.conditions},
      np.array(list(seeds)),
      settings,
      **more,
    )
