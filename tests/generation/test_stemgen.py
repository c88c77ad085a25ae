"""Tests of the StemGen object, with a codec that is plain PCM."""

import dataclasses
import json
import os

import jax
import numpy as np
import pytest
import soundfile
import soxr
from pcm import RATE, PcmCodec

from stemgen_jax import StemGen, audio, categories, model, sampling
from stemgen_jax.audio import Audio
from stemgen_jax.generation import engine
from stemgen_jax.generation import stemgen as stemgen_lib
from stemgen_jax.model import products

FAST = sampling.Settings(steps=(3, 2))


def _config(window=50):
  return model.ModelConfig(
    levels=2,
    codes=256,
    width=16,
    depth=1,
    heads=2,
    mlp=16,
    window=window,
    frame_rate=100.0,
    codec="pcm",
    codec_checksum="abc",
  )


@pytest.fixture(scope="module")
def params():
  return model.init_params(_config(), jax.random.key(0))


@pytest.fixture
def tiny(params):
  return StemGen(_config(), params, PcmCodec(), {})


@pytest.fixture
def echo(monkeypatch):
  """Return the codes of the context, PCM of single samples; no model."""
  monkeypatch.setattr(
    sampling, "decode_codes", lambda config, params, context, *_, **__: context
  )
  return StemGen(_config(4000), {}, PcmCodec(1, 32000), {})


def _music(seconds=0.5, rate=RATE, channels=1, seed=0):
  """Noise up to 3 kHz, so that every sample rate can carry it."""
  draw = np.random.default_rng(seed).normal(size=(round(seconds * 6000), 1))
  wide = soxr.resample(0.1 * draw.astype(np.float32), 6000, rate)
  sound = audio.fit(wide.reshape(-1, 1), round(seconds * rate))
  return Audio(np.tile(sound, (1, channels)), rate)


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
  context = _music(0.4321, rate, channels)
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
  context = _music(frames / 100 - 0.0013 * (frames > 20))
  take = tiny.generate(context, "drums", settings=FAST)
  assert take.audio.samples.shape == context.samples.shape
  assert take.codes.shape == (frames, 2)
  assert np.isfinite(take.audio.samples).all()


def test_seed_gives_the_same_samples_alone_and_in_a_batch(tiny):
  context = _music(0.7)
  takes = list(tiny.takes(context, "bass", [4, 5, 6], settings=FAST))
  assert tiny.codec.encoded == 1
  assert list(tiny.takes(context, "bass", [], settings=FAST)) == []
  alone = tiny.generate(context, "bass", seed=5, settings=FAST)
  np.testing.assert_array_equal(alone.audio.samples, takes[1].audio.samples)
  assert (takes[0].codes != takes[1].codes).mean() > 0.5


def test_stem_depends_on_context_and_category(tiny):
  take = tiny.generate(_music(), "bass", settings=FAST)
  for context, stem in ((_music(seed=1), "bass"), (_music(), "e-piano")):
    other = tiny.generate(context, stem, settings=FAST)
    assert (other.codes != take.codes).any()
  assert other.stem == "piano"


def test_context_is_a_file_audio_or_array(tiny, tmp_path):
  context = _music(channels=2)
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
  loud = _music()
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
    take = tiny.generate(_music())
  assert len(take.warnings) == 1
  with pytest.warns(UserWarning, match="dB quieter than music"):
    tiny.generate(None, seconds=0.5)
  silence[..., 1] = 0
  with pytest.warns(UserWarning, match="the stem is silent"):
    tiny.generate(_music())


def test_untrained_category_gives_a_warning(tiny):
  tiny = dataclasses.replace(tiny, metadata={"categories": ["drums"]})
  with pytest.warns(UserWarning, match="not trained on 'bass'"):
    # Before the first take is sampled.
    takes = tiny.takes(_music(), "bass", [0], settings=FAST)
  take = next(takes)
  assert take.audio.samples.any()
  assert not tiny.generate(_music(), "drums", settings=FAST).warnings


def test_progress_adds_up_to_the_steps_of_all_windows(tiny):
  done = []
  list(
    tiny.takes(
      _music(0.76),
      "bass",
      [1, 2],
      settings=FAST,
      progress=lambda steps, total: done.append((steps, total)),
    )
  )
  assert done == [(3, 30), (2, 30)] * 6


