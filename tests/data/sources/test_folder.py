import unicodedata

import pytest
import trees

from stemgen_jax.data.sources import albums, folder, multitracks


def test_instruments_follow_from_names(tmp_path):
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
  assert [(p.kind, p.stem, p.left_out) for p in song.problems] == [
    ("mix or click", "Song 0 - mix.wav", False),
    ("unknown name", "stems/take 7.wav", False),
  ]
  drums = next(s for s in song.stems if s.name == "Drums").read()
  assert (drums.sample_rate, drums.channels, drums.seconds) == (16000, 2, 4.0)


def test_a_songs_title_is_not_an_instrument(tmp_path):
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


def test_a_broken_link_is_a_missing_file(tmp_path):
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


def test_names_in_other_languages(tmp_path):
  names = ("Guitare 1", "Batería", "Flo\u0308te", "Chœurs", "Große Trommel")
  for name in names:
    trees.sound(tmp_path / "Song" / f"{name}.wav")
  (song,) = folder.Folder(str(tmp_path)).songs()
  assert not song.problems
  assert {s.name[:3]: (s.category, s.target) for s in song.stems} == {
    "Gui": ("guitar", True),
    "Bat": ("drums", True),
    "Flo": ("pipe", True),
    "Chœ": ("ensemble", False),
    "Gro": ("drums", True),
  }


def test_the_table_overrides_names(tmp_path):
  trees.folder(tmp_path, songs=2)
  trees.table(
    tmp_path,
    "song,file,category,target,split,genre,role",
    "Song 0,01 Bass DI.wav,Synth Bass,,test,bossa nova,Melodic",
    "Song 0,Drums,Drum Kit,no,,,",
    "Song 0,Lead Vox.wav,Choir,,,,",
    "Song 0,lost.wav,piano,,,,",
    "Song 1,,,,valid,,",
  )
  song, other = folder.Folder(str(tmp_path)).songs()
  assert {s.name: (s.category, s.target) for s in song.stems} == {
    "01 Bass DI.wav": ("bass", True),
    "Drums": ("drums", False),
    "Lead Vox.wav": ("ensemble", False),
    "Lead Gtr.flac": ("guitar", True),  # it has no row
  }
  assert (song.split, song.genre) == ("test", "bossa_nova")
  assert {s.role for s in song.stems} == {"melodic", ""}
  assert len(next(s for s in song.stems if s.name == "Drums").files) == 2
  assert [(p.kind, p.stem) for p in song.problems] == [
    ("missing file", "lost.wav"),
    ("mix or click", "Song 0 - mix.wav"),
  ]
  assert (other.split, len(other.stems)) == ("valid", 4)


def test_songs_of_an_album_stay_in_the_split_of_its_folder(tmp_path):
  for number in range(6):
    trees.sound(tmp_path / f"test/Album/S{number}/bass.wav")
  trees.sound(tmp_path / "train/Album/Sides/A/S0/bass.wav")
  trees.table(
    tmp_path,
    "song,file,category,split",
    "Album/S0,bass.wav,guitar,",  # found in test/
    "train/Album/Sides/A/S0,bass.wav,,",
  )
  songs = {song.id: song for song in folder.Folder(str(tmp_path)).songs()}
  assert {name: song.split for name, song in songs.items()} == {
    **{f"test/Album/S{number}": "test" for number in range(6)},
    "train/Album/Sides/A/S0": "train",
  }
  assert [s.category for s in songs["test/Album/S0"].stems] == ["guitar"]


def test_songs_of_an_album_are_songs(tmp_path):
  for name in ("Song A/bass", "Song A/Keys/piano", "Song B/bass", "Song B/pno"):
    trees.sound(tmp_path / f"Artist/Album/{name}.wav")
  trees.sound(tmp_path / "Alone/Multitrack/bass.wav")
  songs = {song.id: song for song in folder.Folder(str(tmp_path)).songs()}
  assert {name: len(song.stems) for name, song in songs.items()} == {
    "Alone": 1,
    "Artist/Album/Song A": 2,
    "Artist/Album/Song B": 2,
  }
  (note,) = songs["Artist/Album/Song A"].problems
  assert "Song A, Song B in" in note.message
  trees.table(tmp_path, "song,file,category,split,genre", "Artist,,,test,jazz")
  songs = {song.id: song for song in folder.Folder(str(tmp_path)).songs()}
  for name in ("Artist/Album/Song A", "Artist/Album/Song B"):
    assert (songs[name].split, songs[name].genre) == ("test", "jazz")
  # As one song, if the table says so.
  trees.table(
    tmp_path, "song,file,category", "Artist/Album,Song A/bass.wav,guitar"
  )
  songs = {song.id: song for song in folder.Folder(str(tmp_path)).songs()}
  assert len(songs["Artist/Album"].stems) == 4


