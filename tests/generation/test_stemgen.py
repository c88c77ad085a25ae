"""Tests of the StemGen object, with a codec that is plain PCM."""

import os
import re

import jax
import numpy as np
import pytest
from pcm import RATE, PcmCodec
from pcm_model import FAST, music, pcm_config

from stemgen_jax import StemGen, audio, model, progress, sampling
from stemgen_jax.audio import Audio
from stemgen_jax.generation import stemgen as stemgen_lib


@pytest.fixture
def echo(monkeypatch):
  """Return the codes of the context, PCM of single samples; no model."""
  monkeypatch.setattr(
    sampling, "decode_codes", lambda config, params, context, *_, **__: context
  )
  return StemGen(pcm_config(4000), {}, PcmCodec(1, 32000), {})


def _lag(stem, context):
  """Samples by which the stem is late, by cross-correlation."""
  n = len(stem) + len(context)
  spectrum = np.fft.rfft(stem, n) * np.conj(np.fft.rfft(context, n))
  place = int(np.argmax(np.fft.irfft(spectrum, n)))
  return place if place < n // 2 else place - n


@pytest.mark.parametrize(
  "rate", [8000, 16000, 22050, 32000, 44100, 48000, 96000]
)
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_stem_has_the_format_of_the_context_without_lag(echo, rate, channels):
  context = music(0.4321, rate, channels)
  stem = echo.generate(context, "bass").audio
  assert stem.samples.shape == context.samples.shape
  assert stem.sample_rate == rate
  before, after = context.samples[:, 0], stem.samples[:, 0]
  assert _lag(after, before) == 0
  assert np.corrcoef(after, before)[0, 1] > 0.99
  if channels == 2:
    np.testing.assert_array_equal(after, stem.samples[:, 1])


@pytest.mark.parametrize("frames", [20, 49, 50, 51, 165])
def test_stem_has_the_length_of_the_context(tiny, frames):
  context = music(frames / 100 - 0.0013 * (frames > 20))
  take = tiny.generate(context, "drums", settings=FAST)
  assert take.audio.samples.shape == context.samples.shape
  assert take.codes.shape == (frames, 2)
  assert np.isfinite(take.audio.samples).all()


def test_seed_gives_the_same_samples_alone_and_in_a_batch(tiny):
  context = music(0.7)
  takes = list(tiny.takes(context, "bass", [4, 5, 6], settings=FAST))
  assert tiny.codec.encoded == 1
  assert list(tiny.takes(context, "bass", [], settings=FAST)) == []
  alone = tiny.generate(context, "bass", seed=5, settings=FAST)
  np.testing.assert_array_equal(alone.audio.samples, takes[1].audio.samples)
  assert (takes[0].codes != takes[1].codes).mean() > 0.5


def test_stem_depends_on_context_and_category(tiny):
  take = tiny.generate(music(), "bass", settings=FAST)
  for context, stem in ((music(seed=1), "bass"), (music(), "e-piano")):
    other = tiny.generate(context, stem, settings=FAST)
    assert (other.codes != take.codes).any()
  assert other.stem == "piano"


def test_context_is_a_file_audio_or_array(tiny, tmp_path):
  context = music(channels=2)
  audio.write(tmp_path / "mix.wav", context, bits="float")
  forms = (
    tmp_path / "mix.wav",
    str(tmp_path / "mix.wav"),
    context,
    (context.samples.astype(np.float64), RATE),
  )
  stems = [tiny.generate(form, settings=FAST).audio for form in forms]
  for stem in stems[1:]:
    np.testing.assert_array_equal(stem.samples, stems[0].samples)
  mono = tiny.generate((context.samples[:, 0], RATE), settings=FAST).audio
  assert mono.channels == 1


def test_quiet_context_gets_a_stem_as_much_quieter(tiny):
  loud = music()
  quiet = Audio(loud.samples / 64, RATE)
  takes = [tiny.generate(x, settings=FAST) for x in (loud, quiet)]
  np.testing.assert_array_equal(takes[0].codes, takes[1].codes)
  np.testing.assert_allclose(
    takes[0].audio.samples, takes[1].audio.samples * 64, rtol=1e-4
  )


def test_stem_from_nothing_has_the_format_of_the_codec(tiny):
  take = tiny.generate(None, "drums", seconds=0.333, settings=FAST)
  assert take.audio.samples.shape == (round(0.333 * RATE), 1)
  assert take.audio.sample_rate == RATE


def test_very_quiet_stem_gives_a_warning(tiny, monkeypatch):
  silence = np.tile([128, 1], (1, 50, 1))
  monkeypatch.setattr(sampling, "decode_codes", lambda *_, **__: silence)
  with pytest.warns(UserWarning, match="dB quieter than the context"):
    take = tiny.generate(music())
  assert len(take.warnings) == 1
  with pytest.warns(UserWarning, match="dB quieter than music"):
    tiny.generate(None, seconds=0.5)
  silence[..., 1] = 0
  with pytest.warns(UserWarning, match="the stem is silent"):
    tiny.generate(music())


