import dataclasses
import json

import numpy as np
import pytest
import tones
import torch

from stemgen_jax import audio, codec, small_runs
from stemgen_jax.codec import networks
from stemgen_jax.codec.training import clips, loop, losses, report

NETWORK = networks.NetworkConfig(
  filters=2, latent=8, levels=2, codes_per_level=16
)
CONFIG = loop.TrainingConfig(
  network=NETWORK,
  steps=24,
  batch=3,
  frames=8,
  warm_up_share=0.3,
  taught=4,
  kmeans_batches=4,
)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
  folder = tmp_path_factory.mktemp("songs")
  assert len(list(clips.render(tones.Tones(), folder, 32_000))) == 4
  return folder


def train_clips(cache):
  return clips.Clips(cache, "train", CONFIG.frames * NETWORK.hop, CONFIG.seed)


def run(cache, folder, steps=None):
  """Train for some steps or to the end; return the figures of each step."""
  one = loop.Training(CONFIG, train_clips(cache), folder)
  figures = []
  for figure in one.run():
    figures.append(figure)
    if len(figures) == steps:
      break
  one.save()
  return one, figures


@pytest.mark.parametrize("stop", [3, 15])
def test_resumed_run_takes_the_same_steps(cache, tmp_path, stop):
  whole, figures = run(cache, tmp_path / "whole")
  first, before = run(cache, tmp_path / "parts", stop)
  assert (first.warm_up_end is not None) == (stop == 15)
  second, after = run(cache, tmp_path / "parts")
  assert second.step == CONFIG.steps
  assert [f["loss"] for f in before + after] == [f["loss"] for f in figures]
  checksums = [
    one.export(tmp_path / name / "codec.safetensors", "tones")
    for one, name in ((whole, "whole"), (second, "parts"))
  ]
  assert checksums[0] == checksums[1]


def test_exported_codec_is_the_one_that_was_trained(cache, tmp_path):
  one, figures = run(cache, tmp_path)
  assert figures[-1]["log_mel"] < figures[0]["log_mel"]
  path = tmp_path / "codec.safetensors"
  checksum = one.export(path, "tones")
  loaded = codec.load(path, expected_checksum=checksum)
  assert (loaded.name, loaded.levels) == ("tones", 2)
  held_out = clips.Clips(cache, "valid", 16_000, seed=0)
  results = report.report(loaded, held_out, count=2)
  assert set(results) == {"piano", "drums", "mix", "all"}
  # Codes are counted on five times as many clips.
  assert results["all"]["frames"] > 3 * sum(
    results[kind]["frames"] for kind in ("piano", "drums", "mix")
  )
  # The clips of the last step, whose update the figures do not include.
  batch = train_clips(cache).batch(CONFIG.steps - 1, CONFIG.batch)
  sound = batch.transpose(0, 2, 1)
  output = report.channels_first(loaded.decode(loaded.encode(sound)))
  error = losses.waveform_error(output, torch.from_numpy(batch))
  assert error.item() == pytest.approx(figures[-1]["waveform"], rel=0.1)


def test_coarsest_codes_use_the_taught_dimensions_only(cache, tmp_path):
  one, figures = run(cache, tmp_path)
  one.export(tmp_path / "codec.safetensors", "tones")
  books = codec.load(tmp_path / "codec.safetensors").codebooks()
  assert books[0, :, : CONFIG.taught].any()
  assert not books[0, :, CONFIG.taught :].any()
  assert books[1, :, CONFIG.taught :].any()
  assert figures[-1]["teaching"] < figures[0]["teaching"]


@pytest.mark.parametrize("taught", [-1, 9])
def test_taught_dimensions_fit_the_latents(taught):
  with pytest.raises(ValueError, match=rf"taught is {taught}: expected 0 to 8"):
    dataclasses.replace(CONFIG, taught=taught).validate()


