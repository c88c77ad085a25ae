"""--skip and the list of songs with known problems."""

import re

import pytest
import trees

from stemgen_jax import __main__, disk, paths
from stemgen_jax.data.preparation import problems, skipping
from stemgen_jax.data.songs import Problem
from stemgen_jax.data.sources.musdb18 import Musdb18

LEAF = "Leaf - Wicked"


@pytest.fixture
def musdb(tmp_path):
  root = tmp_path / "musdb"
  trees.musdb18(root)
  (root / "train/ANiMAL - Rockshow").rename(root / "train" / LEAF)
  return Musdb18(str(root))


def named(songs):
  return {song.id: [stem.name for stem in song.stems] for song in songs}


def test_songs_and_stems_are_left_out(musdb, tmp_path):
  found = tuple(musdb.songs())
  table = tmp_path / "skip.csv"
  table.write_text(
    f"song,stem,why\nA Classic Education - NightOwl,,noise\n{LEAF},bass,hum\n"
  )
  kept, line = skipping.apply("musdb18", found, str(table))
  assert named(kept) == {
    LEAF: ["drums", "other", "vocals"],
    "AM Contra - Heart Peripheral": ["bass", "drums", "other", "vocals"],
  }
  assert line.endswith("songs 1, stems of others 1")
  kept, _ = skipping.apply("musdb18", found, f"{table},known")
  assert named(kept)[LEAF] == ["other", "vocals"]
  # Files of the same form as problems.csv.
  problems.write(tmp_path, [(LEAF, Problem("hum", "loud", "bass"))])
  kept, _ = skipping.apply("musdb18", found, str(tmp_path / "problems.csv"))
  assert "bass" not in named(kept)[LEAF]


def test_known_problems_are_reported(musdb):
  found = tuple(musdb.songs())
  kept, line = skipping.apply("musdb18", found, "")
  assert line == ""
  assert named(kept) == named(found)
  (song,) = (song for song in kept if song.id == LEAF)
  assert {(x.kind, x.stem, x.left_out) for x in song.problems} == {
    ("known problem", "vocals", False),
    ("known problem", "drums", False),
  }
  assert "github.com/sigsep/website/pull/27" in song.problems[0].message
  # A song of the same name elsewhere is another song.
  kept, _ = skipping.apply("folder", found, "known")
  assert kept == found


def test_mistakes_are_named(musdb, tmp_path):
  found = tuple(musdb.songs())
  table = tmp_path / "skip.csv"
  for text, message in (
    ("song\nLeaf Wicked\n", "line 2: no song 'Leaf Wicked'; did you mean Leaf"),
    (f"song,stem\n{LEAF},drum\n", "no stem 'drum'; did you mean drums?"),
    ("track\nx\n", "has no column song: write a CSV file"),
  ):
    table.write_text(text)
    with pytest.raises(ValueError, match=re.escape(message)):
      skipping.apply("musdb18", found, str(table))


def test_prepare_skips(musdb, tmp_path, capsys):
  flags = [
    "--source=musdb18",
    f"--root={musdb.root}",
    f"--out={tmp_path / 'o'}",
  ]
  flags += ["--dry_run", "--skip=known"]
  assert __main__.main(["prepare", *flags]) == 0
  printed = capsys.readouterr().out
  assert "left out by --skip=known: songs 0, stems of others 1" in printed
  assert "known problem" in printed


def test_a_file_that_is_missing_is_named(musdb, tmp_path, capsys):
  (tmp_path / "mine.csv").touch()
  flags = ["--source=musdb18", f"--root={musdb.root}", "--out=o"]
  flags.append(f"--skip={tmp_path / 'mines.csv'}")
  assert __main__.main(["prepare", *flags]) == 1
  assert "mine.csv?; expected 'known' or a CSV" in capsys.readouterr().err


def test_every_known_problem_names_its_thread():
  columns, rows = disk.read_csv(paths.KNOWN_PROBLEMS, "")
  assert columns == ["source", "song", "stem", "problem", "left_out", "thread"]
  for _, row in rows:
    assert row["thread"].startswith("https://github.com/")
    assert row["source"] in ("slakh", "musdb18", "moisesdb")
    assert row["left_out"] in ("yes", "no")
    assert row["song"]
    assert row["problem"]
