"""The recording of a live run: bounded, and no reason to stop the music."""

import errno
import os
import resource

import numpy as np

from stemgen_jax.studio import recording
from stemgen_jax.studio.recording import Recording


def block(value, samples=600):
  return np.full((samples, 2), value, np.float32)


def test_it_ends_after_ten_minutes(tmp_path, monkeypatch):
  monkeypatch.setattr(recording, "LONGEST", 0.1)  # 1000 samples
  kept = Recording(tmp_path / "new" / "song", ["a", "b"], 10_000, 2)
  kept.write({"a": block(1), "b": block(2)})
  assert (kept.samples, kept.full) == (600, False)
  kept.write({"a": block(3), "b": block(4)})
  kept.write({"a": block(5), "b": block(6)})
  assert (kept.samples, kept.full) == (1000, True)
  expected = np.concatenate([block(2, 100), block(4, 400)])
  sound = kept.read("b", skip=500)
  np.testing.assert_array_equal(sound.samples, expected)
  assert sound.sample_rate == 10_000
  assert list(tmp_path.iterdir()) == []
  kept.close()


def test_it_ends_where_the_disk_is_full(tmp_path, monkeypatch):
  def fail(data):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

  kept = Recording(tmp_path, ["a", "b"], 10_000, 2)
  kept.write({"a": block(1), "b": block(2)})
  file = kept._files["b"]
  monkeypatch.setattr(file, "write", fail)
  kept.write({"a": block(3), "b": block(4)})
  assert (kept.samples, kept.full) == (600, True)
  np.testing.assert_array_equal(kept.read("a").samples, block(1))
  kept.close()


def test_what_is_on_a_full_disk_can_be_read(tmp_path):
  kept = Recording(tmp_path, ["a", "b"], 10_000, 2)
  before = resource.getrlimit(resource.RLIMIT_FSIZE)
  resource.setrlimit(resource.RLIMIT_FSIZE, (8000, before[1]))
  try:
    kept.write({"a": block(1), "b": block(2)})
    kept.write({"a": block(3), "b": block(4)})
    assert (kept.samples, kept.full) == (600, True)
    np.testing.assert_array_equal(kept.read("a").samples, block(1))
    np.testing.assert_array_equal(kept.read("b").samples, block(2))
    kept.close()
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
