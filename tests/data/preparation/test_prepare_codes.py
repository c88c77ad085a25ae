import dataclasses
import functools
import hashlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
from typing import Any

import numpy as np
import pytest
import tensorflow_datasets as tfds
import tiny
from tensorflow_datasets.core import shuffle

from stemgen_jax import audio
from stemgen_jax.audio import Audio
from stemgen_jax.data import songs as songs_lib
from stemgen_jax.data.beats import Beats
from stemgen_jax.data.manifest import Manifest
from stemgen_jax.data.preparation import encoding, packing, pairs, song_codes
from stemgen_jax.data.preparation import prepare as prepare_lib

CONFIG = pairs.PairConfig(segment_seconds=4.0, pairs=5, empty_share=0.1)


def prepare(out, source=None, codec=tiny.FrameEnergies, config=CONFIG, **more):
  source = source or tiny.Sines()
  return prepare_lib.prepare(source, codec, out, config, **more)


def records(out, split="train"):
  folder = pathlib.Path(out, Manifest.load(out).records)
  builder: Any = tfds.builder_from_directory(folder)
  source = builder.as_data_source(split)
  return [source[i] for i in range(len(source))]


def digest(out) -> dict[str, str]:
  """Hashes of the records' bytes."""
  return {
    path.name: hashlib.sha256(path.read_bytes()).hexdigest()
    for path in sorted(pathlib.Path(out).rglob("*.array_record*"))
  }


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
  out = tmp_path_factory.mktemp("prepared") / "codes"
  prepare(out)
  return out


def test_a_record_is_a_pair_over_a_whole_segment(prepared):
  codec = tiny.FrameEnergies()
  song_of = {song.id: song for song in tiny.Sines().songs()}
  relative: dict[str, list[float]] = {}
  for record in records(prepared):
    song = song_of[record["song_id"].decode()]
    stems = np.stack([stem.read().samples for stem in song.stems])
    first = round(float(record["start"]) * tiny.RATE)
    clips = stems[:, first : first + 4 * tiny.RATE]
    mix = np.einsum("s,snc->nc", record["gains"], clips).astype(np.float32)
    stem = clips[record["stem"]]
    loudness = audio.loudness_db(stem, tiny.RATE)
    stem = stem * np.float32(audio.gain_to(loudness))
    context, target = codec.encode(np.stack([mix, stem]))
    np.testing.assert_array_equal(record["target"], target)
    if record["gains"].any():
      # Gains include the one that brings the mix to the loudness.
      in_song = mix / record["gains"].max()
      assert audio.loudness_db(mix, tiny.RATE) == pytest.approx(-20, abs=0.01)
      relative.setdefault(tiny.CATEGORIES[record["stem"]], []).append(
        loudness - audio.loudness_db(in_song, tiny.RATE)
      )
    # The order of the sum may move an energy across the edge of its step.
    assert np.abs(record["context"][..., 0] - context[..., 0]).max() <= 1
    assert record["context"].dtype == np.uint16
    assert record["gains"][record["stem"]] == 0
    assert record["context_active"].shape == record["target_active"].shape
    assert (
      tiny.CATEGORIES[record["stem"]]
      == ({4: "bass", 16: "drums", 0: "piano", 3: "guitar"}[record["category"]])
    )
  manifest = Manifest.load(prepared)
  assert manifest.loudness == {
    "reference_db": -20.0,
    "relative_db": {
      name: pytest.approx(np.mean(values), abs=0.1)
      for name, values in relative.items()
    },
  }


def test_loudness_is_that_of_a_mix_that_is_not_lowered():
  loud = np.full((4 * tiny.RATE, 1), 0.9, np.float32)
  names = ("bass", "piano", "guitar")
  stems = tuple(
    songs_lib.Stem(x, x, lambda: Audio(loud, tiny.RATE)) for x in names
  )
  song = songs_lib.Song(id="loud", split="train", genre="techno", stems=stems)
  config = dataclasses.replace(CONFIG, empty_share=0.0)
  found = encoding.encode_song(song, tiny.FrameEnergies(), config)
  sizes = (found.gains > 0).sum(axis=1)
  assert set(sizes) == {1, 2}
  # Two stems of 0.9 sum to 1.8, which would be lowered to 0.99.
  expected = -20 * np.log10(sizes)
  np.testing.assert_allclose(found.relative_db, expected, atol=0.01)


def test_activity_follows_the_rests(prepared):
  # Stem i rests in second i, as does the context of a single stem.
  for record in records(prepared):
    rests = np.zeros(4, bool)
    if record["start"] == 0:
      rests[record["stem"]] = True
      (audible,) = np.nonzero(record["gains"])
      if len(audible) == 1:
        assert not record["context_active"][audible[0]]
    np.testing.assert_array_equal(record["target_active"], ~rests)


