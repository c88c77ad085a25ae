"""A codec with scales, EnCodec 48 kHz, from songs to stems."""

import dataclasses
import functools
from typing import Any

import jax
import numpy as np
import pytest
import safetensors.torch
import tensorflow_datasets as tfds
from random_codec import random_codec, random_network
from scaled_model import NAME, RATE, STEREO
from tones import SECONDS, Tones

from stemgen_jax import StemGen, audio, codec, model, sampling
from stemgen_jax.audio import Audio
from stemgen_jax.codec import ScaledCodec, published, scales
from stemgen_jax.codec.framing import Framing
from stemgen_jax.codec.segmented import SegmentedEncodecCodec
from stemgen_jax.data import batches, mixture
from stemgen_jax.data.manifest import Manifest
from stemgen_jax.data.preparation import (
  inspect_page,
  pairs,
  prepare,
  song_codes,
)
from stemgen_jax.generation.take import Take
from stemgen_jax.model.scales import quantize
from stemgen_jax.training.config import TrainConfig
from stemgen_jax.training.resolve import resolve

FAST = sampling.Settings(steps=(2, 1, 1, 1))
CONFIG = dataclasses.replace(STEREO, window=200)
METADATA = {"context_rms_db": -20.0, "scale_ratio": {"bass": 0.5, "drums": 2.0}}


def music(seconds, rate=RATE, level=0.1):
  """Return stereo noise below 3 kHz, within the band of every rate."""
  draw = np.random.default_rng(0).normal(size=(round(seconds * 6000), 2))
  sound = audio.resample((level * draw).astype(np.float32), 6000, rate)
  return Audio(audio.fit(sound, round(seconds * rate)), rate)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
  out = tmp_path_factory.mktemp("prepared") / "codes"
  prepare.prepare(
    Tones(RATE),
    functools.partial(random_codec, NAME),
    out,
    pairs.PairConfig(segment_seconds=SECONDS, pairs=2, empty_share=0.0),
  )
  return out


def test_scales_are_stored_with_the_codes(prepared):
  manifest = Manifest.load(prepared)
  small = random_codec(NAME)
  assert isinstance(small, ScaledCodec)
  assert manifest.frames == small.frames(SECONDS * RATE) == 303
  assert manifest.segment_frames == 150
  builder: Any = tfds.builder_from_directory(prepared / manifest.records)
  source = builder.as_data_source("train")
  stems = {
    song.id: [np.repeat(stem.read().samples, 2, axis=1) for stem in song.stems]
    for song in Tones(RATE).songs()
  }
  for record in (source[i] for i in range(len(source))):
    target = stems[record["song_id"].decode()][record["stem"]]
    gain = audio.gain_to(audio.loudness_db(target, RATE))
    target = (target * np.float32(gain))[None]
    np.testing.assert_allclose(
      record["target_scales"], small.scales(target)[0], rtol=1e-5
    )
    np.testing.assert_array_equal(record["target"], small.encode(target)[0])
    assert record["context_scales"].shape == (3,)
  # All are encoded at one loudness. The tone has 0.2 / sqrt(2), the noise 0.1.
  assert manifest.scale_ratio == {
    "piano": pytest.approx(1, rel=0.03),
    "drums": pytest.approx(1, rel=0.03),
  }
  assert manifest.loudness == {
    "reference_db": -20.0,
    "relative_db": {
      "piano": pytest.approx(3.01, abs=0.1),
      "drums": pytest.approx(-3.01, abs=0.1),
    },
  }


def test_examples_begin_with_a_segment_and_have_its_scales(prepared, tmp_path):
  examples = batches.eval_examples(prepared, "train", 100, 3)
  examples.save(tmp_path / "examples.npz")
  loaded = batches.Examples.load(tmp_path / "examples.npz")
  assert loaded.target_scales is not None
  np.testing.assert_array_equal(loaded.target_scales, examples.target_scales)
  assert loaded.target_scales.shape == (3, 1)
  for song, target, scale in zip(
    loaded.song, loaded.target, loaded.target_scales
  ):
    path = song_codes.song_path(prepared / "songs", song)
    codes = song_codes.SongCodes.load(path)
    assert codes.target_scales is not None
    places = [
      (row, number)
      for row in range(len(codes.index))
      for number in range(2)
      if (codes.target[row, 150 * number :][:100] == target).all()
    ]
    assert any(codes.target_scales[place] == scale[0] for place in places)


