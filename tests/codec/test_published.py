"""The published codecs with random weights: theirs are not shipped."""

import dataclasses
import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import random_codec
import safetensors.torch
import torch
import transformers

from stemgen_jax import codec
from stemgen_jax.codec import ScaledCodec, chunked, published

NAMES = ("encodec_24khz", "encodec_32khz", "encodec_48khz")
# Fields in config.json of facebook/encodec_24khz, _32khz and _48khz that differ
# from the defaults.
THEIRS = {
  "encodec_24khz": {},
  "encodec_32khz": {
    "target_bandwidths": [2.2],
    "sampling_rate": 32_000,
    "num_filters": 64,
    "upsampling_ratios": [8, 5, 4, 4],
    "codebook_size": 2048,
    "use_causal_conv": False,
    "use_conv_shortcut": False,
  },
  "encodec_48khz": {
    "target_bandwidths": [3.0, 6.0, 12.0, 24.0],
    "sampling_rate": 48_000,
    "audio_channels": 2,
    "use_causal_conv": False,
    "norm_type": "time_group_norm",
    "normalize": True,
    "chunk_length_s": 1.0,
    "overlap": 0.01,
  },
}
BANDWIDTH = {
  "encodec_24khz": 6.0,
  "encodec_32khz": 2.2,
  "encodec_48khz": 6.0,
}


def noise(*shape, seed=0):
  """Return noise of changing loudness, so that scales change."""
  rng = np.random.default_rng(seed)
  sound = rng.standard_normal(shape).astype(np.float32)
  envelope = 0.1 + 0.1 * np.sin(np.arange(shape[1]) / 20_000)
  return sound * envelope[None, :, None].astype(np.float32)


@torch.no_grad()
def their_model(name, **changes):
  """Return transformers' model of a configuration with random weights."""
  torch.manual_seed(0)
  config = transformers.EncodecConfig(**THEIRS[name] | changes)
  model = transformers.EncodecModel(config).eval()
  audio = torch.randn(1, config.audio_channels, config.sampling_rate)
  books = [layer.codebook for layer in model.quantizer.layers]
  random_codec.fill_codebooks(model.encoder(audio)[0].T, books)
  return model


@torch.inference_mode()
def their_codes(model, name, audio, mask=None):
  """Return codes [b, t, q] of all segments, and their scales [b, n]."""
  sound = torch.from_numpy(audio).transpose(1, 2).contiguous()
  encoded = model.encode(sound, mask, bandwidth=BANDWIDTH[name])
  *parts, last = encoded.audio_codes
  parts.append(last[..., : last.shape[-1] - encoded.last_frame_pad_length])
  codes = torch.cat(parts, dim=-1).transpose(1, 2)
  scales = encoded.audio_scales
  return (
    codes.numpy(),
    None if scales[0] is None else torch.cat(scales, 1).numpy(),
  )


@torch.inference_mode()
def their_audio(model, codes, scales):
  """Decode codes [b, t, q] in segments of 150 frames by transformers."""
  if scales is None:
    return _decode(model, codes, [None], 0)
  padding = -codes.shape[1] % 150
  return _decode(model, codes, torch.from_numpy(scales).T[..., None], padding)


def _decode(model, codes, scales, padding):
  padded = np.pad(codes, ((0, 0), (0, padding), (0, 0)))
  b, _, q = codes.shape
  stacked = torch.from_numpy(padded).long().reshape(b, len(scales), -1, q)
  decoded = model.decode(
    stacked.permute(1, 0, 3, 2), scales, last_frame_pad_length=padding
  )
  return decoded.audio_values.transpose(1, 2).numpy()


@pytest.fixture(params=NAMES)
def pair(request, tmp_path, monkeypatch):
  """A small model of transformers, and ours with its weights."""
  name = request.param
  monkeypatch.setenv("STEMGEN_JAX_CACHE", str(tmp_path / "cache"))
  shape = dataclasses.replace(published.CONFIGS[name], filters=2)
  monkeypatch.setitem(published.CONFIGS, name, shape)
  model = their_model(name, num_filters=2)
  safetensors.torch.save_file(model.state_dict(), tmp_path / "w.safetensors")
  return name, model, codec.load(f"{name}:{tmp_path}/w.safetensors")