def test_the_manifest_describes_the_records(prepared):
  manifest = Manifest.load(prepared)
  assert manifest.name == "sines_energies"
  assert (manifest.levels, manifest.codes) == (2, 64)
  assert (manifest.frame_rate, manifest.frames) == (10, 40)
  for split, songs in (("train", 4), ("valid", 1), ("test", 1)):
    found = records(prepared, split)
    assert manifest.counts[split] == {
      "songs": songs,
      "pairs": len(found),
      "empty": sum(not r["gains"].any() for r in found),
    }
  assert sum(manifest.categories.values()) == manifest.counts["train"]["pairs"]
  assert set(manifest.categories) <= set(tiny.CATEGORIES)
  np.testing.assert_array_equal(
    manifest.codebooks, tiny.FrameEnergies().codebooks()
  )
  assert manifest.silence.shape == (40, 2)


def test_an_empty_context_is_encoded_silence(prepared):
  found = [r for r in records(prepared) if not r["gains"].any()]
  assert found
  for record in found:
    np.testing.assert_array_equal(
      record["context"], Manifest.load(prepared).silence
    )
    assert not record["context_active"].any()
    assert record["target_active"].any()


def test_no_song_is_in_two_splits(prepared):
  ids = [
    {record["song_id"] for record in records(prepared, split)}
    for split in ("train", "valid", "test")
  ]
  assert len(set.union(*ids)) == sum(len(i) for i in ids) == 6


@pytest.mark.processes
def test_records_do_not_depend_on_the_number_of_workers(prepared, tmp_path):
  prepare(tmp_path / "codes", workers=2)
  assert digest(tmp_path / "codes") == digest(prepared)


def test_resumes_with_the_missing_songs(prepared, tmp_path):
  out = tmp_path / "codes"
  prepare(out)
  manifest = (out / "manifest.json").read_bytes()
  (out / "manifest.json").unlink()
  stale = out / "stem_codes/sines_energies/incomplete.ABC_1.0.0"
  pathlib.Path(out, Manifest.load(prepared).records).rename(stale)
  done = sorted((out / "songs").iterdir())
  kept = {path: path.stat().st_mtime_ns for path in done[::2]}
  for path in done[1::2]:
    path.unlink()
  prepare(out)
  assert digest(out) == digest(prepared)
  assert (out / "manifest.json").read_bytes() == manifest
  assert not stale.exists()
  assert all(path.stat().st_mtime_ns == at for path, at in kept.items())


def test_a_set_is_finished_on_another_device(prepared, tmp_path):
  class OnGpu(tiny.FrameEnergies):
    device = "cuda:0"

  out = tmp_path / "codes"
  shutil.copytree(prepared, out)
  recipe = (out / "prepare.json").read_bytes()
  assert prepare(out, codec=OnGpu).codec_device == ""  # it was finished
  Manifest.remove(out)
  prepare(out, codec=OnGpu)
  assert Manifest.load(out).codec_device == "cuda:0"
  assert (out / "prepare.json").read_bytes() == recipe
  assert digest(out) == digest(prepared)


def test_records_beyond_the_memory_are_shuffled_in_files(
  prepared, tmp_path, monkeypatch
):
  add, added = shuffle._Bucket.add, []
  monkeypatch.setattr(packing, "_MEMORY", 1000)
  monkeypatch.setattr(
    shuffle._Bucket, "add", lambda *args: added.append(1) or add(*args)
  )
  prepare(tmp_path / "codes")
  manifest = Manifest.load(prepared)
  assert len(added) >= sum(x["pairs"] for x in manifest.counts.values())
  assert digest(tmp_path) == digest(prepared)


def test_a_finished_data_set_stays_unchanged(prepared):
  at = (prepared / "manifest.json").stat().st_mtime_ns
  prepare(prepared)
  assert (prepared / "manifest.json").stat().st_mtime_ns == at


def test_beats_of_scores_are_kept_and_added_to_sets_without_them(tmp_path):
  out = tmp_path / "codes"
  prepare(out, tiny.Scored())
  ids = [x for ids in Manifest.load(out).song_ids.values() for x in ids]
  kept = (out / "beats.npz").read_bytes()
  assert len(Beats.load(out)) == len(ids)
  assert Beats.load(out).places(ids[0], np.array([2.6])) == [9]
  (out / "beats.npz").unlink()
  prepare(out, tiny.Scored())
  assert (out / "beats.npz").read_bytes() == kept


_SLOW = """
import sys, time
sys.path[:0] = [{here!r}, {tests!r}]
import test_prepare_codes, tiny
class Slow(tiny.FrameEnergies):
  def encode(self, audio):
    time.sleep(0.2)
    return super().encode(audio)
if __name__ == "__main__":
  test_prepare_codes.prepare({out!r}, codec=Slow, workers={workers})
"""


