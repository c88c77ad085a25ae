import numpy as np
import pytest
import safetensors.numpy
import torch
from torch import nn

from stemgen_jax import audio, paths
from stemgen_jax import codec as codecs
from stemgen_jax.audio import Audio
from stemgen_jax.codec.without_torchaudio import importable_torchaudio
from stemgen_jax.evaluation.features import Features
from stemgen_jax.evaluation.metrics import clap, embeddings, musicnn, vggish

RATE = 32000
LOOPS = paths.LOOPS


def features(samples, rate=RATE):
  return Features(Audio(samples, rate))


def noise(seconds, level=0.1):
  rng = np.random.default_rng(0)
  samples = rng.normal(0, level, (round(seconds * RATE), 1))
  return samples.astype(np.float32)


def torchvggish() -> nn.Sequential:
  """Return the layers of torchvggish, in its order and with its names."""
  torch.manual_seed(0)
  layers, inputs = [], 1
  for width in (64, "M", 128, "M", 256, 256, "M", 512, 512, "M"):
    if isinstance(width, str):
      layers.append(nn.MaxPool2d(2, 2))
    else:
      layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU()]
      inputs = width
  dense = []
  for before, after in ((12288, 4096), (4096, 4096), (4096, 128)):
    dense += [nn.Linear(before, after), nn.ReLU()]
  network = nn.Sequential()
  network.add_module("features", nn.Sequential(*layers))
  network.add_module("embeddings", nn.Sequential(*dense))
  return network.eval()


def test_latents_of_the_codec_are_those_of_its_codes():
  codec = codecs.load("demo")
  sound = noise(2.0)
  found = embeddings.codec_latents(codec)(features(sound))
  assert found.shape == (2, 128)
  codes, books = codec.encode(sound[None])[0], codec.codebooks()
  first = sum(
    books[level, codes[:50, level]].mean(0) for level in range(codec.levels)
  )
  np.testing.assert_allclose(found[0], first, rtol=1e-4, atol=1e-5)


def test_keys_of_a_tone():
  time = np.arange(4 * RATE) / RATE
  sound = (0.3 * np.sin(2 * np.pi * 440 * time))[:, None].astype(np.float32)
  found = embeddings.keys(features(sound))
  assert found.shape == (2, 176)
  assert (found[:, :88].argmax(1) == 69 - 21).all()


def test_vggish_equals_torchvggish(tmp_path):
  network = torchvggish()
  path = tmp_path / "vggish-10086976.pth"
  torch.save(network.state_dict(), path)
  sound = noise(2.5)
  found = vggish.load(path)(features(sound))
  assert found.shape == (2, 128)  # of 0.96 s; the remainder is dropped
  mono = sound[::2, 0]  # 16 kHz
  examples = vggish.log_mel(mono)
  with torch.inference_mode():
    x = network[0](torch.from_numpy(examples)[:, None])
    expected = network[1](x.permute(0, 2, 3, 1).flatten(1)).numpy()
  again = vggish.load(path)(features(mono[:, None], 16000))
  np.testing.assert_allclose(again, expected, rtol=1e-3, atol=1e-5)


def test_vggish_has_the_bands_of_its_paper():
  # 64 bands from 125 to 7500 Hz, 96 frames of 10 ms, log(x + 0.01).
  quiet = vggish.log_mel(np.zeros(16000, np.float32))
  assert quiet.shape == (1, 96, 64)
  np.testing.assert_allclose(quiet, np.log(0.01), rtol=1e-6)
  mel = 1127 * np.log1p(np.array([125, 7500]) / 700)
  centres = np.linspace(mel[0], mel[1], 66)[1:-1]
  time = np.arange(16000) / 16000
  for band in (10, 40, 60):
    frequency = 700 * np.expm1(centres[band] / 1127)
    tone = np.sin(2 * np.pi * frequency * time).astype(np.float32)
    assert abs(int(vggish.log_mel(tone)[0].mean(0).argmax()) - band) <= 1


def test_other_files_than_vggishs_are_refused(tmp_path):
  with pytest.raises(FileNotFoundError, match="no weights of VGGish"):
    vggish.load(tmp_path / "none.pth")
  other = tmp_path / "other.safetensors"
  safetensors.numpy.save_file({"x": np.zeros(3, np.float32)}, other)
  with pytest.raises(
    ValueError, match=r"features\.0\.weight has shape none; expected"
  ):
    vggish.load(other)
  broken = tmp_path / "broken.pth"
  broken.write_bytes(b"PK broken")
  with pytest.raises(ValueError, match="corrupt"):
    vggish.load(broken)


def test_clap_from_a_folder_of_transformers(tmp_path):
  audio = {
    "patch_embeds_hidden_size": 16,
    "hidden_size": 128,
    "depths": [1, 1, 1, 1],
    "num_attention_heads": [1, 2, 2, 2],
    "projection_dim": 24,
  }
  with importable_torchaudio():
    from transformers import (
      ClapAudioConfig,
      ClapAudioModelWithProjection,
      ClapFeatureExtractor,
    )
  torch.manual_seed(0)
  model = ClapAudioModelWithProjection(ClapAudioConfig(**audio)).eval()
  model.save_pretrained(tmp_path)
  ClapFeatureExtractor(truncation="rand_trunc").save_pretrained(tmp_path)
  sound = noise(12.0)
  found = clap.load(tmp_path)(features(sound))
  assert found.shape == (2, 24)  # 10 s and the remainder
  assert np.isfinite(found).all()
  assert np.abs(found[0] - found[1]).max() > 0
  (tmp_path / "model.safetensors").unlink()
  with pytest.raises(FileNotFoundError, match=r"model\.safetensors"):
    clap.load(tmp_path)


def test_musicnn_tags_the_shipped_loops():
  # Numbers of tags of MagnaTagATune in musicnn's configuration.
  tags = {"guitar": 0, "slow": 2, "techno": 3, "drums": 5, "beat": 11}
  tensors = musicnn.weights()
  weight, bias = (
    np.asarray(tensors[f"dense_1/{x}"]) for x in ("kernel", "bias")
  )

  def probable(name):
    found = musicnn.load()(Features(audio.read(LOOPS / name)))
    assert found.shape[1] == 200
    mean = (1 / (1 + np.exp(-(found @ weight + bias)))).mean(0)
    return {tag: float(mean[number]) for tag, number in tags.items()}

  drums, chords = probable("drums.flac"), probable("chords.flac")
  for tag in ("techno", "drums", "beat"):
    assert drums[tag] > 0.2 > chords[tag]
  for tag in ("guitar", "slow"):
    assert chords[tag] > 0.2 > drums[tag]


def test_musicnn_of_short_and_silent_sounds():
  embed = musicnn.load()
  assert embed(features(noise(1.0))).shape == (1, 200)
  assert np.isfinite(embed(features(np.zeros((7 * RATE, 1), np.float32)))).all()