def assert_parity(name, model, ours, audio):
  codes = ours.encode(audio)
  theirs, scales = their_codes(model, name, audio)
  # transformers adds a segment for a remainder, see `Framing`.
  assert 0 <= theirs.shape[1] - codes.shape[1] <= 2
  theirs = theirs[:, : codes.shape[1]]
  assert codes.shape == theirs.shape
  assert (codes == theirs).mean() >= 0.999
  if scales is not None:
    scales = scales[:, : ours.framing.segments(codes.shape[1])]
    np.testing.assert_allclose(ours.scales(audio), scales, rtol=1e-5)
    decoded = ours.decode(codes, scales)
  else:
    decoded = ours.decode(codes)
  assert decoded.shape[1] >= audio.shape[1]
  np.testing.assert_allclose(
    decoded, their_audio(model, codes, scales), atol=1e-4
  )


# Lengths: shorter than a frame, whole frames, none; one and several segments,
# and one whose remainder of 480 samples makes no segment.
@pytest.mark.parametrize("samples", [100, 9_600, 48_000, 48_000 + 7_777])
def test_equals_transformers(pair, samples):
  name, model, ours = pair
  audio = noise(2, samples, ours.channels)
  assert len(np.unique(ours.encode(audio))) > 20 or samples == 100
  assert_parity(name, model, ours, audio)


def test_equals_transformers_on_a_batch_of_unequal_lengths(pair):
  """They mask padding; ours is silence, or the item alone."""
  name, model, ours = pair
  lengths = (60_000, 52_345)
  audio = noise(2, max(lengths), ours.channels)
  mask = torch.ones(2, 1, max(lengths))
  for item, length in enumerate(lengths):
    audio[item, length:] = 0
    mask[item, :, length:] = 0
  theirs, _ = their_codes(model, name, audio, mask)
  assert (ours.encode(audio) == theirs).mean() >= 0.999
  for item, length in enumerate(lengths):
    assert_parity(name, model, ours, audio[item : item + 1, :length])


def test_equals_transformers_in_the_published_shape(tmp_path, monkeypatch):
  monkeypatch.setenv("STEMGEN_JAX_CACHE", str(tmp_path / "cache"))
  for name in NAMES:
    model = their_model(name)
    safetensors.torch.save_file(model.state_dict(), tmp_path / "w.safetensors")
    ours = codec.load(f"{name}:{tmp_path}/w.safetensors")
    audio = noise(1, 5_000, ours.channels)
    assert_parity(name, model, ours, audio)


def test_layouts_of_the_same_weights_are_the_same_codec(pair, tmp_path):
  name, model, ours = pair
  state = {}
  for key, tensor in model.state_dict().items():
    # From transformers' names to those of encodec and audiocraft.
    place, _, rest = key.partition(".layers.")
    if place == "quantizer":
      key = f"quantizer.vq.layers.{rest.replace('codebook', '_codebook')}"
    elif "lstm" in rest:
      key = f"{place}.model.{rest}"
    else:
      number = int(rest.partition(".")[0])
      transposed = place == "decoder" and number in (3, 6, 9, 12)
      kind = "convtr" if transposed and ".block" not in rest else "conv"
      rest = rest.replace(".conv.", f".{kind}.{kind}.")
      rest = rest.replace(".norm.", f".{kind}.norm.")
      rest = rest.replace("parametrizations.weight.original0", "weight_g")
      rest = rest.replace("parametrizations.weight.original1", "weight_v")
      key = f"{place}.model.{rest}"
    state[key] = tensor
  audiocraft = {"best_state": state, "xp.cfg": "sample_rate: 1", "version": "1"}
  torch.save(state, tmp_path / "weights.th")
  torch.save(audiocraft, tmp_path / "compression_state_dict.bin")
  for file in ("weights.th", "compression_state_dict.bin"):
    again = codec.load(f"{name}:{tmp_path / file}")
    assert again.checksum == ours.checksum
  audio = noise(1, 9_999, ours.channels)
  np.testing.assert_array_equal(again.encode(audio), ours.encode(audio))
  # Another weight is another codec.
  state["encoder.model.0.conv.conv.bias"] += 1e-3
  torch.save(state, tmp_path / "weights.th")
  other = codec.load(f"{name}:{tmp_path / 'weights.th'}")
  assert other.checksum != ours.checksum
  with pytest.raises(ValueError, match="trained this model"):
    codec.load(
      f"{name}:{tmp_path / 'weights.th'}", expected_checksum=ours.checksum
    )


