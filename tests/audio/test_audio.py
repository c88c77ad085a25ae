import dataclasses
import json
import math
import os

import numpy as np
import pytest
import soundfile

from stemgen_jax import audio
from stemgen_jax.audio import Audio, files

RATES = [8000, 16000, 22050, 32000, 44100, 48000, 96000]


def noise(seconds=1.0, rate=44100, channels=2, seed=0):
  shape = (round(seconds * rate), channels)
  samples = np.random.default_rng(seed).standard_normal(shape) * 0.1
  return Audio(samples.astype(np.float32), rate)


def float32(values):
  return np.array(values, dtype=np.float32)


def chirp(rate, seconds=1.0):
  """Return a sweep from 50 Hz to 3 kHz: in band at all rates."""
  t = np.arange(round(rate * seconds)) / rate
  wave = np.sin(2 * np.pi * (50 * t + (2950 / 2 / seconds) * t**2))
  return (0.5 * wave * np.hanning(len(t)))[:, None].astype(np.float32)


def lag(a, b):
  size = len(a) + len(b)
  spectrum = np.fft.rfft(a, size) * np.conj(np.fft.rfft(b, size))
  shift = int(np.argmax(np.fft.irfft(spectrum, size)))
  return shift - size if shift > size // 2 else shift


@pytest.mark.parametrize("there", [24000, 32000, 48000])
@pytest.mark.parametrize("rate", RATES)
def test_resampling_has_no_lag_and_exact_length(rate, there):
  samples = chirp(rate)[:-7]  # not a round length
  converted = audio.resample(samples, rate, there)
  assert len(converted) == round(len(samples) * there / rate)
  back = audio.resample(converted, there, rate, len(samples))
  assert back.shape == samples.shape
  assert lag(back[:, 0], samples[:, 0]) == 0
  assert np.abs(back - samples).max() < 0.01
  # Also against the same sweep generated at the other rate.
  assert lag(converted[:, 0], chirp(there)[:, 0]) == 0


@pytest.mark.parametrize("length", [0, 10, 100, 1000])
def test_resample_cuts_or_pads_to_the_requested_length(length):
  samples = noise(0.01, 8000).samples
  assert audio.resample(samples, 8000, 32000, length).shape == (length, 2)
  assert audio.resample(samples, 8000, 8000, length).shape == (length, 2)


@pytest.mark.parametrize(
  ("suffix", "bits"),
  [(".wav", 16), (".wav", 24), (".WAV", "float"), (".flac", 16), (".FLAC", 24)],
)
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_a_written_file_reads_back_the_same(tmp_path, bits, suffix, channels):
  path = tmp_path / f"stem{suffix}"
  sound = noise(0.3, 22050, channels)
  metadata = {"title": "Bass, seed 3", "seed": 3, "settings": {"steps": [8]}}
  gain_db = audio.write(path, sound, bits=bits, metadata=metadata)
  assert gain_db == 0.0
  again = audio.read(path)
  assert again.sample_rate == 22050
  assert again.samples.shape == sound.samples.shape
  step = {16: 2**-15, 24: 2**-23, "float": 0}[bits]
  assert np.abs(again.samples - sound.samples).max() <= step
  assert audio.read_metadata(path) == metadata
  with soundfile.SoundFile(path) as file:
    assert file.title == "Bass, seed 3"
    assert file.software.startswith("stemgen-jax")
    assert json.loads(file.comment)["seed"] == 3
  assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("suffix", [".ogg", ".mp3", ".aiff"])
def test_reads_common_formats(tmp_path, suffix):
  sound = noise(1.0)
  path = tmp_path / f"mix{suffix}"
  soundfile.write(path, sound.samples, 44100)
  again = audio.read(path)
  assert again.sample_rate == 44100
  assert again.samples.shape == sound.samples.shape
  assert again.seconds == 1.0


def test_broadcast_wave_keeps_its_time_reference(tmp_path):
  hour = 44100 * 3600 * 30  # does not fit into 32 bits
  sound = dataclasses.replace(noise(0.1), time_reference=hour)
  audio.write(tmp_path / "a.wav", sound, bits=16, metadata={"title": "odd"})
  again = audio.read(tmp_path / "a.wav")
  assert again.time_reference == hour
  np.testing.assert_allclose(again.samples, sound.samples, atol=1e-4)
  assert audio.read_metadata(tmp_path / "a.wav")["time_reference"] == hour
  # libsndfile understands the chunk, too.
  with soundfile.SoundFile(tmp_path / "a.wav") as file:
    assert (
      f"Time ref      : {hour}" in file.extra_info
      or str(hour) in file.extra_info
    )
  audio.write(tmp_path / "b.wav", noise(0.1))
  assert audio.read(tmp_path / "b.wav").time_reference == 0


