"""A session: a song that is built layer by layer, kept in one folder."""

import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

from stemgen_jax import categories, disk, sampling
from stemgen_jax.audio import Audio, lowered
from stemgen_jax.generation import inputs
from stemgen_jax.generation.inputs import Context
from stemgen_jax.generation.regions import Region
from stemgen_jax.generation.request import (
  Edit,
  GenerationRequest,
  Progress,
  Regenerate,
  Vary,
)
from stemgen_jax.generation.stemgen import StemGen
from stemgen_jax.generation.take import Take
from stemgen_jax.session import edits, longer, own_audio, store
from stemgen_jax.session import takes as takes_lib
from stemgen_jax.session.song import Clip, Layer, Song
from stemgen_jax.session.state import State
from stemgen_jax.session.takes import OnClip


class Session:
  """A song of layers in a folder, with takes to choose from, undo and redo.

  The layers that are audible are the context of the next take. Every method
  that changes the song writes it to the folder before it returns; a process
  that is killed loses only the take being generated. Methods may be called from
  several threads.
  """

  def __init__(self, state: State):
    """Use `create` or `open`."""
    self._state = state

  @classmethod
  def create(
    cls,
    folder: str | os.PathLike[str],
    context: Context | None = None,
    *,
    name: str = "",
    category: str = "",
    loop: bool = False,
    seconds: float | None = None,
    sample_rate: int = 44_100,
    channels: int = 2,
  ) -> "Session":
    """Start a session in a new or empty folder.

    Args:
      folder: folder of the session.
      context: the first layer, see `StemGen.generate`; it states length and
        format of the song. None starts from nothing.
      name, category: see `add_audio`.
      loop: the song is one period of a loop.
      seconds, sample_rate, channels: length and format without a context.

    Raises:
      FileExistsError: the folder has a session or other files.
      ValueError, OSError: an argument is not as documented, or the context
        cannot be read. No folder is made then.
    """
    folder = disk.check_folder(folder)
    store.check_new(folder)
    if (context is None) == (seconds is None):
      raise ValueError("give a context, or the seconds of a song from none")
    if context is None:
      category = name = ""
      context = inputs.silence(seconds or 0, sample_rate, channels)
    else:
      name = name or own_audio.name_of(context)
    sound = inputs.read_context(context)
    start = own_audio.beginning(folder, sound, name, category, loop)
    return cls(State.of(folder, start))

  @classmethod
  def open(cls, folder: str | os.PathLike[str]) -> "Session":
    """Open a session as it was left.

    Raises:
      FileNotFoundError: the folder has no session.
      ValueError: its files are corrupt or missing.
      BlockingIOError: another process has it open.
    """
    folder = pathlib.Path(folder)
    if not store.exists(folder):
      raise FileNotFoundError(f"{folder}: no session here (no {store.FILE})")
    return cls(State.of(folder, lambda: store.reopen(folder)))

  def close(self) -> None:
    """Let other processes open the session; also at the end of a process."""
    self._state.close()

  @property
  def song(self) -> Song:
    """The present song."""
    return self._state.song

  @property
  def folder(self) -> pathlib.Path:
    """Folder of the session."""
    return self._state.folder

  @property
  def can_undo(self) -> bool:
    """Whether there is an operation to undo."""
    return self._state.can_undo

  @property
  def can_redo(self) -> bool:
    """Whether there is an undone operation to redo."""
    return self._state.can_redo

  def add_audio(
    self, sound: Context, *, name: str = "", category: str = ""
  ) -> Layer:
    """Add the user's own audio as a layer.

    It is converted to the format of the song; with a warning, it is cut to the
    length of the song, or padded with silence.

    Args:
      sound: see `StemGen.generate`.
      name: name of the layer; by default that of the file.
      category: instrument, if it is one.
    """
    category = categories.parse_category(category) if category else ""
    read, name = inputs.read_context(sound), name or own_audio.name_of(sound)
    converted = own_audio.converted(read, self.song, name)
    clip = self._state.write(
      lambda number: self._state.files.write_own(number, converted, name)
    )
    self._state.update(
      lambda song: song.with_layer(own_audio.own_layer(song, clip, category))
    )
    return self.song.find(clip.number)[0]

  def add_take(self, take: Take, origin: str) -> Layer:
    """Add a take that was generated elsewhere as a layer, and accept it.

    Args:
      take: a take in the format and length of the song.
      origin: where it was generated, such as "live".
    """
    return takes_lib.add(self._state, take, origin)

  def generate(
    self,
    model: StemGen,
    stem: str,
    *,
    layer: str = "",
    takes: int = 1,
    seed: int | None = None,
    genre: str = "",
    role: str = "",
    settings: sampling.Settings | None = None,
    progress: Progress = True,
    on_clip: OnClip | None = None,
  ) -> list[Clip]:
    """Generate takes for the mix of the audible layers.

    None of them is part of the song before `accept`. They are in the session
    one by one, as they are finished; undo removes all of them.

    Args:
      model: model and codec.
      stem: instrument category, or a name that musicians use for it; for
        weights without instruments a role, see `categories.kind_field`.
      layer: layer of the takes; by default a new one, named after the stem.
      takes: number of takes.
      seed: seed of the first take; by default one that the layer has not had.
      genre, role, settings, progress: see `StemGen.generate`.
      on_clip: called with each take as soon as it is in the session.

    Returns:
      The takes, those that fit best first.
    """
    conditions = model.config.conditions
    kind = categories.parse_kind(stem, conditions)
    song = self.song
    target = song.layer(layer) if layer else Layer(name="", category=kind)
    if target.category != kind:
      raise ValueError(
        f"layer {layer!r} is for {target.category or 'your own audio'}, not "
        f"{kind}: leave the layer out to add another one"
      )
    if takes < 1:
      raise ValueError(f"takes {takes}: expected 1 or more")
    if seed is None:
      seed = target.unused_seed
    given: dict[str, Any] = {
      "genre": genre,
      "role": role,
      categories.kind_field(conditions): kind,
    }
    request = GenerationRequest(
      seeds=range(seed, seed + takes),
      settings=settings,
      progress=progress,
      **given,
    )
    parts = song.parts(without=target.name)
    return takes_lib.generate(
      self._state, model, request, song, target.name, parts, on_clip
    )

  def vary(
    self,
    model: StemGen,
    clip: int,
    *,
    share: float = 0.5,
    from_level: int = 0,
    seed: int | None = None,
    settings: sampling.Settings | None = None,
    progress: Progress = True,
  ) -> Clip:
    """Sample a share of a take again, as a further take; see `StemGen.vary`."""
    return self._edit(
      model,
      clip,
      lambda take: Vary(take, share, from_level),
      seed=seed,
      settings=settings,
      progress=progress,
    )

  def regenerate(
    self,
    model: StemGen,
    clip: int,
    regions: Sequence[Region],
    *,
    seed: int | None = None,
    settings: sampling.Settings | None = None,
    progress: Progress = True,
  ) -> Clip:
    """Sample regions of a take again; see `StemGen.regenerate`."""
    return self._edit(
      model,
      clip,
      lambda take: Regenerate(take, regions),
      seed=seed,
      settings=settings,
      progress=progress,
    )

  def refresh(
    self, model: StemGen, layer: str, *, progress: Progress = True
  ) -> Clip:
    """Generate the stale take of a layer again, for the layers of its context.

    These are at their present takes, without removed ones. Seed and settings
    stay, but not an edit, with a warning. The former take is an alternate.

    Raises:
      ValueError: the layer has no accepted take, or it is not stale.
    """
    song = self.song
    former = song.stale_take(layer)
    edits.warn_of_loss(former)
    old = self.take(former.number)
    request = GenerationRequest(
      stem=old.stem,
      genre=old.genre,
      role=old.role,
      seeds=[old.seed],
      settings=old.settings,
      progress=progress,
    )
    there = self._state.layers_of([part.clip for part in former.context])
    parts = song.parts_of(there - {layer})
    [clip] = takes_lib.generate(self._state, model, request, song, layer, parts)
    self._state.update(lambda song: song.accepted(clip.number))
    return clip

  def extend(
    self,
    model: StemGen,
    seconds: float,
    *,
    progress: Progress = True,
  ) -> None:
    """Lengthen the song, and continue every accepted take to its new end.

    The user's own audio is padded with silence. Alternates are left out.

    Args:
      model: model and codec.
      seconds: the new length.
      progress: see `StemGen.generate`.

    Raises:
      ValueError: the song is a loop or not shorter.
    """
    longer.extend(self._state, model, seconds, progress)

  def accept(self, clip: int) -> None:
    """Make a clip the one of its layer that is part of the song."""
    self._state.update(lambda song: song.accepted(clip))

  def change(self, function: Callable[[Song], Song]) -> None:
    """Replace the song by the result of a function, see the methods of `Song`.

    As `session.change(lambda song: song.adjusted("bass", gain_db=-3))`.
    """
    self._state.update(function)

  def undo(self) -> None:
    """Return to the song before the last operation; ValueError if none."""
    self._state.undo()

  def redo(self) -> None:
    """Return to the song before the last undo; ValueError if none."""
    self._state.redo()

  def audio(self, clip: int) -> Audio:
    """Return the audio of a clip, without the gain and pan of its layer."""
    return self._state.files.read(self.song.find(clip)[1])

  def take(self, clip: int) -> Take:
    """Return a generated clip as a `Take`.

    Raises:
      ValueError: no such clip, or it is the user's own audio.
    """
    return self._state.files.take(self.song.find(clip)[1])

  def layer_audio(self, layer: str) -> Audio:
    """Return the accepted clip of a layer with its gain and pan.

    Raises:
      ValueError: no such layer, or it has no accepted clip.
    """
    return self._state.layer_audio(layer)

  def mix(self) -> tuple[Audio, float]:
    """Mix the audible layers.

    Returns:
      The mix, and the gain in dB, at most 0, that keeps it from clipping.
    """
    return lowered(self._state.mix(self.song.parts()))

  def context(self, clip: int) -> Audio:
    """Return the context that a take was generated for."""
    return self._state.mix(self.song.find(clip)[1].context)

  def _edit(
    self,
    model: StemGen,
    clip: int,
    edit_of: Callable[[Take], Edit],
    *,
    seed: int | None,
    settings: sampling.Settings | None,
    progress: Progress,
  ) -> Clip:
    request = GenerationRequest(
      seeds=None if seed is None else [seed],
      settings=settings,
      progress=progress,
    )
    return takes_lib.edit(self._state, model, clip, edit_of, request)
