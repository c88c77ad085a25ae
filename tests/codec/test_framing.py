"""The grid of frames, with and without overlapping segments."""

import numpy as np
import pytest

from stemgen_jax.codec.framing import Framing

PLAIN = Framing(hop=640)
SECONDS = Framing(hop=320, segment=48_000, stride=47_520)
LENGTHS = [
  *(0, 1, 319, 320, 321, 480, 481, 47_520, 47_521, 47_999, 48_000, 48_001),
  *(48_320, 48_321, 95_519, 95_520, 95_521, 480_000, 28_800_000),
]


@pytest.mark.parametrize(
  ("samples", "frames"),
  [
    (48_000, 150),  # one segment
    (48_001, 152),  # the second begins at 47 520 and has 481 samples
    (2 * 47_520 + 480, 300),
    (12 * 48_000, 12 * 150 + 18),
  ],
)
def test_a_second_has_150_frames_and_they_overlap(samples, frames):
  assert SECONDS.frames(samples) == frames


@pytest.mark.parametrize("samples", LENGTHS)
def test_frames_cover_the_samples_and_determine_the_segments(samples):
  frames = SECONDS.frames(samples)
  spans = SECONDS.spans(samples)
  assert frames == sum(-(-(stop - start) // 320) for start, stop in spans)
  assert SECONDS.segments(frames) == len(spans)
  assert 0 <= SECONDS.samples(frames) - samples < 320
  assert all(stop - start == 48_000 for start, stop in spans[:-1])
  assert [start for start, _ in spans] == [
    47_520 * i for i in range(len(spans))
  ]
  assert not spans or spans[-1][1] == samples


def test_frames_are_in_their_segments():
  begins = SECONDS.begins(np.arange(310))
  np.testing.assert_array_equal(begins[:3], [0, 320, 640])
  assert begins[149] == 47_520  # in the overlap, where the next one begins
  assert begins[150] == 47_520
  assert begins[300] == 2 * 47_520
  # The mean rate gives the time of a frame to within the overlap, 10 ms.
  times = np.arange(310) / SECONDS.frame_rate(48_000)
  assert np.abs(times - begins / 48_000).max() <= 0.01


def test_without_segments_frames_are_a_uniform_grid():
  assert [PLAIN.frames(n) for n in (0, 1, 640, 641)] == [0, 1, 1, 2]
  assert PLAIN.samples(3) == 1920
  assert PLAIN.segments(3) == 0
  assert PLAIN.frame_rate(32_000) == 50
  np.testing.assert_array_equal(PLAIN.begins(np.arange(3)), [0, 640, 1280])