@pytest.mark.processes
@pytest.mark.parametrize("workers", [0, 2])
def test_a_killed_run_is_resumed_to_the_same_records(
  prepared, tmp_path, workers
):
  out, script = tmp_path / "codes", tmp_path / "slow.py"
  here = str(pathlib.Path(__file__).parent)
  tests = str(pathlib.Path(__file__).parents[2])
  script.write_text(
    _SLOW.format(tests=tests, here=here, out=str(out), workers=workers)
  )
  process = subprocess.Popen(
    [sys.executable, str(script)], stderr=subprocess.DEVNULL
  )
  deadline = time.monotonic() + 60
  while not list(out.glob("songs/*.npz")) and time.monotonic() < deadline:
    assert process.poll() is None
    time.sleep(0.01)
  os.kill(process.pid, signal.SIGKILL)
  process.wait()
  assert 0 < len(list(out.glob("songs/*.npz"))) < 6
  with pytest.raises(FileNotFoundError, match="no finished data set"):
    Manifest.load(out)
  (out / "songs" / ".0123.part").touch()  # as a kill during a write leaves
  prepare(out)
  assert digest(out) == digest(prepared)
  assert not list(out.rglob("*.part"))


@pytest.mark.parametrize(
  ("change", "named"),
  [
    ({"source": tiny.Sines(train=5)}, "source_config.train 4 there, 5 now"),
    ({"config": pairs.PairConfig(segment_seconds=4.0)}, "pairs.pairs 5"),
    (
      {"codec": functools.partial(tiny.FrameEnergies, "f" * 64)},
      "codec_checksum",
    ),
  ],
)
def test_a_folder_keeps_to_one_configuration(prepared, change, named):
  before = digest(prepared)
  with pytest.raises(ValueError, match=named):
    prepare(prepared, **change)
  assert digest(prepared) == before


def test_a_corrupt_manifest_is_named(prepared, tmp_path):
  with pytest.raises(FileNotFoundError, match="no folder"):
    Manifest.load(tmp_path / "nothing")
  fields = json.loads((prepared / "manifest.json").read_text())
  del fields["codec"]
  (tmp_path / "manifest.json").write_text(json.dumps(fields))
  with pytest.raises(ValueError, match=r"corrupt \(its content has another"):
    Manifest.load(tmp_path)
  del fields["description_checksum"], fields["checksums"]
  (tmp_path / "manifest.json").write_text(json.dumps(fields))
  for file in ("codebooks.npy", "silence.npy"):
    shutil.copy(prepared / file, tmp_path)
  with pytest.raises(ValueError, match="corrupt: codec is missing"):
    Manifest.load(tmp_path)


def test_a_corrupt_song_file_is_named(tmp_path):
  (tmp_path / "a.npz").write_bytes(b"PK\x03\x04 broken")
  with pytest.raises(ValueError, match=r"a\.npz is corrupt"):
    song_codes.SongCodes.load(tmp_path / "a.npz")


def test_a_short_song_is_padded_with_silence(tmp_path):
  prepare(tmp_path / "codes", tiny.Sines(seconds=2.5, valid=0, test=0))
  for record in records(tmp_path / "codes"):
    assert record["target"].shape == (40, 2)
    assert not record["target_active"][3:].any()


@pytest.mark.parametrize(
  ("source", "message"),
  [
    (tiny.Sines(train=0, valid=0, test=0), "has no songs"),
    (
      tiny.Sines(stems=1),
      "no song can be used.*one for the context and one for the target",
    ),
  ],
)
def test_unusable_songs_are_refused_at_once(tmp_path, source, message):
  with pytest.raises(ValueError, match=message):
    prepare(tmp_path / "codes", source)
  assert not (tmp_path / "codes").exists()


def test_songs_without_a_pair_are_reported(tmp_path):
  # Stems rest in the first four of four seconds, one each: never all 100 %.
  config = pairs.PairConfig(segment_seconds=4.0, min_active=1.0)
  with pytest.raises(ValueError, match="give no pair"):
    prepare(tmp_path / "codes", tiny.Sines(seconds=4.0), config=config)


def test_foreign_folders_and_files_are_refused(tmp_path):
  (tmp_path / "mine.txt").write_text("precious")
  with pytest.raises(ValueError, match="holds no data set"):
    prepare(tmp_path)
  with pytest.raises(NotADirectoryError, match="is a file"):
    prepare(tmp_path / "mine.txt")
  assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


_WITHOUT_TENSORFLOW = """
import sys
sys.path[:0] = [{stub!r}, {here!r}, {tests!r}]
import test_prepare_codes
from stemgen_jax.data import batches
test_prepare_codes.prepare({out!r})
next(batches.batches({out!r}, "train", batch=2, window=20, seed=0))
assert "tensorflow" not in sys.modules
"""


@pytest.mark.processes
def test_tensorflow_is_not_imported_even_where_it_is_installed(tmp_path):
  stub = tmp_path / "stub" / "tensorflow"
  stub.mkdir(parents=True)
  (stub / "__init__.py").write_text("raise ValueError('it was imported')")
  script = _WITHOUT_TENSORFLOW.format(
    stub=str(stub.parent),
    here=str(pathlib.Path(__file__).parent),
    tests=str(pathlib.Path(__file__).parents[2]),
    out=str(tmp_path / "codes"),
  )
  done = subprocess.run(
    [sys.executable, "-c", script], capture_output=True, text=True, check=False
  )
  assert done.returncode == 0, done.stderr
