"""DAWproject 1.0: a zip of project.xml, metadata.xml and audio files.

Elements and their order follow Project.xsd and MetaData.xsd of the format's
description (github.com/bitwig/dawproject). Only arrangement clips in seconds
are used: some programs drop launcher clips.
"""

import pathlib
import zipfile
from xml.etree import ElementTree as xml

from stemgen_jax import disk
from stemgen_jax.session.export.tracks import Project
from stemgen_jax.version import __version__

# All audio is in one folder: some programs do not resolve deeper paths.
AUDIO = "audio"


def write(path: pathlib.Path, project: Project, folder: pathlib.Path) -> None:
  """Write a .dawproject file.

  Args:
    path: file to write or replace.
    project: the song.
    folder: folder of the wav files of its tracks.
  """
  with (
    disk.replacing(path) as file,
    # Samples hardly compress, and programs read stored ones in place.
    zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive,
  ):
    archive.writestr("project.xml", _document(project_xml(project)))
    archive.writestr("metadata.xml", _document(metadata_xml(project)))
    for track in project.tracks:
      archive.write(folder / track.file, f"{AUDIO}/{track.file}")


def project_xml(project: Project) -> xml.Element:
  """Return the tracks, their mixer channels, and one clip on each."""
  root = xml.Element("Project", version="1.0")
  _add(root, "Application", name="stemgen-jax", version=__version__)
  transport = _add(root, "Transport")
  _add(transport, "Tempo", id="tempo", unit="bpm", value=f"{project.bpm:.3f}")
  _add(transport, "TimeSignature", id="meter", numerator="4", denominator="4")

  structure = _add(root, "Structure")
  lanes = _add(_add(root, "Arrangement", id="arrangement"), "Lanes")
  lanes.attrib.update(id="lanes", timeUnit="seconds")
  for number, track in enumerate(project.tracks):
    row = _add(structure, "Track", id=f"track-{number}", name=track.name)
    row.attrib.update(contentType="audio", loaded="true", color=track.color)
    _channel(row, f"channel-{number}", "regular", 1.0, track.muted, project)
    # Clips of a track are in a lane of their own.
    lane = _add(lanes, "Lanes", id=f"lane-{number}", track=f"track-{number}")
    clips = _add(lane, "Clips", id=f"clips-{number}")
    _clip(clips, number, project)
  master = _add(structure, "Track", id="master", name="Master")
  master.attrib.update(contentType="audio", loaded="true")
  _channel(master, "channel-master", "master", project.mix_gain, False, project)
  return root


def metadata_xml(project: Project) -> xml.Element:
  """Return title and comment."""
  root = xml.Element("MetaData")
  _add(root, "Title").text = project.title
  _add(root, "Comment").text = project.comment
  return root


def _channel(
  row: xml.Element,
  name: str,
  role: str,
  volume: float,
  muted: bool,
  project: Project,
) -> None:
  channel = _add(row, "Channel", id=name, role=role)
  channel.attrib.update(solo="false", audioChannels=str(project.channels))
  if role != "master":
    channel.set("destination", "channel-master")
  mute = str(muted).lower()
  _add(channel, "Mute", id=f"{name}-mute", name="Mute", value=mute)
  pan = _add(channel, "Pan", id=f"{name}-pan", name="Pan", unit="normalized")
  pan.attrib.update(min="0.0", max="1.0", value="0.5")
  level = _add(channel, "Volume", id=f"{name}-volume", name="Volume")
  level.attrib.update(
    unit="linear", min="0.0", max="2.0", value=f"{volume:.6f}"
  )


def _clip(clips: xml.Element, number: int, project: Project) -> None:
  track, seconds = project.tracks[number], f"{project.seconds:.9f}"
  clip = _add(clips, "Clip", name=track.name, time="0.0", duration=seconds)
  clip.attrib.update(
    contentTimeUnit="seconds", playStart="0.0", playStop=seconds
  )
  audio = _add(clip, "Audio", id=f"audio-{number}", duration=seconds)
  audio.attrib.update(
    channels=str(project.channels), sampleRate=str(project.sample_rate)
  )
  _add(audio, "File", path=f"{AUDIO}/{track.file}", external="false")


def _add(parent: xml.Element, tag: str, **attributes: str) -> xml.Element:
  return xml.SubElement(parent, tag, attributes)


def _document(root: xml.Element) -> bytes:
  xml.indent(root)
  return xml.tostring(root, "utf-8", xml_declaration=True)
