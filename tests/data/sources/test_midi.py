"""Notes and annotations of MIDI files, and when they sound."""

import os
import pathlib
import struct
from typing import Any

import mido
import numpy as np
import pytest
import tiny
import trees

from stemgen_jax import audio
from stemgen_jax.__main__ import main
from stemgen_jax.data import batches
from stemgen_jax.data.preparation import pairs, problems
from stemgen_jax.data.preparation import prepare as prepare_lib
from stemgen_jax.data.sources import midi, multitracks, soundfont
from stemgen_jax.data.sources.midi import chord_symbols, messages, performance
from stemgen_jax.data.sources.midi import score as score_lib

Message: Any = mido.Message
Meta: Any = mido.MetaMessage
RATE = 48_000


def part(score, name):
  return next(part for part in score.parts if part.name == name)


def times(notes):
  return [(note.start, note.end, note.pitch) for note in notes]


def song_of(root, *tracks, name="song.mid", **fields):
  """Write a file and return its song."""
  trees.midi_file(root / name, *tracks, **fields)
  return next(iter(midi.Midi(str(root)).songs()))


def score_of(song):
  assert song.score
  return song.score()


def test_channels_and_programs_are_stems_whatever_their_tracks(tmp_path):
  change = Message("program_change", channel=0, program=33)
  later = Message("program_change", channel=0, program=81, time=960)
  song = song_of(
    tmp_path,
    # The track of the notes comes before that of the program.
    trees.midi_track([(0, 0, 1, 40, 90), (0, 2, 3, 76, 90)]),
    trees.midi_track([(0, 1, 2, 42, 90)], change, later),
    trees.midi_track([(9, 0, 1, 38, 90), (5, 0, 1, 60, 0)]),
    trees.midi_track([(0, 0, 1, 60, 90)], Meta("midi_port", port=1)),
  )
  assert {stem.name: stem.category for stem in song.stems} == {
    "ch01_p033": "bass",
    "ch01_p081": "synth_lead",
    "ch10_kit000": "drums",
    "port1_ch01_p000": "piano",
  }
  assert not song.problems
  bass = part(score_of(song), "ch01_p033")
  assert times(bass.notes) == [(0, 0.5, 40), (0.5, 1, 42)]


def test_format_0_and_2_and_smpte_time(tmp_path):
  track = trees.midi_track([(0, 0, 1, 60, 90), (9, 1, 2, 38, 90)])
  other = trees.midi_track([(0, 0, 1, 62, 90)])
  alone = song_of(tmp_path, track, type=0)
  assert len(alone.stems) == 2
  # The second sequence begins where the first ends.
  score = score_of(song_of(tmp_path, track, other, type=2))
  assert times(part(score, "ch01_p000").notes) == [(0, 0.5, 60), (1, 1.5, 62)]
  # 25 frames of 40 ticks are a second; a beat of trees.py is 480 ticks.
  tempo = Meta("set_tempo", tempo=250_000)
  track = trees.midi_track([(0, 0, 1, 60, 90)], tempo)
  song = song_of(tmp_path, track, ticks_per_beat=40 - (25 << 8))
  score = score_of(song)
  assert times(score.parts[0].notes) == [(0, 0.48, 60)]
  assert score.beats == score.downbeats == score.tempos == ()


def test_pedal_hanging_and_empty_notes(tmp_path):
  def pedal(tick, value):
    return Message("control_change", control=64, value=value, time=tick)

  struck = [
    Message("note_on", note=72, velocity=90, time=1920),
    Message("note_on", note=50, velocity=90, time=4000),
    *(Message("note_on", note=67, velocity=x, time=1440) for x in (90, 0)),
  ]
  track = trees.midi_track(
    [
      (0, 0, 1, 60, 90), (0, 0, 0.5, 64, 90), 
      (0, 1, 1.5, 64, 90), (0, 9, 10, 48, 90),
    ],
    pedal(0, 127), pedal(960, 0), *struck,
  )  # fmt: skip
  notes = score_of(song_of(tmp_path, track)).parts[0].notes
  assert times(notes) == [
    (0, 1, 60),  # until the pedal is up
    (0, 0.5, 64),  # until it is struck again
    (0.5, 1, 64),
    (1.5, 1.53, 67),
    (2, 6, 72),  # 4 s
    (pytest.approx(4.1667, abs=1e-3), 6, 50),  # 1 s after the last event
    (4.5, 5, 48),
  ]


