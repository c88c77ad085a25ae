"""Small multitrack data sets, laid out exactly as the published ones."""

import csv
import json
import pathlib
from collections.abc import Sequence
from typing import Any

import mido
import numpy as np
import soundfile
import yaml


def sound(
  path: pathlib.Path,
  *,
  seconds: float = 4.0,
  rate: int = 8000,
  channels: int = 1,
  level: float = 0.1,
  only: tuple[float, float] = (0.0, 1e9),
) -> None:
  """Write two drum beats a second within the seconds `only`.

  They are bursts of noise, seeded by the path, of decreasing level.
  """
  path.parent.mkdir(parents=True, exist_ok=True)
  rng = np.random.default_rng(list("/".join(path.parts[-3:]).encode()))
  samples = level * rng.standard_normal((round(seconds * rate), channels))
  time = np.arange(len(samples)) / rate
  samples *= np.exp(-6 * (time % 0.5))[:, None]
  samples[(time < only[0]) | (time >= only[1])] = 0
  soundfile.write(path, samples.clip(-1, 1), rate)


def mixture(path: pathlib.Path, folder: pathlib.Path, gain: float = 1) -> None:
  """Write the sum of the files in a folder, of the same suffix as `path`."""
  read = [
    soundfile.read(file, always_2d=True)
    for file in sorted(folder.glob(f"*{path.suffix}"))
  ]
  if read:
    length = max(len(samples) for samples, _ in read)
    total = np.zeros((length, max(x.shape[1] for x, _ in read)))
    for samples, _ in read:
      total[: len(samples)] += samples
    soundfile.write(path, gain * total, read[0][1])


def slakh_track(
  folder: pathlib.Path,
  stems: dict[str, dict] | None = None,
  *,
  suffix: str = ".flac",
  rate: int = 8000,
) -> None:
  """Write a track's folder; fields of stems override those of a bass."""
  described = {}
  for name, fields in (stems or SLAKH_STEMS).items():
    fields = dict(fields)
    on_disk = fields.pop("on_disk", fields.get("audio_rendered", True))
    described[name] = {
      "audio_rendered": True,
      "inst_class": "Bass",
      "integrated_loudness": -12.8,
      "is_drum": False,
      "midi_program_name": "Electric Bass (finger)",
      "midi_saved": True,
      "plugin_name": "scarbee_rickenbacker_bass.nkm",
      "program_num": 33,
    } | fields
    if on_disk:
      sound(folder / "stems" / f"{name}{suffix}", rate=rate)
  folder.mkdir(parents=True, exist_ok=True)
  metadata = {
    "UUID": "1a81ae092884234f3264e2f45927f00a",
    "audio_dir": "stems",
    "midi_dir": "MIDI",
    "normalized": True,
    "overall_gain": 0.18,
    "stems": described,
  }
  (folder / "metadata.yaml").write_text(yaml.safe_dump(metadata))
  mixture(folder / f"mix{suffix}", folder / "stems", gain=0.5)
  (folder / "MIDI").mkdir(exist_ok=True)
  (folder / "all_src.mid").touch()


SLAKH_STEMS = {
  "S00": {},
  "S01": {"program_num": 0, "is_drum": True, "inst_class": "Drums"},
  "S02": {"program_num": 30, "inst_class": "Guitar"},
}


def slakh(root: pathlib.Path) -> None:
  """Write Slakh2100 with a song of each split."""
  for part, number in (("train", 1), ("validation", 1501), ("test", 1876)):
    slakh_track(root / part / f"Track{number:05d}")


def musdb18(root: pathlib.Path) -> None:
  """Write MUSDB18-HQ with two songs of train/, one of them for validation."""
  for song in (
    "train/A Classic Education - NightOwl",
    "train/ANiMAL - Rockshow",
    "test/AM Contra - Heart Peripheral",
  ):
    for name in ("bass", "drums", "other", "vocals"):
      sound(root / song / f"{name}.wav", channels=2)
    mixture(root / song / "mixture.wav", root / song)


MOISES = {
  "drums": ["kick_drum", "full_acoustic_drumkit"],
  "bass": ["bass_guitar"],
  "vocals": ["lead_female_singer"],
  "other_keys": ["synth_pad", "organ,_electric_organ"],
  "percussion": ["pitched_percussion_(mallets,_glockenspiel,_...)"],
  "other": ["click_track"],
}


def moisesdb(
  root: pathlib.Path, songs: int = 1, genre: str = "singer/songwriter"
) -> list[pathlib.Path]:
  """Write MoisesDB and return the songs' folders."""
  folders = []
  for number in range(songs):
    folder = (
      root / "moisesdb_v0.1" / f"{number:08x}-293b-42af-9f29-0ed1785be792"
    )
    stems = []
    for name, kinds in MOISES.items():
      tracks = []
      for place, kind in enumerate(kinds):
        track = {
          "trackType": kind,
          "id": f"{name}-{place}",
          "type": "audio/x-wav",
          "extension": "wav",
          "has_bleed": False,
        }
        tracks.append(track)
        sound(folder / name / f"{track['id']}.wav", channels=2)
      stems.append({"id": name, "stemName": name, "tracks": tracks})
    described = {"song": "A", "artist": "B", "genre": genre, "stems": stems}
    (folder / "data.json").write_text(json.dumps(described))
    folders.append(folder)
  return folders


