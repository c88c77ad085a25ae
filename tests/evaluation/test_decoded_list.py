"""Examples of a prepared set on a machine without its songs."""

import json
import types

import numpy as np
import pytest
import trees

from stemgen_jax import audio
from stemgen_jax import codec as codecs
from stemgen_jax.data.preparation import pairs, prepare
from stemgen_jax.data.sources.folder import Folder
from stemgen_jax.evaluation import (
  decoded_list,
  measurement,
  reference_annotations,
  song_subject,
)
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


def test_songs_and_stems_are_left_out(tmp_path, capsys, monkeypatch):
  # Beats and chords take most of an example's time, and are not needed here.
  monkeypatch.setattr(reference_annotations, "estimate", lambda *_, **__: None)
  codec = codecs.load("demo")
  music, data = tmp_path / "music", tmp_path / "data"
  for song in "ABC":
    for name in ("Bass", "Drums", "Piano"):
      path = music / "test" / song / f"{name}.wav"
      trees.sound(path, rate=16000, seconds=3.0)
  config = pairs.PairConfig(segment_seconds=3.0, pairs=2, empty_share=0.0)
  prepare.prepare(Folder(str(music)), lambda: codec, data, config)
  skip = tmp_path / "skip.csv"

  def subject(text):
    skip.write_text(text)
    options = Options(
      data=str(data), examples=2, seconds=2.0, skip=str(skip), workers=0
    )
    found = song_subject.SongSubject(options)
    vars(found)["codec"] = codec
    return found

  without = subject("song,stem\nA,\nB,Bass.wav\n")
  kept = {song.id: len(song.stems) for song in without.source.songs()}
  assert kept == {"B": 2, "C": 3}
  assert without.skipped_songs == {"A"}
  assert "songs 1, stems of others 1" in capsys.readouterr().out
  examples = [without.examples.example(place) for place in range(4)]
  assert {one.song for one in examples} == {"B", "C"}
  stems = {x for one in examples[::2] for x in (one.target, *one.stems)}
  assert stems == {"Drums.wav", "Piano.wav"}
  # Codes name songs, but not stems.
  config = types.SimpleNamespace(window=50)
  coded = without.coded_examples(config, 9)  # type: ignore[arg-type]
  assert set(coded.song) == {"B", "C"}
  with pytest.raises(ValueError, match="line 2: no song 'D'"):
    _ = subject("song\nD\n").source

  music.rename(tmp_path / "elsewhere")
  without = subject("song\nA\n")
  examples = [without.examples.example(place) for place in range(4)]
  assert {one.song for one in examples} == {"B", "C"}
  with pytest.raises(ValueError, match="'Bass'; only whole songs"):
    _ = subject("song,stem\nB,Bass\n").examples

  of_band = song_subject.SongSubject(Options(skip="known"))
  with pytest.raises(ValueError, match=r"--skip=known: the songs are the band"):
    _ = of_band.source