class Harm:
  """An object that runs code when it is unpickled."""

  def __reduce__(self):
    return (json.dumps, ("harm",))


@pytest.mark.parametrize(
  ("content", "message"),
  [
    (b"no weights at all", "has no weights, or is corrupt"),
    ({"pretrained": "facebook/encodec_32khz"}, "only the name of others"),
    ({"best_state": {"a": torch.zeros(1)}}, "other weights: no tensor decoder"),
    ({"best_state": Harm()}, "has no weights, or is corrupt"),
    (torch.zeros(1), "has a Tensor: expected a dict of tensors"),
  ],
)
def test_other_files_are_refused(tmp_path, monkeypatch, content, message):
  monkeypatch.setenv("STEMGEN_JAX_CACHE", str(tmp_path))
  path = tmp_path / "state_dict.bin"
  if isinstance(content, bytes):
    path.write_bytes(content)
  else:
    torch.save(content, path)
  with pytest.raises(ValueError, match=message):
    codec.load(f"encodec_24khz:{path}")


def test_weights_of_another_codec_are_refused(pair, tmp_path):
  name, _, _ = pair
  other = NAMES[(NAMES.index(name) + 1) % 3]
  with pytest.raises(ValueError, match="has other weights"):
    codec.load(f"{other}:{tmp_path}/w.safetensors")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seconds", [0.2, 2.345])
def test_round_trip_of_any_length(name, seconds):
  small = random_codec.random_codec(name)
  samples = round(seconds * small.sample_rate)
  audio = noise(2, samples, small.channels)
  codes = small.encode(audio)
  assert codes.shape == (2, small.frames(samples), small.levels)
  assert codes.dtype == np.int32
  decoded = small.decode(codes)
  assert 0 <= decoded.shape[1] - samples < small.hop
  assert decoded.dtype == np.float32
  for item in range(2):  # Alone as in a batch.
    alone = small.encode(audio[item : item + 1])
    np.testing.assert_array_equal(alone[0], codes[item])
    np.testing.assert_array_equal(small.decode(alone)[0], decoded[item])
  assert small.decode(small.encode(audio[:, :0])).shape[1] == 0


@pytest.mark.parametrize("name", NAMES)
def test_round_trip_has_no_lag(name):
  """Codes that change at one time change the sound from that time on.

  A causal network's sound changes there and not before; the others' does
  within the receptive field, evenly to both sides.
  """
  small = random_codec.random_codec(name)
  t = 100
  codes = np.zeros((1, t, small.levels), np.int32)
  changed = codes.copy()
  changed[:, 50:] = 7
  difference = np.abs(small.decode(changed) - small.decode(codes))[0, :, 0]
  if name == "encodec_48khz":  # A segment depends on all of itself.
    difference = difference * (difference > 0.3 * difference.max())
  first = np.flatnonzero(difference > 1e-7)[0]
  before = 0 if name == "encodec_24khz" else 5
  assert (50 - before) * small.hop <= first < 52 * small.hop