def test_saved_take_has_its_seed_and_settings(tiny, tmp_path):
  take = tiny.generate(_music(), "Drum Kit", seed=3, settings=FAST)
  path = take.save(tmp_path / "new")
  assert path == tmp_path / "new" / "drums-seed3.wav"
  metadata = audio.read_metadata(path)
  assert metadata["seed"] == 3
  assert metadata["stem"] == "drums"
  assert metadata["settings"]["steps"] == [3, 2]
  np.testing.assert_allclose(
    audio.read(path).samples, take.audio.samples, atol=1e-6
  )
  with pytest.raises(FileExistsError):
    take.save(tmp_path / "new")
  assert take.save(tmp_path / "x.flac", bits=16) == tmp_path / "x.flac"
  take = dataclasses.replace(take, audio=Audio(4 * take.audio.samples, RATE))
  with pytest.warns(UserWarning, match="lowered by"):
    take.save(tmp_path / "x.flac", overwrite=True)


THREE = ("category", "genre", "role")


@pytest.fixture(scope="module")
def conditioned():
  """Weights with genre and role, on which their logits depend strongly."""
  config = dataclasses.replace(_config(), conditions=THREE)
  params = jax.jit(lambda: model.init_params(config, jax.random.key(0)))()
  return StemGen(config, params | {"head": 30 * params["head"]}, PcmCodec(), {})


def test_weights_without_conditions_take_any_category_but_no_genre():
  config = dataclasses.replace(_config(), conditions=())
  params = jax.jit(lambda: model.init_params(config, jax.random.key(0)))()
  engine = StemGen(config, params, PcmCodec(), {})
  assert engine.generate(_music(), "drums", settings=FAST).stem == "drums"
  with pytest.raises(ValueError, match="`genre`=techno: the weights demo have"):
    engine.generate(_music(), genre="techno", settings=FAST)


def test_genre_and_role_change_the_codes_with_scales_of_their_own(conditioned):
  def codes(**given):
    scales = {"context": 2.0, "category": 1.0, **given.pop("scales", {})}
    settings = dataclasses.replace(FAST, guidance=scales)
    return conditioned.generate(
      _music(), seed=1, settings=settings, **given
    ).codes

  plain = codes()
  techno = codes(genre="Techno")
  lead = codes(genre="Techno", role="melodic")
  more = codes(genre="Techno", role="melodic", scales={"genre": 4.0})
  most = codes(
    genre="Techno", role="melodic", scales={"genre": 4.0, "role": 6.0}
  )
  takes = [plain, techno, lead, more, most]
  for i, one in enumerate(takes):
    for other in takes[:i]:
      assert (one != other).any()
  # A condition without a value is null for any scale.
  np.testing.assert_array_equal(codes(scales={"role": 6.0}), plain)


@pytest.mark.parametrize(
  ("preset", "given", "scales", "passes"),
  [
    ("default", ("category",), (1, 1, 1, 2.5), 2),
    ("default", THREE, (1, 1, 1, 2.5), 2),
    ("paper", ("category",), (3, 0, 0, 3), 3),
    ("paper", ("category", "role"), (3, 0, 3, 3), 4),
    ("paper", THREE, (3, 3, 3, 3), 5),
  ],
)
def test_condition_without_a_value_takes_no_pass(
  conditioned, preset, given, scales, passes
):
  settings = engine.with_guidance(sampling.preset(preset), THREE, given)
  assert tuple(settings.guidance.values()) == scales
  assert tuple(settings.guidance) == (*THREE, "context")
  branches = sampling.guidance.branches(settings, THREE)
  assert len(branches.weights) == passes
  assert branches.weights.sum() == 1


def test_condition_that_the_weights_do_not_have_is_an_error(tiny):
  with pytest.raises(
    ValueError, match="`genre`=techno: the weights demo have no"
  ):
    tiny.generate(_music(), genre="techno")
  with pytest.raises(ValueError, match="unknown role 'loud'"):
    tiny.generate(_music(), role="loud")


def test_edited_take_keeps_its_genre_and_role(monkeypatch, tmp_path):
  asked = []

  def decode(config, params, context, conditions, *_, **options):
    if not options.get("compile_only"):
      asked.append({name: int(ids[0]) for name, ids in conditions.items()})
    return context

  monkeypatch.setattr(sampling, "decode_codes", decode)
  config = dataclasses.replace(_config(), conditions=THREE)
  tiny = StemGen(config, {}, PcmCodec(), {})
  take = _saved(
    tiny.generate(_music(), "drums", genre="jazz", role="percussive"),
    tmp_path,
  )
  assert (take.genre, take.role) == ("jazz", "percussive")
  tiny.vary(take)
  jazz = categories.GENRES.index("jazz")
  assert asked == [{"category": 16, "genre": jazz, "role": 0}] * 2
  tiny.generate(_music(), "drums")
  sizes = model.CONDITION_SIZES
  assert asked[-1] == {
    "category": 16,
    "genre": sizes["genre"],
    "role": sizes["role"],
  }