@pytest.mark.parametrize(
  "names",
  [
    ("Close/kick", "Far/snare"),  # no instrument in both
    ("Dry/bass", "Wet/bass"),
    ("Drums/kick", "Overdubs/kick", "Night/kick"),
    ("Night/bass", "stems/bass"),
    ("Dry/bass", "Dry/drums", "Wet/bass", "Wet/drums"),
    ("Voices/bass", "Voices/keys", "Night/bass", "Night/keys"),
    ("bass", "Day/bass", "Day/drums", "Night/bass", "Night/drums"),
  ],
)
def test_parts_of_a_song_are_one_song(tmp_path, names):
  for name in names:
    trees.sound(tmp_path / f"Song/{name}.wav")
  (song,) = folder.Folder(str(tmp_path)).songs()
  assert song.id == "Song"
  assert len(song.files) == len(names)
  assert "are parts of this song" in song.problems[-1].message


@pytest.mark.parametrize(
  ("titles", "loose"),
  [
    (("Piano Man", "Rocket Man"), ()),
    (("Drum Song", "Piano Man"), ()),
    (("One", "Two"), ("preview",)),
    (("Hello", "Master", "Stereo"), ()),
  ],
)
def test_titles_and_loose_files_do_not_merge_songs(tmp_path, titles, loose):
  names = [f"{title}/{stem}" for title in titles for stem in ("bass", "keys")]
  for name in (*names, *loose):
    trees.sound(tmp_path / f"Album/{name}.wav")
  songs = [*folder.Folder(str(tmp_path)).songs()]
  assert [song.id for song in songs] == [f"Album/{title}" for title in titles]
  for song in songs:
    assert [stem.category for stem in song.stems] == ["bass", "piano"]
    assert "are songs" in song.problems[-1].message
    assert ("left out: preview.wav" in song.problems[-1].message) == bool(loose)


def test_versions_and_sections_of_a_song_are_in_one_split(tmp_path):
  for name in ("Verse", "Chorus", "Bridge", "v1"):
    trees.sound(tmp_path / f"S/{name}/bass.wav")
  songs = [*folder.Folder(str(tmp_path)).songs()]
  assert [song.split for song in songs] == [multitracks.split_of("S")] * 4
  for name in (
    *("Verse", "Pre-Chorus 2", "v1", "Alt 1", "Original", "Live Version"),
    *("Left", "Day 1", "Reel A", "01 Bridge", "Song - Radio Edit", "Part II"),
    "Takes/Take 3",
  ):
    assert albums.split_id(f"Album/Song/{name}") == "Album/Song"
  for name in ("Album/Live Forever", "Album/One", "Live", "Sides/A", "CD 1"):
    assert albums.split_id(name) == name


def test_files_of_systems_are_ignored(tmp_path):
  for place in ("Song", "Song/Drums", "__MACOSX/Song", "Song/Drums/__MACOSX"):
    for name in ("kick.wav", "._kick.wav"):
      trees.sound(tmp_path / place / name)
  trees.sound(tmp_path / "Song/Drums/.AppleDouble/kick.wav")
  (song,) = folder.Folder(str(tmp_path)).songs()
  files = [file.relative_to(tmp_path).as_posix() for file in song.files]
  assert files == ["Song/kick.wav", "Song/Drums/kick.wav"]
  assert not song.problems


def test_a_stray_file_keeps_songs_in_the_test_split(tmp_path):
  trees.sound(tmp_path / "test/Song/bass.wav")
  trees.sound(tmp_path / "test/reference.wav")
  assert {s.split for s in folder.Folder(str(tmp_path)).songs()} == {"test"}


