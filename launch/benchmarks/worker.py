"""Run one piece of work on request: a process of `benchmark.py model`.

Its argument is a JSON object, see `main`. It prints one JSON line when it is
compiled and warm, and one for each line that it reads, with the durations of
some runs. Between two lines it sleeps, so that others run undisturbed. It
measures the checkout that is first on PYTHONPATH.
"""

import contextlib
import functools
import importlib
import json
import os
import pathlib
import resource
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from stemgen_jax.training import config as config_lib

Config = config_lib.TrainConfig
Work = Callable[[], object]

# A request runs the work for at least this long, or once.
_SECONDS = 0.2


def main() -> None:
  """Read the job from the command line, and answer until the input ends.

  The job has: framework ("jax", "torch"), work ("gemm", "forward", "train")
  and dtype; for "gemm" size, otherwise config, fields of a TrainConfig.
  """
  job = json.loads(sys.argv[1])
  with _replies() as reply:
    work = _WORK[job["framework"], job["work"]](job)
    for _ in range(2):  # compile, and warm up
      work()
    reply({"auto": _auto()} if job["framework"] == "jax" else {})
    for _ in sys.stdin:
      seconds = []
      while not seconds or sum(seconds) < _SECONDS:
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
      memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
      # In kilobytes, on macOS in bytes.
      memory *= 1 if sys.platform == "darwin" else 1024
      reply({"seconds": seconds, "memory": memory})


@contextlib.contextmanager
def _replies() -> Iterator[Callable[[dict[str, Any]], object]]:
  """Keep what libraries print out of the replies."""
  with os.fdopen(os.dup(1), "w") as out:
    os.dup2(2, 1)
    yield lambda reply: print(json.dumps(reply), file=out, flush=True)


def _auto() -> str:
  """Return the dtype that `auto` stands for on this machine."""
  from stemgen_jax.model.transformer import product_dtype

  return str(product_dtype(Config().model))


def _config(job: dict[str, Any]) -> Config:
  config = config_lib.from_dict(job["config"])
  config.model.dtype = job["dtype"]
  config.validate()
  return config


def _codes(config: Config) -> dict[str, np.ndarray]:
  """Return a batch of random codes, as training reads them."""
  rng = np.random.default_rng(0)
  model, b = config.model, config.batch
  shape = (2, b, model.window, model.levels)
  context, target = rng.integers(model.codes, size=shape).astype(np.int32)
  conditions = {
    name: rng.integers(2, size=b).astype(np.int32) for name in model.conditions
  }
  return {"context": context, "target": target, **conditions}


def _jax_gemm(job: dict[str, Any]) -> Work:
  import jax
  import jax.numpy as jnp

  a = jnp.ones((job["size"], job["size"]), job["dtype"])
  # Accumulated in float32, as the model's products may be.
  product = jax.jit(
    lambda a, b: jnp.matmul(a, b, preferred_element_type=jnp.float32)
  )
  return lambda: jax.block_until_ready(product(a, a))


def _jax_forward(job: dict[str, Any]) -> Work:
  """Return the pass that sampling runs, `transformer.apply`."""
  import jax
  import jax.numpy as jnp

  from stemgen_jax.model import transformer

  config = _config(job)
  model = config.model
  params = jax.jit(functools.partial(transformer.init_params, model))(
    jax.random.key(0)
  )
  batch = jax.device_put(_codes(config))
  apply = jax.jit(functools.partial(transformer.apply, model))
  inputs = (
    batch["context"],
    batch["target"],
    {name: batch[name] for name in model.conditions},
    jnp.int32(0),
  )
  # The branches of guided sampling: with and without the context.
  drop_context = jnp.arange(config.batch) % 2 == 1
  valid = jnp.ones((config.batch, model.window), bool)
  return lambda: jax.block_until_ready(
    apply(params, *inputs, drop_context=drop_context, valid=valid)
  )


