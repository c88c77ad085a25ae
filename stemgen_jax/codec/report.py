"""How well a codec keeps each instrument, on songs it was not trained on."""

import numpy as np
import torch
from jaxtyping import Float, Int

from stemgen_jax.codec import quantizer
from stemgen_jax.codec.clips import Clips
from stemgen_jax.codec.codec import Codec
from stemgen_jax.codec.losses import SpectralLoss

_AUDIBLE = 1e-3  # RMS of a frame, -60 dB.


def report(codec: Codec, clips: Clips, count: int = 24) -> dict[str, dict]:
  """The round trip in figures, per category and for mixes of stems.

  Args:
    codec: a mono codec.
    clips: held-out clips at the codec's sample rate.
    count: clips per category.

  Returns:
    For each category and "mix": `log_mel`, the L1 distance of log-mel spectra
    in nepers over four window sizes; `plateau`, the same for a constant guess;
    `si_sdr`, the median scale-invariant signal-to-distortion ratio in dB;
    `perplexity`, the number of codes in use at each level on audible frames;
    `frames`, how many those are (they bound the perplexity).
  """
  loss = SpectralLoss(codec.sample_rate)
  results = {}
  for category in (*clips.categories, "mix"):
    audio = clips.of_category(category, count).transpose(0, 2, 1)
    codes = codec.encode(audio)
    output = codec.decode(codes)[:, : audio.shape[1]]
    with torch.inference_mode():
      _, figures = loss(channels_first(output), channels_first(audio))
    used = codes[_audible_frames(audio, codec.hop)]
    results[category] = {
      **{name: round(value, 3) for name, value in figures.items()},
      "si_sdr": round(float(np.median(si_sdr(output, audio))), 2),
      "perplexity": [
        round(float(_perplexity(level, codec.codes_per_level)), 1)
        for level in used.T
      ],
      "frames": len(used),
    }
  return results


def si_sdr(
  output: Float[np.ndarray, "b samples 1"],
  target: Float[np.ndarray, "b samples 1"],
) -> Float[np.ndarray, " b"]:
  """Scale-invariant signal-to-distortion ratio in dB (arXiv 1811.02508)."""
  output, target = output[..., 0], target[..., 0]
  energy = np.square(target).sum(1, keepdims=True) + 1e-9
  wanted = target * (output * target).sum(1, keepdims=True) / energy
  noise = np.square(output - wanted).sum(1) + 1e-9
  return 10 * np.log10((np.square(wanted).sum(1) + 1e-9) / noise)


def _audible_frames(audio: np.ndarray, hop: int) -> np.ndarray:
  """[b, t], whole frames only; an incomplete last one counts as silent."""
  b, samples, _ = audio.shape
  t = -(-samples // hop)
  frames = np.pad(audio[..., 0], ((0, 0), (0, t * hop - samples)))
  return np.square(frames).reshape(b, t, hop).mean(2) > _AUDIBLE**2


def _perplexity(ids: Int[np.ndarray, " n"], codes: int) -> float:
  usage = np.bincount(ids, minlength=codes)
  return quantizer.perplexity(torch.from_numpy(usage).float()).item()


def channels_first(
  audio: Float[np.ndarray, "b samples c"],
) -> Float[torch.Tensor, "b c samples"]:
  """PyTorch's layout of audio."""
  return torch.from_numpy(np.ascontiguousarray(audio.transpose(0, 2, 1)))