@pytest.fixture
def sampler(monkeypatch):
  """Sample random codes that depend on seed and window; no model."""

  def decode(config, params, context, conditions, seeds, *_, **given):
    assert given["known"].shape == given["known_mask"].shape == context.shape
    draws = [
      np.random.default_rng((seed, given["frame_offset"])).integers(
        100, 150, context.shape[1:]
      )
      for seed in seeds
    ]
    return np.where(given["known_mask"], given["known"], np.stack(draws))

  monkeypatch.setattr(sampling, "decode_codes", decode)
  return StemGen(_config(), {}, PcmCodec(), {})


FRAME = 80  # samples


def _saved(take, folder):
  """Save a take and load it."""
  return stemgen_lib.Take.load(take.save(folder, bits="float"))


def test_regenerate_changes_the_regions_only(sampler, tmp_path):
  take = _saved(sampler.generate(_music(2), seed=4), tmp_path)
  new = sampler.regenerate(take, [(0.5, 0.7), (1.2, 1.3)])
  assert new.seed == 5
  inside = np.zeros(200, bool)
  inside[50:70] = inside[120:130] = True
  np.testing.assert_array_equal(new.codes[~inside], take.codes[~inside])
  assert (new.codes[inside] != take.codes[inside]).mean() > 0.9
  fade = np.convolve(inside, np.ones(3), "same") > 0
  outside = ~np.repeat(fade, FRAME)
  np.testing.assert_array_equal(
    new.audio.samples[outside], take.audio.samples[outside]
  )
  sounding = np.repeat(inside, FRAME)
  assert (new.audio.samples != take.audio.samples)[sounding].mean() > 0.9
  assert "0.50-0.70 s" in new.metadata["origin"]
  again = sampler.regenerate(take, [(0.5, 0.7), (1.2, 1.3)], seed=5)
  np.testing.assert_array_equal(again.audio.samples, new.audio.samples)


@pytest.mark.parametrize(
  ("share", "from_level"), [(0.25, 0), (1.0, 1), (0.5, 1)]
)
def test_vary_keeps_coarse_levels_and_other_frames(sampler, share, from_level):
  # Guided in every step: two passes each. No step is without a frame to fix.
  every = sampling.Settings(steps=(2, 1))
  take = sampler.generate(_music(4), seed=1, settings=every)
  new = sampler.vary(take, share=share, from_level=from_level)
  changed = new.codes != take.codes
  assert not changed[:, :from_level].any()
  if share == 1.0:  # in as many windows, without the coarser levels
    each, whole = (
      sum(every.steps_at(q) for q in range(level, 2))
      for level in (from_level, 0)
    )
    assert new.passes == take.passes * each // whole
  frames = changed.any(axis=1)
  assert share - 0.05 < frames.mean() <= share
  # In runs: a frame could be predicted from its neighbors.
  assert np.count_nonzero(np.diff(frames.astype(int))) <= 60
  other = sampler.vary(take, share=share, from_level=from_level, seed=9)
  assert (other.codes != new.codes).any()


@pytest.mark.parametrize("seconds", [1.0, 0.987])
def test_extend_keeps_the_take(sampler, tmp_path, seconds):
  longer = _music(3)
  n = round(seconds * RATE)
  take = sampler.generate((longer.samples[:n], RATE), "drums", seed=2)
  new = sampler.extend(_saved(take, tmp_path), longer)
  assert new.audio.samples.shape == longer.samples.shape
  kept = n // FRAME
  np.testing.assert_array_equal(new.codes[:kept], take.codes[:kept])
  join = (kept - 1) * FRAME
  np.testing.assert_allclose(
    new.audio.samples[:join], take.audio.samples[:join], atol=1e-7
  )
  assert new.context.gain == take.context.gain
  assert new.stem == "drums"
  with pytest.raises(ValueError, match="more than the take's"):
    sampler.extend(new, longer)
  with pytest.raises(ValueError, match="has 16000 Hz and 1"):
    sampler.extend(take, _music(4, rate=16000))