def test_batches_for_a_model_of_scales_have_their_tokens(prepared):
  config = TrainConfig(model=dataclasses.replace(CONFIG, window=150))
  config.model.scale_frames = 150
  assert resolve(config, Manifest.load(prepared)).model.columns == 5
  config.model.scale_frames = 75
  with pytest.raises(ValueError, match="segments of 150 frames"):
    resolve(config, Manifest.load(prepared))
  read = batches.batches(
    prepared, "train", batch=8, window=150, seed=0, scale_frames=150
  )
  batch = next(read)
  assert batch["context"].dtype == batch["target"].dtype == np.int32
  paths = (prepared / "songs").glob("*.npz")
  songs = [song_codes.SongCodes.load(path) for path in paths]
  for side in ("context", "target"):
    assert batch[side].shape == (8, 150, 5)
    known = {
      codes[150 * number :][:150].tobytes(): scale
      for song in songs
      for all_codes, rms in zip(
        getattr(song, side), getattr(song, f"{side}_scales")
      )
      for codes, number, scale in (
        (all_codes, number, rms[number]) for number in range(2)
      )
    }
    for row in batch[side]:
      scale = known[row[:, :4].astype(np.uint16).tobytes()]
      token = quantize(np.array([scale]))
      assert (row[:, 4] == token).all()
  # Examples have both sides, too, so that such a model can be evaluated.
  examples = batches.eval_examples(prepared, "train", 150, 3)
  widened = examples.with_scales(150)
  assert widened.target.shape == widened.context.shape == (3, 150, 5)
  assert (widened.silence[:, 4] == 63).all()
  assert examples.context_scales is not None
  np.testing.assert_array_equal(
    widened.context[:, 0, 4:], quantize(examples.context_scales)
  )
  with pytest.raises(ValueError, match="export them again"):
    dataclasses.replace(examples, context_scales=None).with_scales(150)


def test_a_codec_without_scales_adds_no_fields(tmp_path):
  prepare.prepare(
    Tones(24_000),
    functools.partial(random_codec, "encodec_24khz"),
    tmp_path / "codes",
    pairs.PairConfig(segment_seconds=SECONDS, pairs=1, empty_share=0.0),
  )
  manifest = Manifest.load(tmp_path / "codes")
  assert (manifest.segment_frames, manifest.scale_ratio) == (0, {})
  path = song_codes.song_path(tmp_path / "codes" / "songs", "tones-0")
  assert not any("scales" in name for name in np.load(path).files)
  examples = batches.eval_examples(tmp_path / "codes", "train", 100, 2)
  assert examples.target_scales is None


def test_a_stem_follows_its_context_but_not_into_breaks():
  context = np.array([0.2, 0.1, 0.0, 0.2, 1e-8], np.float32)
  level = np.sqrt(np.mean(np.array([0.2, 0.1, 0.2]) ** 2))
  least = 10 ** (-12 / 20) * level
  expected = 0.5 * np.array([0.2, 0.1, least, 0.2, least])
  given = functools.partial(scales.of_stem, ratios={"bass": 0.5, "drums": 1.5})
  np.testing.assert_allclose(given(context, "bass", usual=0.3), expected)
  # A category without a ratio: the mean of the others.
  np.testing.assert_allclose(
    given(context, "piano", usual=0.3), 2 * expected, rtol=1e-6
  )
  np.testing.assert_allclose(
    given(np.zeros(2, np.float32), "bass", usual=0.3), [0.15, 0.15]
  )


@pytest.fixture(scope="module")
def engine():
  params = model.init_params(CONFIG, jax.random.key(0))
  return StemGen(CONFIG, params, random_codec(NAME), METADATA)


