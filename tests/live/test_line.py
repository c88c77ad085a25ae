"""Bar lines, the ring of the input, and the sound of a layer."""

import numpy as np
import pytest

from stemgen_jax.live.grid import Grid
from stemgen_jax.live.line import FADE, Chunk, Line, codes_at
from stemgen_jax.live.ring import Ring


def chunk(start, length, value, **more):
  samples = np.full((length + FADE, 1), value, np.float32)
  return Chunk(start=start, samples=samples, **more)


def rendered(line, start, stop, block=50):
  """The sound in blocks, and the starts of all chunks that were late."""
  parts, late = [], []
  for at in range(start, stop, block):
    sound, _, missed = line.render(at, min(at + block, stop))
    parts.append(sound[:, 0])
    late += missed
  return np.concatenate(parts), late


def test_bar_lines_do_not_drift():
  grid = Grid(bpm=121.7, sample_rate=44100, origin=100)
  exact = 100 + 240 * 44100 / 121.7 * 10_000
  assert abs(grid.bar(10_000) - exact) <= 0.5
  for bar in (0, 1, 7, 5001):
    assert grid.bar_at(grid.bar(bar)) == bar
    assert grid.bar_at(grid.bar(bar) - 1) == bar - 1
    assert grid.first_bar_from(grid.bar(bar)) == bar
    assert grid.first_bar_from(grid.bar(bar) + 1) == bar + 1
  moved = grid.moved(7, bpm=60, to=50_000)
  assert (moved.bar(7), moved.bar(8)) == (50_000, 50_000 + 4 * 44100)
  assert moved.bar_at(49_999) == 6
  with pytest.raises(ValueError, match=r"tempo 5 bpm: expected 20 to 400"):
    Grid(bpm=5, sample_rate=8000)


def test_ring_holds_the_latest_samples():
  ring, stream = Ring(100, 2), np.arange(1, 701, dtype=np.float32)
  stream = np.stack([stream, -stream], axis=1)
  for at in range(0, 700, 35):
    ring.write(stream[at : at + 35])
    end = at + 35
    assert ring.end == end
    np.testing.assert_array_equal(
      ring.read(max(0, end - 100), end), stream[max(0, end - 100) : end]
    )
  assert not ring.read(500, 600).any()
  assert not ring.read(-5, 0).any()
  assert not ring.read(695, 705)[5:].any()
  ring.write(stream[:250])  # more than it holds
  assert ring.end == 950
  np.testing.assert_array_equal(ring.read(850, 950), stream[150:250])


@pytest.mark.parametrize("block", [7, 64, 400])
def test_chunks_enter_at_their_starts_with_fades(block):
  line = Line(1)
  for start, value in ((100, 1.0), (400, 3.0)):
    line.expect(start)
    assert line.deliver(chunk(start, 300, value))
  sound, late = rendered(line, 0, 700, block)
  assert not late
  assert not sound[:100].any()
  rise = np.arange(FADE) / FADE
  np.testing.assert_allclose(sound[100 : 100 + FADE], rise)
  assert (sound[164:400] == 1).all()
  np.testing.assert_allclose(sound[400 : 400 + FADE], 1 + 2 * rise)
  assert (sound[464:] == 3).all()


def test_a_continuation_has_no_fade():
  line, first = Line(1), chunk(0, 200, 1.0)
  second = chunk(200, 200, 2.0, follows=0)
  for each in (first, second):
    line.expect(each.start)
    line.deliver(each)
  sound, _ = rendered(line, 0, 400)
  assert (sound[FADE:200] == 1).all()
  assert (sound[200:] == 2).all()


@pytest.mark.parametrize("cover", ["loop", "silence"])
def test_a_late_chunk_is_covered_and_never_sounds(cover):
  line = Line(1, cover)
  ramp = np.arange(300 + FADE, dtype=np.float32)[:, None] + 1000
  first = Chunk(start=0, samples=ramp)
  for start in (0, 300, 600):
    line.expect(start)
  line.deliver(first)
  sound, late = rendered(line, 0, 450)
  assert late == [300]
  assert not line.deliver(chunk(300, 300, 7.0, follows=0))
  # The next one does not continue what sounded: it fades in.
  assert line.deliver(chunk(600, 300, 7.0, follows=0))
  rest, late = rendered(line, 450, 900)
  sound = np.concatenate([sound, rest])
  assert not late
  np.testing.assert_array_equal(sound[FADE:300], ramp[FADE:300, 0])
  # The first samples after its end are its further ones.
  np.testing.assert_allclose(sound[300], 1300)
  if cover == "loop":
    np.testing.assert_array_equal(sound[300 + FADE : 600], ramp[FADE:300, 0])
  else:
    assert not sound[300 + FADE : 600].any()
  assert (sound[600 + FADE :] == 7).all()
  assert np.abs(np.diff(sound)).max() < 1300 / FADE + 1


def test_a_chunk_may_replace_the_rest_of_another_and_be_taken_back():
  line = Line(1)
  for start, length, value in ((0, 400, 1.0), (200, 400, 2.0)):
    line.expect(start)
    line.deliver(chunk(start, length, value))
  line.expect(300)
  line.forget(300)
  assert not line.deliver(chunk(300, 400, 9.0))
  sound, late = rendered(line, 0, 600)
  assert not late
  assert (sound[200 + FADE :] == 2).all()


def test_mute_fades_at_its_sample():
  line = Line(1)
  line.expect(0)
  line.deliver(chunk(0, 1000, 1.0))
  line.mute(300, True)
  line.mute(500, False)
  sound, _ = rendered(line, 0, 700)
  assert (sound[FADE:300] == 1).all()
  assert 0 < sound[300 + FADE - 1] < 0.1
  assert not sound[300 + FADE : 500].any()
  assert (sound[500 + FADE :] == 1).all()
  assert line.sounding is not None


def test_codes_of_what_sounded():
  codes = np.arange(12).reshape(6, 2)
  one = chunk(20, 50, 1.0, codes=codes, first_frame=2)
  voices = ((0, None), (20, one))
  found, known = codes_at(voices, np.arange(0, 10), 10.0)
  assert found is not None
  assert known.tolist() == [False] * 2 + [True] * 8
  # Frames 2 to 6 sound, then again from its start.
  assert found[2:10, 0].tolist() == [0, 2, 4, 6, 8, 0, 2, 4]
  assert codes_at(((0, None),), np.arange(3), 10.0)[0] is None
