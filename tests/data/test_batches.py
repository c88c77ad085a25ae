import dataclasses
import json
import zlib
from typing import Any, cast

import numpy as np
import pytest
import tensorflow_datasets as tfds
import tiny

from stemgen_jax import categories
from stemgen_jax.data import batches as lib
from stemgen_jax.data.examples import Examples
from stemgen_jax.data.preparation import packing, pairs, prepare, song_codes
from stemgen_jax.paths import HELDOUT

WINDOW = 20  # of 40 frames, 10 a second


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
  out = tmp_path_factory.mktemp("prepared") / "codes"
  config = pairs.PairConfig(segment_seconds=4.0, pairs=6, empty_share=0.1)
  prepare.prepare(tiny.Sines(test=5), tiny.FrameEnergies, out, config)
  return out


def take(iterator, count):
  return [next(iterator) for _ in range(count)]


def run(prepared, count=6, state=None, **more):
  settings: dict[str, Any] = {"batch": 4, "window": WINDOW, "seed": 3} | more
  iterator = lib.batches(prepared, "train", **settings)
  if state is not None:
    iterator.set_state(state)
  return take(iterator, count)


def rows(batch):
  """The examples of a batch as comparable values."""
  return [
    tuple(np.asarray(batch[name][i]).tobytes() for name in sorted(batch))
    for i in range(len(batch["target"]))
  ]


def same(first, second):
  return [rows(b) for b in first] == [rows(b) for b in second]


def test_batches_have_the_documented_shapes(prepared):
  (batch,) = run(prepared, 1)
  for name in ("context", "target"):
    assert batch[name].shape == (4, WINDOW, 2)
    assert batch[name].dtype == np.int32
  for name in ("category", "genre", "role", "song"):
    assert batch[name].shape == (4,)
    assert batch[name].dtype == np.int32
  known = {zlib.crc32(s.id.encode()) >> 1 for s in tiny.Sines().songs()}
  assert set(batch["song"].tolist()) <= known


def test_roles_are_the_stems_own_or_of_the_category(prepared):
  for batch in run(prepared):
    for category, role in zip(batch["category"], batch["role"]):
      name = categories.CATEGORIES[category]
      assert role == categories.role_id("", name)
  examples = lib.eval_examples(prepared, "test", WINDOW, 5)
  assert examples.condition("role").tolist() == [
    categories.role_id("", categories.CATEGORIES[i]) for i in examples.category
  ]


def test_data_sets_made_before_roles_have_none(tmp_path, monkeypatch):
  info, rows = packing.StemCodes._info, song_codes.SongCodes.rows

  def old_info(self):
    features: Any = dict(cast(Any, info(self).features))
    del features["role"]
    return tfds.core.DatasetInfo(
      builder=self, features=tfds.features.FeaturesDict(features)
    )

  def old_rows(self):
    for row in rows(self):
      del row["role"]
      yield row

  monkeypatch.setattr(packing.StemCodes, "_info", old_info)
  monkeypatch.setattr(song_codes.SongCodes, "rows", old_rows)
  config = pairs.PairConfig(segment_seconds=4.0, pairs=2)
  prepare.prepare(tiny.Sines(), tiny.FrameEnergies, tmp_path, config)
  (batch,) = run(tmp_path, 1)
  assert batch["role"].tolist() == [len(categories.ROLES)] * 4
  examples = lib.eval_examples(tmp_path, "test", WINDOW, 1)
  path = tmp_path / "examples.npz"
  dataclasses.replace(examples, role=None).save(path)
  again = lib.Examples.load(path)
  assert again.condition("role").tolist() == [len(categories.ROLES)]
  assert again.condition("genre").tolist() == examples.genre.tolist()


def test_song_files_made_before_roles_have_none(prepared, tmp_path):
  path = next((prepared / "songs").glob("*.npz"))
  with np.load(path) as arrays:
    old = {name: arrays[name] for name in arrays.files if name != "role"}
  np.savez(tmp_path / "old.npz", **old)
  found = song_codes.SongCodes.load(tmp_path / "old.npz")
  assert found.role.tolist() == [len(categories.ROLES)] * len(found.index)
  np.testing.assert_array_equal(
    found.target, song_codes.SongCodes.load(path).target
  )


def test_the_seed_decides_order_and_crops(prepared):
  assert same(run(prepared), run(prepared))
  assert not same(run(prepared), run(prepared, seed=4))


def test_threads_and_read_ahead_change_nothing(prepared):
  assert same(run(prepared), run(prepared, threads=5, prefetch=1))


def test_an_epoch_has_every_pair_once_and_the_next_differs(prepared):
  pairs_there = lib.Manifest.load(prepared).counts["train"]["pairs"]
  seen = run(prepared, 2 * pairs_there, batch=1, window=40)
  seen = [rows(batch)[0] for batch in seen]
  first, second = seen[:pairs_there], seen[pairs_there:]
  assert sorted(first) == sorted(second)
  assert len(set(first)) == pairs_there
  assert first != second


