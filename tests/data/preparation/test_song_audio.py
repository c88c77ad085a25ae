"""Stems of a song in time, and what their reader notes."""

import shutil

import numpy as np
import pytest
import soundfile
import tiny
import trees

from stemgen_jax import audio
from stemgen_jax.audio import Audio
from stemgen_jax.data.preparation import pairs, song_audio
from stemgen_jax.data.sources import folder, multitracks
from stemgen_jax.data.sources.musdb18 import Musdb18
from stemgen_jax.data.sources.slakh import Slakh

RATE = 8000
CONFIG = pairs.PairConfig(segment_seconds=1.0)


def write(path, begin=0.0, seconds=1.0):
  path.parent.mkdir(exist_ok=True)
  samples = np.full((round(seconds * RATE), 1), 0.25, np.float32)
  sound = Audio(samples, RATE, time_reference=round(begin * RATE))
  audio.write(path, sound)


def begins(root):
  """Return the beginnings of stems in seconds, and problems, by name."""
  (song,) = folder.Folder(str(root)).songs()
  stems, found = song_audio.read_stems(song, tiny.FrameEnergies(), CONFIG)
  rate = tiny.FrameEnergies().sample_rate
  at = [
    round(float(np.flatnonzero(np.abs(stem) > 0.1)[0] / rate), 1)
    for stem in stems[:, :, 0]
  ]
  noted = {x.stem: x.message for x in found if x.kind == "time reference"}
  return dict(zip([stem.name for stem in song.stems], at)), noted


def test_time_references_place_stems(tmp_path):
  for name, begin in (("bass", 3601.0), ("piano", 3600.0)):
    write(tmp_path / f"Song/{name}.wav", begin)
  write(tmp_path / "Song/Drums/kick.wav", 3602.0)
  write(tmp_path / "Song/Drums/snare.wav", 3603.0)
  at, noted = begins(tmp_path)
  assert at == {"bass.wav": 1.0, "piano.wav": 0.0, "Drums": 2.0}
  assert noted == {
    "bass.wav": "begins at 1.00 s, by its time reference",
    "Drums": "begins at 2.00 s, by its time reference",
  }
  drums = multitracks.read_sum(sorted((tmp_path / "Song/Drums").iterdir()))
  assert (drums.seconds, drums.time_reference) == (2.0, 3602 * RATE)
  assert drums.notes == ("snare.wav: begins at 1.00 s, by its time reference",)


@pytest.mark.parametrize(
  ("times", "expected", "noted"),
  [
    ([0.0, 1.0], [0.0, 1.0], [1]),  # a file without one begins with the song
    ([3600.0, 3600.0], [0.0, 0.0], []),
    ([0.0, 3601.0, 3600.0], [0.0, 1.0, 0.0], [0, 1]),
    ([10.0, 86400.0], [0.0, 0.0], [1]),
    ([None, 5.0, 7.0], [0.0, 0.0, 2.0], [2]),
    ([None], [0.0], []),
  ],
)
def test_time_references_of_other_sessions(times, expected, noted):
  at, notes = multitracks.placed(times)
  assert at == expected
  assert [index for index, note in enumerate(notes) if note] == noted


def test_notes_of_the_reader_are_problems(tmp_path):
  write(tmp_path / "Song/bass.wav")
  path = tmp_path / "Song/piano.mp3"
  sine = 0.3 * np.sin(np.arange(2 * 44100) * 0.05)
  soundfile.write(path, sine, 44100)
  path.write_bytes(path.read_bytes()[:-50])  # cut in its last frame
  (song,) = folder.Folder(str(tmp_path)).songs()
  _, found = song_audio.read_stems(song, tiny.FrameEnergies(), CONFIG)
  (note,) = [problem for problem in found if problem.kind == "odd audio"]
  assert (note.stem, note.left_out) == ("piano.mp3", False)
  assert note.message.startswith("piano.mp3: its last frame is incomplete")


def sums_of(source):
  """Return the problems of mixtures, by song."""
  found = {}
  for song in source.songs():
    _, problems = song_audio.read_stems(
      song, tiny.FrameEnergies(), CONFIG, keep_suspicious=False
    )
    kinds = [x for x in problems if "mixture" in x.kind]
    found[song.id] = [(x.kind, x.left_out, x.message) for x in kinds]
  return found


def test_stems_that_do_not_sum_to_the_mixture_are_reported(tmp_path):
  trees.musdb18(tmp_path / "musdb")
  trees.slakh(tmp_path / "slakh")  # its mixtures have another gain
  songs = tmp_path / "musdb/train"
  # Another song's bass, and a mixture that is not audio.
  other = songs / "ANiMAL - Rockshow/bass.wav"
  shutil.copy(other, songs / "A Classic Education - NightOwl/bass.wav")
  (
    tmp_path / "musdb/test/AM Contra - Heart Peripheral/mixture.wav"
  ).write_bytes(b"no audio")
  found = sums_of(Musdb18(str(tmp_path / "musdb")))
  assert found.pop("ANiMAL - Rockshow") == []
  ((kind, left_out, message),) = found["A Classic Education - NightOwl"]
  assert (kind, left_out) == ("other mixture", False)
  assert "mixture.wav has -" in message
  assert [x[0] for x in found["AM Contra - Heart Peripheral"]] == [
    "unreadable mixture"
  ]
  assert not any(sums_of(Slakh(str(tmp_path / "slakh"))).values())
