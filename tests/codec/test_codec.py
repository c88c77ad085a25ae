"""The codec's interface: shapes, alignment, locality, bad files."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from stemgen_jax import codec, disk
from stemgen_jax.codec import chunked, encodec, networks
from stemgen_jax.codec.training import normalization, quantizer

CONFIG = networks.NetworkConfig(filters=4, latent=16, levels=3)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
  """An untrained codec whose codebooks have the scale of latents."""
  torch.manual_seed(0)
  network = networks.Network(CONFIG)
  for book in quantizer.books(network.quantizer):
    torch.nn.init.normal_(book.embed, std=0.1)
  path = tmp_path_factory.mktemp("codec") / "random.safetensors"
  encodec.save(path, "random", network, {})
  return path


@pytest.fixture(scope="module")
def random_codec(path):
  return codec.load(path)


def noise(*shape, seed=0):
  rng = np.random.default_rng(seed)
  return 0.1 * rng.standard_normal(shape).astype(np.float32)


def test_attributes(random_codec, path):
  assert random_codec.name == "random"
  assert random_codec.sample_rate == 32_000
  assert random_codec.channels == 1
  assert random_codec.hop == 640
  assert random_codec.frame_rate == 50
  assert (random_codec.levels, random_codec.codes_per_level) == (3, 1024)
  assert random_codec.checksum == disk.checksum(path)
  books = random_codec.codebooks()
  assert books.shape == (3, 1024, 16)
  assert books.dtype == np.float32


@pytest.mark.parametrize("samples", [0, 1, 639, 640, 641, 5000, 32_000])
def test_any_length(random_codec, samples):
  frames = random_codec.frames(samples)
  assert frames == -(-samples // 640)
  codes = random_codec.encode(noise(2, samples, 1))
  assert codes.shape == (2, frames, 3)
  assert codes.dtype == np.int32
  audio = random_codec.decode(codes)
  assert audio.shape == (2, frames * 640, 1)
  assert audio.dtype == np.float32
  assert np.isfinite(audio).all()


def test_an_item_does_not_depend_on_its_batch(random_codec):
  audio = noise(3, 10_000, 1)
  codes = random_codec.encode(audio)
  decoded = random_codec.decode(codes)
  for i in range(3):
    np.testing.assert_array_equal(
      random_codec.encode(audio[i : i + 1])[0], codes[i]
    )
    np.testing.assert_array_equal(
      random_codec.decode(codes[i : i + 1])[0], decoded[i]
    )


def test_codes_depend_on_their_neighborhood_only(random_codec):
  audio = noise(1, 100 * 640, 1)
  changed = audio.copy()
  changed[:, 50 * 640 :] = 0  # silence from frame 50 on
  kept = random_codec.encode(audio)[:, :42]
  np.testing.assert_array_equal(random_codec.encode(changed)[:, :42], kept)


def test_the_margin_covers_the_receptive_field(random_codec, monkeypatch):
  audio = noise(1, 90 * 640, 1)
  codes = random_codec.encode(audio)
  decoded = random_codec.decode(codes)
  monkeypatch.setattr(chunked, "_CHUNK", 30)
  np.testing.assert_array_equal(random_codec.encode(audio), codes)
  np.testing.assert_allclose(random_codec.decode(codes), decoded, atol=1e-6)


def test_a_long_file_takes_no_more_memory_at_once(monkeypatch):
  network = networks.Network(CONFIG)
  monkeypatch.setattr(chunked, "_CHUNK", 30)
  sizes = []
  for layer in network.modules():
    layer.register_forward_hook(
      lambda *seen: (
        sizes.append(seen[-1].numel())
        if isinstance(seen[-1], torch.Tensor)
        else None
      )
    )

  def largest(frames: int) -> tuple[int, int]:
    found = []
    for work in (
      lambda: chunked.encode(network, torch.zeros(1, frames * 640)),
      lambda: chunked.decode(network, torch.zeros(frames, 2, dtype=torch.long)),
    ):
      sizes.clear()
      work()
      found.append(max(sizes))
    return found[0], found[1]

  assert largest(500) == largest(125)


def test_round_trip_has_no_lag(path):
  """A click in frame i is decoded in frame i.

  Networks whose weights are all equal are symmetric in time: the response to
  a click must be centred on it, give or take the even kernels' half sample.
  """
  network = networks.Network(CONFIG)
  with torch.no_grad():
    for parameter in network.parameters():
      parameter.fill_(0.01 if parameter.ndim > 1 else 0.0)
  for place in (30 * 640 + 320, 31 * 640):
    click = torch.zeros(1, 1, 60 * 640)
    click[0, 0, place] = 1.0
    with torch.inference_mode():
      response = network.decoder(network.encoder(click))[0, 0].double()
    times = torch.arange(len(response))
    centre = (times * response).sum() / response.sum()
    assert abs(centre - place) < 320  # half a frame


@pytest.mark.parametrize(
  "audio", [noise(1000), noise(1, 1000), noise(1, 1000, 2)]
)
def test_wrong_audio_shape(random_codec, audio):
  with pytest.raises(ValueError, match=r"expects \[batch, samples, 1\]"):
    random_codec.encode(audio)


def test_wrong_values(random_codec):
  audio = noise(1, 1000, 1)
  audio[0, 3] = np.nan
  with pytest.raises(ValueError, match="NaN"):
    random_codec.encode(audio)
  with pytest.raises(ValueError, match=r"expects \[batch, frames, 3\]"):
    random_codec.decode(np.zeros((1, 10, 4), np.int32))
  mask = np.full((1, 10, 3), 1024, np.int32)
  with pytest.raises(ValueError, match=r"1024\.\.1024: expected 0\.\.1023"):
    random_codec.decode(mask)


def test_unknown_name():
  with pytest.raises(ValueError, match=r"unknown codec 'opus'.*'demo'"):
    codec.load("opus")


def test_missing_files(tmp_path, path):
  with pytest.raises(FileNotFoundError, match="no codec weights"):
    codec.load(tmp_path / "none.safetensors")
  lonely = tmp_path / "lonely.safetensors"
  lonely.write_bytes(path.read_bytes())
  with pytest.raises(FileNotFoundError, match=r"lonely\.json"):
    codec.load(lonely)


def test_another_codecs_checksum(path):
  with pytest.raises(ValueError, match="checksum"):
    codec.load(path, expected_checksum="0" * 64)


def test_corrupt_files(tmp_path, path):
  weights = tmp_path / "codec.safetensors"
  description = tmp_path / "codec.json"
  content = path.read_bytes()
  described = json.loads(path.with_suffix(".json").read_text())

  described.pop("description_checksum")
  weights.write_bytes(content[:-100])
  description.write_text(json.dumps(described))
  with pytest.raises(ValueError, match="corrupt"):
    codec.load(weights)

  # Description and file match, but the file is truncated.
  described["checksum"] = disk.checksum(weights)
  description.write_text(json.dumps(described))
  with pytest.raises(ValueError, match="corrupt"):
    codec.load(weights)

  description.write_text("{")
  with pytest.raises(ValueError, match="does not describe a codec"):
    codec.load(weights)


def test_folding_gives_the_function_of_frozen_statistics():
  torch.manual_seed(1)
  network = normalization.with_batch_norm(networks.Network(CONFIG))
  audio = torch.from_numpy(3 * noise(4, 1, 32_000) + 0.1)
  folded = normalization.folded(network, [audio])
  plain = networks.Network(CONFIG)
  assert folded.state_dict().keys() == plain.state_dict().keys()
  with torch.no_grad():
    # In training, batch norm divides the variance of the batch by n; running
    # statistics divide by n - 1.
    latents = network.encoder(audio)
    torch.testing.assert_close(
      folded.encoder(audio), latents, rtol=0.05, atol=0.05
    )
    torch.testing.assert_close(
      folded.decoder(latents), network.decoder(latents), rtol=0.05, atol=0.05
    )


@pytest.mark.processes
def test_importing_the_package_does_not_import_torch():
  script = (
    "import sys, stemgen_jax, stemgen_jax.codec;"
    "sys.exit('torch' in sys.modules or 'torchaudio' in sys.modules)"
  )
  subprocess.run([sys.executable, "-c", script], check=True)


def test_stand_ins_are_removed_again():
  module = sys.modules.get("torchaudio")
  assert module is None or hasattr(module, "__version__")