def test_a_row_of_a_missing_song_does_not_affect_others(tmp_path):
  trees.sound(tmp_path / "A/bass.wav")
  trees.sound(tmp_path / "A/Drums/kick.wav")
  trees.table(tmp_path, "song,file,category,target,split", "A/drumz,,,,test")
  song, absent = folder.Folder(str(tmp_path)).songs()
  assert [stem.name for stem in song.stems] == ["bass.wav", "Drums"]
  assert (absent.id, absent.stems) == ("A/drumz", ())
  assert [p.kind for p in absent.problems] == ["missing file"]


@pytest.mark.parametrize(
  ("files", "rows", "message"),
  [
    (["A/bass.wav", "A/Drums/kick.wav"], ["A/Drums,,"], "A, which holds audio"),
    (["A/B/S/bass.wav"], ["A,,", "A/B/S,,"], "is in A, which has rows"),
    (
      ["A/Bass/di.wav", "A/Drums/kick.wav"],
      ["A/Drums,kick.wav,percussion"],
      "is in A, which holds folders that are all named after instruments",
    ),
    (["train/A/bass.wav"], ["train,,"], "line 2: song train is the folder of"),
  ],
)
def test_a_song_inside_a_song_is_refused(tmp_path, files, rows, message):
  for file in files:
    trees.sound(tmp_path / file)
  trees.table(tmp_path, "song,file,category", *rows)
  with pytest.raises(ValueError, match=message):
    folder.Folder(str(tmp_path))


@pytest.mark.parametrize(
  ("rows", "message"),
  [
    (["A,bass.wav,bass,", "train/A,./bass.wav,guitar,"], "listed twice"),
    (["A,,,train", "train/A,,,test"], "line 3: .*listed twice, .* line 2"),
    (
      ["A,bass.wav,,train", "train/A,,,test"],
      "line 3: the split of song train/A is test, but train in another line",
    ),
  ],
)
def test_rows_that_contradict_each_other_are_refused(tmp_path, rows, message):
  trees.sound(tmp_path / "train/A/bass.wav")
  trees.table(tmp_path, "song,file,category,split", *rows)
  with pytest.raises(ValueError, match=message):
    folder.Folder(str(tmp_path))


def test_a_number_after_the_songs_title_is_ignored(tmp_path):
  trees.sound(tmp_path / "Bass/Bass 1.wav")
  trees.sound(tmp_path / "Bass/Bass 2 - drums.wav")
  (song,) = folder.Folder(str(tmp_path)).songs()
  assert [stem.category for stem in song.stems] == ["bass", "drums"]
  assert not song.problems


def test_a_category_of_the_table_decides_whether_a_stem_is_vocal(tmp_path):
  for number in range(4):
    trees.sound(tmp_path / f"A/Vocal Chop {number}.wav")
  trees.sound(tmp_path / "A/take 7.wav")
  trees.table(
    tmp_path,
    "song,file,category,target",
    "A,Vocal Chop 0.wav,synth lead,",
    "A,Vocal Chop 1.wav,synth lead,no",
    "A,Vocal Chop 2.wav,ensemble,",
    "A,take 7.wav,vocals,",
  )
  (song,) = folder.Folder(str(tmp_path)).songs()
  assert {s.name: s.target for s in song.stems} == {
    "Vocal Chop 0.wav": True,
    "Vocal Chop 1.wav": False,
    "Vocal Chop 2.wav": False,  # what singing is filed under
    "Vocal Chop 3.wav": False,
    "take 7.wav": False,
  }


def test_rows_of_parts_of_a_song(tmp_path):
  trees.folder(tmp_path / "train")
  trees.sound(tmp_path / "train/Song 0/parts/take 7.wav")
  trees.sound(tmp_path / "train/Song 0/parts/take 8.wav")
  trees.table(
    tmp_path,
    "song,file,category,split",
    "Song 0,Drums/kick.wav,percussion,test",
    "Song 0,Lead Gtr.flac,none,",
    "Song 0,Song 0 - mix.wav,piano,",
    "train/Song 0,01 Bass DI.wav,,",
    "Song 0,parts,organ,",
    "Song 9,,,test",
  )
  song, absent = folder.Folder(str(tmp_path)).songs()
  assert song.split == "test"
  assert {s.name: (s.category, len(s.files)) for s in song.stems} == {
    "01 Bass DI.wav": ("bass", 1),
    "Drums": ("drums", 1),
    "Drums/kick.wav": ("percussive", 1),
    "Lead Vox.wav": ("ensemble", 1),
    "Song 0 - mix.wav": ("piano", 1),
    "parts": ("organ", 2),
  }
  assert [p.stem for p in song.problems] == ["Lead Gtr.flac"]
  assert not absent.stems
  assert "no such folder" in absent.problems[0].message


