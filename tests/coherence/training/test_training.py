"""Training on songs of chimes: counterexamples, loop, report."""

import dataclasses
import json

import chimes
import jax.numpy as jnp
import numpy as np
import pytest

from stemgen_jax import small_runs
from stemgen_jax.coherence import weights
from stemgen_jax.coherence.config import NetworkConfig
from stemgen_jax.coherence.network import Embedding
from stemgen_jax.coherence.training import clips, corpus, loop, report
from stemgen_jax.coherence.training import loss as loss_lib
from stemgen_jax.coherence.training.config import TrainingConfig

FRAMES = 96
CONFIG = TrainingConfig(
  network=NetworkConfig(
    timing=8, harmony=4, detectors=2, timing_blocks=1, harmony_blocks=1
  ),
  steps=3,
  songs=2,
  frames=FRAMES,
  warm_up=1,
)
SOURCE = chimes.Chimes()


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
  folder = tmp_path_factory.mktemp("spectra")
  for split in ("train", "valid"):
    list(corpus.render(SOURCE, folder, (split,)))
  return folder


@pytest.fixture(scope="module")
def songs(cache):
  return corpus.load(cache, SOURCE.numbers("train"))


def clip_of(song, target, *others):
  def named(version, name):
    (stem,) = (x for x in version if x.name == name)
    return stem

  return clips.Clip(
    song,
    slice(0, FRAMES),
    tuple(named(version, target) for version in song.versions),
    tuple(tuple(named(v, x) for x in others) for v in song.versions),
  )


def test_an_incomplete_index_is_named(tmp_path):
  (tmp_path / "index.json").write_text('{"songs": {}}')
  with pytest.raises(
    ValueError, match=r"index.json is corrupt \(no 'recipe'\)"
  ):
    corpus.load(tmp_path, [1])


def test_songs_are_rendered_once_in_their_versions(cache, songs, monkeypatch):
  def never(*_):
    raise AssertionError("rendered again")

  monkeypatch.setattr(chimes.Chimes, "read", never)
  assert list(corpus.render(SOURCE, cache, ("train",))) == [0, 1, 2, 3]
  plain, song, *_ = songs
  assert [len(x.versions) for x in songs] == [1, 2, 2, 2]
  assert plain.spectra.shape[:2] == (3, 200)
  # Drums are the same in both versions, and rendered once.
  assert song.spectra.shape[0] == 5
  first, second = ({x.name: x.row for x in of} for of in song.versions)
  assert first["drums"] == second["drums"]
  assert first["bass"] != second["bass"]
  assert (song.sixteenth, song.beat) == (6.25, 25)
  assert song.chords[:, 60].sum(axis=1).tolist() == [3, 3]
  with pytest.raises(ValueError, match="give another --cache"):
    list(corpus.render(chimes.Chimes(train=5), cache, ("train",)))


def test_only_decidable_counterexamples_count(songs):
  song = songs[1]
  bass, drums = clip_of(song, "bass", "comp"), clip_of(song, "drums", "bass")
  assert bass.pitched
  assert not drums.pitched
  assert not drums.reharmonized
  assert not clip_of(song, "bass", "drums").pitched
  differ = (song.chords[0] != song.chords[1]).any(axis=1)[:FRAMES]
  assert bass.reharmonized == (differ.mean() > 0.4)
  assert not clip_of(songs[0], "bass", "comp").reharmonized
  assert clips.shiftable(bass) == [True] * 6
  # One unpitched pair: nobody knows which beat is the first.
  assert clips.shiftable(drums) == [False, *[True] * 4, False]
  pad = dataclasses.replace(bass.stems[0], category="synth_pad")
  slow = dataclasses.replace(bass, stems=(pad,))
  assert clips.shiftable(slow) == [True, *[False] * 4, True]
  slow = dataclasses.replace(bass, contexts=((pad,),))
  assert clips.shiftable(slow) == [False] * 6


