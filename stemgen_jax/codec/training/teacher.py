"""Targets of the coarsest level: the pitches and attacks of a frame.

Without supervision a codec spends its coarsest level on the waveform. Its codes
then rotate with the phase of the lowest partial, which a context does not
determine: a model that predicts one stem from others cannot predict them. And
codes of the spectrum as it is are spent on loudness and timbre: in pads they
hardly separate the notes (measured: an AUC of 0.62 for the pitch classes,
against 0.85 for the targets below).

So the first dimensions of the latents have as their target what a context
determines: peaks of the spectrum over its neighborhood in pitch, and the rise
of bands from frame to frame, with little of the loudness. The coarsest codebook
uses these dimensions only; the finer levels and other dimensions carry the
rest. Speech codecs supervise their first level in the same way
(arXiv 2308.16692).
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stemgen_jax.codec.training.losses import (
  SEMITONE_WINDOW,
  Audio,
  magnitudes,
  mel_filters,
  semitone_filters,
)

# A longer window separates the notes below C3.
LOW_WINDOW, _LOW_NOTES = 2 * SEMITONE_WINDOW, 24
ATTACK_WINDOW, _ATTACK_BANDS = 512, 24
# Semitones on either side that a peak is compared with, and the weights of the
# features: those of eight choices by whose k-means separates the pitch classes
# best (mean AUC 0.87; 0.84 with 6 neighbors, 0.77 for the plain spectrum).
_NEIGHBORS = 2
_PEAKS, _CLASSES, _RISES, _LOUDNESS = 2.0, 2.0, 1.0, 0.3
_HIGHEST = 3.0  # nepers, of a peak or a rise
_FLOOR = 1e-3  # RMS, -60 dB


class Teacher(nn.Module):
  """Computes the target of every frame: `size` numbers.

  They are the principal components of the frame's features, rotated so that
  each has the same variance (1 over the clips of `fit`): distances between
  targets are those between features, and the batch norm of the latents, which
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
    notes = semitone_filters(sample_rate)
    low_notes = semitone_filters(sample_rate, LOW_WINDOW)
    attacks = mel_filters(sample_rate, ATTACK_WINDOW, _ATTACK_BANDS)
    # Not in checkpoints: the filters follow from the configuration.
    self.register_buffer("low_notes", low_notes, persistent=False)
    self.register_buffer("notes", notes, persistent=False)
    self.register_buffer("attacks", attacks, persistent=False)
    features = len(notes) + 12 + len(attacks) + 1
    self.register_buffer("mean", torch.zeros(features))
    self.register_buffer("projection", torch.zeros(features, size))

  @torch.no_grad()
  def fit(self, audio: Audio) -> None:
    """Set mean and projection from the features of these clips."""
    features = self._features(audio).flatten(0, 1)  # [b * t, features]
    mean = features.mean(0)
    size = self.get_buffer("projection").shape[1]
    covariance = torch.cov((features - mean).T)
    variances, directions = torch.linalg.eigh(covariance)
    # `eigh` sorts upwards: the last are the largest. The rotation makes their
    # variances equal to the mean variance, in place of a whitening, which
    # would change distances.
    directions = directions[:, -size:] @ _hadamard(size)
    scale = variances[-size:].mean().sqrt()
    self.get_buffer("mean").copy_(mean)
    self.get_buffer("projection").copy_(directions / scale)

  @torch.no_grad()
  def forward(self, audio: Audio) -> Float[Tensor, "b size t"]:
    """Return the targets of all whole frames."""
    features = self._features(audio) - self.get_buffer("mean")
    return (features @ self.get_buffer("projection")).transpose(1, 2)

  def _features(self, audio: Audio) -> Float[Tensor, "b t features"]:
    mono = audio.mean(1)
    t = mono.shape[1] // self._hop
    low = self._peaks("low_notes", mono, LOW_WINDOW)[:, :_LOW_NOTES]
    high = self._peaks("notes", mono, SEMITONE_WINDOW)[:, _LOW_NOTES:]
    peaks = torch.cat([low, high], 1)  # [b, 84, t]
    classes = peaks.unflatten(1, (-1, 12)).sum(1)  # octaves added, [b, 12, t]
    attacks = self._log_bands("attacks", mono, ATTACK_WINDOW)  # [b, 24, t]
    rises = attacks.diff(dim=2, prepend=attacks[..., :1]).clamp(0, _HIGHEST)
    frames = mono[:, : t * self._hop].unflatten(1, (t, self._hop))
    loudness = (frames.square().mean(2).sqrt() + _FLOOR).log()[:, None]
    return torch.cat(
      [
        _PEAKS * peaks,
        _CLASSES * classes,
        _RISES * rises,
        _LOUDNESS * loudness,
      ],
      1,
    ).transpose(1, 2)

  def _peaks(
    self, filters: str, audio: Float[Tensor, "b samples"], window: int
  ) -> Float[Tensor, "b notes t"]:
    """Return log spectra over the mean of their neighborhoods in pitch.

    Neither loudness nor the spectral envelope are left.
    """
    notes = self._log_bands(filters, audio, window)
    return (notes - _neighborhood(notes)).clamp(0, _HIGHEST)

  def _log_bands(
    self, filters: str, audio: Float[Tensor, "b samples"], window: int
  ) -> Float[Tensor, "b bands t"]:
    """Return log spectra of windows around the middle of each frame."""
    t = audio.shape[1] // self._hop
    before = (window - self._hop) // 2
    after = (t - 1) * self._hop + window - before - audio.shape[1]
    padded = nn.functional.pad(audio, (before, after))
    spectra = magnitudes(
      padded, torch.hann_window(window), self._hop, center=False
    )
    return (self.get_buffer(filters) @ spectra).log()


def _neighborhood(
  notes: Float[Tensor, "b notes t"],
) -> Float[Tensor, "b notes t"]:
  """Return the mean over a note and its neighbors on either side."""
  along = notes.transpose(1, 2)  # [b, t, notes]
  padded = nn.functional.pad(along, (_NEIGHBORS,) * 2, mode="replicate")
  return nn.functional.avg_pool1d(padded, 2 * _NEIGHBORS + 1, 1).transpose(1, 2)


def _hadamard(size: int) -> Float[Tensor, "size size"]:
  """Return an orthogonal matrix with entries of one magnitude."""
  matrix = torch.ones(1, 1)
  while len(matrix) < size:
    matrix = torch.cat(
      [torch.cat([matrix, matrix], 1), torch.cat([matrix, -matrix], 1)]
    )
  return matrix / math.sqrt(size)
