"""Bad songs are named and left out, or refused; none makes half a data set."""

import csv
import errno
import pathlib
import shutil
import subprocess
import sys
import time

import pytest
import tiny
import trees

from stemgen_jax import categories
from stemgen_jax.data import records
from stemgen_jax.data.manifest import Manifest
from stemgen_jax.data.preparation import packing, pairs, problems
from stemgen_jax.data.preparation import prepare as prepare_lib
from stemgen_jax.data.sources.folder import Folder
from stemgen_jax.data.sources.musdb18 import Musdb18

CONFIG = pairs.PairConfig(segment_seconds=4.0, pairs=3, empty_share=0.0)


def studio(root: pathlib.Path, songs: int = 3) -> pathlib.Path:
  """Good songs of three stems, all of them to train on."""
  for number in range(songs):
    for name in ("bass.wav", "drums.wav", "piano.wav"):
      trees.sound(root / "train" / f"Song {number}" / name, rate=800)
  return root


def prepare(root, out, **more):
  source = more.pop("source", None) or Folder(str(root))
  config = more.pop("config", CONFIG)
  return prepare_lib.prepare(source, tiny.FrameEnergies, out, config, **more)


def found(out) -> set[tuple[str, str, str, bool]]:
  return {(s, p.stem, p.kind, p.left_out) for s, p in problems.read(out)}


def unreadable(song):
  (song / "bass.wav").write_text("These are words. " * 99)