def test_a_batch_has_both_versions_of_different_songs(songs):
  batch = clips.batch(songs, 3, FRAMES, np.random.default_rng(0))
  assert batch.context.shape == batch.stem.shape == (6, FRAMES, 108)
  assert batch.other[0, 2:].all()
  assert not batch.other.diagonal().any()
  assert (batch.other == batch.other.T).all()
  assert np.isfinite(batch.context).all()
  np.testing.assert_array_equal(batch.shift[0], batch.shift[1])
  np.testing.assert_array_equal(-batch.shift[:, :3], batch.shift[:, :2:-1])
  assert (abs(batch.stretch) >= 0.01).all()
  again = clips.batch(songs, 3, FRAMES, np.random.default_rng(0))
  np.testing.assert_array_equal(batch.stem, again.stem)
  with pytest.raises(ValueError, match="2 of 2 songs have stems"):
    clips.batch(songs[:2], 3, FRAMES, np.random.default_rng(0))


def test_moved_and_transposed_stems_are_compared_where_they_sound():
  rng = np.random.default_rng(0)
  timing = rng.standard_normal((1, 40, 3)).astype(np.float32)
  harmony = rng.standard_normal((1, 10, 12, 2)).astype(np.float32)
  context = Embedding(jnp.asarray(timing), jnp.asarray(harmony))
  late = Embedding(
    jnp.asarray(np.roll(timing, -8, axis=1)),
    jnp.asarray(np.roll(harmony, -2, axis=1)),
  )
  shift = jnp.asarray([[0.0, 8.0, -8.0]])
  found = loss_lib._moved(context, late, shift, 0.0)[0]
  inner = (timing[:, 8:] ** 2).sum() / 32 + (harmony[:, 2:] ** 2).sum() / 8
  assert found[1] == pytest.approx(inner, rel=1e-5)
  assert found.argmax() == 1
  stretch = jnp.asarray([[0.0, 0.1]])
  same = loss_lib._moved(context, context, 0.0, stretch)[0]
  assert same[0] > same[1]
  up = Embedding(context.timing, jnp.roll(context.harmony, -2, axis=2))
  rolled = loss_lib._transposed(context, up)[0]
  assert loss_lib.TRANSPOSITIONS[int(rolled.argmax())] == 2


def run(songs, folder, steps=None):
  """Train for some steps or to the end; return the loss of each step."""
  one = loop.Training(CONFIG, songs, folder)
  found = []
  for figures in one.run():
    found.append(figures["loss"])
    if len(found) == steps:
      break
  one.save()
  return one, found


def test_resumed_run_takes_the_same_steps(songs, cache, tmp_path):
  whole, losses = run(songs, tmp_path / "whole")
  _, before = run(songs, tmp_path / "parts", 1)
  assert small_runs.steps_done(tmp_path / "parts") == 1
  second, after = run(songs, tmp_path / "parts")
  assert before + after == losses
  paths = [tmp_path / name / "a.safetensors" for name in ("whole", "parts")]
  for one, path in zip((whole, second), paths):
    one.export(path)
  assert paths[0].read_bytes() == paths[1].read_bytes()
  other = dataclasses.replace(CONFIG, learning_rate=1e-4)
  with pytest.raises(ValueError, match="learning_rate"):
    loop.Training(other, songs, tmp_path / "parts")

  network = weights.load(paths[0])
  about_path = paths[1].with_suffix(".json")
  about = json.loads(about_path.read_text())
  del about["description_checksum"], about["config"]
  about_path.write_text(json.dumps(about))
  with pytest.raises(ValueError, match=r"parts/a\.json: NetworkConfig is None"):
    weights.load(paths[1])
  held_out = corpus.load(cache, SOURCE.numbers("valid"))
  won_pairs = report.report(network, held_out, frames=FRAMES)
  assert {"another song", "1/8 early or late", "transposed"} <= set(won_pairs)
  for groups in won_pairs.values():
    assert all(0 <= won <= pairs for won, pairs in groups.values())
  assert "drums" not in won_pairs["transposed"]
  rows = report.rows(won_pairs)
  assert all(len(row) == len(report.HEADER) for row in rows)


@pytest.mark.parametrize(
  ("change", "message"),
  [
    ({"steps": 0}, "steps is 0"),
    ({"songs": 1}, "songs is 1"),
    ({"frames": 90}, "frames is 90: expected a multiple of 4"),
  ],
)
def test_wrong_configurations(change, message):
  with pytest.raises(ValueError, match=message):
    dataclasses.replace(CONFIG, **change).validate()
