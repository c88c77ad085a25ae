"""Songs of accompaniment styles: the text for `mma`, and its MIDI files.

The tests run a stand-in that replays a MIDI file. The grammar below was checked
with mma 21.09, for all of its styles in 4/4 and 3/4.
"""

import dataclasses
import os
import re

import numpy as np
import pytest
import trees

from stemgen_jax import recipes
from stemgen_jax.__main__ import main
from stemgen_jax.data.sources import mma, restore
from stemgen_jax.data.sources.band import harmony
from stemgen_jax.data.sources.mma import styles, writer

# `mma -xCHORDS` knows all of them.
CHORD = (
  r"(C|Db|D|Eb|E|F|F#|G|Ab|A|Bb|B)"
  r"(7|add9|dim7|m|m6|m7|m7b5|m9|m\(add9\)|maj7|maj9|sus2|sus4)?"
)
MARKED = CHORD.replace(r"m\(add9\)", "madd9")
# Lines other than bars of chords.
GRAMMAR = (
  r"RndSeed \d+",
  r"Tempo \d+",
  r"KeySig (C|Db|D|Eb|E|F|F#|G|Ab|A|Bb|B)",
  r"KeySig (C|C#|D|Eb|E|F|F#|G|Ab|A|Bb|B) Minor",
  r"MidiMark N\.C\.",
  rf"MidiMark [0-3] {MARKED}",
  r"Groove [\w./-]+:[\w-]+",
  r"TimeSig 3 4",
)


@pytest.fixture
def program(tmp_path, monkeypatch):
  """Return the folder of the stand-in, which is on the PATH."""
  trees.mma(tmp_path / "program")
  path = f"{tmp_path / 'program/bin'}{os.pathsep}{os.environ['PATH']}"
  monkeypatch.setenv("PATH", path)
  return tmp_path / "program"


def test_styles_are_read_from_the_library(program):
  found = {style.name: style for style in styles.installed()}
  # 6/8 is not among them.
  eighths = {"stdlib/march68", "stdlib/cuban68"}
  assert sorted(found) == sorted({*trees.MMA_LIBRARY} - eighths)
  assert found["stdlib/bossanova"] == styles.Style(
    "stdlib/bossanova",
    "4/4",
    ("BossaNova", "Bossa1"),
    ("BossaNovaIntro",),
    ("BossaNovaFill",),
  )
  rock = found["pflib/rock1"]
  assert rock.grooves == ("rock1A", "rock1B")
  assert rock.fills == ("rock1FA", "rock1FB")
  assert found["stdlib/slowwaltz"].meter == "3/4"
  assert found["stdlib/slowwaltz"].tempo == (70, 96)
  genres = {
    "stdlib/bossanova": "bossa_nova",
    "stdlib/folkyjazz": "folk",
    "casio/r+b": "funk",
    "stdlib/rb-ballad": "funk",
    "kara/K50s_rock": "rock",
    "stdlib/tango": "other",
  }
  assert {name: styles.genre_of(name) for name in genres} == genres


def test_the_text_has_the_grammar_of_mma(program):
  library = styles.installed()
  seen = set()
  for style in library:
    for seed in range(8):
      rng = np.random.default_rng(seed)
      lines = writer.draw(style, rng, 24.0).splitlines()
      beats = int(style.meter[0])
      chord = rf"{CHORD}@[1-{beats}]"
      bars = [x for x in lines if re.fullmatch(rf"\d+ {chord}( {chord})*", x)]
      for line in set(lines) - set(bars):
        assert any(re.fullmatch(x, line) for x in GRAMMAR), line
      assert [int(x.split()[0]) for x in bars] == [*range(1, len(bars) + 1)]
      tempo = int(lines[1].split()[1])
      assert style.tempo[0] <= tempo <= style.tempo[1]
      assert 70 <= tempo <= 160
      length = beats * 60 / tempo
      assert (len(bars) - 1) * length < 24 <= len(bars) * length
      used = [x.partition(":")[2] for x in lines if x.startswith("Groove")]
      assert {*used} <= {*style.grooves, *style.intros, *style.fills}
      assert not {*used[1:]} & {*style.intros}
      seen |= {*used}
      _check_chords(bars, lines)
  # All kinds occur.
  assert seen >= {"BossaNova", "Bossa1", "BossaNovaIntro", "BossaNovaFill"}
  assert seen >= {"rock1A", "rock1B", "rock1FA"}


def _check_chords(bars, lines):
  """Check that markers are the chords of the bars, where they begin."""
  marked, chords, bar = [], [], 0
  for line in lines:
    if match := re.fullmatch(r"MidiMark (\d) (.+)", line):
      marked.append((bar, int(match[1]) + 1, match[2]))
    elif line in bars:
      for word in line.split()[1:]:
        symbol, _, beat = word.partition("@")
        chords.append((bar, int(beat), symbol.replace("m(add9)", "madd9")))
      assert chords[-1][0] == bar
      bar += 1
  assert set(marked) <= set(chords)
  # Others continue one of the bar before.
  for number, chord in enumerate(chords):
    if chord not in marked:
      assert chord[1] == 1
      assert chords[number - 1][2] == chord[2]