@pytest.mark.parametrize(
  ("seconds", "rate"), [(0.3, 44_100), (1.0, 48_000), (2.2345, 32_000)]
)
def test_a_stem_has_exactly_the_contexts_format(engine, seconds, rate):
  context = music(seconds, rate)
  take = engine.generate(context, "bass", seed=1, settings=FAST)
  assert take.audio.samples.shape == context.samples.shape
  assert take.audio.sample_rate == rate
  assert np.isfinite(take.audio.samples).all()
  again = engine.generate(context, "bass", seed=1, settings=FAST)
  np.testing.assert_array_equal(again.audio.samples, take.audio.samples)


def test_a_stem_is_as_loud_as_its_instrument_usually_is(engine):
  context = music(2.0)
  bass = engine.generate(context, "bass", settings=FAST)
  quiet = engine.generate(music(2.0, level=0.01), "bass", settings=FAST)
  np.testing.assert_allclose(
    quiet.audio.samples, bass.audio.samples / 10, atol=1e-5
  )
  loud = dataclasses.replace(
    engine, metadata=METADATA | {"scale_ratio": {"bass": 2.0}}
  )
  louder = loud.generate(context, "bass", settings=FAST).audio.samples
  np.testing.assert_allclose(louder, 4 * bass.audio.samples, rtol=1e-3)


def test_without_context_a_stem_has_the_usual_level(engine):
  take = engine.generate(None, "drums", seconds=1.5, settings=FAST)
  assert take.audio.samples.shape == (72_000, 2)
  codes = take.codes[None]
  expected = engine.codec.decode(codes, np.full((1, 2), 2.0 * 10 ** (-20 / 20)))
  # Random codes give peaks, which are limited.
  expected = audio.limit(expected[0, :72_000], 48_000)
  np.testing.assert_allclose(take.audio.samples, expected, atol=1e-6)