def test_extend_needs_a_context_that_begins_with_that_of_the_take(
  sampler, tmp_path
):
  longer = _music(3)
  take = sampler.generate((longer.samples[:RATE], RATE), seed=2)
  audio.write(tmp_path / "16.wav", longer, bits=16)
  soundfile.write(tmp_path / "a.mp3", longer.samples, RATE)
  quieter = Audio(longer.samples / 2, RATE)
  late = Audio(np.pad(longer.samples, ((800, 0), (0, 0))), RATE)
  other, silence = _music(3, seed=1), Audio(0 * longer.samples, RATE)
  for context in (longer, tmp_path / "16.wav", tmp_path / "a.mp3", quieter):
    assert len(sampler.extend(take, context).codes) == 300
  for context in (other, late, silence):
    with pytest.raises(
      ValueError, match="does not begin with that of bass-seed2"
    ):
      sampler.extend(take, context)
  with pytest.warns(UserWarning, match="context is silent"):
    quiet = sampler.generate((silence.samples[:RATE], RATE))
  with pytest.raises(ValueError, match="does not begin with"):
    sampler.extend(quiet, longer)
  # Noise of 16 bits counts as silence.
  dither = np.random.default_rng(0).normal(0, 2**-16, silence.samples.shape)
  with pytest.warns(UserWarning, match="context is silent"):
    sampler.extend(quiet, (dither, RATE))


def test_take_from_nothing_can_be_extended(sampler):
  take = sampler.generate(None, seconds=1.0)
  new = sampler.extend(take, seconds=2.5)
  assert new.audio.seconds == 2.5
  np.testing.assert_array_equal(new.codes[:100], take.codes)
  with pytest.raises(ValueError, match=r"more than .* 1\.00 s, by 10 ms"):
    sampler.extend(take, seconds=1.004)
  # Music after silence is encoded at the level of the training.
  quiet = Audio(_music(2).samples / 64, RATE)
  under = sampler.extend(take, quiet)
  assert under.context.level_db == pytest.approx(
    engine.reference_db({}), abs=0.1
  )
  np.testing.assert_allclose(
    under.audio.samples[: 99 * FRAME], take.audio.samples[: 99 * FRAME]
  )


def test_music_after_a_silent_file_is_encoded_at_the_training_level(sampler):
  longer = Audio(_music(2).samples / 64, RATE)
  longer.samples[:RATE] = 0
  with pytest.warns(UserWarning, match="context is silent"):
    take = sampler.generate((longer.samples[:RATE], RATE))
  new = sampler.extend(take, longer)
  assert new.context.level_db == pytest.approx(engine.reference_db({}), abs=0.1)


def test_loop_can_be_regenerated_and_not_extended(sampler):
  take = sampler.generate(_music(1.003), loop=True, seed=1)
  assert take.audio.samples.shape == (8024, 1)
  assert take.codes.shape == (100, 2)
  new = sampler.regenerate(take, [(0.9, 1.0)])
  changed = np.flatnonzero((new.codes != take.codes).any(axis=1))
  assert 89 <= changed.min() <= changed.max() == 99
  # The cross-fade continues at the start.
  np.testing.assert_array_equal(
    new.audio.samples[81:7000], take.audio.samples[81:7000]
  )
  with pytest.warns(
    UserWarning, match=r"0.9 to 9 s: cut at 1.00 s, where bass"
  ):
    cut = sampler.regenerate(take, [(0.9, 9.0)])
  np.testing.assert_array_equal(cut.codes, new.codes)
  with pytest.raises(ValueError, match="is a loop"):
    sampler.extend(take, _music(3))


@pytest.mark.parametrize(
  ("change", "given", "message"),
  [
    ("vary", {"share": 0.0}, "`share`=0: expected"),
    ("vary", {"from_level": 2}, "`from_level`=2: expected 0 to 1"),
    ("vary", {"seed": -1}, "`seed`=-1: expected 0 to"),
    ("regenerate", {"regions": [(0.2, 0.1)]}, "region 0.2 to 0.1"),
    ("regenerate", {"regions": []}, "no region"),
    ("extend", {"seconds": 2.0}, "bass-seed0 has a context: give the longer"),
  ],
)
def test_invalid_edits_are_errors(sampler, change, given, message):
  take = sampler.generate(_music())
  with pytest.raises(ValueError, match=message):
    getattr(sampler, change)(take, **given)
  other = dataclasses.replace(take, codec_checksum="of another codec")
  given = {
    "vary": {},
    "regenerate": {"regions": [(0, 0.1)]},
    "extend": {"context": _music(2)},
  }[change]
  with pytest.raises(ValueError, match="another codec"):
    getattr(sampler, change)(other, **given)


