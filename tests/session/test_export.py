"""Tests of exported sessions: wav files, DAWproject, REAPER."""

import re
import zipfile
from xml.etree import ElementTree as xml

import numpy as np
import pytest
from pcm import RATE
from pcm_model import FAST, music

from stemgen_jax import audio
from stemgen_jax.audio import Audio
from stemgen_jax.session import Session
from stemgen_jax.session.export import export, reaper

# Of the format's Project.xsd: the children in their order, and the attributes;
# those with "!" are required. Elements that are not used here are left out.
_NAMED = ("id", "name", "color", "comment")
_TIMELINE = (*_NAMED, "timeUnit", "track")
_DAWPROJECT = {
  "Project": (
    ("Application", "Transport", "Structure", "Arrangement", "Scenes"),
    ("version!",),
  ),
  "Application": ((), ("name!", "version!")),
  "Transport": (("Tempo", "TimeSignature"), ()),
  "Tempo": ((), (*_NAMED, "unit!", "value", "min", "max")),
  "TimeSignature": ((), (*_NAMED, "numerator!", "denominator!")),
  "Structure": (("Track",), ()),
  "Track": (("Channel", "Track"), (*_NAMED, "contentType", "loaded")),
  "Channel": (
    ("Devices", "Mute", "Pan", "Sends", "Volume"),
    (*_NAMED, "audioChannels", "destination", "role", "solo"),
  ),
  "Mute": ((), (*_NAMED, "value")),
  "Pan": ((), (*_NAMED, "unit!", "value", "min", "max")),
  "Volume": ((), (*_NAMED, "unit!", "value", "min", "max")),
  "Arrangement": (("Lanes", "Markers"), _NAMED),
  "Lanes": (("Lanes", "Clips"), _TIMELINE),
  "Clips": (("Clip",), _TIMELINE),
  "Clip": (
    ("Audio",),
    (
      *("name", "color", "comment", "time!", "duration", "contentTimeUnit"),
      *("playStart", "playStop"),
    ),
  ),
  "Audio": (
    ("File",),
    (*_TIMELINE, "channels!", "sampleRate!", "duration!", "algorithm"),
  ),
  "File": ((), ("path!", "external")),
}
_VALUES = {
  "role": {"regular", "master"},
  "contentType": {"audio"},
  "timeUnit": {"seconds", "beats"},
  "contentTimeUnit": {"seconds", "beats"},
  "unit": {"linear", "normalized", "bpm"},
}


def check_element(element):
  children, attributes = _DAWPROJECT[element.tag]
  places = [children.index(child.tag) for child in element]
  assert places == sorted(places), element.tag
  names = {name.rstrip("!") for name in attributes}
  assert names >= element.attrib.keys(), element.tag
  required = {name[:-1] for name in attributes if name.endswith("!")}
  assert required <= element.attrib.keys(), element.tag
  for name, values in _VALUES.items():
    assert element.get(name, min(values)) in values
  for child in element:
    check_element(child)


@pytest.fixture
def session(tmp_path, sampler):
  """A stereo song: chords, a kept bass, a muted piano, a pad without a take."""
  session = Session.create(
    tmp_path / 'My "song"', music(channels=2), name="chords"
  )
  for stem in ("bass", "piano", "pad"):
    clips = session.generate(sampler, stem, seed=7, settings=FAST)
    if stem != "pad":
      session.accept(clips[0].number)
  session.change(lambda song: song.adjusted("bass", gain_db=-4, pan=0.5))
  session.change(lambda song: song.adjusted("piano", mute=True))
  return session


