"""The network's symmetries, and scores of sounds."""

import numpy as np
import pytest
from flax import nnx

from stemgen_jax import coherence
from stemgen_jax.audio import Audio, spectrum
from stemgen_jax.coherence import features, scoring, weights
from stemgen_jax.coherence.config import NetworkConfig
from stemgen_jax.coherence.network import Network

CONFIG = NetworkConfig(
  timing=8, harmony=4, detectors=2, timing_blocks=2, harmony_blocks=1
)
RATE = 22050


@pytest.fixture(scope="module")
def network():
  return Network(CONFIG, rngs=nnx.Rngs(0))


@pytest.fixture
def small(network, monkeypatch):
  """Score with a small network."""
  monkeypatch.setattr(weights, "load", lambda: network)


def noise(seconds, seed=0):
  rng = np.random.default_rng(seed)
  shape = (round(seconds * RATE), 1)
  return 0.1 * rng.standard_normal(shape).astype(np.float32)


def test_transposed_stems_have_rolled_embeddings(network):
  rng = np.random.default_rng(0)
  sound = np.full((64, features.BANDS), -6.0, np.float32)
  # Notes in the middle, so that none leaves the bands.
  sound[:, 36:48] = rng.uniform(-6, -1, (64, 12))
  up = sound.copy()
  up[:, : spectrum.SEMITONES] = np.roll(sound[:, : spectrum.SEMITONES], 1, 1)
  one, other = (
    scoring.embed_features(network, x, stem=True).harmony for x in (sound, up)
  )
  rolled = np.roll(one, 1, axis=1)
  # Registers overlap, so they differ a little between neighbours.
  assert abs(other - rolled).mean() < 0.1 * abs(other - one).mean()


def test_late_sounds_have_late_embeddings(network):
  rng = np.random.default_rng(0)
  sound = rng.uniform(-6, -1, (96, features.BANDS)).astype(np.float32)
  whole, late = (
    scoring.embed_features(network, x, stem=False) for x in (sound, sound[8:])
  )
  # Away from the edges, which see the padding.
  inner = slice(16, 60)
  np.testing.assert_allclose(
    whole.timing[8:][inner], late.timing[inner], atol=1e-5
  )
  np.testing.assert_allclose(
    whole.harmony[2:][4:15], late.harmony[4:15], atol=1e-5
  )


def test_scores_depend_on_neither_level_nor_layout(small):
  context, stem = noise(1.5), noise(1.5, seed=1)
  found = coherence.score(context, stem, RATE)
  assert np.isfinite(found)
  assert coherence.score(context[:, 0], 0.1 * stem[:, 0], RATE) == (
    pytest.approx(found, abs=0.02)
  )
  stereo = np.repeat(stem, 2, axis=1)
  assert coherence.score(context, stereo, RATE) == pytest.approx(
    found, abs=0.01
  )
  other = coherence.score(noise(1.5, seed=2), stem, RATE)
  assert other != pytest.approx(found, abs=1e-6)


def test_the_common_length_counts(small):
  context = Audio(noise(6.0), RATE)
  stem = Audio(noise(3.0, seed=1), RATE)
  cut = Audio(context.samples[: 3 * RATE], RATE)
  longer, shorter = (coherence.scorer(x)(stem) for x in (context, cut))
  # All but the frames next to the end see the same sound.
  assert longer == pytest.approx(shorter, abs=0.1)


def test_silence_fits_nothing(small):
  silence = np.zeros((RATE, 1), np.float32)
  assert coherence.score(noise(1.0), silence, RATE) == -np.inf
  assert coherence.score(silence, noise(1.0), RATE) == -np.inf


def test_padding_changes_nothing_away_from_the_end(network, monkeypatch):
  rng = np.random.default_rng(0)
  sound = rng.uniform(-6, -1, (84, features.BANDS)).astype(np.float32)
  padded = scoring.embed_features(network, sound, stem=True)
  monkeypatch.setattr(scoring, "_STEP", 84)
  exact = scoring.embed_features(network, sound, stem=True)
  assert padded.timing.shape == exact.timing.shape == (84, 32)
  np.testing.assert_allclose(padded.timing[:70], exact.timing[:70], atol=1e-5)
  np.testing.assert_allclose(padded.harmony[:18], exact.harmony[:18], atol=1e-5)


def test_weights_are_saved_and_loaded(network, tmp_path):
  path = tmp_path / "small.safetensors"
  weights.save(path, network, CONFIG, {"steps": 3})
  loaded = weights.load(path)
  found, expected = (dict(nnx.state(x).flat_state()) for x in (loaded, network))
  assert found.keys() == expected.keys()
  for name, value in found.items():
    np.testing.assert_allclose(value[...], expected[name][...], atol=1e-3)
  for change, message in (
    ('"features": 1', "features of version 2"),
    (path.read_bytes()[:-1], "does not belong to small.json"),
  ):
    weights.load.cache_clear()
    if isinstance(change, str):
      about = path.with_suffix(".json")
      text = about.read_text()
      other = text.replace(change, '"features": 2')
      unsealed = other.replace("description_checksum", "unsealed")
      about.write_text(unsealed)
      with pytest.raises(ValueError, match=message):
        weights.load(path)
      about.write_text(text)
    else:
      path.write_bytes(change)
      with pytest.raises(ValueError, match=message):
        weights.load(path)
  with pytest.raises(FileNotFoundError, match="train_coherence"):
    weights.load(tmp_path / "other.safetensors")