def test_saved_take_is_restored(sampler, tmp_path):
  settings = sampling.Settings(
    steps=(3, 2), guidance={"context": (2.0, 1.0), "category": 1.0}
  )
  take = sampler.generate(_music(), "drums", seed=3, settings=settings)
  back = _saved(take, tmp_path)
  np.testing.assert_array_equal(back.codes, take.codes)
  np.testing.assert_array_equal(back.context.codes, take.context.codes)
  assert back.settings == take.settings
  assert (back.stem, back.seed) == ("drums", 3)
  assert back.metadata["cost"]["passes"] == 2 * 3 + 2
  # Lowered so as not to clip: later edits are as quiet.
  loud = dataclasses.replace(take, audio=Audio(20 * take.audio.samples, RATE))
  with pytest.warns(UserWarning, match="lowered by"):
    back = stemgen_lib.Take.load(loud.save(tmp_path / "loud.wav"))
  with pytest.raises(FileExistsError, match="overwrite=True"):
    loud.save(tmp_path / "loud.wav")
  assert back.context.inverse_gain < take.context.inverse_gain


@pytest.mark.parametrize("explicit", ["auto", "float32"])
def test_edits_use_the_dtype_of_the_take(monkeypatch, tmp_path, explicit):
  dtypes = []

  def decode(config, params, context, *_, **given):
    dtypes.append(config.dtype)
    return np.where(given["known_mask"], given["known"], 5)

  monkeypatch.setattr(sampling, "decode_codes", decode)
  config = dataclasses.replace(_config(), dtype="bfloat16")
  first = StemGen(config, {}, PcmCodec(), {}).generate(None, seconds=0.5)
  take = _saved(first, tmp_path / "new")
  assert (take.dtype, take.devices) == ("bfloat16", 1)
  assert audio.read_metadata(take.file)["dtype"] == "bfloat16"
  codes = tmp_path / "new" / "bass-seed0.codes.npz"
  with np.load(codes) as file:
    arrays = dict(file)
  about = json.loads(str(arrays["about"]))
  del about["dtype"], about["devices"]
  np.savez(codes, **{**arrays, "about": np.array(json.dumps(about))})
  old = stemgen_lib.Take.load(take.file)
  stemgen = StemGen(
    dataclasses.replace(config, dtype=explicit), {}, PcmCodec(), {}
  )
  expected = "bfloat16" if explicit == "auto" else "float32"
  # On processors where the other dtype is the fastest.
  cases = (take, expected, set()), (old, "float32", {"amx_bf16"})
  for each, dtype, flags in cases:
    monkeypatch.setattr(products, "processor_flags", lambda x=flags: x)
    dtypes.clear()
    edits = [
      stemgen.vary(each),
      stemgen.regenerate(each, [(0, 0.1)]),
      stemgen.extend(each, seconds=0.7),
    ]
    assert set(dtypes) == {dtype}
    assert {edit.dtype for edit in edits} == {dtype}


def test_takes_of_earlier_formats_load(sampler, tmp_path):
  path = sampler.generate(_music(), seed=3).save(tmp_path / "a.wav")
  expected = stemgen_lib.Take.load(path)
  codes = tmp_path / "a.codes.npz"
  with np.load(codes) as file:
    arrays = dict(file)
  about = json.loads(str(arrays["about"]))
  assert about["format"] == 2

  def rewrite():
    np.savez(codes, **{**arrays, "about": np.array(json.dumps(about))})

  fields = about.pop("encoded_context")
  fields["back"] = fields.pop("inverse_gain")
  fields["seconds_to_hear"] = fields.pop("encoding_seconds")
  del about["format"]
  about["heard"] = fields
  rewrite()
  loaded = stemgen_lib.Take.load(path)
  assert loaded.metadata == expected.metadata
  assert loaded.context.inverse_gain == expected.context.inverse_gain
  assert loaded.context.encoding_seconds == expected.context.encoding_seconds
  about["format"] = 3
  rewrite()
  with pytest.raises(ValueError, match="format 3, expected 1 to 2"):
    stemgen_lib.Take.load(path)