@pytest.mark.parametrize("name", NAMES[:2])
def test_a_long_file_equals_one_piece(name, monkeypatch):
  small = random_codec.random_codec(name)
  audio = noise(1, 130 * small.hop - 123, 1)
  codes = small.encode(audio)
  decoded = small.decode(codes)
  monkeypatch.setattr(chunked, "_CHUNK", 40)
  assert (small.encode(audio) == codes).mean() > 0.999
  difference = np.abs(small.decode(codes) - decoded).max()
  # -100 dB, at the seams too: the LSTM's state is passed on.
  assert difference < 1e-5 * np.abs(decoded).max()


@pytest.mark.parametrize("name", NAMES[:2])
@torch.inference_mode()
def test_the_margin_exceeds_the_receptive_field(name):
  """Except for the LSTM, whose state is passed on instead."""
  network = random_codec.random_network(name, lstm=0)
  hop = network.config.hop
  audio = torch.from_numpy(noise(1, 60 * hop, 1)).transpose(1, 2)
  changed = audio.clone()
  changed[..., 30 * hop : 31 * hop] += 1
  latents = network.encoder(audio)
  difference = network.encoder(changed) - latents
  frames = difference.abs().amax((0, 1)).numpy()
  changed = latents.clone()
  changed[..., 30] += 1
  difference = network.decoder(changed) - network.decoder(latents)
  samples = difference.abs().amax((0, 1)).numpy()
  for seen in (np.flatnonzero(frames), np.flatnonzero(samples) // hop):
    assert 22 <= seen.min() <= 30 <= seen.max() <= 38
  assert chunked._MARGIN > 8


def test_scales_restore_the_level_of_every_segment():
  small: Any = random_codec.random_codec("encodec_48khz")
  assert isinstance(small, ScaledCodec)
  quiet = noise(1, 140_000, 2)
  loud = 4 * quiet
  scales = small.scales(quiet)
  assert scales.shape == (1, 3)
  np.testing.assert_allclose(small.scales(loud), 4 * scales, rtol=1e-5)
  mono = quiet[0, :48_000].mean(1)
  assert scales[0, 0] == pytest.approx(np.sqrt(np.mean(mono**2)), rel=1e-4)
  codes = small.encode(quiet)
  assert (small.encode(loud) == codes).mean() > 0.999
  np.testing.assert_allclose(
    small.decode(codes, 4 * scales), 4 * small.decode(codes, scales), rtol=1e-4
  )
  one = scales * [[1, 0, 1]]  # The second segment silent.
  decoded = small.decode(codes, one)[0]
  assert not decoded[48_000 : 2 * 47_520].any()
  assert decoded[:47_520].any()
  assert np.isfinite(small.decode(codes)).all()
  for wrong in (scales[:, :2], -scales, scales * np.nan):
    with pytest.raises(ValueError, match="scales"):
      small.decode(codes, wrong)


def test_codecs_without_scales_are_not_scaled():
  assert not isinstance(codec.load("demo"), ScaledCodec)


_TORCHAUDIO = """
import importlib.abc, sys
class Finder(importlib.abc.MetaPathFinder):
  def find_spec(self, name, path, target=None):
    if name == "torchaudio":
      {action}
sys.meta_path.insert(0, Finder())
from stemgen_jax.codec import networks
assert networks.LSTM
assert ("torchaudio" in sys.modules) == {there}
"""


@pytest.mark.processes
@pytest.mark.parametrize(
  ("action", "there"),
  [
    ("raise OSError('libc10_cuda.so: cannot open shared object')", False),
    ("raise ImportError('no such module')", False),
    (
      "import importlib.machinery as m; return m.ModuleSpec(name, Loader())",
      True,
    ),
  ],
)
def test_torchaudio_may_fail_or_exist(action, there):
  loader = """
class Loader:
  def create_module(self, spec): return None
  def exec_module(self, module):
    import types
    module.transforms = types.ModuleType("torchaudio.transforms")
    module.__path__ = []
    sys.modules["torchaudio.transforms"] = module.transforms
"""
  script = loader + _TORCHAUDIO.format(action=action, there=there)
  subprocess.run([sys.executable, "-c", script], check=True)