def test_writing_lowers_what_would_clip_and_returns_the_gain(tmp_path):
  loud = Audio(float32([[0.5], [-2.0]]), 8000)
  gain_db = audio.write(tmp_path / "loud.wav", loud, bits=16)
  assert gain_db == pytest.approx(-6.12, abs=0.01)
  samples = audio.read(tmp_path / "loud.wav").samples
  np.testing.assert_allclose(samples[1] / samples[0], -4, rtol=1e-3)
  assert np.abs(samples).max() < 1
  # Floating point stores it unchanged.
  assert audio.write(tmp_path / "float.wav", loud, bits="float") == 0.0
  assert audio.read(tmp_path / "float.wav").samples.min() == -2.0


def test_a_failed_write_keeps_the_old_file_and_leaves_no_other(
  tmp_path, monkeypatch
):
  path = tmp_path / "stem.wav"
  audio.write(path, noise(0.1))
  before = path.read_bytes()

  def full_disk(*args):
    raise OSError("No space left on device")

  monkeypatch.setattr(soundfile.SoundFile, "write", full_disk)
  with pytest.raises(OSError, match="No space"):
    audio.write(path, noise(0.2), overwrite=True)
  assert path.read_bytes() == before
  assert os.listdir(tmp_path) == ["stem.wav"]


def test_files_of_other_programs_have_no_metadata(tmp_path):
  soundfile.write(tmp_path / "a.wav", noise(0.1).samples, 44100)
  assert audio.read_metadata(tmp_path / "a.wav") == {}


def test_unsupported_bit_depths_are_refused(tmp_path):
  with pytest.raises(ValueError, match="expected 16, 24 or 'float'"):
    audio.write(tmp_path / "a.wav", noise(0.1), bits=12)  # pyright: ignore
  with pytest.raises(ValueError, match="flac has no floating-point"):
    audio.write(tmp_path / "a.flac", noise(0.1), bits="float")


def test_refuses_too_long_a_file(tmp_path):
  audio.write(tmp_path / "long.wav", noise(2.0))
  assert audio.read(tmp_path / "long.wav", longest=2.0).seconds == 2.0
  with pytest.raises(ValueError, match="expected at most 1 s"):
    audio.read(tmp_path / "long.wav", longest=1.0)


def test_a_missing_file_names_a_similar_one(tmp_path):
  audio.write(tmp_path / "my_mix.wav", noise(0.1))
  with pytest.raises(FileNotFoundError, match=r"did you mean .*my_mix\.wav"):
    audio.read(tmp_path / "my_mx.wav")


def test_audio_rejects_other_shapes_and_types():
  with pytest.raises(ValueError, match="float32"):
    Audio(np.zeros((10, 1)), 44100)
  with pytest.raises(ValueError, match="samples, channels"):
    Audio(np.zeros(10, np.float32), 44100)
  with pytest.raises(ValueError, match="sample rate 0"):
    Audio(np.zeros((10, 1), np.float32), 0)


def test_fold_down_and_spread():
  left_right = float32([[1.0, 0.0], [0.5, 0.5]])
  np.testing.assert_array_equal(audio.fold_down(left_right), [[0.5], [0.5]])
  mono = float32([[0.3], [-0.2]])
  np.testing.assert_array_equal(audio.fold_down(mono), mono)
  for channels in (1, 2):
    wide = audio.spread(mono, channels)
    assert wide.shape == (2, channels)
    np.testing.assert_array_equal(audio.fold_down(wide), mono)
  wide = audio.spread(mono, 6)
  np.testing.assert_array_equal(wide[:, :2], np.repeat(mono, 2, axis=1))
  assert not wide[:, 2:].any()


def test_surround_is_downmixed_as_itu_without_the_lfe():
  gains = audio.fold_down(np.eye(6, dtype=np.float32))[:, 0]
  left, right, centre, lfe, rear_left, rear_right = gains
  assert left == right
  assert rear_left == rear_right
  assert lfe == 0
  assert centre == pytest.approx(left * math.sqrt(2))
  assert rear_left == pytest.approx(left * math.sqrt(0.5))
  # Front channels are as loud as the same channels in stereo.
  stereo = audio.fold_down(np.eye(2, dtype=np.float32))[:, 0]
  np.testing.assert_allclose([left, right], stereo)


@pytest.mark.parametrize(
  ("channels", "gains"),
  [
    (4, [0.5, 0.5, 0.354, 0.354]),
    (5, [0.5, 0.5, 0.707, 0.354, 0.354]),
    (7, [0.5, 0.5, 0.707, 0, 0.5, 0.354, 0.354]),
    (8, [0.5, 0.5, 0.707, 0, 0.354, 0.354, 0.354, 0.354]),
  ],
)
def test_layouts_of_surround_are_downmixed_as_their_speakers(channels, gains):
  # One channel after the other sounds: none cancels another.
  found = audio.fold_down(np.eye(channels, dtype=np.float32))[:, 0]
  np.testing.assert_allclose(found, gains, atol=1e-3)