class PcmSegments(SegmentedEncodecCodec):
  """PCM at unit level, 24 bits of each channel, in segments of 10 ms."""

  def __init__(self):
    super().__init__("pcm", random_network(NAME), "c" * 64)
    self.framing = Framing(hop=1, segment=480, stride=475)
    self.hop, self.levels, self.codes_per_level = 1, 4, 4096

  def _encode(self, audio):
    number = ((audio / 16 + 1) * 2**23).long().clamp(0, 2**24 - 1)
    left, right = number
    parts = [left // 4096, left % 4096, right // 4096, right % 4096]
    return left.new_tensor(np.stack(parts, 1))

  def _decode(self, codes):
    a, b, c, d = codes.T
    number = (codes.new_tensor(np.stack([a * 4096 + b, c * 4096 + d]))).float()
    return (number / 2**23 - 1) * 16


@pytest.mark.parametrize("rate", [22_050, 44_100, 48_000, 96_000])
def test_a_stem_has_no_lag(monkeypatch, rate):
  """A stem equal to its context shows no lag at segments and their seams."""
  monkeypatch.setattr(
    sampling, "decode_codes", lambda config, params, context, *_, **__: context
  )
  config = dataclasses.replace(CONFIG, window=4000)
  echo = StemGen(config, {}, PcmSegments(), {"scale_ratio": {"bass": 1.0}})
  context = music(0.4321, rate)
  stem = echo.generate(context, "bass").audio.samples
  assert stem.shape == context.samples.shape
  middle = slice(rate // 100, -rate // 100)  # without the resampler's edges
  difference = stem[middle] - context.samples[middle]
  assert np.abs(difference).max() < 0.02 * np.abs(context.samples).max()


def test_a_model_that_names_the_codec_finds_its_weights(
  tmp_path, monkeypatch, engine, capsys
):
  monkeypatch.setenv("STEMGEN_JAX_CACHE", str(tmp_path / "cache"))
  network = random_network(NAME)
  monkeypatch.setitem(published.CONFIGS, NAME, network.config)
  file = tmp_path / "cache" / NAME / "model.safetensors"
  file.parent.mkdir(parents=True)
  safetensors.torch.save_file(network.state_dict(), file)
  config = dataclasses.replace(CONFIG, codec_checksum=codec.load(NAME).checksum)
  model.save_weights(
    tmp_path / "mine.safetensors", config, engine.params, METADATA
  )
  loaded = StemGen.load(tmp_path / "mine")
  assert loaded.codec.name == NAME
  take = loaded.generate(music(0.5), "bass", settings=FAST)
  expected = engine.generate(music(0.5), "bass", settings=FAST)
  np.testing.assert_array_equal(take.codes, expected.codes)
  # The same weights in another place; other weights are refused.
  elsewhere = file.rename(tmp_path / "elsewhere.safetensors")
  StemGen.load(tmp_path / "mine", codec=f"{NAME}:{elsewhere}")
  other, replaced = tmp_path / "other.safetensors", random_network(NAME, seed=1)
  safetensors.torch.save_file(replaced.state_dict(), other)
  with pytest.raises(ValueError, match="trained this model"):
    StemGen.load(tmp_path / "mine", codec=f"{NAME}:{other}")
  other.rename(file)
  with pytest.raises(ValueError, match="if you replaced it"):
    StemGen.load(tmp_path / "mine")


def test_a_region_is_generated_again_and_the_rest_stays(engine, tmp_path):
  """Regions, extensions and files use the grid of the segments."""
  context = music(2.2345, 44_100)
  take = engine.generate(context, "bass", settings=FAST)
  take.save(tmp_path / "bass.wav", bits="float")
  loaded = Take.load(tmp_path / "bass.wav")
  assert loaded.context.scales == pytest.approx(take.context.scales)
  again = engine.regenerate(loaded, [(1.2, 1.5)])
  changed = np.flatnonzero((again.codes != take.codes).any(1))
  # Frame 150 begins at 0.99 s, and a second has 150 frames.
  assert 150 + 31 <= changed.min() < changed.max() <= 150 + 77
  differing = np.flatnonzero((again.audio.samples != take.audio.samples).any(1))
  frame = 44_100 / 150
  assert 1.2 * 44_100 - 2.1 * frame < differing.min()
  assert differing.max() < 1.5 * 44_100 + 2.1 * frame
  longer = engine.extend(take, music(3.1, 44_100))
  assert len(longer.audio.samples) == round(3.1 * 44_100)
  kept = take.context.whole_frames
  assert len(take.codes) - 1 <= kept <= len(take.codes)
  np.testing.assert_array_equal(longer.codes[:kept], take.codes[:kept])


def test_frames_in_the_overlap_belong_to_one_region(engine):
  encoded = engine.generate(music(2.0), "bass", settings=FAST).context
  assert [encoded.edge(frame) for frame in (0, 148, 149, 150, 151)] == [
    *(0, 148 * 320, 47_520, 47_520, 47_520 + 320)
  ]
  for region in ((0.0, 0.5), (0.985, 0.995), (0.2, 1.9)):
    (marked,) = np.nonzero(encoded.frames_of([region]))
    assert (np.diff(marked) == 1).all()
    assert encoded.edge(int(marked[0])) <= region[0] * RATE
    assert encoded.edge(int(marked[-1]) + 1) >= region[1] * RATE


def test_a_loop_is_refused(engine):
  with pytest.raises(ValueError, match="segments of its own"):
    engine.generate(music(1.0), "bass", loop=True, settings=FAST)


def test_a_mixture_has_the_mean_ratios(prepared):
  mixed = mixture.Mixture((str(prepared),) * 2, (1.0, 3.0)).manifest()
  one = Manifest.load(prepared)
  assert mixed.scale_ratio == pytest.approx(one.scale_ratio, rel=1e-3)
  assert mixed.segment_frames == 150


def test_a_page_plays_pairs_at_their_own_level(prepared, tmp_path):
  small: Any = random_codec(NAME)
  decoded = []
  decode_small = small.decode

  def decode(codes, scales=None):
    decoded.append(scales)
    return decode_small(codes, scales)

  small.decode = decode
  inspect_page.write(prepared, small, tmp_path / "page.html", pairs=1)
  (scales_of_pair,) = decoded
  assert scales_of_pair.shape == (2, 3)
