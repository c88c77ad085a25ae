"""Losses of the codec: waveform, and spectra at several resolutions."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

# Window and mel bands: short windows for attacks, long ones for pitch.
_RESOLUTIONS = ((2048, 96), (1024, 64), (512, 48), (256, 32))
# Floor of a magnitude spectrum over sqrt(window): 60 dB below a loud sound.
# With 1e-5 half of the loss comes from inaudible bins (measured).
FLOOR = 3e-4
_LINEAR_MEL = 2.0
# Pitch: a window that separates semitones from 130 Hz on; MIDI notes C1 to B7.
SEMITONE_WINDOW = 4096
_SEMITONES = range(24, 108)
# Mean square of a sound 40 dB below full scale: the errors of quieter sounds
# are relative to this.
_QUIET = 1e-4


Audio = Float[Tensor, "b c samples"]


def waveform_error(output: Audio, target: Audio) -> Tensor:
  """Return the mean over clips of |output - target|^2 / |target|^2."""
  error = (output - target).square().mean((1, 2))
  return (error / (target.square().mean((1, 2)) + _QUIET)).mean()


class SpectralLoss(nn.Module):
  """Log-mel L1 + linear mel L1 at four window sizes, log-semitone L1 at one."""

  def __init__(self, sample_rate: int):
    super().__init__()
    for window, bands in _RESOLUTIONS:
      self.register_buffer(f"window_{window}", torch.hann_window(window))
      self.register_buffer(
        f"mel_{window}", mel_filters(sample_rate, window, bands)
      )
    window = torch.hann_window(SEMITONE_WINDOW)
    self.register_buffer(f"window_{SEMITONE_WINDOW}", window)
    self.register_buffer("semitones", semitone_filters(sample_rate))

  def mels(self, audio: Float[Tensor, "b samples"]) -> list[Tensor]:
    """Return mel spectra `[b, bands, t]`, longest window first."""
    return [
      self.get_buffer(f"mel_{size}")
      @ magnitudes(audio, self.get_buffer(f"window_{size}"), size // 2)
      for size, _ in _RESOLUTIONS
    ]

  def log_pitches(
    self, audio: Float[Tensor, "b samples"]
  ) -> Float[Tensor, "b semitones t"]:
    """Return log spectra in semitones."""
    window = self.get_buffer(f"window_{SEMITONE_WINDOW}")
    spectrum = magnitudes(audio, window, SEMITONE_WINDOW // 4)
    return (self.get_buffer("semitones") @ spectrum).log()

  def forward(
    self, output: Audio, target: Audio
  ) -> tuple[Tensor, dict[str, float]]:
    """Return the loss and its figures.

    `log_mel` is the mean over window sizes of the L1 distance of log-mel
    spectra in nepers. `plateau` is the same for the best constant guess (each
    band's median over this batch), which a codec reaches without learning.
    `pitch` is the L1 distance of log spectra in semitones.
    """
    log_mel = linear = plateau = torch.zeros(())
    output, target = output.flatten(0, 1), target.flatten(0, 1)
    for out, wanted in zip(self.mels(output), self.mels(target)):
      log_wanted = wanted.log()
      log_mel = log_mel + (out.log() - log_wanted).abs().mean()
      linear = linear + (out - wanted).abs().mean()
      bands = log_wanted.transpose(0, 1).flatten(1)  # [bands, b * t]
      middle = bands.median(1, keepdim=True).values
      plateau = plateau + (bands - middle).abs().mean()
    n = len(_RESOLUTIONS)
    pitch = (self.log_pitches(output) - self.log_pitches(target)).abs().mean()
    loss = (log_mel + _LINEAR_MEL * linear) / n + pitch
    figures = {"log_mel": log_mel.item() / n, "plateau": plateau.item() / n}
    return loss, figures | {"pitch": pitch.item()}


def mel_filters(
  sample_rate: int, window: int, bands: int
) -> Float[Tensor, "bands bins"]:
  """Return triangles of unit sum, equally spaced in mel (HTK)."""
  # In float32 by PyTorch: other libraries round the edges differently, and the
  # losses of earlier runs would change.
  top = 2595 * torch.log10(torch.tensor(1 + sample_rate / 2 / 700))
  edges = 700 * (10 ** (torch.linspace(0, top.item(), bands + 2) / 2595) - 1)
  return _triangles(edges, sample_rate, window)


def semitone_filters(
  sample_rate: int, window: int = SEMITONE_WINDOW
) -> Float[Tensor, "semitones bins"]:
  """Return triangles of unit sum around C1 to B7."""
  notes = torch.arange(_SEMITONES.start - 1, _SEMITONES.stop + 1)
  edges = 440 * 2 ** ((notes - 69) / 12)
  return _triangles(edges, sample_rate, window)


def _triangles(
  edges: Float[Tensor, " bands+2"], sample_rate: int, window: int
) -> Float[Tensor, "bands bins"]:
  """Return a triangle around each inner edge, from neighbor to neighbor."""
  bins = torch.linspace(0, sample_rate / 2, window // 2 + 1)
  low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
  # At least one bin wide: narrower triangles would miss every bin.
  width = sample_rate / window
  rising = (bins - middle) / (middle - low).clamp(min=width) + 1
  falling = (middle - bins) / (high - middle).clamp(min=width) + 1
  triangles = torch.minimum(rising, falling).clamp(min=0)
  return triangles / triangles.sum(1, keepdim=True)


def magnitudes(
  audio: Float[Tensor, "b samples"],
  window: Float[Tensor, " size"],
  hop: int,
  *,
  center: bool = True,
) -> Float[Tensor, "b bins t"]:
  """Return magnitude spectra over sqrt(size), plus FLOOR.

  With `center` window i is around sample i * hop, otherwise it begins there.
  """
  size = len(window)
  spectrum = torch.stft(
    audio, size, hop, window=window, center=center, return_complex=True
  )
  return spectrum.abs() / size**0.5 + FLOOR