def test_a_corrupt_checkpoint_is_named(cache, tmp_path):
  run(cache, tmp_path, 2)
  checkpoint = tmp_path / "checkpoint.safetensors"
  assert small_runs.steps_done(tmp_path) == 2
  content = checkpoint.read_bytes()
  checkpoint.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
  with pytest.raises(ValueError, match="it has another checksum"):
    run(cache, tmp_path)
  checkpoint.write_bytes(content[:1000])
  with pytest.raises(ValueError, match="is corrupt"):
    run(cache, tmp_path)


def test_steps_after_the_checkpoint_are_logged_once(cache, tmp_path):
  killed = loop.Training(CONFIG, train_clips(cache), tmp_path)
  for number, _ in enumerate(killed.run()):
    if number == 5:
      killed.save()
  with (tmp_path / "log.jsonl").open("a") as log:
    log.write('{"step": 30, "lo')
  run(cache, tmp_path)
  lines = (tmp_path / "log.jsonl").read_text().splitlines()
  steps = [json.loads(line)["step"] for line in lines]
  assert steps == sorted(set(steps))


def test_log_and_other_settings(cache, tmp_path):
  run(cache, tmp_path, 12)
  lines = (tmp_path / "log.jsonl").read_text().splitlines()
  entries = [json.loads(line) for line in lines]
  assert [entry["step"] for entry in entries] == [10]
  assert entries[0]["perplexity_0"] > 1
  other = dataclasses.replace(CONFIG, seed=1)
  with pytest.raises(
    ValueError, match=r"other settings \(seed 0 there, 1 now\)"
  ):
    loop.Training(other, train_clips(cache), tmp_path)


def test_clips_depend_on_seed_and_number_only(cache):
  again = train_clips(cache)
  batch = train_clips(cache).batch(5, 8)
  np.testing.assert_array_equal(batch, again.batch(5, 8))
  assert batch.dtype == np.float32
  assert batch.shape == (8, 1, CONFIG.frames * NETWORK.hop)
  assert not np.array_equal(batch, again.batch(6, 8))


def test_rendering_resamples_and_keeps_complete_songs(tmp_path):
  list(clips.render(tones.Tones(rate=16_000), tmp_path, 32_000))
  first = tmp_path / "tones-0.npy"
  stems = np.load(first)
  assert stems.shape == (2, tones.SECONDS * 32_000)
  assert np.abs(np.fft.rfft(stems[0].astype(np.float32))).argmax() == (
    110 * tones.SECONDS
  )
  before = first.stat().st_mtime_ns
  list(clips.render(tones.Tones(rate=16_000), tmp_path, 32_000))
  assert first.stat().st_mtime_ns == before
  with pytest.raises(ValueError, match="--cache"):
    list(clips.render(tones.Tones(rate=16_000), tmp_path, 48_000))


def test_si_sdr():
  rng = np.random.default_rng(0)
  target = rng.standard_normal((1, 32_000, 1)).astype(np.float32)
  noise = rng.standard_normal(target.shape).astype(np.float32)
  # Noise 20 dB below the target; the gain does not count.
  value = report.si_sdr(3 * (target + 0.1 * noise), target)
  np.testing.assert_allclose(value, 20, atol=0.1)


def test_recordings_are_cut_into_clips(tmp_path):
  time = np.arange(48_000 * 5) / 48_000
  tone = np.sin(2 * np.pi * 440 * time).astype(np.float32)
  path = tmp_path / "tone.wav"
  audio.write(path, audio.Audio(np.stack([tone, tone], 1) / 2, 48_000))
  cut = report.clips_of_files([path], 32_000, 64_000)
  assert cut.shape == (2, 64_000, 1)
  spectrum = np.abs(np.fft.rfft(cut[1, :, 0]))
  assert spectrum.argmax() == 880
  with pytest.raises(ValueError, match="none of 1 files is 6 s long"):
    report.clips_of_files([path], 32_000, 6 * 32_000)
