import dataclasses
import functools
import json
import shutil

import jax
import numpy as np
import pytest
from fake_data import FakeBatches, fake_data, tiny_config

from stemgen_jax.model import sharding
from stemgen_jax.training import checkpoint, runs, trainer
from stemgen_jax.training.checkpoint import (
  FORMAT,
  About,
  Checkpoints,
  state_like,
)
from stemgen_jax.training.resolve import resolve
from stemgen_jax.training.step import init_state


@functools.cache
def config():
  config = tiny_config()
  # Arrays large enough to be stored uncompressed.
  config.model.width, config.model.mlp = 64, 256
  return resolve(config, fake_data())


@functools.cache
def init():
  return jax.jit(functools.partial(init_state, config(), codebooks=None))


def state_of(step):
  return init()(jax.random.key(step))


def save(out, steps, **settings):
  about = About(config(), {"name": "fake"}, {"number": 3})
  with Checkpoints(out, **settings) as checkpoints:
    for step in steps:
      checkpoints.save(step, state_of(step), about)


def load(out, step=None):
  with Checkpoints(out) as checkpoints:
    step, about = checkpoints.about(step)
    return checkpoints.load(step, state_like(about.config))


def assert_same(state, expected):
  jax.tree.map(np.testing.assert_array_equal, state, expected)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
  out = tmp_path_factory.mktemp("pristine") / "run"
  save(out, [1, 2])
  return out


@pytest.fixture
def run(pristine, tmp_path):
  return shutil.copytree(pristine, tmp_path / "run")


def description(run, step):
  return run / "checkpoints" / str(step) / "_CHECKPOINT_METADATA"


def arrays(run, step):
  files = (run / "checkpoints" / str(step) / "state").glob("d/*")
  return max(files, key=lambda path: path.stat().st_size)


def remove(path):
  path.unlink()


def cut(path):
  path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip_a_bit(path):
  content = bytearray(path.read_bytes())
  content[len(content) // 2] ^= 4
  path.write_bytes(content)


@pytest.mark.parametrize("which", [description, arrays])
@pytest.mark.parametrize("damage", [remove, cut, flip_a_bit])
def test_corruption_is_reported_with_the_last_good_step(run, which, damage):
  damage(which(run, 2))
  with pytest.raises(ValueError, match=r"checkpoints/2: .*restore_step=1 "):
    load(run)
  with Checkpoints(run) as checkpoints:
    checkpoints.go_back(1)
    assert checkpoints.latest == 1
  assert (run / "set_aside" / "2").is_dir()
  assert_same(load(run), state_of(1))
  save(run, [2])
  assert_same(load(run), state_of(2))


def test_the_checksum_sees_the_order_of_values():
  # Powers of two differ in few bits, high ones.
  x = 2.0 ** np.random.default_rng(0).integers(0, 16, (32, 32))
  x = x.astype(np.float32)
  swapped = x.copy()
  swapped[[0, 16]] = x[[16, 0]]
  states = [x, x.T, x[::-1], x[:, ::-1], swapped]
  states += [{"a": x, "b": x + 1}, {"a": x + 1, "b": x}]
  sums = {int(checkpoint._checksum(jax.device_put(y))) for y in states}
  assert len(sums) == len(states)


def test_changed_position_is_detected(run):
  path = description(run, 2)
  path.write_text(path.read_text().replace('"number": 3', '"number": 7'))
  with pytest.raises(ValueError, match=r"checkpoints/2: .*description"):
    load(run)


def test_a_newer_format_is_refused(run):
  path = description(run, 2)
  words = json.loads(path.read_text())
  words["custom_metadata"]["format"] = FORMAT + 1
  path.write_text(json.dumps(words))
  with pytest.raises(
    ValueError, match=rf"checkpoints/2: .*format {FORMAT + 1}.*step=1 "
  ):
    load(run)


def test_without_a_good_checkpoint_none_is_suggested(run):
  for step in (1, 2):
    cut(arrays(run, step))
  with pytest.raises(ValueError, match=r"checkpoints/2: .*no earlier one"):
    load(run)
  with (
    Checkpoints(run) as checkpoints,
    pytest.raises(ValueError, match="checkpoints/1"),
  ):
    checkpoints.go_back(1)
  assert not (run / "set_aside").exists()


def test_missing_steps_are_reported(run, tmp_path):
  with pytest.raises(FileNotFoundError, match=r"step 7 in .*there are 1, 2"):
    load(run, 7)
  with pytest.raises(FileNotFoundError, match="no checkpoint in"):
    load(tmp_path / "nowhere")


def test_readers_keep_partial_checkpoints_of_a_live_run(run):
  half = run / "checkpoints" / "3.orbax-checkpoint-tmp"
  half.mkdir()
  assert runs.load_run(run).metadata["steps"] == 2
  assert half.is_dir()
  save(run, [4], clean=True)  # as training does
  assert not half.exists()


def test_the_latest_are_kept(tmp_path):
  save(tmp_path, [3, 6, 9, 12], keep=2)
  names = {path.name for path in (tmp_path / "checkpoints").iterdir()}
  assert names == {"9", "12"}


def test_training_continues_while_a_checkpoint_is_written(tmp_path):
  state = state_of(5)
  overwrite = jax.jit(
    lambda state: jax.tree.map(lambda x: x * 0, state), donate_argnums=0
  )
  with Checkpoints(tmp_path) as checkpoints:
    checkpoints.save(5, state, About(config(), {}, None))
    overwrite(state)
  assert_same(load(tmp_path), state_of(5))


def test_checkpoint_moves_from_one_mesh_to_another(tmp_path):
  with jax.set_mesh(sharding.make_mesh(4, 2)):
    state = state_of(0)
    kernel = state["params"]["blocks"]["query"]["kernel"]
    assert len(kernel.sharding.device_set) == 8
    with Checkpoints(tmp_path) as checkpoints:
      checkpoints.save(4, state, About(config(), {}, None))
  state = jax.device_get(state)
  with jax.set_mesh(sharding.make_mesh(2, 1)):
    restored = load(tmp_path)
    kernel = restored["params"]["blocks"]["query"]["kernel"]
    assert len(kernel.sharding.device_set) == 2
    assert_same(restored, state)
  assert_same(load(tmp_path), state)


def test_run_resumes_from_the_last_good_step_on_request(tmp_path):
  def train(changed=None, **settings):
    used = changed or config()
    return trainer.train(
      used, fake_data(), FakeBatches(used), [], tmp_path, **settings
    )

  assert train() == 6
  expected = jax.device_get(load(tmp_path))
  flip_a_bit(arrays(tmp_path, 6))
  with pytest.raises(ValueError, match=r"checkpoints/6: .*--restore_step=3 "):
    train()
  with pytest.raises(FileNotFoundError, match=r"step 5 .*there are 3, 6"):
    train(restore_step=5)
  with pytest.raises(ValueError, match="cannot resume with 5 at step 3"):
    train(dataclasses.replace(config(), seed=5), restore_step=3)
  assert (tmp_path / "checkpoints" / "6").is_dir()
  assert train(restore_step=3) == 6
  assert_same(load(tmp_path), expected)