@pytest.mark.parametrize("channels", [2, 4, 6, 8])
def test_opposite_channels_do_not_cancel(channels):
  samples = np.zeros((1000, channels), np.float32)
  samples[:, 0] = noise(channels=1).samples[:1000, 0]
  assert not audio.cancels(samples)
  samples[:, 1] = -0.9 * samples[:, 0]
  assert audio.cancels(samples)
  np.testing.assert_allclose(
    audio.fold_down(samples), 0.95 * samples[:, :1], atol=1e-6
  )
  # Independent channels are ordinary stereo, whose middle is as loud.
  samples[:, 1] = noise(channels=1, seed=1).samples[:1000, 0]
  assert not audio.cancels(samples)


def test_channels_of_ogg_are_put_in_the_order_of_wav(tmp_path):
  # Each channel has another level, in Vorbis' order L C R Ls Rs LFE.
  levels = np.array([0.6, 0.5, 0.4, 0.3, 0.2, 0.1])
  tone = np.sin(2 * np.pi * 50 * np.arange(44100) / 44100)[:, None]
  soundfile.write(tmp_path / "surround.ogg", tone * levels, 44100)
  samples = audio.read(tmp_path / "surround.ogg").samples
  np.testing.assert_allclose(
    samples.std(axis=0) * math.sqrt(2),
    [0.6, 0.4, 0.5, 0.1, 0.3, 0.2],
    atol=0.03,
  )


@pytest.mark.parametrize("suffix", ["wav", "aiff", "ogg", "flac"])
def test_truncated_files_are_refused(suffix, tmp_path):
  path = tmp_path / f"music.{suffix}"
  soundfile.write(path, noise().samples, 44100)
  assert len(audio.read(path).samples)
  path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
  with pytest.raises(ValueError, match=r"cut off"):
    audio.read(path)


def test_flac_refuses_what_it_cannot_store(tmp_path):
  wide = audio.Audio(np.zeros((100, 10), np.float32), 44100)
  with pytest.raises(ValueError, match="10 channels"):
    audio.write(tmp_path / "wide.flac", wide)
  assert not list(tmp_path.iterdir())
  audio.write(tmp_path / "wide.wav", wide)


def test_the_mix_is_the_plain_sum_while_it_fits():
  context, stem = noise(seed=1), noise(seed=2)
  together, gain_db = audio.mix(context, stem)
  assert gain_db == 0.0
  expected = context.samples + stem.samples
  np.testing.assert_array_equal(together.samples, expected)


def test_the_mix_never_clips_and_keeps_the_balance():
  context = Audio(noise(seed=1).samples * 5, 44100)
  stem = Audio(noise(seed=2).samples * 5, 44100)
  together, gain_db = audio.mix(context, stem)
  assert np.abs(together.samples).max() <= 10 ** (-0.1 / 20) * (1 + 1e-6)
  expected = (context.samples + stem.samples) * 10 ** (gain_db / 20)
  np.testing.assert_allclose(together.samples, expected, atol=1e-5)


def test_a_mix_of_different_formats_is_refused():
  with pytest.raises(ValueError, match="samples"):
    audio.mix(noise(1.0), noise(0.9))
  with pytest.raises(ValueError, match="sample_rate"):
    audio.mix(noise(1.0), noise(1.0, rate=48000))
  with pytest.raises(ValueError, match="channels"):
    audio.mix(noise(1.0), noise(1.0, channels=1))


def test_rms_db():
  assert audio.rms_db(np.full((100, 2), 0.1, np.float32)) == pytest.approx(-20)
  assert audio.rms_db(np.zeros((100, 1), np.float32)) == -math.inf


def test_decoded_audio_is_bounded(tmp_path, monkeypatch):
  path = tmp_path / "a.flac"
  rng = np.random.default_rng(0)
  samples = (0.1 * rng.standard_normal((9000, 2))).astype(np.float32)
  for side in (1, -1):  # left and right are equal, or opposite
    samples[:, 1] = side * samples[:, 0]
    soundfile.write(path, samples, 8000)
    whole = audio.read(path)
    monkeypatch.setattr(files, "MOST_VALUES", 9000)
    with pytest.raises(ValueError, match="in 2 channels: expected at most 1 s"):
      audio.read(path)
    folded = audio.read(path, fold=True)
    np.testing.assert_array_equal(
      folded.samples, audio.fold_down(whole.samples)
    )
    monkeypatch.setattr(files, "MOST_VALUES", 8999)
    with pytest.raises(ValueError, match="cut it into parts"):
      audio.read(path, fold=True)
    monkeypatch.undo()
