import re

import jax
import numpy as np
import pytest
import soundfile
from fake_data import FakeBatches, Q, V, fake_data, tiny_config
from test_reporter import events
from test_trainer import saved

from stemgen_jax import audio
from stemgen_jax.data.examples import Examples
from stemgen_jax.model import init_params, sharding
from stemgen_jax.pages import spectrogram
from stemgen_jax.training import audition, trainer
from stemgen_jax.training.metrics import read_log
from stemgen_jax.training.resolve import resolve

HOP = 160


class Steps:
  """Two levels of 8 codes: a frame's constant value, coarsely and finely."""

  name, checksum, sample_rate, channels, hop = "fake", "abc", 8000, 1, HOP
  levels, codes_per_level, frame_rate = Q, V, 50.0

  def frames(self, samples):
    return -(-samples // HOP)

  def encode(self, audio):
    raise NotImplementedError

  def codebooks(self):
    return fake_data().codebooks

  def decode(self, codes):
    value = (codes[..., 0] + codes[..., 1] / V - V / 2) / V
    return np.repeat(value.astype(np.float32), HOP, axis=1)[..., None]


def examples(config):
  batch = next(FakeBatches(config, seed=5))
  return Examples(
    context=batch["context"][:2],
    target=batch["target"][:2],
    category=np.array([0, 4]),
    genre=np.zeros(2, np.int32),
    song=np.array(["a", "b"]),
    silence=np.zeros((config.model.window, Q), np.int32),
    codec="fake",
    checksum="abc",
  )


def split_up(params):
  """Shard each over its first even axis."""

  def one(x):
    even = [size % 2 == 0 for size in x.shape]
    axes = [None] * x.ndim
    if any(even):
      axes[even.index(True)] = "model"
    return jax.NamedSharding(jax.sharding.get_mesh(), jax.P(*axes))

  return jax.tree.map(one, params)


@pytest.fixture
def no_pictures(monkeypatch):
  """Draw no spectrograms, which take most of the time."""
  black = np.zeros((1, 1, 3), np.uint8)
  monkeypatch.setattr(spectrogram, "pixels", lambda *_: black)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
  """The same run with and without auditions."""
  made = {}
  for every in (2, 0):
    out = tmp_path_factory.mktemp("runs") / str(every)
    config = tiny_config(steps=4, log_every=1, listen_every=every)
    config = resolve(config, fake_data())
    trainer.train(
      config,
      fake_data(),
      FakeBatches(config),
      [next(FakeBatches(config, seed=1))],
      out,
      auditioner=audition.Auditioner(
        config.model, examples(config), Steps(), out
      )
      if every
      else None,
    )
    made[every] = out
  return made


def test_auditions_do_not_change_the_run(runs):
  def losses(out):
    return [x["loss"] for x in read_log(out / "log.jsonl") if "loss" in x]

  assert losses(runs[2]) == losses(runs[0])
  jax.tree.map(
    np.testing.assert_array_equal, saved(runs[2])[2], saved(runs[0])[2]
  )
  assert not (runs[0] / "listen").exists()


def test_every_sound_is_a_file_that_the_page_shows(runs):
  folder = runs[2] / "listen"
  text = (folder / "index.html").read_text(encoding="utf-8")
  linked = re.findall(r'src="([^"]*)"', text)
  files = {
    str(path.relative_to(folder))
    for path in folder.rglob("*")
    if path.suffix in (".wav", ".png")
  }
  assert set(linked) == files
  # Two examples: given sounds once, generated ones at both steps.
  assert len(files) == 2 * 2 * (2 + 2 * 8)
  assert text.index("Step 4") < text.index("Step 2")
  sound, rate = soundfile.read(folder / "step-0000004" / "1-piano-own.wav")
  assert (len(sound), rate) == (8 * HOP, 8000)


def test_sounds_and_spectrograms_are_in_tensorboard(runs):
  found = events(runs[2] / "tensorboard")
  for step in (2, 4):
    for kind in ("real", "hidden-15", "hidden-100", "own", "other"):
      names = [name for name, at in found if at == step and f"/{kind}" in name]
      assert len(names) >= 2
  value = found["1-piano/real", 2]
  assert value.audio.sample_rate == 8000 or value.image.width == 700


@pytest.mark.usefixtures("no_pictures")
def test_known_frames_are_kept_and_the_context_matters(tmp_path):
  config = resolve(tiny_config(), fake_data())
  given = examples(config)
  auditioner = audition.Auditioner(config.model, given, Steps(), tmp_path)
  params = init_params(config.model, jax.random.key(0))
  # Heads with confident predictions.
  params["head"] = 100 * params["head"]
  sounds = {x.name: x.audio.samples for x in auditioner.run(7, params)}
  # The same from parameters sharded over a mesh.
  with jax.set_mesh(sharding.make_mesh(4, 2)):
    split = jax.device_put(params, split_up(params))
    assert not split["head"].is_fully_replicated
    again = auditioner.run(7, trainer.on_host(split))
  for sound in again:
    np.testing.assert_array_equal(sound.audio.samples, sounds[sound.name])

  def changed(kind):
    """Frames that differ from the real stem's, of both examples."""
    return sum(
      (sounds[f"{name}/{kind}"] != sounds[f"{name}/real"])
      .reshape(-1, HOP)
      .any(1)
      .sum()
      for name in ("1-piano", "2-bass")
    )

  # 15 % of 8 frames is one frame of each example.
  assert changed("hidden-15") <= 2 < changed("hidden-100")
  real = Steps().decode(given.target)
  np.testing.assert_array_equal(sounds["1-piano/real"], real[0])
  assert (sounds["1-piano/own"] != sounds["1-piano/other"]).any()
  mix = sounds["1-piano/context"] + sounds["1-piano/own"]
  np.testing.assert_allclose(
    sounds["1-piano/own-mix"], mix * min(1, audio.CEILING / abs(mix).max())
  )


def test_auditioner_writes_nothing_before_it_runs(tmp_path):
  config = resolve(tiny_config(), fake_data())
  audition.Auditioner(config.model, examples(config), Steps(), tmp_path)
  # The folder may hold another run, and this one may be refused.
  assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("no_pictures")
def test_page_leaves_out_steps_after_a_restored_one(tmp_path):
  config = resolve(tiny_config(), fake_data())
  auditioner = audition.Auditioner(
    config.model, examples(config), Steps(), tmp_path
  )
  params = init_params(config.model, jax.random.key(0))
  for step in (2, 4, 6, 3):  # restored to 2 after 6
    auditioner.run(step, params)
  text = (tmp_path / "listen/index.html").read_text(encoding="utf-8")
  assert re.findall(r"Step (\d+)", text) == ["3", "2"]


def test_another_codec_is_refused(tmp_path):
  config = resolve(tiny_config(), fake_data())
  other = Steps()
  other.checksum = "other"
  with pytest.raises(ValueError, match=r"codec 'fake' \(other\): expected"):
    audition.Auditioner(config.model, examples(config), other, tmp_path)