def truncated(song):
  whole = (song / "bass.wav").read_bytes()
  (song / "bass.wav").write_bytes(whole[: len(whole) // 2])


def only_one(song):
  (song / "drums.wav").unlink()
  (song / "piano.wav").unlink()


def empty(song):
  shutil.rmtree(song)
  song.mkdir()


def silent(song):
  for path in song.iterdir():
    trees.sound(path, level=0, rate=800)


def singing(song):
  (song / "bass.wav").rename(song / "Lead Vox.wav")
  (song / "drums.wav").rename(song / "Backing Vox.wav")
  (song / "piano.wav").unlink()


def taking_turns(song):
  (song / "piano.wav").unlink()
  for name, first in (("bass.wav", 0), ("drums.wav", 10)):
    trees.sound(song / name, rate=800, seconds=20, only=(first, first + 5))


@pytest.mark.parametrize(
  ("spoil", "stem", "kind", "songs_left"),
  [
    (unreadable, "bass.wav", "unreadable file", 3),
    (truncated, "bass.wav", "unreadable file", 3),
    (only_one, "", "too few stems", 2),
    (empty, "", "too few stems", 2),
    (silent, "", "silent song", 2),
    (singing, "", "no target", 2),
    (taking_turns, "", "no pair", 2),
  ],
)
def test_unusable_songs_and_stems_are_left_out_or_refused(
  tmp_path, spoil, stem, kind, songs_left
):
  root, out = studio(tmp_path / "studio"), tmp_path / "codes"
  spoil(root / "train" / "Song 1")
  with pytest.raises(ValueError, match=r"--strict.*Song 1"):
    prepare(root, tmp_path / "strict", strict=True)
  with pytest.raises(FileNotFoundError):
    Manifest.load(tmp_path / "strict")

  manifest = prepare(root, out)
  assert ("Song 1", stem, kind, True) in found(out)
  files = list((out / "songs").glob("*.npz"))
  assert manifest.counts["train"]["pairs"] >= 3 * songs_left - 2
  assert len(files) == 3 - (kind in ("too few stems", "no target"))
  assert f"\n{kind} " in "\n" + problems.table(problems.read(out))


def test_metadata_that_names_a_missing_file(tmp_path):
  root, out = tmp_path / "studio", tmp_path / "codes"
  for number in range(2):
    for name in ("bass.wav", "drums.wav"):
      trees.sound(root / f"Song {number}" / name, rate=800)
  (root / "Song 1/drums.wav").unlink()
  trees.table(
    root,
    "song,file,category,split",
    "Song 0,bass.wav,bass,train",
    "Song 0,drums.wav,drums,train",
    "Song 0,lost.wav,piano,train",
    "Song 1,bass.wav,bass,train",
    "Song 1,lost.wav,piano,train",
  )
  with pytest.raises(ValueError, match=r"--strict: song Song 0, lost.*2 more"):
    prepare(root, out, strict=True)
  assert not out.exists()
  manifest = prepare(root, out)
  assert found(out) >= {
    ("Song 0", "lost.wav", "missing file", True),
    ("Song 1", "lost.wav", "missing file", True),
    ("Song 1", "", "too few stems", True),
  }
  assert manifest.counts["train"]["songs"] == 1
  with open(out / problems.FILE, newline="") as file:
    rows = list(csv.DictReader(file))
  assert rows[0]["song"] == "Song 0"
  assert rows[0]["left_out"] == "yes"
  assert "lost.wav" in rows[0]["message"]


def test_two_songs_with_one_id_do_not_leak_into_two_splits(tmp_path):
  root, out = tmp_path / "musdb18hq", tmp_path / "codes"
  for part in ("train", "test"):
    for name in ("bass", "drums", "other", "vocals"):
      trees.sound(root / part / "A - B" / f"{name}.wav", rate=800)
  with pytest.raises(ValueError, match="--strict: song A - B: two songs"):
    prepare(root, out, source=Musdb18(str(root)), strict=True)
  assert not out.exists()
  manifest = prepare(root, out, source=Musdb18(str(root)))
  assert ("A - B", "", "same id", True) in found(out)
  songs = {split: n["songs"] for split, n in manifest.counts.items()}
  assert songs == {"train": 1, "valid": 0, "test": 0}


def test_stems_that_differ_are_used_and_reported(tmp_path):
  root, out = studio(tmp_path / "studio", songs=2), tmp_path / "codes"
  song = root / "train" / "Song 0"
  trees.sound(song / "bass.wav", rate=1600, channels=2, seconds=8)
  trees.sound(song / "drums.wav", rate=800, seconds=0.3)
  trees.sound(song / "organ.wav", rate=800, seconds=8, level=0)
  manifest = prepare(root, out, strict=True)
  assert found(out) == {
    ("Song 0", "", "mixed rates", False),
    ("Song 0", "", "mixed channels", False),
    ("Song 0", "", "unequal lengths", False),
    ("Song 0", "drums.wav", "short stem", False),
    ("Song 0", "organ.wav", "silent stem", False),
  }
  assert manifest.counts["train"]["pairs"] >= 6
  assert "organ" not in manifest.categories
  text = problems.table(problems.read(out))
  assert "Song 0/organ.wav: nothing in it is above -60 dB" in text
  assert text.endswith(
    "nothing is left out: mixed channels 1, mixed rates 1, short stem 1, "
    "unequal lengths 1"
  )
  text = (out / problems.FILE).read_text()
  assert "800 and 1600 Hz" in text
  assert "0.30 s of the song's 8.00 s" in text


def test_a_song_of_a_few_samples(tmp_path):
  root, out = studio(tmp_path / "studio", songs=2), tmp_path / "codes"
  for path in (root / "train" / "Song 0").iterdir():
    trees.sound(path, rate=44100, seconds=0.0001)
  prepare(root, out)
  assert ("Song 0", "", "short song", False) in found(out)


def test_a_split_without_pairs_is_left_empty_but_not_training(tmp_path):
  root, out = studio(tmp_path / "studio", songs=2), tmp_path / "codes"
  shutil.move(root / "train" / "Song 0", root / "valid" / "Song 0")
  silent(root / "valid" / "Song 0")
  manifest = prepare(root, out)
  assert manifest.counts["valid"] == {"songs": 0, "pairs": 0, "empty": 0}
  at = (out / "manifest.json").stat().st_mtime_ns
  prepare(root, out)  # the silent song counts as encoded
  assert (out / "manifest.json").stat().st_mtime_ns == at
  silent(root / "train" / "Song 1")
  with pytest.raises(ValueError, match=r"give no pair.*problems\.csv"):
    prepare(root, tmp_path / "other")
  assert ("Song 1", "", "silent song", True) in found(tmp_path / "other")


def targets(out) -> dict[str, set[int]]:
  """Return "split: song" -> category ids of its targets."""
  found = {}
  for split in ("train", "valid"):
    if Manifest.load(out).counts[split]["pairs"]:
      source = records.Records(out, split)
      for record in (source[i] for i in range(len(source))):
        song = f"{split}: {record['song_id'].decode()}"
        found.setdefault(song, set()).add(record["category"])
  return found


@pytest.mark.parametrize("killed", [False, True])
def test_a_repaired_file_is_used_by_the_same_command(tmp_path, killed):
  root, out = studio(tmp_path / "studio", songs=2), tmp_path / "codes"
  unreadable(root / "train" / "Song 0")
  prepare(root, out)
  if killed:  # after the records were packed, before the manifest
    (out / "manifest.json").unlink()
  prepare(root, out)
  bass = categories.category_id("bass")
  assert bass not in targets(out)["train: Song 0"]
  kept = (out / "songs" / "Song%201.npz").stat().st_mtime_ns
  trees.sound(root / "train" / "Song 0" / "bass.wav", rate=800)
  prepare(root, out)
  assert not found(out)
  assert bass in targets(out)["train: Song 0"]
  assert (out / "songs" / "Song%201.npz").stat().st_mtime_ns == kept


def test_changed_songs_are_encoded_again(tmp_path):
  root, out = studio(tmp_path / "studio", songs=2), tmp_path / "codes"
  names = [f"Song {i}/{n}.wav" for i in "01" for n in ("bass", "drums")]

  def label(category, split):
    rows = [",".join([*n.split("/"), "bass", split]) for n in names[:3]]
    last = ",".join([*names[3].split("/"), category, split])
    trees.table(root, "song,file,category,split", *rows, last)

  for name in names:
    (root / name).parent.mkdir(exist_ok=True)
    shutil.move(root / "train" / name, root / name)
  shutil.rmtree(root / "train")
  label("drums", "train")
  prepare(root, out)
  manifest = out / "manifest.json"
  at = manifest.stat().st_mtime_ns
  prepare(root, out)
  assert manifest.stat().st_mtime_ns == at  # left alone

  label("organ", "train")
  prepare(root, out)
  assert categories.category_id("organ") in targets(out)["train: Song 1"]
  label("organ", "valid")
  prepare(root, out, strict=True)
  assert set(targets(out)) == {"valid: Song 0", "valid: Song 1"}

  # As many bytes as it was: rendered again, louder.
  before = (out / "songs" / "Song%201.npz").read_bytes()
  time.sleep(0.02)  # file systems count in steps of milliseconds
  trees.sound(root / names[2], rate=800, level=0.2)
  prepare(root, out)
  assert (out / "songs" / "Song%201.npz").read_bytes() != before
  assert len(list((out / "songs").iterdir())) == 2


def test_songs_that_change_splits_are_packed_again(tmp_path):
  root, out = studio(tmp_path / "studio"), tmp_path / "codes"
  for test in ("Song 1", "Song 2"):  # as many in each split as before
    rows = [f"Song {i},,,{'test' if test[-1] == i else 'train'}" for i in "012"]
    trees.table(root, "song,file,category,split", *rows)
    manifest = prepare(root, out)
    assert manifest.song_ids["test"] == [test]
    packed = records.Records(out, "test")
    assert {record["song_id"].decode() for record in packed} == {test}


def test_strict_also_refuses_songs_encoded_without_it(tmp_path):
  root, out = studio(tmp_path / "studio"), tmp_path / "codes"
  silent(root / "train" / "Song 1")
  prepare(root, out)
  with pytest.raises(ValueError, match="--strict: song Song 1: nothing"):
    prepare(root, out, strict=True)
  (out / "manifest.json").unlink()
  with pytest.raises(ValueError, match="--strict: song Song 1: nothing"):
    prepare(root, out, strict=True)
  assert not (out / "manifest.json").exists()


def test_an_unreadable_table_of_problems_is_written_again(tmp_path):
  root, out = studio(tmp_path / "studio"), tmp_path / "codes"
  silent(root / "train" / "Song 1")
  prepare(root, out)
  text = (out / problems.FILE).read_text()
  for spoilt in (text.encode("utf-16")[:-1], b"\xff;\xfe", b'a,"b'):
    (out / problems.FILE).write_bytes(spoilt)
    prepare(root, out)
    assert (out / problems.FILE).read_text() == text
  (out / problems.FILE).write_bytes(b"a;b")
  shutil.rmtree(out / "songs")
  with pytest.raises(ValueError, match="no column left_out: delete it"):
    prepare(root, out)


def test_songs_may_have_long_names_in_any_script(tmp_path):
  root, out = studio(tmp_path / "studio", songs=2), tmp_path / "codes"
  for number in range(2):
    name = 79 * "\N{HIRAGANA LETTER A}" + str(number)
    shutil.move(root / "train" / f"Song {number}", root / "train" / name)
  manifest = prepare(root, out)
  assert manifest.counts["train"]["songs"] == 2
  assert len(targets(out)) == 2


# A limit on the size of files stands for a full disk: writes fail alike.
_FULL = """
import resource, signal, sys
sys.path[:0] = [{here!r}, {tests!r}]
import test_bad_data
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
try:
  test_bad_data.prepare({root!r}, {out!r}, workers={workers})
except OSError as error:
  print(error)
"""


@pytest.mark.processes
@pytest.mark.parametrize(
  ("limit", "workers", "songs"), [(1000, 0, 0), (1000, 1, 0), (16_000, 0, 12)]
)
def test_a_full_disk_is_reported_and_leaves_nothing_partial(
  tmp_path, limit, workers, songs
):
  root, out = studio(tmp_path / "studio", songs=12), tmp_path / "codes"
  here = pathlib.Path(__file__).parent
  script = tmp_path / "full.py"
  text = _FULL.format(
    here=str(here),
    tests=str(here.parents[1]),
    limit=limit,
    root=str(root),
    out=str(out),
    workers=workers,
  )
  script.write_text(
    "if __name__ == '__main__':\n"
    + "\n".join(f"  {line}" for line in text.splitlines())
  )
  done = subprocess.run(
    [sys.executable, str(script)], capture_output=True, text=True, check=False
  )
  assert done.returncode == 0, done.stderr
  assert "cannot write" in done.stdout
  assert "(ulimit -f), then run the same command again" in done.stdout
  assert len(list((out / "songs").iterdir())) == songs
  assert not list(out.rglob("*.array_record*"))
  with pytest.raises(FileNotFoundError, match="no finished data set"):
    Manifest.load(out)
  prepare(root, out)
  assert Manifest.load(out).counts["train"]["songs"] == 12


def test_packing_that_fails_is_detected_before_encoding(tmp_path, monkeypatch):
  root, out = studio(tmp_path / "studio", songs=2), tmp_path / "codes"

  def lacking(builder, memory):
    raise ImportError("no module of that name")

  monkeypatch.setattr(packing, "_write", lacking)
  with pytest.raises(ImportError, match=r"records: no module of that name"):
    prepare(root, out)
  assert not out.exists()


def test_only_a_full_disk_asks_for_space(tmp_path, monkeypatch):
  root, out = studio(tmp_path / "studio", songs=2), tmp_path / "codes"
  for reason, remedy in (
    (OSError(errno.ENOSPC, "No space left on device"), "free some space, then"),
    (
      RuntimeError("write() failed: Disk quota exceeded"),
      "free some space, then",
    ),
    (PermissionError(errno.EACCES, "Permission denied"), "fix that, then"),
    (AttributeError("no such thing"), "fix that, then"),
  ):

    def failing(builder, memory, reason=reason):
      if isinstance(builder, packing.StemCodes):
        raise reason

    monkeypatch.setattr(packing, "_write", failing)
    with pytest.raises(
      OSError, match=f"are kept: {remedy} run the same command"
    ):
      prepare(root, out)


def test_pairs_that_are_too_short_name_the_flags(tmp_path):
  root, out = studio(tmp_path / "studio", songs=2), tmp_path / "codes"
  taking_turns(root / "train" / "Song 1")
  prepare(root, out)
  (problem,) = [p for _, p in problems.read(out) if p.kind == "no pair"]
  assert "0.8 s, --min_active=0.2 of --segment_seconds=4" in problem.message
