"""Measure a codec's round trip of held-out audio, by instrument or file."""

import pathlib
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int

from stemgen_jax import audio as audio_lib
from stemgen_jax import finite
from stemgen_jax.codec.protocol import Codec, Codes
from stemgen_jax.codec.scales import AUDIBLE
from stemgen_jax.codec.training import quantizer
from stemgen_jax.codec.training.clips import Clips
from stemgen_jax.codec.training.losses import SpectralLoss

# A held note uses few codes: the perplexity needs this many times more clips.
_SOUNDS = 5
Clip = Float[np.ndarray, "b samples 1"]


def report(codec: Codec, clips: Clips, count: int = 24) -> dict[str, dict]:
  """Measure the round trip of each category, of mixes, and of all together.

  Args:
    codec: mono codec.
    clips: held-out clips at the codec's sample rate.
    count: clips per category.

  Returns:
    Figures of `judge` by category, for "mix", and for "all" of these, whose
    `perplexity` is that of `_SOUNDS` times as many clips of 1 s.
  """
  kinds = (*clips.categories, "mix")
  trips = {
    kind: _round_trip(codec, clips.of_category(kind, count).transpose(0, 2, 1))
    for kind in kinds
  }
  trips["all"] = _RoundTrip(*map(np.concatenate, zip(*trips.values())))
  results = {kind: _figures(codec, trip) for kind, trip in trips.items()}
  used = []
  for kind in kinds:
    audio = clips.of_category(kind, _SOUNDS * count).transpose(0, 2, 1)
    audio = audio[:, : codec.sample_rate]
    used.append(_encode(codec, audio)[_audible_frames(audio, codec.hop)])
  results["all"] |= _codes_in_use(np.concatenate(used), codec)
  return results


def judge(codec: Codec, audio: Clip) -> dict[str, Any]:
  """Measure the round trip of clips.

  Returns:
    `log_mel`, the L1 distance of log-mel spectra in nepers over four window
    sizes; `plateau`, the same for a constant guess; `pitch`, that of spectra in
    semitones; `si_sdr`, the median scale-invariant signal-to-distortion ratio
    in dB; `onset_f1` and `chroma_cosine`, agreement of the round trip with the
    original, see `agreement`; `perplexity`, the number of codes in use at each
    level on audible frames; `frames`, the number of those frames (an upper
    bound of the perplexity).

  Raises:
    ModuleNotFoundError: librosa or mir_eval is missing.
  """
  return _figures(codec, _round_trip(codec, audio))


class _RoundTrip(NamedTuple):
  """Clips, their codes and outputs, and the agreement of each."""

  audio: Clip
  codes: Codes
  output: Clip
  onset_f1: Float[np.ndarray, " b"]
  chroma_cosine: Float[np.ndarray, " b"]


def _round_trip(codec: Codec, audio: Clip) -> _RoundTrip:
  from stemgen_jax.codec.training import agreement

  # Clip by clip: memory does not grow with the number of clips.
  codes = _encode(codec, audio)
  output = np.concatenate([codec.decode(clip[None]) for clip in codes])
  output = output[:, : audio.shape[1]]
  agreements = [
    np.array(
      [
        agree(out[:, 0], clip[:, 0], codec.sample_rate)
        for out, clip in zip(output, audio)
      ]
    )
    for agree in (agreement.onset_f1, agreement.chroma_cosine)
  ]
  return _RoundTrip(audio, codes, output, *agreements)


def _figures(codec: Codec, trip: _RoundTrip) -> dict[str, Any]:
  with torch.inference_mode():
    _, figures = SpectralLoss(codec.sample_rate)(
      channels_first(trip.output), channels_first(trip.audio)
    )
  figures["onset_f1"] = trip.onset_f1
  figures["chroma_cosine"] = trip.chroma_cosine
  used = trip.codes[_audible_frames(trip.audio, codec.hop)]
  return {
    # None where no clip has the figure, such as onsets of silence.
    **{
      name: finite.or_none(finite.mean(value), 3)
      for name, value in figures.items()
    },
    "si_sdr": round(float(np.median(si_sdr(trip.output, trip.audio))), 2),
    **_codes_in_use(used, codec),
  }


def clips_of_files(
  paths: Sequence[pathlib.Path], sample_rate: int, samples: int
) -> Clip:
  """Read recordings in mono, cut into clips; drop a shorter remainder.

  Raises:
    ValueError: a file is not audio, or none is as long as a clip.
    FileNotFoundError: a file is missing.
  """
  clips = []
  for path in paths:
    sound = audio_lib.read(path)
    mono = audio_lib.resample(
      audio_lib.fold_down(sound.samples), sound.sample_rate, sample_rate
    )
    whole = len(mono) // samples
    clips.append(mono[: whole * samples].reshape(whole, samples, 1))
  shorter = sum(not len(clip) for clip in clips)
  if shorter:
    print(
      f"{shorter} of {len(paths)} files are shorter than "
      f"{samples / sample_rate:g} s and not measured",
      file=sys.stderr,
    )
  result = np.concatenate(clips) if clips else np.zeros((0, samples, 1))
  if not len(result):
    raise ValueError(
      f"none of {len(paths)} files is {samples / sample_rate:g} s long: "
      "give longer ones"
    )
  return result.astype(np.float32)


def si_sdr(output: Clip, target: Clip) -> Float[np.ndarray, " b"]:
  """Return the scale-invariant SDR in dB (arXiv 1811.02508)."""
  output, target = output[..., 0], target[..., 0]
  # The projection of the output onto the target; the residual is noise.
  energy = np.square(target).sum(1, keepdims=True) + 1e-9
  wanted = target * (output * target).sum(1, keepdims=True) / energy
  noise = np.square(output - wanted).sum(1) + 1e-9
  return 10 * np.log10((np.square(wanted).sum(1) + 1e-9) / noise)


def _audible_frames(audio: np.ndarray, hop: int) -> np.ndarray:
  """Return `[b, t]`; an incomplete last frame is padded with silence."""
  b, samples, _ = audio.shape
  t = -(-samples // hop)
  frames = np.pad(audio[..., 0], ((0, 0), (0, t * hop - samples)))
  return np.square(frames).reshape(b, t, hop).mean(2) > AUDIBLE**2


def _encode(codec: Codec, audio: Clip) -> Codes:
  # Clip by clip: memory does not grow with the number of clips.
  return np.concatenate([codec.encode(clip[None]) for clip in audio])


def _codes_in_use(used: Int[np.ndarray, "n q"], codec: Codec) -> dict[str, Any]:
  if not len(used):
    return {"perplexity": None, "frames": 0}
  counts = [np.bincount(ids, minlength=codec.codes_per_level) for ids in used.T]
  usage = torch.from_numpy(np.stack(counts)).float()
  values = quantizer.perplexity(usage).tolist()
  return {"perplexity": [round(x, 1) for x in values], "frames": len(used)}


def channels_first(
  audio: Float[np.ndarray, "b samples c"],
) -> Float[torch.Tensor, "b c samples"]:
  """Return audio in PyTorch's layout."""
  return torch.from_numpy(np.ascontiguousarray(audio.transpose(0, 2, 1)))