def test_a_run_resumes_in_the_middle_of_an_epoch(prepared):
  iterator = lib.batches(prepared, "train", batch=4, window=WINDOW, seed=3)
  take(iterator, 3)
  state = iterator.get_state()
  expected = take(iterator, 20)
  assert same(run(prepared, 20, state), expected)


def joined(parts, step):
  """The global batch of a step, from the shards' batches in their order."""
  return [row for part in parts for row in rows(part[step])]


def test_shards_together_are_the_whole(prepared):
  whole = run(prepared, 8)
  for count in (2, 4):
    parts = [
      run(prepared, 8, shard_index=i, shard_count=count) for i in range(count)
    ]
    for step, batch in enumerate(whole):
      assert joined(parts, step) == rows(batch)


def test_a_run_resumes_on_other_numbers_of_processes(prepared):
  pairs_there = lib.Manifest.load(prepared).counts["train"]["pairs"]
  expected = run(prepared, 12)
  assert pairs_there > 9 * 4  # every change is inside the first epoch
  state, done = None, 0
  for count in (1, 2, 4, 1):
    parts, states = [], []
    for index in range(count):
      iterator = lib.batches(
        prepared,
        "train",
        batch=4,
        window=WINDOW,
        seed=3,
        shard_index=index,
        shard_count=count,
      )
      if state is not None:
        iterator.set_state(state)
      parts.append(take(iterator, 3))
      states.append(iterator.get_state())
    assert all(other == states[0] for other in states)
    state = json.loads(json.dumps(states[0]))
    for step in range(3):
      assert joined(parts, step) == rows(expected[done + step])
    done += 3


@pytest.fixture(scope="module")
def other(tmp_path_factory):
  """Another data set of the same codec, its segments a little shorter."""
  out = tmp_path_factory.mktemp("other") / "codes"
  config = pairs.PairConfig(segment_seconds=3.0, pairs=6, empty_share=0.0)
  source = tiny.Sines(train=2, valid=0, test=0, name="others", first=20)
  prepare.prepare(source, tiny.FrameEnergies, out, config)
  return out


def test_a_mixture_follows_its_weights_and_resumes(prepared, other):
  mixture = lib.Mixture.parse(f"{prepared}:1.5,{other}:0.5")
  replayed = lib.Mixture((str(prepared),), (2.0,))
  replayed = replayed.with_replay(lib.Mixture((str(other),), (9.0,)), 0.25)
  assert replayed == lib.Mixture(mixture.folders, (0.75, 0.25))
  settings: dict[str, Any] = {"batch": 8, "window": WINDOW, "seed": 3}
  iterator = lib.batches(mixture, "train", **settings)
  expected = take(iterator, 2)
  state = iterator.get_state()
  expected += take(iterator, 10)
  theirs = {
    zlib.crc32(song.id.encode()) >> 1
    for song in tiny.Sines(train=2, valid=0, test=0, first=20).songs()
  }
  for batch in expected:
    assert sum(song in theirs for song in batch["song"].tolist()) == 2
  assert same(take(lib.batches(mixture, "train", **settings), 12), expected)
  parts = []
  for index in range(2):
    part = lib.batches(
      mixture, "train", **settings, shard_index=index, shard_count=2
    )
    part.set_state(state)
    parts.append(take(part, 10))
  for step in range(10):
    assert joined(parts, step) == rows(expected[2 + step])


def test_a_mixture_has_one_manifest(prepared, other):
  mixture = lib.Mixture.parse(f"{prepared}:3,{other}:1")
  first, second = lib.Manifest.load(prepared), lib.Manifest.load(other)
  manifest = mixture.manifest()
  assert manifest.frames == 30
  assert manifest.silence.shape == (30, 2)
  assert manifest.checksum == first.checksum
  assert manifest.counts["train"]["pairs"] == (
    first.counts["train"]["pairs"] + second.counts["train"]["pairs"]
  )
  levels = np.array([first.context_rms_db, second.context_rms_db])
  assert manifest.context_rms_db == pytest.approx(
    [0.75, 0.25] @ levels, abs=0.01
  )
  weights = [part["weight"] for part in manifest.config["mixture"]]
  assert weights == [3, 1]
  assert mixture.only("valid") == lib.Mixture((str(prepared),), (3.0,))
  with pytest.raises(ValueError, match=r"window is 40 frames.* have 30"):
    lib.batches(mixture, "train", batch=1, window=40, seed=0)


def test_one_folder_is_a_mixture_of_one(prepared):
  (expected,) = run(prepared, 1)
  mixture = lib.Mixture.parse(str(prepared))
  assert same(run(mixture, 1), [expected])
  assert mixture.manifest().name == "sines_energies"


