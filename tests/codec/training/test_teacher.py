import math

import pytest
import torch

from stemgen_jax.codec.training import teacher

RATE, HOP, SIZE = 32_000, 640, 8


def tone(pitch: float, phase: float = 0.0) -> torch.Tensor:
  """Return half a second of a note with two overtones, [1, samples]."""
  time = torch.arange(RATE // 2) / RATE
  hertz = 440 * 2 ** ((pitch - 69) / 12)
  partials = [
    torch.sin(2 * math.pi * n * hertz * time + phase) / n for n in (1, 2, 3)
  ]
  return 0.1 * torch.stack(partials).sum(0)[None]


@pytest.fixture(scope="module")
def clips():
  noise = torch.Generator().manual_seed(0)
  notes = [tone(pitch) for pitch in range(36, 84)]
  bursts = [
    torch.randn(1, RATE // 2, generator=noise) * 10 ** (-level / 20)
    for level in range(10, 58)
  ]
  return torch.stack(notes + bursts)


@pytest.fixture(scope="module")
def fitted(clips):
  one = teacher.Teacher(RATE, HOP, SIZE)
  one.fit(clips)
  return one


def test_targets_have_mean_0_and_variance_1(fitted, clips):
  targets = fitted(clips)
  assert targets.shape == (len(clips), SIZE, RATE // 2 // HOP)
  numbers = targets.transpose(1, 2).flatten(0, 1)
  torch.testing.assert_close(
    numbers.mean(0), torch.zeros(SIZE), atol=1e-3, rtol=0
  )
  torch.testing.assert_close(
    numbers.var(0), torch.ones(SIZE), atol=1e-2, rtol=0
  )


def test_targets_depend_on_pitch_and_not_on_phase(fitted):
  def target(pitch: float, phase: float = 0.0) -> torch.Tensor:
    return fitted(tone(pitch, phase)[None])[0, :, 5:-5]

  def distance(a: torch.Tensor, b: torch.Tensor) -> float:
    return (a - b).norm(dim=0).mean().item()

  other_phase = distance(target(57), target(57, 1.0))
  assert distance(target(57), target(58)) > 10 * other_phase


def test_targets_hardly_depend_on_loudness_and_timbre(fitted):
  def target(audio: torch.Tensor) -> torch.Tensor:
    return fitted(audio[None])[0, :, 5:-5].mean(1)

  note, other = tone(57), tone(58)
  dull = note.clone()
  dull[:, 1:] = (note[:, 1:] + note[:, :-1]) / 2  # a low pass
  semitone = (target(other) - target(note)).norm()
  assert (target(note / 4) - target(note)).norm() < 0.5 * semitone
  assert (target(dull) - target(note)).norm() < 0.2 * semitone


def test_a_target_depends_on_its_own_frame(fitted):
  audio = torch.zeros(1, 1, 40 * HOP)
  audio[..., 20 * HOP + HOP // 2] = 1.0
  quiet, loud = fitted(torch.zeros_like(audio)), fitted(audio)
  change = (loud - quiet).norm(dim=1)[0]
  assert change.argmax() == 20
  # The window of attacks is within the frame, that of low notes is longer.
  reach = (teacher.LOW_WINDOW // 2) // HOP + 1
  assert not change[: 20 - reach].any()
  assert not change[21 + reach :].any()
  torch.testing.assert_close(
    change[20 - reach : 20], change[21 : 21 + reach].flip(0)
  )


def test_size(fitted):
  with pytest.raises(ValueError, match="12 taught dimensions"):
    teacher.Teacher(RATE, HOP, 12)
