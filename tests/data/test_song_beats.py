import numpy as np
import pytest

from stemgen_jax.data.beats import FILE, Beats
from stemgen_jax.data.crops import Crop
from stemgen_jax.data.songs import Song
from stemgen_jax.data.sources.band import Band


class Score:
  def __init__(self, beats, downbeats):
    self.beats, self.downbeats = tuple(beats), tuple(downbeats)


def a_song(name, beats, downbeats):
  score = Score(beats, downbeats)
  return Song(name, "train", "rock", (), score=lambda: score)


@pytest.fixture
def beats():
  return Beats.of_songs(
    [
      # A beat of upbeat, then 3/4 at 120 beats per minute.
      a_song("waltz", np.arange(10) / 2, (0.5, 2.0, 3.5)),
      a_song("long", np.arange(12.0), (0.0,)),
      a_song("unknown", (), ()),
      Song("recorded", "train", "rock", ()),
    ]
  )


def test_places_are_beats_of_the_bar_and_parts_of_the_beat(beats):
  seconds = np.array([0.5, 0.56, 0.57, 0.99, 1.0, 1.6, 2.0, 3.4, 3.5])
  places = beats.places("waltz", seconds)
  assert places.tolist() == [0, 0, 1, 7, 8, 17, 0, 22, 0]


def test_places_outside_of_known_beats_are_unknown(beats):
  # Before the first beat and downbeat, and after the last beat.
  outside = np.array([-0.1, 0.0, 0.49, 4.5, 60.0])
  assert (beats.places("waltz", outside) == -1).all()
  assert beats.places("waltz", np.array([4.49])) == [15]
  for song in ("unknown", "recorded", "no such song"):
    assert (beats.places(song, np.arange(3.0)) == -1).all()
  # Bars have eight beats with places at most.
  assert beats.places("long", np.array([7.9, 8.1])).tolist() == [63, -1]


def test_a_saved_file_has_the_same_beats(beats, tmp_path):
  beats.save(tmp_path)
  loaded = Beats.load(tmp_path)
  assert len(loaded) == len(beats) == 2
  seconds = np.linspace(-1, 12, 300)
  for song in ("waltz", "long", "recorded"):
    np.testing.assert_array_equal(
      loaded.places(song, seconds), beats.places(song, seconds)
    )
  Beats({}, {}).save(tmp_path)  # a data set of recordings
  assert not len(Beats.load(tmp_path))
  (tmp_path / FILE).write_bytes(b"PK")
  with pytest.raises(ValueError, match=r"beats\.npz .* prepare again"):
    Beats.load(tmp_path)
  (tmp_path / FILE).unlink()
  with pytest.raises(ValueError, match=r"has no beats\.npz .*prepare again"):
    Beats.load(tmp_path)


def test_the_band_knows_its_beats():
  band = Band(train=3, valid=0, test=0, seconds=12.0)
  beats = Beats.of_songs(band.songs())
  assert len(beats) == 3
  for number in range(3):
    score, song = band.score(number), f"band-0-{number:06d}"
    # A little after the middle, which is a border between two parts.
    middle = 0.45 * np.array(score.beats[:-1]) + 0.55 * np.array(
      score.beats[1:]
    )
    places = beats.places(song, middle)
    assert (places % 8 == 4).all()
    # Once per bar.
    assert ((places == 4).sum()) in (
      len(score.downbeats) - 1,
      len(score.downbeats),
    )


def test_a_crop_has_the_places_of_the_middles_of_its_frames(beats):
  crop = Crop(window=4, frame_rate=10.0, min_active=0.0, beats=beats)
  record = {
    "context": np.zeros((30, 1)),
    "target": np.zeros((30, 1)),
    "context_active": np.ones(3, bool),
    "target_active": np.ones(3, bool),
    "category": 0,
    "genre": 0,
    "start": 0.5,
    "song_id": b"waltz",
  }
  example = crop(record, 0.4)
  first = crop.first_frame(record, 0.4)
  assert first == 10
  expected = beats.places("waltz", np.array([1.55, 1.65, 1.75, 1.85]))
  np.testing.assert_array_equal(example["place"], expected)
  assert expected.tolist() == [16, 18, 20, 21]
  assert "place" not in Crop(4, 10.0, 0.0)(record, 0.4)
