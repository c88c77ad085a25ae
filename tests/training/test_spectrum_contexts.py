"""Spectrum contexts from songs to takes: training, resuming, generation."""

import dataclasses

import jax
import numpy as np
import pytest
from fake_data import tiny_config
from loudness import Loudness

from configs import ear_codes, ear_spectrum
from stemgen_jax import StemGen, sampling
from stemgen_jax.audio import Audio
from stemgen_jax.audio.spectrum import BANDS
from stemgen_jax.data import batches
from stemgen_jax.data.mixture import Mixture
from stemgen_jax.data.preparation import pairs, prepare
from stemgen_jax.data.sources.band import Band
from stemgen_jax.evaluation.studies import listening
from stemgen_jax.generation.take import Take
from stemgen_jax.model import Weights, load_weights, save_weights, sharding
from stemgen_jax.training import launch, runs
from stemgen_jax.training.config import MaskConfig, flat
from stemgen_jax.training.metrics import read_log
from stemgen_jax.training.planning import dry_run
from stemgen_jax.training.prefetch import place
from stemgen_jax.training.resolve import resolve
from stemgen_jax.training.step import init_state, make_train_step

# Untrained instruments, and takes of a model of 20 steps, are warned about.
pytestmark = pytest.mark.filterwarnings(
  "ignore::stemgen_jax.generation.take.GenerationWarning"
)
SETTINGS = sampling.Settings(steps=(2, 1))


class Codec(Loudness):
  """Decodes to a tone of the loudness of each frame."""

  def decode(self, codes):
    loud = (16 * codes[..., 0] + codes[..., 1]) / 1000  # [b, t]
    samples = np.repeat(loud, self.hop, axis=1)
    tone = np.sin(0.1 * np.arange(samples.shape[1]))
    return (samples * tone)[..., None].astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  out = tmp_path_factory.mktemp("songs") / "data"
  config = pairs.PairConfig(segment_seconds=4.0, pairs=2, contexts="spectrum")
  band = Band(train=3, valid=2, test=0, seconds=4.0)
  prepare.prepare(band, Codec, out, config)
  return out


def _config(folder, **changes):
  config = tiny_config(
    steps=20,
    validate_every=10,
    log_every=1,
    save_every=10,
    joint_drop=0.1,
    category_power=0.5,
    mask=MaskConfig(live_share=0.2, prefix_share=0.25),
    **changes,
  )
  config.model = dataclasses.replace(
    config.model, width=32, heads=4, window=60, context="spectrum"
  )
  return resolve(config, Mixture((str(folder),), (1.0,)).manifest())


def _train(folder, out, **changes):
  mixture = Mixture((str(folder),), (1.0,))
  config = dataclasses.replace(_config(folder), **changes)
  launch.train(config, mixture, mixture.manifest(), out)


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory):
  out = tmp_path_factory.mktemp("runs") / "run"
  _train(folder, out)
  return out


def test_loss_falls(run):
  lines = read_log(run / "log.jsonl")
  losses = [line["loss"] for line in lines if line["kind"] == "train"]
  # From ln 16 = 2.77 nats.
  assert np.mean(losses[-5:]) < np.mean(losses[:3]) - 0.2
  assert [x for x in lines if x["kind"] == "validation"]


def test_resumed_run_is_bit_exact(folder, run, tmp_path):
  _train(folder, tmp_path / "run", steps=7)
  _train(folder, tmp_path / "run", steps=20)
  one, other = (runs.load_run(x, "last") for x in (run, tmp_path / "run"))
  jax.tree.map(np.testing.assert_array_equal, one.params, other.params)


def test_mesh_has_the_losses_of_one_device(folder):
  config = _config(folder)
  batch = next(
    batches.batches(
      folder, "train", batch=8, window=60, seed=0, contexts="spectrum"
    )
  )

  def losses():
    state = jax.jit(lambda key: init_state(config, key, None))(
      jax.random.key(0)
    )
    step, found = make_train_step(config), []
    for _ in range(2):
      state, metrics = step(state, place(batch), jax.random.key(1))
      found.append(float(metrics["loss"]))
    return found

  alone = losses()
  with jax.set_mesh(sharding.make_mesh(4, 2)):
    np.testing.assert_allclose(losses(), alone, rtol=1e-5)


