"""Export the layers of a session as aligned files, and projects around them."""

import dataclasses
import os
import pathlib

import numpy as np

from stemgen_jax import audio as audio_lib
from stemgen_jax import disk
from stemgen_jax.audio import Audio, tempo
from stemgen_jax.session.export import dawproject, reaper
from stemgen_jax.session.export.tracks import Project, Track
from stemgen_jax.session.session import Session
from stemgen_jax.session.song import Layer

_OWN, _GENERATED = "#4c78a8", "#f58518"  # those of the pictures of takes
_DEFAULT_BPM = 120.0
LICENCES = (
  "Generated with stemgen-jax (Apache-2.0); decoded by the `encodec` package "
  "(CC BY-NC 4.0). The licences of the weights are in their model card."
)


def export(
  session: Session,
  folder: str | os.PathLike[str],
  *,
  bpm: float | None = None,
  overwrite: bool = False,
) -> list[pathlib.Path]:
  """Write a wav file of every layer, the mix, and two project files.

  All files have the format and the length of the song. The gain and pan of a
  layer are in its file, so that the files sum to the mix; mix.wav is lowered
  as a whole where it would clip, and the projects by the same gain.

  Args:
    session: the session; layers without an accepted take are left out.
    folder: folder to write to; it is made if necessary.
    bpm: tempo of the grid of the projects; by default as detected, or 120.
    overwrite: replace existing files.

  Returns:
    The files: those of the layers, mix.wav, song.dawproject, song.rpp.

  Raises:
    ValueError: the song has no layer with an accepted take.
    FileExistsError, OSError: as `disk.check_writable`; nothing is written then.
  """
  folder = disk.check_folder(folder)
  song = session.song
  layers = [layer for layer in song.layers if layer.clip is not None]
  if not layers:
    raise ValueError("nothing to export: accept a take first")
  if bpm is not None and not 20 <= bpm <= 400:
    raise ValueError(f"bpm={bpm:g}: expected 20 to 400")
  names = [f"{at:02}-{x.name}.wav" for at, x in enumerate(layers, 1)]
  paths = [folder / name for name in names]
  others = [folder / x for x in ("mix.wav", "song.dawproject", "song.rpp")]
  folder.mkdir(parents=True, exist_ok=True)
  for path in (*paths, *others):
    disk.check_writable(path, overwrite, (path.suffix,))

  sounds = [session.layer_audio(layer.name) for layer in layers]
  mix, gain_db = session.mix()
  bits = _bits(sounds)
  for layer, path, sound in zip(layers, paths, sounds):
    _write(path, sound, bits, _about(session, layer), song.time_reference)
  about = {"title": session.folder.name, "licences": LICENCES}
  _write(others[0], mix, bits, about, song.time_reference)
  audible = {layer.name for layer in song.audible}
  project = Project(
    title=_plain(session.folder.name),
    tracks=tuple(
      Track(
        name=layer.name,
        file=name,
        color=_GENERATED if layer.clip and layer.clip.generated else _OWN,
        muted=layer.name not in audible,
      )
      for layer, name in zip(layers, names)
    ),
    samples=song.samples,
    sample_rate=song.sample_rate,
    channels=song.channels,
    bpm=bpm or _detected_bpm(mix, song.loop),
    mix_gain_db=gain_db,
    comment=_plain("\n".join([*(map(_describe, layers)), LICENCES])),
  )
  dawproject.write(others[1], project, folder)
  reaper.write(others[2], project)
  return [*paths, *others]


def _plain(text: str) -> str:
  """Return text without what XML cannot hold, such as bytes of file names."""
  text = text.encode("utf-8", "replace").decode("utf-8")
  return "".join(x for x in text if x.isprintable() or x == "\n")


def _detected_bpm(mix: Audio, loop: bool) -> float:
  found = tempo.of_loop(mix) if loop else tempo.of(mix)
  return found.bpm if found.confidence >= tempo.CLEAR else _DEFAULT_BPM


def _bits(sounds: list[Audio]) -> audio_lib.Bits:
  # Only floating-point files hold samples beyond full scale.
  loudest = max(float(np.abs(x.samples).max(initial=0)) for x in sounds)
  return 24 if loudest <= 1 else "float"


def _write(
  path: pathlib.Path,
  sound: Audio,
  bits: audio_lib.Bits,
  about: dict,
  time_reference: int,
) -> None:
  placed = dataclasses.replace(sound, time_reference=time_reference)
  audio_lib.write(
    path, placed, bits=bits, metadata=about, overwrite=True, timeline=True
  )


def _about(session: Session, layer: Layer) -> dict:
  """Return the metadata of a layer's file; of a take, all to repeat it."""
  about = {"title": layer.name, "licences": LICENCES}
  if layer.clip is not None and layer.clip.generated:
    return session.take(layer.clip.number).metadata | about
  return about


def _describe(layer: Layer) -> str:
  clip = layer.clip
  if clip is None or not clip.generated:
    return f"{layer.name}: own audio"
  origin = f", {clip.origin}" if clip.origin else ""
  return f"{layer.name}: {clip.name}{origin}"