def test_tempo_meter_key_and_chords_are_ground_truth(tmp_path):
  chords = ("C", "Am7", "F#m7b5/A", "N.C.", "Bbmaj7")
  conductor = trees.midi_track(
    [],
    Meta("set_tempo", tempo=500_000),
    Meta("time_signature", numerator=3, denominator=4),
    Meta("key_signature", key="Bbm"),
    Meta("key_signature", key="Cb", time=960),
    Meta("set_tempo", tempo=1_000_000, time=960),
    Meta("time_signature", numerator=6, denominator=8, time=1440),
    *(Meta("marker", text=x, time=480 * i) for i, x in enumerate(chords)),
  )
  notes = trees.midi_track([(0, 0, 6, 60, 90)])
  score = score_of(song_of(tmp_path, conductor, notes))
  assert score.tempos == ((0, 120), (1, 60))
  assert score.meters == ((0, (3, 4)), (2, (6, 8)))
  assert score.beats == (0, 0.5, 1, 2, 3.5)
  assert score.downbeats == (0, 2)
  assert score.keys == ((0, "Bb minor"), (1, "B major"))
  assert score.seconds == 5 + score_lib.TAIL
  found = [(x.start, x.end, x.label) for x in score.chords]
  assert found == [
    (0, 0.5, "C"), (0.5, 1, "Am7"), (1, 2, "F#m7b5"), (3, 7, "Bbmaj7"),
  ]  # fmt: skip
  assert score.chords[1].pitch_classes == (9, 0, 4, 7)
  # Names of sections, and other texts.
  for texts in ("ABCABC", ("Am", "verse", "C7", "solo", "F", "G")):
    assert chord_symbols.chords(list(enumerate(texts)), 9.0) == ()
  # Sections of a song have no "no chord".
  for texts in ("CFGC", "A"):
    stated = [(0.0, "N.C."), *enumerate(texts)]
    found = chord_symbols.chords(stated, 9.0)
    assert [x.label for x in found] == list(texts)