def test_codes_of_two_codecs_are_not_mixed(prepared, tmp_path):
  def load():
    return tiny.FrameEnergies("f" * 64)

  config = pairs.PairConfig(segment_seconds=4.0)
  prepare.prepare(tiny.Sines(), load, tmp_path / "codes", config)
  mixture = lib.Mixture.parse(f"{prepared}:1,{tmp_path / 'codes'}:1")
  for use in (mixture.manifest, lambda: run(mixture)):
    with pytest.raises(ValueError, match="codes of two codecs do not mix"):
      use()


@pytest.mark.parametrize(
  ("text", "message"),
  [
    ("a,b", "'a' has no weight"),
    ("a:0.5,b", "'b' has no weight"),
    ("a:0.5,:0.5", "':0.5' has no weight"),
    ("a:0.5,b:0", "weight 0 of b; expected a finite number"),
    ("a:inf,b:1", "weight inf of a"),
  ],
)
def test_invalid_weights_are_named(text, message):
  with pytest.raises(ValueError, match=message):
    lib.Mixture.parse(text)


def test_crops_are_active(prepared):
  # A sine's energy is never 0, that of silence always: level 0 is activity.
  window, crops = 10, run(prepared, 100, window=10, min_active=0.9)
  silence = lib.Manifest.load(prepared).silence[:window]
  empty = 0
  for batch in crops:
    for context, target in zip(batch["context"], batch["target"]):
      assert (target[:, 0] > 0).mean() >= 0.7
      if np.array_equal(context, silence):
        empty += 1
      else:
        assert (context[:, 0] > 0).mean() >= 0.7
  assert 0 < empty < 100


def test_whole_segments_are_a_possible_window(prepared):
  assert run(prepared, 1, window=40)[0]["target"].shape == (4, 40, 2)


@pytest.mark.parametrize(
  ("change", "message"),
  [
    ({"window": 41}, "window is 41 frames.* have 40"),
    ({"window": 0}, "window is 0"),
    ({"batch": 3, "shard_count": 2}, "multiple of the 2 processes"),
    ({"batch": 0}, "batch is 0"),
    ({"shard_index": 2, "shard_count": 2}, "shard 2 is not below 2"),
  ],
)
def test_invalid_arguments_are_refused(prepared, change, message):
  with pytest.raises(ValueError, match=message):
    run(prepared, **change)


def test_unknown_splits_and_folders_are_named(prepared, tmp_path):
  with pytest.raises(ValueError, match="no pairs in split 'dev', only in tra"):
    lib.batches(prepared, "dev", batch=1, window=4, seed=0)
  with pytest.raises(FileNotFoundError, match="no finished data set"):
    lib.batches(tmp_path, "train", batch=1, window=4, seed=0)


def test_eval_examples_are_fixed_and_from_distinct_songs(prepared):
  examples = lib.eval_examples(prepared, "test", WINDOW, 5, seed=1)
  again = lib.eval_examples(prepared, "test", WINDOW, 5, seed=1)
  np.testing.assert_array_equal(examples.target, again.target)
  assert len(set(examples.song.tolist())) == 5
  assert examples.target.shape == examples.context.shape == (5, WINDOW, 2)
  assert not any(
    np.array_equal(context, examples.silence) for context in examples.context
  )
  assert examples.checksum == "e" * 64
  more = lib.eval_examples(prepared, "test", WINDOW, 12, seed=1)
  assert len(set(more.song[:5].tolist())) == 5
  with pytest.raises(ValueError, match="10000 examples requested"):
    lib.eval_examples(prepared, "test", WINDOW, 10000)


def test_examples_survive_a_round_trip_to_disk(prepared, tmp_path):
  examples = lib.eval_examples(prepared, "test", WINDOW, 5)
  examples.save(tmp_path / "heldout.npz")
  loaded = Examples.load(tmp_path / "heldout.npz")
  for name, value in vars(examples).items():
    np.testing.assert_array_equal(getattr(loaded, name), value)
  assert loaded.target.dtype == np.int32
  np.testing.assert_array_equal(loaded.crop(7).target, examples.target[:, :7])


def test_a_corrupt_file_of_examples_is_named(tmp_path):
  with pytest.raises(FileNotFoundError, match="no file"):
    Examples.load(tmp_path / "none.npz")
  (tmp_path / "bad.npz").write_text("text")
  whole = bytearray(HELDOUT["demo"].read_bytes())
  whole[len(whole) // 2] ^= 255
  (tmp_path / "changed.npz").write_bytes(whole)
  (tmp_path / "short.npz").write_bytes(whole[:1000])
  np.savez(tmp_path / "other.npz", x=np.zeros(3))
  np.savez(tmp_path / "objects.npz", context=np.array([{}]))
  for name in ("bad", "changed", "short", "other", "objects"):
    path = tmp_path / f"{name}.npz"
    with pytest.raises(
      ValueError, match=rf"{name}\.npz is not a file of held-out"
    ):
      Examples.load(path)
  with pytest.raises(ValueError, match=r"not an \.npz"):  # not: unpickle it
    Examples.load(tmp_path / "bad.npz")