def test_progress_adds_up_to_the_steps_of_all_windows(tiny):
  done = []
  list(
    tiny.takes(
      music(0.76),
      "bass",
      [1, 2],
      settings=FAST,
      progress=lambda steps, total: done.append((steps, total)),
    )
  )
  assert done == [(1, 30)] * 30


def test_long_work_shows_its_progress_unless_switched_off(
  tiny, monkeypatch, capsys
):
  monkeypatch.setattr(progress, "LOG_SECONDS", 1e-6)
  for shown in (True, False, None):
    take = tiny.generate(music(0.76), settings=FAST, progress=shown)
    tiny.vary(take, progress=shown)
    out, err = capsys.readouterr()
    assert out == ""
    assert bool(err) == (shown is True)
    for line in err.splitlines():
      assert re.fullmatch(r"\d+%, 00:\d\d elapsed, \S+ left", line)


@pytest.mark.parametrize("place", ["compiling", "sampling"])
def test_an_interrupt_hides_no_later_progress(tiny, monkeypatch, place):
  def stop(*_, **options):
    if options.get("compile_only", False) == (place == "compiling"):
      raise KeyboardInterrupt

  monkeypatch.setattr(sampling, "decode_codes", stop)
  # A notebook keeps the error, and with it the frames of the call.
  with pytest.raises(KeyboardInterrupt) as kept:
    tiny.generate(music(0.76), settings=FAST)
  with progress.Steps() as steps:
    assert steps._bar is not None
    assert not steps._bar.disable
  assert kept.tb


@pytest.mark.parametrize(
  ("context", "given", "message"),
  [
    (music(0.1), {}, "0.1 s of audio"),
    ((np.zeros(8 * 601, np.float32), 8), {}, "0.2 to 600 s"),
    ((np.zeros(0, np.float32), RATE), {}, "0 s of audio"),
    ((np.zeros(RATE, np.int16), RATE), {}, "floating-point"),
    ((np.zeros((2, RATE)), RATE), {}, "transpose"),
    ((np.full(RATE, np.nan), RATE), {}, "NaN"),
    (np.zeros(RATE), {}, r"ndarray: expected an Audio, a path, or \(samples"),
    (music(), {"stem": "basz"}, "did you mean bass"),
    (music(), {"seed": -1}, "`seed`=-1: expected 0 to"),
    (music(), {"seconds": 1.0}, "either `context`=FILE"),
    (None, {}, "or `seconds`=N"),
    (None, {"seconds": 0.0}, "`seconds`=0: 0 s of audio"),
  ],
)
def test_invalid_arguments_are_errors(tiny, context, given, message):
  with pytest.raises(ValueError, match=message):
    tiny.generate(context, **given)


@pytest.fixture
def no_cache_of_programs():
  """As in a process that sets none."""
  settings = ("compilation_cache_dir", "persistent_cache_min_compile_time_secs")
  before = {f"jax_{x}": getattr(jax.config, f"jax_{x}") for x in settings}
  jax.config.update("jax_compilation_cache_dir", None)
  yield
  for name, value in before.items():
    jax.config.update(name, value)


def test_weights_load_with_and_without_suffix(
  params, tmp_path, monkeypatch, no_cache_of_programs
):
  monkeypatch.setattr(
    stemgen_lib.codec_lib, "load", lambda *_, **__: PcmCodec()
  )
  model.save_weights(
    tmp_path / "mine.safetensors", pcm_config(), params, {"a": 1}
  )
  take = StemGen(pcm_config(), params, PcmCodec(), {}).generate(
    music(), settings=FAST
  )
  for name in ("mine", "mine.safetensors"):
    loaded = StemGen.load(tmp_path / name)
    assert loaded.metadata == {"a": 1}
    again = loaded.generate(music(), settings=FAST)
    np.testing.assert_array_equal(again.codes, take.codes)
  # Compiled programs are kept for the next run.
  kept = jax.config.jax_compilation_cache_dir  # pyright: ignore[reportAttributeAccessIssue]
  assert kept.startswith(os.environ["STEMGEN_JAX_CACHE"])
  with pytest.raises(FileNotFoundError, match="yours"):
    StemGen.load(tmp_path / "yours")


def test_codec_of_another_model_is_an_error(params, tmp_path):
  model.save_weights(tmp_path / "mine.safetensors", pcm_config(), params, {})
  (tmp_path / "codec.safetensors").write_bytes(b"other")
  with pytest.raises(ValueError, match="checksum"):
    StemGen.load(tmp_path / "mine", codec=tmp_path / "codec.safetensors")
