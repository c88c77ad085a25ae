import pytest
import trees

from stemgen_jax.data.sources import musdb18


def test_splits_categories_and_vocals(tmp_path):
  trees.musdb18(tmp_path)
  found = list(musdb18.Musdb18(str(tmp_path)).songs())
  assert {song.id: song.split for song in found} == {
    "A Classic Education - NightOwl": "train",
    "ANiMAL - Rockshow": "valid",
    "AM Contra - Heart Peripheral": "test",
  }
  stems = {s.name: (s.category, s.target) for s in found[0].stems}
  assert stems == {
    "bass": ("bass", True),
    "drums": ("drums", True),
    "other": ("other", True),
    "vocals": ("ensemble", False),
  }
  assert found[0].stems[0].read().channels == 2
  asked = next(musdb18.Musdb18(str(tmp_path), vocals=True).songs())
  assert all(stem.target for stem in asked.stems)
  assert len(musdb18.VALID) == 14


def test_a_missing_file_is_reported(tmp_path):
  trees.musdb18(tmp_path)
  (tmp_path / "test/AM Contra - Heart Peripheral/bass.wav").unlink()
  *_, song = musdb18.Musdb18(str(tmp_path)).songs()
  (problem,) = song.problems
  assert (problem.kind, problem.stem) == ("missing file", "bass")
  assert len(song.stems) == 3


def test_other_folders_are_refused(tmp_path):
  with pytest.raises(ValueError, match="holds no MUSDB18-HQ"):
    musdb18.Musdb18(str(tmp_path))
  trees.sound(tmp_path / "train" / "a.wav")
  (tmp_path / "train/A - B.stem.mp4").touch()
  with pytest.raises(ValueError, match=r"\.stem\.mp4.*MUSDB18-HQ"):
    musdb18.Musdb18(str(tmp_path))