def test_every_chord_of_the_band_is_one_of_mma():
  for lines in harmony.PROGRESSIONS.values():
    for line in lines:
      for sevenths in (False, True):
        for chords in harmony.parse_progression(line, 1, sevenths):
          for chord in chords:
            symbol = chord.label.replace("madd9", "m(add9)")
            assert re.fullmatch(CHORD, symbol), chord.label


def test_songs_are_written_once_and_always_the_same(
  program, tmp_path, monkeypatch
):
  def source(name, train=6):
    root = str(tmp_path / name)
    return mma.Mma(root, seed=3, train=train, valid=1, test=2, seconds=4.0)

  songs = list(source("one").songs())
  assert [x.split for x in songs] == ["train"] * 6 + ["valid"] + ["test"] * 2
  texts = (program / "log").read_text()
  # Styles that fail, or are duos, are drawn again.
  names = {song.id.partition("_")[2] for song in songs}
  assert "broken" in texts
  assert "Duo" in texts
  assert {x.split("/")[-1].split("_", 1)[1] for x in names} <= {
    "stdlib_bossanova.mid",
    "pflib_rock1.mid",
  }
  for song in songs:
    assert not song.problems
    assert {x.category for x in song.stems} == {"drums", "bass", "piano"}
    assert song.genre == ("bossa_nova" if "bossa" in song.id else "rock")
    assert song.score
    score = song.score()
    assert [x.label for x in score.chords] == ["C", "F", "G", "C"]
    assert score.keys == ((0, "C major"),)
  # Another folder, and one of which a song is missing, get the same ones.
  (program / "log").unlink()
  assert [x.id for x in source("two").songs()] == [x.id for x in songs]
  assert (program / "log").read_text() == texts
  lost = songs[3].files[0]
  lost.unlink()
  assert [x.id for x in source("one").songs()] == [x.id for x in songs]
  # More songs are added; other splits stay.
  more = list(source("one", train=7).songs())
  assert [x.id for x in more[:6] + more[7:]] == [x.id for x in songs]
  # Files that exist do not need the program.
  monkeypatch.setenv("PATH", "")
  assert [x.id for x in source("one").songs()] == [x.id for x in songs]
  with pytest.raises(FileNotFoundError, match="apt-get install mma"):
    list(source("three").songs())


def test_a_prepared_set_finds_its_songs_again(program, tmp_path, capsys):
  root = str(tmp_path / "midi")
  command = ["prepare", "--source=mma", f"--root={root}/", "--dry_run"]
  counts = ["--songs=2", "--valid_songs=1", "--test_songs=2", "--seconds=4"]
  assert main([*command, *counts, f"--out={tmp_path / 'data'}"]) == 0
  assert re.search(r"segments? of 4 s", capsys.readouterr().out)
  source = mma.Mma(root, train=2, valid=1, test=2, seconds=4.0)
  recipe = {
    "source_config": recipes.as_json(source),
    "source_key": restore.key_of(source),
  }
  assert restore.restore(recipe) == source
  first, _ = restore.songs_of(source, "mma", "test")
  sound = first.stems[0].read()
  assert sound.sample_rate == 48_000
  assert np.abs(sound.samples).max() > 0.01
  # In stereo on a stage, with a room.
  wide = dataclasses.replace(source, channels=2)
  staged, _ = restore.songs_of(wide, "mma", "test")
  assert (staged.stems[0].read().samples != sound.samples).any()
  assert (
    restore.restore({**recipe, "source_config": recipes.as_json(wide)}) == wide
  )


def test_mistakes_are_one_line(program, tmp_path, monkeypatch, capsys):
  def error(*arguments):
    out = f"--out={tmp_path / 'data'}"
    assert main(["prepare", "--source=mma", out, *arguments]) != 0
    printed = capsys.readouterr().err
    return printed.strip().splitlines()[-1]

  root = f"--root={tmp_path / 'midi'}"
  assert "--root is missing" in error()
  assert "--style is for" in error(root, "--style=demo")
  assert "valid is -1" in error(root, "--valid_songs=-1")
  for path in (program / "lib").rglob("*.mma"):
    if path.stem not in ("broken", "duo"):
      path.unlink()
  line = error(root)
  assert re.search(r"no song in 40 attempts \(the last one, stdlib/\w+: ", line)
  for path in (program / "lib").rglob("*.mma"):
    path.unlink()
  assert "no grooves in its library" in error(root)
  monkeypatch.setenv("PATH", "")
  assert "mma: no such program; run: apt-get install mma" in error(root)
