import pytest
import trees

from stemgen_jax.data import folder


def test_names_tell_what_plays(tmp_path):
  trees.folder(tmp_path)
  trees.sound(tmp_path / "Song 0/stems/take 7.wav")
  trees.sound(tmp_path / "Song 0/stems/Rhodes.wav")
  (song,) = folder.Folder(str(tmp_path)).songs()
  assert {s.name: (s.category, s.target) for s in song.stems} == {
    "01 Bass DI.wav": ("bass", True),
    "Lead Gtr.flac": ("guitar", True),
    "Lead Vox.wav": ("ensemble", False),
    "Drums": ("drums", True),
    "stems/take 7.wav": ("other", True),
    "stems/Rhodes.wav": ("piano", True),
  }
  (mix,) = song.problems
  assert (mix.kind, mix.stem, mix.left_out) == (
    "mix or click",
    "Song 0 - mix.wav",
    False,
  )
  drums = next(s for s in song.stems if s.name == "Drums").read()
  assert (drums.sample_rate, drums.channels, drums.seconds) == (16000, 2, 4.0)


def test_a_songs_name_is_no_instrument(tmp_path):
  trees.sound(tmp_path / "Piano Man/Piano Man - mix.wav")
  trees.sound(tmp_path / "Piano Man/Piano Man - drums.wav")
  (song,) = folder.Folder(str(tmp_path)).songs()
  assert [stem.category for stem in song.stems] == ["drums"]


def test_a_song_may_have_a_name_of_one_letter_or_of_its_only_stem(tmp_path):
  for name in ("A/bass.wav", "A/A - strings.wav", "Drums/drums.wav"):
    trees.sound(tmp_path / name)
  songs = {song.id: song for song in folder.Folder(str(tmp_path)).songs()}
  assert [s.category for s in songs["A"].stems] == ["strings", "bass"]
  assert [s.category for s in songs["Drums"].stems] == ["drums"]


def test_a_link_that_leads_nowhere_is_a_missing_file(tmp_path):
  trees.sound(tmp_path / "Song/bass.wav")
  (tmp_path / "Song/guitar.wav").symlink_to("lost.wav")
  (song,) = folder.Folder(str(tmp_path)).songs()
  assert [stem.name for stem in song.stems] == ["bass.wav"]
  assert [(p.kind, p.stem) for p in song.problems] == [
    ("missing file", "guitar.wav")
  ]


def test_splits_of_folders_or_names(tmp_path):
  trees.folder(tmp_path / "named", songs=40)
  named = {
    s.id: s.split for s in folder.Folder(str(tmp_path / "named")).songs()
  }
  assert set(named.values()) == {"train", "valid", "test"}
  for part in ("train", "validation", "test"):
    trees.sound(tmp_path / "split" / part / f"of {part}" / "bass.wav")
  split = {
    s.id: s.split for s in folder.Folder(str(tmp_path / "split")).songs()
  }
  assert split == {
    "of train": "train",
    "of validation": "valid",
    "of test": "test",
  }


def test_the_table_decides(tmp_path):
  trees.folder(tmp_path)
  trees.table(
    tmp_path,
    "song,file,category,target,split,genre,role",
    "Song 0,01 Bass DI.wav,Synth Bass,,test,bossa nova,Melodic",
    "Song 0,Drums,Drum Kit,no,,,",
    "Song 0,Lead Vox.wav,Choir,,,,",
    "Song 0,lost.wav,piano,,,,",
  )
  (song,) = folder.Folder(str(tmp_path)).songs()
  assert {s.name: (s.category, s.target) for s in song.stems} == {
    "01 Bass DI.wav": ("bass", True),
    "Drums": ("drums", False),
    "Lead Vox.wav": ("ensemble", False),
  }
  assert (song.split, song.genre) == ("test", "bossa_nova")
  assert {s.role for s in song.stems} == {"melodic", ""}
  assert len(next(s for s in song.stems if s.name == "Drums").files) == 2
  (lost,) = song.problems
  assert (lost.kind, lost.stem) == ("missing file", "lost.wav")


@pytest.mark.parametrize(
  ("rows", "message"),
  [
    (["song,file"], "has columns song, file: expected song, file, category"),
    (["song,file,category,colour"], "columns song, file, category, colour"),
    (["song,file,category"], "lists no stems"),
    (["song,file,category", "A,b.wav,gitar"], "line 2: .*did you mean guitar"),
    (["song,file,category", "A,,bass"], "line 2: no file"),
    (["song,file,category,split", "A,b.wav,bass,tran"], "split is 'tran'"),
    (["song,file,category,target", "A,b.wav,bass,si"], "target is 'si'"),
    (["song,file,category,genre", "A,b.wav,bass,polka"], "unknown genre"),
    (["song,file,category,role", "A,b.wav,bass,loud"], "line 2: unknown role"),
    (["song,file,category", *["A,b.wav,bass"] * 2], "line 3: .*listed twice"),
  ],
)
def test_mistakes_in_the_table_are_told(tmp_path, rows, message):
  trees.table(tmp_path, *rows)
  with pytest.raises(ValueError, match=message):
    folder.Folder(str(tmp_path))


def test_a_folder_without_songs_is_refused(tmp_path):
  with pytest.raises(ValueError, match="holds no songs"):
    folder.Folder(str(tmp_path))