def test_codes_of_another_take_are_an_error(sampler, tmp_path):
  take = sampler.generate(_music())
  path = take.save(tmp_path / "a.wav")
  (tmp_path / "a.codes.npz").write_bytes(b"PK corrupt")
  with pytest.raises(ValueError, match=r"a\.codes\.npz is corrupt"):
    stemgen_lib.Take.load(path)
  (tmp_path / "a.codes.npz").unlink()
  with pytest.raises(FileNotFoundError, match="generate` writes next to"):
    stemgen_lib.Take.load(path)
  (tmp_path / "a.codes.npz").touch()
  with pytest.raises(ValueError, match=r"a\.codes\.npz is corrupt"):
    stemgen_lib.Take.load(path)
  # Another take replaces the audio, without or with its codes.
  other = sampler.generate(_music(), seed=1)
  take.save(path, overwrite=True)
  other.save(path, codes=False, overwrite=True)
  with pytest.raises(ValueError, match=r"different takes \(seed, codes\)"):
    stemgen_lib.Take.load(path)
  # A take with the same settings and other music.
  alike = sampler.generate(_music(seed=1))
  take.save(path, overwrite=True)
  alike.save(path, codes=False, overwrite=True)
  with pytest.raises(ValueError, match=r"different takes \(codes\)"):
    stemgen_lib.Take.load(path)
  other.save(path, codes=False, overwrite=True)
  take.save(tmp_path / "a.flac", overwrite=True)
  assert stemgen_lib.Take.load(tmp_path / "a.flac").seed == 0
  with pytest.raises(ValueError, match="different takes"):
    stemgen_lib.Take.load(path)
  (tmp_path / "b.codes.npz").touch()
  with pytest.raises(FileExistsError):
    take.save(tmp_path / "b.wav")
  assert not (tmp_path / "b.wav").exists()
  take.save(tmp_path / "b.wav", codes=False)
  take.save(tmp_path / "b.wav", overwrite=True)
  audio.write(tmp_path / "b.wav", _music(1.0), overwrite=True)
  with pytest.raises(ValueError, match="audio was changed"):
    stemgen_lib.Take.load(tmp_path / "b.wav")


def test_mix_of_a_take_never_clips(tiny):
  context = Audio(np.full((RATE, 1), 0.9, np.float32), RATE)
  take = tiny.generate(context, settings=FAST)
  mix, gain_db = take.mix(context)
  assert np.abs(mix.samples).max() < 1
  assert gain_db < 0


@pytest.mark.parametrize(
  ("context", "given", "message"),
  [
    (_music(0.1), {}, "0.1 s of audio"),
    ((np.zeros(8 * 601, np.float32), 8), {}, "0.2 to 600 s"),
    ((np.zeros(0, np.float32), RATE), {}, "0 s of audio"),
    ((np.zeros(RATE, np.int16), RATE), {}, "floating-point"),
    ((np.zeros((2, RATE)), RATE), {}, "transpose"),
    ((np.full(RATE, np.nan), RATE), {}, "NaN"),
    (np.zeros(RATE), {}, r"ndarray: expected an Audio, a path, or \(samples"),
    (_music(), {"stem": "basz"}, "did you mean bass"),
    (_music(), {"seed": -1}, "`seed`=-1: expected 0 to"),
    (_music(), {"seconds": 1.0}, "either `context`=FILE"),
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
  model.save_weights(tmp_path / "mine.safetensors", _config(), params, {"a": 1})
  take = StemGen(_config(), params, PcmCodec(), {}).generate(
    _music(), settings=FAST
  )
  for name in ("mine", "mine.safetensors"):
    loaded = StemGen.load(tmp_path / name)
    assert loaded.metadata == {"a": 1}
    again = loaded.generate(_music(), settings=FAST)
    np.testing.assert_array_equal(again.codes, take.codes)
  # Compiled programs are kept for the next run.
  kept = jax.config.jax_compilation_cache_dir  # pyright: ignore[reportAttributeAccessIssue]
  assert kept.startswith(os.environ["STEMGEN_JAX_CACHE"])
  with pytest.raises(FileNotFoundError, match="yours"):
    StemGen.load(tmp_path / "yours")


def test_codec_of_another_model_is_an_error(params, tmp_path):
  model.save_weights(tmp_path / "mine.safetensors", _config(), params, {})
  (tmp_path / "codec.safetensors").write_bytes(b"other")
  with pytest.raises(ValueError, match="checksum"):
    StemGen.load(tmp_path / "mine", codec=tmp_path / "codec.safetensors")