def _jax_train(job: dict[str, Any]) -> Work:
  """Return a step of the training loop, see `trainer.train`."""
  import jax

  from stemgen_jax.model import sharding
  from stemgen_jax.training import cpu_devices, prefetch, step

  config = _config(job)
  # One CPU device per core, as `stemgen-jax train` has them.
  copies = cpu_devices.start(cpu_devices.choose(config, 0, processes=False))
  if copies > 1:
    mesh = sharding.make_copies(copies)
  else:
    mesh = sharding.make_mesh(config.mesh_data, config.mesh_model)
  if mesh is not None:
    jax.set_mesh(mesh)
  model = config.model
  books = np.random.default_rng(0).standard_normal(
    (model.levels, model.codes, model.latent), np.float32
  )
  init = jax.jit(functools.partial(step.init_state, config))
  state = init(jax.random.key(0), books)
  train_step = step.make_train_step(config)
  batch, key = prefetch.place(_codes(config)), jax.random.key(1)

  def work() -> None:
    nonlocal state
    state, metrics = train_step(state, batch, key)
    jax.block_until_ready((state, metrics))

  return work


def _torch_gemm(job: dict[str, Any]) -> Work:
  torch = _torch()
  a = torch.ones(job["size"], job["size"], dtype=getattr(torch, job["dtype"]))
  return lambda: a @ a


def _torch_forward(job: dict[str, Any]) -> Work:
  torch, config = _torch(), _config(job)
  dtype = getattr(torch, job["dtype"])
  network = _transformer().Transformer(config.model).eval()
  # Weights of the products in their dtype, so that no pass converts them.
  network.blocks.to(dtype)
  network.head.data = network.head.data.to(dtype)
  batch = {name: torch.tensor(x).long() for name, x in _codes(config).items()}
  inputs = (
    batch["context"],
    batch["target"],
    {name: batch[name] for name in config.model.conditions},
    torch.tensor(0),
    torch.arange(config.batch) % 2 == 1,
  )

  @torch.inference_mode()
  def work() -> None:
    network(*inputs, dtype=dtype)

  return work


def _torch_train(job: dict[str, Any]) -> Work:
  """Return a step with ours' clipping, AdamW and average of the weights."""
  torch, config = _torch(), _config(job)
  dtype, optimizer = getattr(torch, job["dtype"]), config.optimizer
  transformer = _transformer()
  network = transformer.Transformer(config.model)
  params = list(network.parameters())
  average = [x.detach().clone() for x in params]
  adamw = torch.optim.AdamW(
    params,
    lr=optimizer.learning_rate,
    betas=(optimizer.beta1, optimizer.beta2),
    weight_decay=optimizer.weight_decay,
    fused=True,
  )
  batch = {name: torch.tensor(x).long() for name, x in _codes(config).items()}
  target = batch["target"]
  b, t, q = target.shape
  # The mask is drawn once: drawing it takes no time in comparison.
  masked, level = torch.rand(b, t) < 0.5, torch.arange(b) % q
  hidden = masked[..., None] & (torch.arange(q) >= level[:, None, None])
  inputs = (
    batch["context"],
    torch.where(hidden, config.model.codes, target),
    {name: batch[name] for name in config.model.conditions},
    level,
    torch.arange(b) % 5 == 0,
  )
  autocast = functools.partial(
    torch.autocast, "cpu", torch.bfloat16, enabled=dtype == torch.bfloat16
  )

  def work() -> None:
    with autocast():
      logits = network(*inputs, dtype=dtype)
      loss = transformer.loss(logits, target, masked, level)
    adamw.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(params, optimizer.clip_norm)
    adamw.step()
    with torch.no_grad():
      torch._foreach_lerp_(average, params, 1 - config.ema_decay)

  return work


def _torch() -> Any:
  import torch

  torch.set_num_threads(os.cpu_count() or 1)  # not OMP_NUM_THREADS
  torch.manual_seed(0)
  return torch


def _transformer() -> Any:
  """Return the model in plain PyTorch, which the tests compare with ours."""
  tests = pathlib.Path(__file__).parents[2] / "tests/model"
  sys.path.insert(0, str(tests))
  return importlib.import_module("torch_transformer")


_WORK = {
  ("jax", "gemm"): _jax_gemm,
  ("jax", "forward"): _jax_forward,
  ("jax", "train"): _jax_train,
  ("torch", "gemm"): _torch_gemm,
  ("torch", "forward"): _torch_forward,
  ("torch", "train"): _torch_train,
}


if __name__ == "__main__":
  main()
