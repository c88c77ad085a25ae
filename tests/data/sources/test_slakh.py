import collections
import pickle
import shutil

import pytest
import trees

from stemgen_jax.data import songs
from stemgen_jax.data.sources import slakh


def by_id(root, variant="redux") -> dict[str, songs.Song]:
  return {song.id: song for song in slakh.Slakh(str(root), variant).songs()}


@pytest.mark.parametrize(
  ("variant", "train", "valid", "test"),
  [
    ("redux", 1289, 270, 151),
    ("split2", 1500, 375, 225),
    ("orig", 1500, 375, 225),
  ],
)
def test_the_published_numbers_of_songs(tmp_path, variant, train, valid, test):
  for number in range(1, 2101):
    (tmp_path / f"Track{number:05d}").mkdir()
  counts = collections.Counter(
    s.split for s in by_id(tmp_path, variant).values()
  )
  assert counts == {"train": train, "valid": valid, "test": test}


def test_a_variant_does_not_depend_on_the_folder_of_a_track(tmp_path):
  # Track 49 repeats track 10, which redux omits; split2 moves 3 to test.
  for place in ("train/Track00003", "omitted/Track00049", "test/Track01876"):
    trees.slakh_track(tmp_path / place)
  assert {s.id: s.split for s in by_id(tmp_path).values()} == {
    "Track00003": "train",
    "Track01876": "test",
  }
  assert by_id(tmp_path, "split2")["Track00003"].split == "test"
  assert by_id(tmp_path, "orig")["Track00049"].split == "train"


def test_categories_follow_the_program_not_the_name(tmp_path):
  stems = trees.SLAKH_STEMS | {
    "S03": {"program_num": 52, "inst_class": "Sound Effects"}
  }
  trees.slakh_track(tmp_path / "train/Track00001", stems)
  song = by_id(tmp_path)["Track00001"]
  assert [(s.name, s.category) for s in song.stems] == [
    ("S00", "bass"),
    ("S01", "drums"),
    ("S02", "guitar"),
    ("S03", "ensemble"),
  ]
  assert all(stem.target for stem in song.stems)
  assert (song.genre, song.problems) == ("other", ())
  assert song.stems[0].read().seconds == 4.0


def test_unrendered_stems_differ_from_missing_files(tmp_path):
  stems = trees.SLAKH_STEMS | {
    "S00": {"on_disk": False},
    "S04": {"audio_rendered": False},
  }
  trees.slakh_track(tmp_path / "train/Track00001", stems)
  song = by_id(tmp_path)["Track00001"]
  assert [stem.name for stem in song.stems] == ["S01", "S02"]
  missing, unrendered = song.problems
  assert (missing.kind, missing.stem) == ("missing file", "S00")
  assert missing.left_out
  assert "S00.flac" in missing.message
  # That one is published so: a whole copy passes --strict.
  assert (unrendered.stem, unrendered.left_out) == ("S04", False)


def test_copies_of_16_khz_in_one_folder(tmp_path):
  trees.slakh_track(tmp_path / "Track00001", suffix=".wav", rate=16000)
  (stem, *_) = by_id(tmp_path)["Track00001"].stems
  assert stem.read().sample_rate == 16000


def test_a_song_with_corrupt_metadata_is_a_problem(tmp_path):
  trees.slakh(tmp_path)
  (tmp_path / "train/Track00001/metadata.yaml").write_text("stems: [1, {")
  (tmp_path / "test/Track01876/metadata.yaml").unlink()
  found = by_id(tmp_path)
  (problem,) = found["Track00001"].problems
  assert problem.kind == "corrupt metadata"
  assert "metadata.yaml" in problem.message
  assert "\n" not in problem.message
  (missing,) = found["Track01876"].problems
  assert missing.kind == "missing file"
  for text in ("stems: [S00, S01]", "stems: {S00: {program_num: 33}}"):
    (tmp_path / "train/Track00001/metadata.yaml").write_text(text)
    (problem,) = by_id(tmp_path)["Track00001"].problems
    assert problem.kind == "corrupt metadata"
  assert len(found["Track01501"].stems) == 3
  # Neither bytes that are not text nor a folder stop the set.
  (tmp_path / "train/Track00001/metadata.yaml").write_bytes(b"stems: \xff")
  (tmp_path / "test/Track01876/metadata.yaml").mkdir()
  for name in ("Track00001", "Track01876"):
    (problem,) = by_id(tmp_path)[name].problems
    assert (problem.kind, problem.left_out) == ("corrupt metadata", True)


@pytest.mark.parametrize(
  ("stated", "folder"),
  [("/Volumes/data/stems", "stems"), ("C/audio", "audio"), ("..", "stems")],
)
def test_stems_in_another_folder_than_stated(tmp_path, stated, folder):
  trees.slakh_track(track := tmp_path / "Track00001")
  (track / "stems").rename(track / folder)
  path = track / "metadata.yaml"
  path.write_text(path.read_text().replace("dir: stems", f"dir: {stated}"))
  song = by_id(tmp_path)["Track00001"]
  assert [stem.files[0].parent.name for stem in song.stems] == 3 * [folder]
  kinds = [(p.kind, p.left_out) for p in song.problems]
  assert kinds == [("other folder", False)]


def test_sources_and_songs_pickle(tmp_path):
  trees.slakh(tmp_path)
  copy = pickle.loads(pickle.dumps(slakh.Slakh(str(tmp_path))))
  song = next(copy.songs())
  assert pickle.loads(pickle.dumps(song)).stems[0].read().seconds == 4.0


def test_another_folder_is_refused(tmp_path):
  with pytest.raises(ValueError, match="holds no Slakh2100"):
    slakh.Slakh(str(tmp_path))
  trees.slakh(tmp_path)
  with pytest.raises(ValueError, match="redux, split2, orig"):
    slakh.Slakh(str(tmp_path), "redox")
  shutil.rmtree(tmp_path / "train")
  with pytest.raises(FileNotFoundError, match="no such folder"):
    slakh.Slakh(str(tmp_path / "train"))
