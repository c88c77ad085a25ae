"""Examples of a prepared set on a machine without its songs."""

import json

import numpy as np
import pytest
import trees

from stemgen_jax import audio
from stemgen_jax import codec as codecs
from stemgen_jax.data.preparation import pairs, prepare
from stemgen_jax.data.sources.folder import Folder
from stemgen_jax.evaluation import decoded_list, measurement, song_subject
from stemgen_jax.evaluation.decoded_list import DecodedList
from stemgen_jax.evaluation.options import Options

SECONDS = 3.0


def test_a_prepared_set_without_its_songs(tmp_path):
  codec = codecs.load("demo")
  music, data = tmp_path / "music", tmp_path / "data"
  for part in ("train", "test"):
    for song in "AB":
      for name in ("Bass", "Drums", "Piano"):
        trees.sound(music / part / f"{part} {song}" / f"{name}.wav", rate=16000)
  config = pairs.PairConfig(segment_seconds=4.0, pairs=4, empty_share=0.0)
  prepare.prepare(Folder(str(music)), lambda: codec, data, config)
  options = Options(data=str(data), examples=2, seconds=SECONDS, workers=0)
  subject = song_subject.SongSubject(options)
  assert not subject.missing_songs
  music.rename(tmp_path / "elsewhere")
  subject = song_subject.SongSubject(options)
  assert "no folder" in subject.missing_songs
  assert "songs are not on this machine" in subject.data
  vars(subject)["codec"] = codec
  listed = subject.examples
  one, two = (listed.example(place) for place in (0, 1))
  assert {one.song, two.song} == {"test A", "test B"}
  samples = round(SECONDS * codec.sample_rate)
  assert one.context.samples.shape == one.real.samples.shape == (samples, 1)
  assert audio.loudness_db(
    one.context.samples, codec.sample_rate
  ) == pytest.approx(audio.REFERENCE_DB, abs=10)  # of noise
  np.testing.assert_array_equal(
    listed.other_context(0).samples, two.context.samples
  )
  # Unknown stems of a context, as drums that are never a target, have no pitch.
  place = next(x for x in range(8) if listed.example(x).pitched)
  assert isinstance(listed, DecodedList)
  listed._names = {
    key: name for key, name in listed._names.items() if name == "drums"
  }
  unnamed = listed.example(place)
  assert set(unnamed.stems) <= {"drums", "other"}
  assert not unnamed.pitched
  with pytest.raises(ValueError, match=r"--examples=99: .* 4 s, its whole rec"):
    decoded_list.DecodedList(data, codec, 4.0, seed=0, count=99)
  decoded_list.DecodedList(data, codec, SECONDS, seed=0, count=99)
  measured = measurement.measure(
    one, measurement.anchors(codec, one), {}, began=0.0
  )
  assert measured.about["estimated"]
  figures = measured.figures
  assert json.dumps(figures["real"]) == json.dumps(figures["round_trip"])
