"""Tests of the edits of takes: regenerate, vary, extend."""

import dataclasses
import json

import numpy as np
import pytest
import soundfile
from pcm import RATE, PcmCodec
from pcm_model import FRAME, music, pcm_config, saved

from stemgen_jax import StemGen, audio, sampling
from stemgen_jax.audio import Audio
from stemgen_jax.generation import engine
from stemgen_jax.generation import stemgen as stemgen_lib
from stemgen_jax.model import products


def test_regenerate_changes_the_regions_only(sampler, tmp_path):
  take = saved(sampler.generate(music(2), seed=4), tmp_path)
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
  take = sampler.generate(music(4), seed=1, settings=every)
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
  longer = music(3)
  n = round(seconds * RATE)
  take = sampler.generate((longer.samples[:n], RATE), "drums", seed=2)
  new = sampler.extend(saved(take, tmp_path), longer)
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
    sampler.extend(take, music(4, rate=16000))


def test_extend_needs_a_context_that_begins_with_that_of_the_take(
  sampler, tmp_path
):
  longer = music(3)
  take = sampler.generate((longer.samples[:RATE], RATE), seed=2)
  audio.write(tmp_path / "16.wav", longer, bits=16)
  soundfile.write(tmp_path / "a.mp3", longer.samples, RATE)
  quieter = Audio(longer.samples / 2, RATE)
  late = Audio(np.pad(longer.samples, ((800, 0), (0, 0))), RATE)
  other, silence = music(3, seed=1), Audio(0 * longer.samples, RATE)
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
  quiet = Audio(music(2).samples / 64, RATE)
  under = sampler.extend(take, quiet)
  assert under.context.level_db == pytest.approx(
    engine.reference_db({}), abs=0.1
  )
  np.testing.assert_allclose(
    under.audio.samples[: 99 * FRAME], take.audio.samples[: 99 * FRAME]
  )


def test_music_after_a_silent_file_is_encoded_at_the_training_level(sampler):
  longer = Audio(music(2).samples / 64, RATE)
  longer.samples[:RATE] = 0
  with pytest.warns(UserWarning, match="context is silent"):
    take = sampler.generate((longer.samples[:RATE], RATE))
  new = sampler.extend(take, longer)
  assert new.context.level_db == pytest.approx(engine.reference_db({}), abs=0.1)


def test_loop_can_be_regenerated_and_not_extended(sampler):
  take = sampler.generate(music(1.003), loop=True, seed=1)
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
    sampler.extend(take, music(3))


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
  take = sampler.generate(music())
  with pytest.raises(ValueError, match=message):
    getattr(sampler, change)(take, **given)
  other = dataclasses.replace(take, codec_checksum="of another codec")
  given = {
    "vary": {},
    "regenerate": {"regions": [(0, 0.1)]},
    "extend": {"context": music(2)},
  }[change]
  with pytest.raises(ValueError, match="another codec"):
    getattr(sampler, change)(other, **given)


@pytest.mark.parametrize("explicit", ["auto", "float32"])
def test_edits_use_the_dtype_of_the_take(monkeypatch, tmp_path, explicit):
  dtypes = []

  def decode(config, params, context, *_, **given):
    dtypes.append(config.dtype)
    return np.where(given["known_mask"], given["known"], 5)

  monkeypatch.setattr(sampling, "decode_codes", decode)
  config = dataclasses.replace(pcm_config(), dtype="bfloat16")
  first = StemGen(config, {}, PcmCodec(), {}).generate(None, seconds=0.5)
  take = saved(first, tmp_path / "new")
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