@pytest.mark.parametrize(
  ("rows", "message"),
  [
    (["song,file"], "has columns song, file: expected song, file, category"),
    (["song,file,category,colour"], "columns song, file, category, colour"),
    (["song,file,category"], "lists no stems"),
    (["song,file,category", "A,b.wav,gitar"], "line 2: .*did you mean guitar"),
    (["song,file,category", "A,,bass"], "line 2: no file"),
    (["song,file,category", ".,b.wav,bass"], "line 2: song .: expected a fold"),
    (["song,file,category", "A/../..,b.wav,bass"], "line 2: song A/../..: exp"),
    (["song,file,category", "/A,b.wav,bass"], "line 2: song /A: expected a"),
    (["song,file,category,split", "A,b.wav,bass,tran"], "split is 'tran'"),
    (["song,file,category,target", "A,b.wav,bass,si"], "target is 'si'"),
    (["song,file,category,genre", "A,b.wav,bass,polka"], "unknown genre"),
    (["song,file,category,role", "A,b.wav,bass,loud"], "line 2: unknown role"),
    (["song,file,category", *["A,b.wav,bass"] * 2], "line 3: .*listed twice"),
  ],
)
def test_mistakes_in_the_table_are_reported(tmp_path, rows, message):
  trees.table(tmp_path, *rows)
  with pytest.raises(ValueError, match=message):
    folder.Folder(str(tmp_path))


def test_a_folder_without_songs_is_refused(tmp_path):
  with pytest.raises(ValueError, match="holds no songs"):
    folder.Folder(str(tmp_path))


@pytest.mark.parametrize("comma", [",", ";", "\t"])
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_tables_with_any_separator(tmp_path, form, comma):
  def spelt(name):
    return unicodedata.normalize(form, name)

  for name in ("take 7.wav", "Órgano.wav"):
    trees.sound(tmp_path / spelt("Canción Nueva") / spelt(name))
  rows = (
    ("song", "file", "category", "split"),
    ("Canción Nueva", "take 7.wav", "guitar", "test"),
    ("Canción Nueva", "Órgano.wav", "strings", ""),
  )
  (tmp_path / "stems.csv").write_text(
    "\n".join(comma.join(row) for row in rows), encoding="utf-8"
  )
  (song,) = folder.Folder(str(tmp_path)).songs()
  assert song.split == "test"
  assert {stem.category for stem in song.stems} == {"guitar", "strings"}
  assert not song.problems


def test_loops_of_links_end(tmp_path):
  for name in ("bass", "drums", "piano"):
    trees.sound(tmp_path / f"studio/Song/takes/{name}.wav", seconds=0.1)
  song = tmp_path / "studio/Song"
  (tmp_path / "studio/again").symlink_to(tmp_path / "studio")
  (song / "up").symlink_to("..")
  (song / "here").symlink_to(".")
  (song / "takes/song").symlink_to("..")
  (song / "other").symlink_to("takes")
  # Two folders elsewhere that lead to each other.
  for name, other in (("x", "y"), ("y", "x")):
    (tmp_path / name).mkdir()
    (tmp_path / name / "one").symlink_to(tmp_path / other)
    (tmp_path / name / "two").symlink_to(tmp_path / other)
    (song / name).symlink_to(tmp_path / name)
  (found,) = folder.Folder(str(tmp_path / "studio")).songs()
  assert found.id == "Song"
  assert [stem.name for stem in found.stems] == [
    "takes/bass.wav",
    "takes/drums.wav",
    "takes/piano.wav",
  ]
  assert {p.kind for p in found.problems} == {"linked folder"}
  assert "other" in {p.stem for p in found.problems}
