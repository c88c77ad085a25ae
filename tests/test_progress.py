"""Progress of work that cannot count its steps."""

import io
import sys
import threading

from stemgen_jax import progress


class Stream(io.StringIO):
  """Text that states when it has several lines."""

  def __init__(self):
    super().__init__()
    self.full = threading.Event()

  def write(self, text: str) -> int:
    length = super().write(text)
    if self.getvalue().count("elapsed") == 2:
      self.full.set()
    return length


def test_elapsed_seconds_are_printed_until_the_work_ends(monkeypatch):
  stream, before = Stream(), threading.active_count()
  monkeypatch.setattr(sys, "stdout", stream)
  with progress.elapsed("compiling", seconds=0.01):
    assert stream.full.wait(60)
  lines = stream.getvalue().splitlines()
  assert lines[:3] == ["compiling", "  0 s elapsed", "  0 s elapsed"]
  assert threading.active_count() == before


def test_process_age_counts_from_the_start_of_the_process():
  age = progress.process_age()
  assert 0 < age < 86400
  assert progress.process_age() >= age