@pytest.fixture(scope="module")
def stemgen(run, tmp_path_factory):
  weights = runs.load_run(run, "last")
  path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
  save_weights(path, weights.config, weights.params, weights.metadata)
  weights = load_weights(path)
  assert weights.config.context == "spectrum"
  assert weights.config.future
  codec = Codec()
  return StemGen(weights.config, weights.params, codec, weights.metadata)


def _music(seconds=2.0, rate=44100):
  noise = np.random.default_rng(0).normal(size=(round(seconds * rate), 2))
  return Audio((0.1 * noise).astype(np.float32), rate)


def _longer():
  music, more = _music(), _music(1.0)
  samples = np.concatenate([music.samples, more.samples])
  return Audio(samples, music.sample_rate)


def test_takes_follow_the_spectrum_and_can_be_edited(stemgen, tmp_path):
  music = _music()
  take = stemgen.generate(music, "bass", seed=1, settings=SETTINGS)
  assert take.context.spectrum.shape == (100, BANDS)
  again = stemgen.generate(music, "bass", seed=1, settings=SETTINGS)
  np.testing.assert_array_equal(take.codes, again.codes)
  # A quieter context is the same context.
  quiet = Audio(music.samples * np.float32(0.1), music.sample_rate)
  same = stemgen.generate(quiet, "bass", seed=1, settings=SETTINGS)
  assert same.context.spectrum is not None
  assert take.context.spectrum is not None
  np.testing.assert_allclose(
    same.context.spectrum, take.context.spectrum, atol=1e-3
  )
  take.save(tmp_path / "take.wav")
  loaded = Take.load(tmp_path / "take.wav")
  assert loaded.context.spectrum is not None
  np.testing.assert_allclose(
    loaded.context.spectrum, take.context.spectrum, atol=0.01
  )
  edited = stemgen.regenerate(loaded, [(0.5, 1.0)], settings=SETTINGS)
  kept = ~take.context.frames_of([(0.5, 1.0)])
  np.testing.assert_array_equal(edited.codes[kept], take.codes[kept])
  stemgen.vary(loaded, settings=SETTINGS)
  longer = stemgen.extend(loaded, _longer(), settings=SETTINGS)
  assert longer.context.spectrum.shape == (150, BANDS)


def test_loops_and_silence(stemgen):
  loop = stemgen.generate(_music(), "bass", loop=True, settings=SETTINGS)
  assert loop.context.spectrum.shape == (100, BANDS)
  nothing = stemgen.generate(None, "bass", seconds=1.0, settings=SETTINGS)
  assert np.ptp(nothing.context.spectrum) == 0


def test_take_without_a_spectrum_is_refused(stemgen):
  take = stemgen.generate(_music(), "bass", settings=SETTINGS)
  context = dataclasses.replace(take.context, spectrum=None)
  old = dataclasses.replace(take, context=context)
  with pytest.raises(ValueError, match="has no spectrum of its context"):
    stemgen.regenerate(old, [(0.5, 1.0)], settings=SETTINGS)


def test_arms_differ_in_the_context_alone():
  one, other = (flat(x.get_config()) for x in (ear_codes, ear_spectrum))
  assert {x for x in one if one[x] != other[x]} == {"model.context"}


def test_dry_run_knows_spectra():
  config = ear_spectrum.get_config()
  config.model = dataclasses.replace(
    config.model, width=32, depth=1, mlp=32, window=20, codes=16
  )
  plan = dry_run.plan(config)
  assert plan.flops.useful > 0


def test_held_out_examples_are_evaluated(folder, run):
  weights: Weights = runs.load_run(run, "last")
  examples = batches.eval_examples(folder, "valid", 60, 4)
  result = listening.listening(weights, examples, masked=(100,), batch=4)
  assert np.isfinite(result["masked"]["100"]["true"])
