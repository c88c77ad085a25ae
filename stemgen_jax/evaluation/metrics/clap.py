"""CLAP (arXiv 2211.06687), the embedding of the APA paper.

Its weights are not shipped. They are read from a folder as the transformers
library writes it: config.json, preprocessor_config.json, model.safetensors.
"""

import os
import pathlib

import numpy as np

from stemgen_jax import audio
from stemgen_jax.evaluation.features import Features
from stemgen_jax.evaluation.metrics.embeddings import Embedding

_FILES = ("config.json", "preprocessor_config.json", "model.safetensors")


def load(folder: str | os.PathLike[str]) -> Embedding:
  """Load the audio embedding, computed per segment of 10 s.

  Raises:
    FileNotFoundError: a file is missing from the folder.
    ModuleNotFoundError: transformers is not installed.
    ValueError: the files are not those of a CLAP model.
  """
  for name in _FILES:
    if not (pathlib.Path(folder) / name).is_file():
      raise FileNotFoundError(
        f"{folder}: no {name}; expected a folder with {', '.join(_FILES)}, as "
        "of laion/larger_clap_music"
      )
  from stemgen_jax.codec.without_torchaudio import importable_torchaudio

  try:
    with importable_torchaudio():
      from transformers import (
        ClapAudioModelWithProjection,
        ClapFeatureExtractor,
      )
  except ImportError as error:
    raise ModuleNotFoundError(
      "transformers is needed for CLAP: pip install 'transformers>=5'"
    ) from error
  try:
    extractor = ClapFeatureExtractor.from_pretrained(
      folder, local_files_only=True
    )
    model = ClapAudioModelWithProjection.from_pretrained(
      folder, local_files_only=True, use_safetensors=True
    ).eval()
  except (OSError, RuntimeError, TypeError, KeyError) as error:
    raise ValueError(
      f"{folder}: not a CLAP model ({error}); expected one as of "
      "laion/larger_clap_music"
    ) from error

  def embed(sound: Features) -> np.ndarray:
    wanted = extractor.sampling_rate
    samples = audio.resample_mono(sound.mono, sound.sample_rate, wanted)
    found = []
    # As many samples as the model takes at a time.
    for first in range(0, len(samples), extractor.nb_max_samples):
      part = samples[first : first + extractor.nb_max_samples]
      inputs = extractor(part, sampling_rate=wanted, return_tensors="pt")
      found.append(model(**inputs).audio_embeds.detach().numpy()[0])
    return np.stack(found)  # [windows, d]

  return embed
