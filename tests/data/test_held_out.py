"""The songs of a prepared set are evaluated on as when it was prepared."""

import dataclasses
import itertools

import pytest
import tiny
import trees

from stemgen_jax import recipes
from stemgen_jax.data.preparation import pairs, prepare
from stemgen_jax.data.sources import restore
from stemgen_jax.data.sources.folder import Folder
from stemgen_jax.evaluation import reference_annotations
from stemgen_jax.evaluation.decoded_list import DecodedList
from stemgen_jax.evaluation.options import Options
from stemgen_jax.evaluation.protocol import ExampleList
from stemgen_jax.evaluation.song_subject import SongSubject

CONFIG = pairs.PairConfig(segment_seconds=4.0, pairs=3, empty_share=0.0)
SPLITS = {"A": "train", "B": "valid", "C": "test", "D": "test"}


@pytest.fixture
def root(tmp_path):
  for song in SPLITS:
    for name in ("bass.wav", "drums.wav", "piano.wav"):
      trees.sound(tmp_path / "songs" / song / name, rate=800)
  label(tmp_path / "songs")
  return tmp_path / "songs"


def label(root, **changed):
  rows = [f"{song},,,{split}" for song, split in (SPLITS | changed).items()]
  trees.table(root, "song,file,category,split", *rows)


@pytest.fixture(params=["new", "older"])
def data(root, tmp_path, request):
  """A set; an older one's manifest has no songs' ids."""
  out = tmp_path / "codes"
  manifest = prepare.prepare(Folder(str(root)), tiny.FrameEnergies, out, CONFIG)
  if request.param == "older":
    dataclasses.replace(manifest, song_ids={}).save(out)
  return out


def load(data):
  subject = SongSubject(Options(data=str(data), seconds=2.0))
  assert subject.examples  # loads and checks the songs
  return subject


def songs(one) -> set[str]:
  places = itertools.islice(one.examples, 4)
  return {one.examples.example(place).song for place in places}


def test_test_songs_are_those_of_the_set(root, data):
  assert songs(load(data)) == {"C", "D"}
  # Songs that were added, or moved away from the test split.
  for name in ("bass.wav", "drums.wav"):
    trees.sound(root / "E" / name, rate=800)
  label(root, D="train", E="test")
  assert songs(load(data)) == {"C", "D"}


@pytest.mark.parametrize("with_songs", [True, False])
def test_validation_songs_are_evaluated(root, tmp_path, with_songs):
  label(root, D="valid")
  out = tmp_path / "codes"
  prepare.prepare(Folder(str(root)), tiny.FrameEnergies, out, CONFIG)
  if not with_songs:  # Their records are evaluated.
    (root / "B").rename(root / "lost")
  subject = SongSubject(Options(data=str(out), seconds=2.0, split="valid"))
  vars(subject)["codec"] = tiny.FrameEnergies()
  assert isinstance(subject.examples, DecodedList) != with_songs
  assert songs(subject) == {"B", "D"}
  assert subject.identity["split"] == "valid"


def test_balanced_targets_are_of_rare_categories(root, monkeypatch):
  # Takes most of the time, and says nothing about targets.
  monkeypatch.setattr(reference_annotations, "estimate", lambda *_, **__: None)
  label(root, A="test", B="test")
  trees.sound(root / "A" / "flute.wav", rate=800)

  def flutes(balanced):
    listed = ExampleList(
      Folder(str(root)), tiny.FrameEnergies(), 2.0, 0, balanced=balanced
    )
    of_a = range(0, 80, 4)  # Songs A to D in turn.
    return sum(listed.example(place).category == "pipe" for place in of_a)

  # 4 stems of song A: the flute's weight is 1, those of the others 1 / 4.
  assert flutes(balanced=False) < 8 < flutes(balanced=True)


@pytest.mark.parametrize(("song", "split"), [("A", "train"), ("B", "valid")])
def test_songs_of_the_training_split_are_refused(root, data, song, split):
  label(root, **{song: "test"})
  with pytest.raises(ValueError, match=f"song {song} .* in the {split} split"):
    _ = load(data).source


@pytest.mark.parametrize("table", ["a row", "none"])
def test_a_missing_song_of_the_set_is_named(root, data, table):
  (root / "D").rename(root / "test D")
  if table == "none":
    (root / "stems.csv").write_text("song,file,category,split\nC,,,test\n")
  subject = SongSubject(Options(data=str(data), seconds=2.0))
  named = "test song D of the prepared set is missing"
  with pytest.raises(restore.MissingSongsError, match=named):
    _ = subject.source
  # Its records are evaluated in place of it.
  assert named in subject.missing_songs
  vars(subject)["codec"] = tiny.FrameEnergies()
  assert isinstance(subject.examples, DecodedList)
  assert list(itertools.islice(subject.examples, 2)) == [0, 1]


def test_a_set_with_one_test_song_is_named(root, tmp_path):
  label(root, D="train")
  out = tmp_path / "few"
  prepare.prepare(Folder(str(root)), tiny.FrameEnergies, out, CONFIG)
  subject = SongSubject(Options(data=str(out), seconds=2.0))
  vars(subject)["codec"] = tiny.FrameEnergies()
  with pytest.raises(ValueError, match=f"{out} has only 1 test song, expected"):
    _ = subject.examples


@pytest.mark.parametrize("change", ["stem", "category"])
def test_an_evaluation_does_not_resume_with_other_songs(
  root, data, tmp_path, change
):
  recipe = tmp_path / "recipe.json"
  recipes.check_or_create(recipe, load(data).identity)
  recipes.check_or_create(recipe, load(data).identity)
  if change == "stem":
    trees.sound(root / "C" / "organ.wav", rate=800)
  else:
    with open(root / "stems.csv", "a") as file:
      file.write("C,piano.wav,organ,\n")
  with pytest.raises(ValueError, match=r"test_songs '2 songs, .* now"):
    recipes.check_or_create(recipe, load(data).identity)
