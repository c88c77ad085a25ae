"""Progress bars, lines in logs, and work that cannot count its steps."""

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


class Terminal(io.StringIO):
  """Text that can be redrawn."""

  def isatty(self) -> bool:
    return True


def test_a_log_has_a_line_for_an_update(monkeypatch):
  stream = io.StringIO()
  monkeypatch.setattr(sys, "stderr", stream)
  monkeypatch.setattr(progress, "LOG_SECONDS", 0.1)
  with progress.Steps() as steps:
    assert steps._bar is not None
    steps._bar.start_t -= 1.5  # as of a compiler
    steps._bar.last_print_t -= 1.5
    steps(3, 12)
    steps._bar.last_print_t -= 1.2  # as of the second step
    steps(3, 12)
  first, second = stream.getvalue().splitlines()
  assert first == "25%, 00:01 elapsed, ? left"
  assert second == "50%, 00:01 elapsed, 00:02 left"


def test_short_work_shows_nothing(monkeypatch):
  for stream in (io.StringIO(), Terminal()):
    monkeypatch.setattr(sys, "stderr", stream)
    with progress.Steps() as steps:
      steps(6, 12)
      steps(6, 12)
    assert stream.getvalue() == ""


def test_a_terminal_has_one_bar_at_a_time(monkeypatch):
  stream = Terminal()
  monkeypatch.setattr(sys, "stderr", stream)
  monkeypatch.setattr(sys, "stdout", stream)
  with progress.Steps(delay=0.0) as steps:
    for _ in range(2):
      steps(12, 12)
      # The bar of finished steps is removed before.
      assert stream.getvalue().rpartition("\r")[2] == ""
      progress.write("a take")
  assert "  0%|" in stream.getvalue()
  assert stream.getvalue().rstrip("\r ").endswith("a take\n")


def test_takes_within_other_work_have_no_bar_of_their_own(monkeypatch):
  stream = Terminal()
  monkeypatch.setattr(sys, "stderr", stream)
  with progress.bar(total=2, desc="songs"), progress.Steps(delay=0.0) as steps:
    shown = stream.getvalue()
    steps(6, 12)
    assert "songs" in shown
    assert stream.getvalue() == shown
    steps(6, 12)


def test_a_program_without_a_console_shows_nothing(monkeypatch, capsys):
  monkeypatch.setattr(sys, "stderr", None)
  with progress.Steps(delay=0.0) as steps:
    steps(12, 12)
  assert capsys.readouterr().out == ""
  monkeypatch.setattr(sys, "stdout", None)
  progress.write("a take")


def test_a_notebook_redraws_its_bar(monkeypatch):
  stream = type(
    "OutStream", (io.StringIO,), {"__module__": "ipykernel.iostream"}
  )
  monkeypatch.setattr(sys, "stderr", stream())
  assert progress.is_live()
