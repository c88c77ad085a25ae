"""The codec's device: its choice, its share of a GPU, and its results."""

import os
import types

import numpy as np
import pytest
import random_codec
import torch

from stemgen_jax import codec
from stemgen_jax.codec import device

VARIABLES = ("XLA_PYTHON_CLIENT_MEM_FRACTION", "XLA_PYTHON_CLIENT_PREALLOCATE")


@pytest.fixture
def gpus(monkeypatch):
  """Return a function that makes PyTorch find GPUs of so many GB."""
  for name in VARIABLES:
    monkeypatch.delenv(name, raising=False)

  def find(*gigabytes):
    cuda = torch.cuda
    monkeypatch.setattr(cuda, "is_available", lambda: bool(gigabytes))
    monkeypatch.setattr(cuda, "device_count", lambda: len(gigabytes))
    monkeypatch.setattr(
      cuda,
      "get_device_properties",
      lambda i: types.SimpleNamespace(total_memory=gigabytes[i] * 2**30),
    )

  yield find
  for name in VARIABLES:  # `choose` sets one, which no other test may see
    os.environ.pop(name, None)


def test_threads_spin_briefly_unless_the_user_has_decided(monkeypatch):
  monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
  monkeypatch.setenv("GOMP_SPINCOUNT", "")
  monkeypatch.delenv("GOMP_SPINCOUNT")
  device.limit_spinning()
  assert os.environ["GOMP_SPINCOUNT"] == "2000"
  monkeypatch.delenv("GOMP_SPINCOUNT")
  monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
  device.limit_spinning()
  assert "GOMP_SPINCOUNT" not in os.environ


def test_auto_is_a_gpu_where_there_is_one(gpus):
  gpus()
  assert device.choose() == device.choose("cpu") == "cpu"
  assert not any(name in os.environ for name in VARIABLES)
  gpus(16)
  assert device.choose() == "cuda"
  assert device.choose("cpu") == "cpu"


@pytest.mark.parametrize(
  ("gigabytes", "share"), [(8, "0.50"), (12, "0.67"), (16, "0.75")]
)
def test_jax_leaves_the_codec_its_memory(gpus, gigabytes, share):
  gpus(141, gigabytes)
  device.choose("cuda:1")
  assert os.environ[VARIABLES[0]] == share
  assert (1 - float(share)) * gigabytes * 2**30 >= 0.98 * device.NEEDED


@pytest.mark.parametrize("name", VARIABLES)
def test_the_users_own_setting_of_the_memory_stays(gpus, monkeypatch, name):
  gpus(8)
  monkeypatch.setenv(name, "false")
  assert device.choose() == "cuda"
  set_now = {x: os.environ[x] for x in VARIABLES if x in os.environ}
  assert set_now == {name: "false"}


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:-1", "cuda1", ""])
def test_unknown_devices_are_refused(name):
  with pytest.raises(ValueError, match=f"--codec_device={name}: expected"):
    device.check(name)


def test_a_gpu_that_is_not_there_is_refused_in_one_line(gpus):
  gpus()
  with pytest.raises(ValueError, match="finds no CUDA GPU; expected auto"):
    codec.load("demo", device="cuda")
  gpus(16, 16)
  with pytest.raises(ValueError, match=r"--codec_device=cuda:2: .* 2 GPUs"):
    device.choose("cuda:2")


@pytest.mark.parametrize(
  ("gigabytes", "processors", "expected"),
  [(16, 32, 4), (16, 2, 2), (141, 32, 8), (3, 32, 1)],
)
def test_workers_share_a_gpu(gpus, gigabytes, processors, expected):
  gpus(gigabytes)
  assert device.workers("cuda", processors) == expected
  assert device.workers("cpu", processors) == processors


@pytest.mark.parametrize("name", ["encodec_32khz", "encodec_48khz"])
def test_all_tensors_are_moved_to_the_device_and_back(monkeypatch, name):
  # The device "meta" stands for a GPU: it refuses tensors of another device,
  # and has no values that could be read without moving them.
  tested = random_codec.random_codec(name)
  rng = np.random.default_rng(0)
  audio = rng.standard_normal((1, 40_000, tested.channels), np.float32)
  codes = tested.encode(audio)
  decoded = tested.decode(codes)
  tested.device = "meta"
  tested._network.to("meta")
  flags = []

  def cpu(x):  # of a tensor that has no values
    flags.append(
      (
        x.device.type,
        torch.backends.cudnn.allow_tf32,
        torch.backends.cudnn.deterministic,
      )
    )
    return torch.zeros(x.shape, dtype=x.dtype)

  monkeypatch.setattr(torch.Tensor, "cpu", cpu)
  assert tested.encode(audio).shape == codes.shape
  assert tested.decode(codes).shape == decoded.shape
  assert tested.codebooks().shape[0] == tested.levels
  assert set(flags[: -tested.levels]) == {("meta", False, True)}
  assert torch.backends.cudnn.allow_tf32


def test_a_full_gpu_is_reported_with_what_to_do(monkeypatch):
  tested = random_codec.random_codec("encodec_32khz")
  tested.device = "meta"

  def full(*_):
    raise torch.OutOfMemoryError("CUDA out of memory")

  monkeypatch.setattr(torch.Tensor, "to", full)
  with pytest.raises(ValueError, match=r"memory on meta; .*codec_device=cpu"):
    tested.encode(np.zeros((1, 640, 1), np.float32))
