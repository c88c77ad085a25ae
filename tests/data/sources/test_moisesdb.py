import numpy as np
import pytest
import soundfile
import trees

from stemgen_jax.data.sources import moisesdb


def test_tracks_of_one_instrument_are_one_stem(tmp_path):
  (folder,) = trees.moisesdb(tmp_path)
  (song,) = moisesdb.Moisesdb(str(tmp_path)).songs()
  assert {s.name: (s.category, s.target) for s in song.stems} == {
    "drums": ("drums", True),
    "bass": ("bass", True),
    "vocals": ("ensemble", False),
    "other_keys/synth_pad": ("synth_pad", True),
    "other_keys/organ": ("organ", True),
    "percussion": ("chromatic_percussion", True),
  }
  assert (song.id, song.problems) == (folder.name, ())
  drums = song.stems[0].read().samples
  kick, kit = (
    soundfile.read(folder / f"drums/drums-{i}.wav", dtype="float32")[0]
    for i in range(2)
  )
  np.testing.assert_allclose(drums, kick + kit, atol=1e-6)


@pytest.mark.parametrize(
  ("name", "genre"),
  [
    ("rap", "hip_hop"),
    ("bossa nova", "bossa_nova"),
    ("Rock", "rock"),
    ("singer/songwriter", "other"),
  ],
)
def test_genres(tmp_path, name, genre):
  trees.moisesdb(tmp_path, genre=name)
  (song,) = moisesdb.Moisesdb(str(tmp_path)).songs()
  assert song.genre == genre


def test_splits_are_by_song_and_stay(tmp_path):
  trees.moisesdb(tmp_path, songs=3)
  before = {s.id: s.split for s in moisesdb.Moisesdb(str(tmp_path)).songs()}
  trees.moisesdb(tmp_path, songs=40)
  root = str(tmp_path / "moisesdb_v0.1")  # either folder will do
  after = {s.id: s.split for s in moisesdb.Moisesdb(root, True).songs()}
  assert before.items() <= after.items()
  assert set(after.values()) == {"train", "valid", "test"}


def test_corrupt_and_missing_files_are_reported(tmp_path):
  one, two = trees.moisesdb(tmp_path, songs=2)
  (two / "drums/drums-1.wav").unlink()
  for text in ("{", "[" * 100_000, '{"stems": [1]}'):
    (one / "data.json").write_text(text)
    first, second = moisesdb.Moisesdb(str(tmp_path)).songs()
    assert [p.kind for p in first.problems] == ["corrupt metadata"]
    assert first.stems == ()
  (problem,) = second.problems  # a kit without its snare is left out
  assert (problem.kind, problem.stem) == ("missing file", "drums")
  with pytest.raises(ValueError, match="holds no MoisesDB"):
    moisesdb.Moisesdb(str(one / "drums"))