def folder(root: pathlib.Path, songs: int = 1) -> None:
  """Write a folder of songs with a mix and a folder of drums."""
  for number in range(songs):
    song = root / f"Song {number}"
    for name in ("01 Bass DI.wav", "Lead Gtr.flac", "Lead Vox.wav"):
      sound(song / name)
    sound(song / "Drums" / "kick.wav")
    sound(song / "Drums" / "snare.wav", rate=16000, channels=2)
    sound(song / f"Song {number} - mix.wav")


def table(root: pathlib.Path, *rows: str) -> None:
  """Write stems.csv from lines with commas."""
  with open(root / "stems.csv", "w", newline="") as file:
    csv.writer(file).writerows(row.split(",") for row in rows)


# Channel, first and last beat, pitch, velocity.
Notes = Sequence[tuple[int, float, float, int, int]]


def midi_track(notes: Notes, *others: Any) -> mido.MidiTrack:
  """Return a track of 480 ticks per beat.

  Args:
    notes: channel, first and last beat, pitch and velocity of each note.
    others: more messages, whose times are absolute ticks.
  """
  found: list[Any] = list(others)
  for channel, start, end, pitch, velocity in notes:
    note: dict[str, Any] = {"channel": channel, "note": pitch}
    begin, stop = round(480 * start), round(480 * end)
    found.append(mido.Message("note_on", velocity=velocity, time=begin, **note))
    found.append(mido.Message("note_off", time=stop, **note))
  track, now = mido.MidiTrack(), 0
  # At one tick: others, ends of notes, notes.
  order = {"note_off": 1, "note_on": 2}
  for message in sorted(found, key=lambda x: (x.time, order.get(x.type, 0))):
    track.append(message.copy(time=message.time - now))
    now = message.time
  return track


def midi_file(path: pathlib.Path, *tracks: mido.MidiTrack, **fields) -> None:
  """Write a MIDI file, by default of format 1 and 480 ticks per beat."""
  path.parent.mkdir(parents=True, exist_ok=True)
  mido.MidiFile(tracks=list(tracks), **fields).save(path)


def midi_song(
  path: pathlib.Path,
  seconds: int = 4,
  conductor: mido.MidiTrack | None = None,
) -> None:
  """Write a song of drums, bass and piano at 120 beats per minute."""
  beats = range(2 * seconds)
  midi_file(
    path,
    *([conductor] if conductor else []),
    midi_track([(9, x, x + 0.1, 38, 100) for x in beats]),
    midi_track(
      [(1, x, x + 0.9, 36 + x % 5, 90) for x in beats],
      mido.Message("program_change", channel=1, program=33),
    ),
    midi_track(
      [(2, x, x + 2, 60 + y, 80) for x in beats[::2] for y in (0, 4, 7)],
      mido.Message("program_change", channel=2, program=4),
    ),
  )


def midi(root: pathlib.Path) -> None:
  """Write a folder of MIDI files with a song of each split."""
  for name in ("train/one.mid", "valid/two.midi", "test/three.kar"):
    midi_song(root / name)


def mma(folder: pathlib.Path) -> None:
  """Write a stand-in for the program `mma`, in folder/bin, and its library.

  It adds the text of every song to folder/log, and replays a MIDI file: a song
  of three instruments in 4/4, or one of two for the style `duo`. It refuses the
  style `broken`.
  """
  marks = ("N.C.", "C", "F", "G", "C")
  conductor = midi_track(
    [],
    mido.MetaMessage("key_signature", key="C"),
    *(
      mido.MetaMessage("marker", text=text, time=480 * 2 * max(i - 1, 0))
      for i, text in enumerate(marks)
    ),
  )
  midi_song(folder / "song.mid", conductor=conductor)
  midi_file(
    folder / "duo.mid",
    midi_track([(9, 0, 1, 38, 90)]),
    midi_track([(0, 0, 1, 60, 90)]),
  )
  for name, text in MMA_LIBRARY.items():
    path = folder / "lib" / f"{name}.mma"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
  program = folder / "bin" / "mma"
  program.parent.mkdir()
  program.write_text(
    f"""#!/bin/sh
if [ "$1" = -xPRINT ]; then
  echo "Warning: a plugin is missing"
  echo '$_LIBPATH = {folder}/lib'
  exit
fi
[ "$*" = "-w -xNOCREDIT -f song.mid song.mma" ] || exit 2
cat song.mma >> '{folder}/log'
if grep -q broken song.mma; then
  echo "Error: <Line 3> Groove 'broken'"
  exit 1
fi
if grep -q duo song.mma; then cp '{folder}/duo.mid' song.mid; else
  cp '{folder}/song.mid' song.mid
fi
"""
  )
  program.chmod(0o755)


MMA_LIBRARY = {
  "stdlib/bossanova": "Time 4\n"
  "DefGroove BossaNova  Basic beat.\n  defgroove Bossa1\n"
  "DefGroove BossaNovaIntro\nDefGroove BossaNovaFill\nDefGroove BossaNovaEnd\n",
  "pflib/rock1": "DefGroove rock1A\nDefGroove rock1B\nDefGroove rock1FA\n"
  "DefGroove rock1FB\nDefGroove rock1E\n",
  "stdlib/duo": "Time 4\nDefGroove Duo\n",
  "stdlib/broken": "Time 4\nDefGroove Broken\n",
  "stdlib/march68": "Time 6\nDefGroove March68\n",
  "stdlib/cuban68": "Time 3\n  Timesig 6 8\nDefGroove Cuban68\n",
  "stdlib/slowwaltz": "Time 3/4\nDefGroove SlowWaltz\n",
}