def test_files_sum_to_the_mix(session, tmp_path):
  paths = export(session, tmp_path / "out")
  names = [path.name for path in paths]
  assert names == [
    *("01-chords.wav", "02-bass.wav", "03-piano.wav"),
    *("mix.wav", "song.dawproject", "song.rpp"),
  ]
  chords, bass, piano, mix = map(audio.read, paths[:4])
  assert mix.sample_rate == RATE
  assert all(b"bext" in path.read_bytes()[:64] for path in paths[:4])
  assert mix.samples.shape == piano.samples.shape == (RATE // 2, 2)
  rest = Audio(chords.samples + bass.samples - mix.samples, RATE)
  assert audio.rms_db(rest.samples) < -120
  about = audio.read_metadata(paths[1])
  assert (about["stem"], about["seed"]) == ("bass", 7)
  assert "encodec" in about["licences"]
  with pytest.raises(FileExistsError, match="--overwrite"):
    export(session, tmp_path / "out")
  export(session, tmp_path / "out", overwrite=True)


def test_dawproject_is_as_its_format_describes(session, tmp_path):
  *_, path, _ = export(session, tmp_path / "out", bpm=97)
  with zipfile.ZipFile(path) as archive:
    root = xml.fromstring(archive.read("project.xml"))
    about = xml.fromstring(archive.read("metadata.xml"))
    stored = archive.namelist()
    assert archive.testzip() is None
    for name in stored[2:]:
      alone = tmp_path / "out" / name.removeprefix("audio/")
      assert archive.read(name) == alone.read_bytes()
  check_element(root)
  ids = [one.get("id") for one in root.iter() if one.get("id")]
  assert len(ids) == len(set(ids))
  for one in root.iter():
    for reference in ("track", "destination"):
      assert one.get(reference, ids[0]) in ids
  assert [one.get("path") for one in root.iter("File")] == stored[2:]
  assert [x.get("value") for x in root.iter("Tempo")] == ["97.000"]
  mutes = [one.get("value") for one in root.iter("Mute")]
  assert mutes == ["false", "false", "true", "false"]
  for clip in root.iter("Clip"):
    assert clip.get("duration") == "0.500000000"
  comment = about.findtext("Comment", "")
  assert "bass: bass, seed 7" in comment
  assert "CC BY-NC" in comment
  assert about.findtext("Title") == 'My "song"'


def test_reaper_project_has_balanced_blocks_and_its_files(session, tmp_path):
  paths = export(session, tmp_path / "out")
  text = paths[-1].read_text()
  assert text.startswith("<REAPER_PROJECT")
  depth = 0
  for line in map(str.strip, text.splitlines()):
    depth += line.startswith("<") - (line == ">")
    assert depth > 0 or line == ">"
  assert depth == 0
  files = re.findall(r'FILE "(.*)"', text)
  assert files == [path.name for path in paths[:3]]
  assert re.findall(r"MUTESOLO (\d)", text) == ["0", "0", "1"]
  assert re.findall(r"LENGTH (.*)", text) == ["0.500000000000"] * 3


def test_mix_that_would_clip_lowers_the_projects_alike(tmp_path):
  loud = Audio(np.full((RATE // 2, 1), 0.9, np.float32), RATE)
  session = Session.create(tmp_path / "song", loud)
  session.add_audio(loud)
  paths = export(session, tmp_path / "out")
  mix = audio.read(paths[2]).samples
  assert mix.max() == pytest.approx(audio.CEILING, abs=1e-4)
  [volume] = re.findall(r"MASTER_VOLUME (\S+)", paths[-1].read_text())
  assert float(volume) * 1.8 == pytest.approx(audio.CEILING, abs=1e-4)
  # Beyond full scale only floating-point files keep the level.
  session.change(lambda song: song.adjusted("audio", gain_db=6))
  first = export(session, tmp_path / "louder")[0]
  assert audio.read(first).samples.max() == pytest.approx(0.9 * 10**0.3)


def test_names_with_any_quotes_stay_one_word():
  for name in ("plain", 'a"b', "a\"b'c", "a\"b'c`d", "a\nb"):
    quoted = reaper._quoted(name)
    assert quoted[0] == quoted[-1]
    assert quoted[0] not in quoted[1:-1]
    assert "\n" not in quoted


def test_nothing_to_export(tmp_path, sampler):
  session = Session.create(
    tmp_path / "song", seconds=0.5, sample_rate=RATE, channels=1
  )
  session.generate(sampler, "bass", settings=FAST)
  with pytest.raises(ValueError, match="accept a take first"):
    export(session, tmp_path / "out")
  assert not (tmp_path / "out").exists()
