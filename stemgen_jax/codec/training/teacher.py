"""Targets of the coarsest level: the spectrum of a frame without its phase.

Without supervision a codec spends its coarsest level on the waveform. Its codes
then rotate with the phase of the lowest partial, which a context does not
determine: a model that predicts one stem from others cannot predict them. So
the first dimensions of the latents have the spectrum as their target (pitches
over a long window, attacks over a short one), the coarsest codebook uses these
dimensions only, and the finer levels and other dimensions carry the waveform.
Speech codecs supervise their first level in the same way (arXiv 2308.16692).
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stemgen_jax.codec.training.losses import (
  SEMITONE_WINDOW,
  magnitudes,
  mel_filters,
  semitone_filters,
)

_ATTACK_WINDOW, _ATTACK_BANDS = 512, 24


class Teacher(nn.Module):
  """Computes the target of every frame: `size` numbers.

  They are the principal components of the frame's log spectra, rotated so that
  each has the same variance (1 over the clips of `fit`): distances between
  targets are those between spectra, and the batch norm of the latents, which
  gives unit variance, agrees with them.

  Args:
    sample_rate: sample rate of the audio in Hz.
    hop: samples per frame.
    size: numbers per frame, a power of two.

  Raises:
    ValueError: `size` is not a power of two.
  """

  def __init__(self, sample_rate: int, hop: int, size: int):
    super().__init__()
    if size < 1 or size & (size - 1):
      raise ValueError(f"{size} taught dimensions: expected a power of two")
    self._hop = hop
    pitches = semitone_filters(sample_rate)
    attacks = mel_filters(sample_rate, _ATTACK_WINDOW, _ATTACK_BANDS)
    # Not in checkpoints: the filters follow from the configuration.
    self.register_buffer("pitches", pitches, persistent=False)
    self.register_buffer("attacks", attacks, persistent=False)
    bands = len(pitches) + len(attacks)
    self.register_buffer("mean", torch.zeros(bands))
    self.register_buffer("projection", torch.zeros(bands, size))

  @torch.no_grad()
  def fit(self, audio: Float[Tensor, "b c samples"]) -> None:
    """Set mean and projection from the spectra of these clips."""
    spectra = self._spectra(audio).flatten(0, 1)  # [b * t, bands]
    mean = spectra.mean(0)
    size = self.get_buffer("projection").shape[1]
    covariance = torch.cov((spectra - mean).T)
    variances, directions = torch.linalg.eigh(covariance)
    # `eigh` sorts upwards: the last are the largest. The rotation makes their
    # variances equal to the mean variance, in place of a whitening, which
    # would change distances.
    directions = directions[:, -size:] @ _hadamard(size)
    scale = variances[-size:].mean().sqrt()
    self.get_buffer("mean").copy_(mean)
    self.get_buffer("projection").copy_(directions / scale)

  @torch.no_grad()
  def forward(
    self, audio: Float[Tensor, "b c samples"]
  ) -> Float[Tensor, "b size t"]:
    """Return the targets of all whole frames."""
    spectra = self._spectra(audio) - self.get_buffer("mean")
    return (spectra @ self.get_buffer("projection")).transpose(1, 2)

  def _spectra(
    self, audio: Float[Tensor, "b c samples"]
  ) -> Float[Tensor, "b t bands"]:
    mono = audio.mean(1)
    bands = [
      self.get_buffer(name) @ self._magnitudes(mono, window)
      for name, window in (
        ("pitches", SEMITONE_WINDOW),
        ("attacks", _ATTACK_WINDOW),
      )
    ]
    return torch.cat(bands, 1).log().transpose(1, 2)

  def _magnitudes(
    self, audio: Float[Tensor, "b samples"], window: int
  ) -> Float[Tensor, "b bins t"]:
    """Return spectra of windows around the middle of each frame."""
    t = audio.shape[1] // self._hop
    before = (window - self._hop) // 2
    after = (t - 1) * self._hop + window - before - audio.shape[1]
    padded = nn.functional.pad(audio, (before, after))
    return magnitudes(
      padded, torch.hann_window(window), self._hop, center=False
    )


def _hadamard(size: int) -> Float[Tensor, "size size"]:
  """Return an orthogonal matrix with entries of one magnitude."""
  matrix = torch.ones(1, 1)
  while len(matrix) < size:
    matrix = torch.cat(
      [torch.cat([matrix, matrix], 1), torch.cat([matrix, -matrix], 1)]
    )
  return matrix / math.sqrt(size)
