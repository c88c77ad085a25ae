"""Tests of traced programs that are kept between processes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from known_models import small_config

from stemgen_jax import model
from stemgen_jax.sampling import Settings, decode_codes, programs

ARGUMENTS = ({"a": np.arange(3.0, dtype="f4")}, np.float32(2))


@pytest.fixture
def call(tmp_path, monkeypatch):
  """Call a function as a new process would; count how often it is traced."""
  monkeypatch.setattr(programs, "_loaded", {})
  traced = []

  def scale(tree, factor):
    traced.append(factor)
    return tree["a"] * factor + jnp.float32(1)

  def call(described="scale", arguments=ARGUMENTS, folder=tmp_path):
    programs._loaded.clear()
    return programs.call(folder, scale, described, *arguments), len(traced)

  return call


def test_a_kept_program_is_not_traced_again(call, tmp_path):
  call()
  result, traced = call()
  np.testing.assert_array_equal(result, [1, 3, 5])
  assert traced == 1
  # A result, which is on a device, is an argument of the same program.
  [program] = programs._loaded.values()
  np.testing.assert_array_equal(program(result, np.float32(0)), [1, 1, 1])
  [path] = tmp_path.iterdir()
  kept = path.read_bytes()
  changed = kept[:-1] + bytes([kept[-1] ^ 1])
  for number, corrupt in enumerate((b"", kept[:-50], changed)):
    path.write_bytes(corrupt)
    result, traced = call()
    np.testing.assert_array_equal(result, [1, 3, 5])
    assert traced == number + 2
    assert call()[1] == traced  # It is replaced.


def test_other_programs_are_other_files(call, tmp_path, monkeypatch):
  call()
  assert call(described="other")[1] == 2
  wide = ({"a": np.zeros(4, "f4")}, np.float32(2))
  assert call(arguments=wide)[1] == 3
  with jax.default_matmul_precision("highest"):
    assert call()[1] == 4
  jax.config.update("jax_random_seed_offset", 5)
  try:
    assert call()[1] == 5
  finally:
    jax.config.update("jax_random_seed_offset", 0)
  monkeypatch.setattr(programs, "_SOURCES", programs._digest(("model",)))
  assert call()[1] == 6
  assert len(list(tmp_path.iterdir())) == 6


def test_a_folder_that_cannot_be_written_does_not_matter(call, tmp_path):
  result, _ = call(folder=tmp_path / "missing")
  np.testing.assert_array_equal(result, [1, 3, 5])


def test_a_folder_of_others_is_neither_read_nor_written(
  call, tmp_path, monkeypatch
):
  call()
  [path] = tmp_path.iterdir()
  path.write_bytes(b"planted")
  for mode in (0o770, 0o707):
    tmp_path.chmod(mode)
    np.testing.assert_array_equal(call()[0], [1, 3, 5])
  tmp_path.chmod(0o755)
  monkeypatch.setattr("os.geteuid", lambda: tmp_path.stat().st_uid + 1)
  np.testing.assert_array_equal(call()[0], [1, 3, 5])
  assert path.read_bytes() == b"planted"
  monkeypatch.delattr("os.geteuid")  # Windows
  call()
  assert path.read_bytes() != b"planted"


@pytest.mark.parametrize("name", ["export", "deserialize", "Exported.call"])
def test_exports_that_fail_are_not_needed(call, monkeypatch, name):
  def fail(*_, **__):
    raise TypeError("of another version of JAX")

  call()  # There is a file to deserialize.
  if name == "export":
    monkeypatch.setattr(programs, "_read", lambda path: None)
  monkeypatch.setattr(f"jax.export.{name}", fail)
  np.testing.assert_array_equal(call()[0], [1, 3, 5])


def test_sources_are_those_of_the_import(call, tmp_path, monkeypatch):
  call()
  monkeypatch.setattr("pathlib.Path.read_bytes", lambda self: b"pulled")
  call()
  assert programs._digest(programs._TRACED) != programs._SOURCES
  assert len(list(tmp_path.iterdir())) == 1


def test_kept_programs_give_the_same_codes(tmp_path, monkeypatch):
  config = small_config()
  params = model.init_params(config, jax.random.key(0))
  settings = Settings(
    steps=(3, 2),
    guidance={"context": 3.0, "category": 1.0},
    guidance_ramp=(0, 1),
  )

  def decode(folder):
    monkeypatch.setattr(programs, "_loaded", {})
    return decode_codes(
      config,
      params,
      np.ones((1, 16, 2), np.int32),
      {"category": np.array([3])},
      np.array([5]),
      settings,
      programs_folder=folder,
    )

  plain, *kept = map(decode, (None, tmp_path, tmp_path))
  for codes in kept:
    np.testing.assert_array_equal(codes, plain)
  assert len(list(tmp_path.iterdir())) == 1