def test_a_click_sounds_on_the_beats(tmp_path):
  tempo = [
    Meta("set_tempo", tempo=400_000 + 100_000 * i, time=1920 * i)
    for i in range(3)
  ]
  clicks = [(9, x, x + 0.1, 37, 110) for x in range(12)]
  song = song_of(tmp_path, trees.midi_track(clicks, *tempo))
  sound = song.stems[0].read()
  samples = np.abs(audio.mono(sound))
  beats = np.array(score_of(song).beats)
  assert len(beats) == 12
  for beat in beats:
    at = round(beat * RATE)
    # Silence before, and an attack within 10 ms.
    near = samples[max(at - RATE // 20, 0) : at + RATE // 20]
    onset = np.flatnonzero(near > 0.2 * samples.max())[0] - min(at, RATE // 20)
    assert abs(onset) < 0.01 * RATE


def test_bends_and_levels_sound(tmp_path):
  def control(number, value, tick=0):
    return Message("control_change", control=number, value=value, time=tick)

  track = trees.midi_track(
    [(0, 0, 8, 69, 90)],
    Message("program_change", program=73),
    *(control(*x) for x in ((101, 0), (100, 0), (6, 12))),
    Message("pitchwheel", pitch=4096, time=1920),  # half of 12 semitones
    control(11, 64, 2880),
  )
  song = song_of(tmp_path, track, trees.midi_track([(9, 0, 1, 38, 9)]))
  samples = audio.mono(song.stems[0].read())

  def pitch(start):
    clip = samples[round(start * RATE) :][: RATE // 2] * np.hanning(RATE // 2)
    return np.abs(np.fft.rfft(clip, 4 * RATE)).argmax() / 4

  assert 12 * np.log2(pitch(1.2) / pitch(0.4)) == 0
  assert 12 * np.log2(pitch(2.2) / pitch(0.4)) == pytest.approx(6, abs=0.15)
  rms = [
    np.sqrt(np.mean(samples[a * RATE : a * RATE + RATE // 2] ** 2))
    for a in (2, 3)
  ]
  assert 12 < 20 * np.log10(rms[0] / rms[1]) < 20  # the cube of 64 / 127


def test_a_song_sounds_the_same_and_mono_does_not_depend_on_pan(tmp_path):
  def panned(value):
    pan = [Message("control_change", control=10, value=x) for x in value]
    track = trees.midi_track([(0, 0, 2, 60, 90)], *pan)
    drums = trees.midi_track([(9, 0, 2, 38, 90)])
    stem = song_of(tmp_path, track, drums).stems[0]
    return stem.read()

  left, right, drawn = panned([0]), panned([127]), panned([])
  again = panned([])
  assert drawn.channels == 2
  np.testing.assert_array_equal(drawn.samples, again.samples)
  for other in (left, right):
    np.testing.assert_allclose(audio.mono(other), audio.mono(drawn), atol=1e-6)
  power = [np.square(x.samples).mean(0) for x in (left, right)]
  assert power[0][0] > 4 * power[0][1]
  assert power[1][1] > 4 * power[1][0]


def patched_soundfont(path: pathlib.Path, program: int) -> None:
  """Copy the default soundfont without a program of bank 0."""
  content = bytearray(pathlib.Path(soundfont.default_soundfont()).read_bytes())
  start = content.index(b"phdr") + 8
  size = struct.unpack_from("<I", content, start - 4)[0]
  for at in range(start, start + size, 38):
    if struct.unpack_from("<HH", content, at + 20) == (program, 0):
      struct.pack_into("<H", content, at + 22, 99)
  path.write_bytes(content)


def test_soundfonts_are_drawn_per_song(tmp_path):
  trees.midi(tmp_path)
  names = [str(tmp_path / f"{x}.sf2") for x in "ab"]
  for name in names:
    patched_soundfont(pathlib.Path(name), program=33)
  source = midi.Midi(str(tmp_path), tuple(names))
  song_ids = [f"{number}.mid" for number in range(40)]
  draw = performance.choose_soundfont
  chosen = [draw(song_id, source.soundfonts) for song_id in song_ids]
  assert chosen == [draw(song_id, source.soundfonts) for song_id in song_ids]
  assert 10 < chosen.count(names[0]) < 30
  first = next(iter(source.songs()))
  with pytest.raises(ValueError, match=r"no instrument for bass.*33"):
    first.stems[0].read()
  assert len(first.stems[1].read().samples) == round(
    (first.seconds or 0) * RATE
  )


def test_links_names_and_splits(tmp_path):
  trees.midi_song(tmp_path / "test" / "deep" / "a.MID")
  trees.midi_song(tmp_path / ".hidden" / "b.mid")
  trees.midi_song(tmp_path / "valid.mid")
  (tmp_path / "loop").symlink_to(tmp_path)
  (tmp_path / "self.mid").symlink_to(tmp_path / "self.mid")
  (tmp_path / "gone.mid").symlink_to(tmp_path / "nothing.mid")
  os.mkfifo(tmp_path / "pipe.mid")
  name = os.fsdecode(b"caf\xe9.mid")
  trees.midi_song(tmp_path / name)
  songs = {song.id: song for song in midi.Midi(str(tmp_path)).songs()}
  assert {
    song_id: problem.kind
    for song_id, song in songs.items()
    for problem in song.problems
  } == {
    "loop": "linked folder",
    "self.mid": "unusable file",
    "gone.mid": "unusable file",
    "pipe.mid": "unusable file",
  }
  assert set(songs) - {"loop", "self.mid", "gone.mid", "pipe.mid"} == {
    "test/deep/a.MID", "valid.mid", r"caf\udce9.mid",
  }  # fmt: skip
  assert songs["test/deep/a.MID"].split == "test"
  split = multitracks.split_of("valid.mid")
  assert songs["valid.mid"].split == split


def test_wrapped_files_are_read(tmp_path):
  trees.midi_song(tmp_path / "song.mid")
  plain = messages.read(tmp_path / "song.mid")
  content = (tmp_path / "song.mid").read_bytes()
  head = b"RIFF" + struct.pack("<I", len(content) + 12) + b"RMIDdata"
  (tmp_path / "song.mid").write_bytes(head + b"\0\0\0\0" + content)
  assert messages.read(tmp_path / "song.mid") == plain


def test_prepare_leaves_out_the_unusable_and_a_batch_is_read(tmp_path):
  root = tmp_path / "midi"
  for name in ("train/one.mid", "train/two.mid", "valid/three.mid"):
    trees.midi_song(root / name, seconds=3)
  (root / "train" / "broken.mid").write_bytes(b"MThd")
  trees.midi_file(root / "alone.mid", trees.midi_track([(0, 0, 8, 60, 90)]))
  muted = Message("control_change", channel=3, control=7, value=0)
  loud = [(9, x, x + 0.5, 38, 90) for x in range(8)]
  trees.midi_file(
    root / "train" / "muted.mid",
    trees.midi_track([(3, 0, 8, 60, 90), (2, 0, 8, 60, 90), *loud], muted),
  )
  config = pairs.PairConfig(segment_seconds=4.0, pairs=2)
  out = tmp_path / "codes"
  manifest = prepare_lib.prepare(
    midi.Midi(str(root)), tiny.FrameEnergies, out, config
  )
  assert manifest.name == "midi_energies"
  assert manifest.counts["train"]["songs"] == 3
  assert set(manifest.categories) <= {"piano", "bass", "drums"}
  found = {(song, p.kind): p for song, p in problems.read(out)}
  assert ("train/broken.mid", "unusable file") in found
  assert ("alone.mid", "too few stems") in found
  silent = found["train/muted.mid", "silent stem"]
  assert silent.stem == "ch04_p000"
  read = batches.batches(out, "train", batch=2, window=30, seed=0)
  batch = next(iter(read))
  assert batch["context"].shape == batch["target"].shape == (2, 30, 2)
  # The same files, prepared again, are the same data set.
  again = prepare_lib.prepare(
    midi.Midi(str(root)), tiny.FrameEnergies, out, config
  )
  assert again.counts == manifest.counts


@pytest.mark.parametrize(
  ("flags", "message"),
  [
    (["--root=none"], "--root=none: no such folder"),
    (["--root=empty"], "holds no MIDI files: expected .mid, .midi, .kar"),
    ([], "--root is missing"),
    (["--root=songs", "--soundfont=a.sf2,b.sf2"], "no soundfont at a.sf2"),
    (["--root=songs", "--soundfont=text.sf2"], "text.sf2 is not a soundfont"),
    (["--root=songs", "--songs=3"], "--songs is for --source=band or mma"),
  ],
)
def test_mistakes_are_one_line(flags, message, tmp_path, monkeypatch, capsys):
  monkeypatch.chdir(tmp_path)
  trees.midi(tmp_path / "songs")
  (tmp_path / "empty").mkdir()
  (tmp_path / "text.sf2").write_text("not a soundfont")
  assert main(["prepare", "--source=midi", "--out=out", *flags]) == 1
  error = capsys.readouterr().err
  assert message in error
  assert len(error.splitlines()) == 1
  assert not (tmp_path / "out").exists()
