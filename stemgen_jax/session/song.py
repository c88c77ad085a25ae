"""The state of a session: layers and their clips, as values that never change.

Every operation of a session replaces the song by another one, so that undo is
the song before. Nothing here reads or writes files.
"""

import dataclasses
import re
from collections.abc import Collection, Sequence

from stemgen_jax import categories
from stemgen_jax.audio import LONGEST

# A gain outside of this range is a mistake.
QUIETEST_DB, LOUDEST_DB = -60.0, 24.0
# Limits of the format of flac, in which clips are kept, and of samples.
_MOST_RATE, _MOST_CHANNELS = 655_350, 8
_MOST_FILE_GAIN = 120.0
_MOST_TIME = 1 << 62


@dataclasses.dataclass(frozen=True)
class Part:
  """One layer of the context that a take was generated for.

  Attributes:
    clip: number of the clip.
    gain_db: gain of its layer.
    pan: pan of its layer.
  """

  clip: int
  gain_db: float
  pan: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Clip:
  """The audio of a layer: the user's own, or one generated take.

  Attributes:
    number: unique in the session and never used again.
    file: name of the audio file in the folder of the session.
    name: name to show, such as "bass, seed 3" or that of the user's file.
    file_gain_db: gain that restores the level, if the file was lowered so as
      not to clip.
    seed: seed of the take; None for the user's own audio.
    origin: edit and number of the edited take, such as "30 % of take 3 varied";
      "" for others.
    fit: how well the take fits its context, higher is better; None if unknown.
    elapsed: seconds of work.
    context: context of the take.
  """

  number: int
  file: str
  name: str
  file_gain_db: float = 0.0
  seed: int | None = None
  origin: str = ""
  fit: float | None = None
  elapsed: float = 0.0
  context: tuple[Part, ...] = ()

  @property
  def generated(self) -> bool:
    """Whether the clip is a take, which can be varied and regenerated."""
    return self.seed is not None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Layer:
  """One instrument of the song.

  Attributes:
    name: unique in the song, such as "bass" or "bass-2".
    category: instrument category, or the role of takes of weights without
      instruments; "" for audio of no known instrument.
    clips: clips to choose from, oldest first.
    accepted: number of the clip that is part of the song, or None.
    gain_db: gain in dB.
    pan: -1 (left) to 1 (right), by lowering the other side.
    mute: the layer is not in the mix.
    solo: only layers with solo are in the mix.
  """

  name: str
  category: str = ""
  clips: tuple[Clip, ...] = ()
  accepted: int | None = None
  gain_db: float = 0.0
  pan: float = 0.0
  mute: bool = False
  solo: bool = False

  @property
  def clip(self) -> Clip | None:
    """The accepted clip."""
    return next((x for x in self.clips if x.number == self.accepted), None)

  @property
  def unused_seed(self) -> int:
    """A seed that no take of the layer has."""
    return 1 + max((clip.seed or 0 for clip in self.clips), default=-1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Song:
  """Ordered layers in one audio format.

  Attributes:
    samples: length in samples.
    sample_rate: sample rate in Hz.
    channels: number of channels.
    loop: the song is one period of a loop, and so is every take.
    time_reference: samples since midnight at which the user's first file
      begins (BWF), which exported files keep.
    layers: layers, lowest first.
  """

  samples: int
  sample_rate: int
  channels: int
  loop: bool = False
  time_reference: int = 0
  layers: tuple[Layer, ...] = ()

  @property
  def seconds(self) -> float:
    """Duration in seconds."""
    return self.samples / self.sample_rate

  def validate(self, next_clip: int) -> None:
    """Raise ValueError if a value of the song is out of range.

    Args:
      next_clip: more than the number of any clip.
    """
    _check("sample rate", self.sample_rate, 1, _MOST_RATE)
    _check("channels", self.channels, 1, _MOST_CHANNELS)
    _check("samples", self.samples, 1, round(LONGEST * self.sample_rate) + 1)
    _check("time reference", self.time_reference, 0, _MOST_TIME)
    for layer in self.layers:
      _check("gain", layer.gain_db, QUIETEST_DB, LOUDEST_DB)
      _check("pan", layer.pan, -1, 1)
      for clip in layer.clips:
        _check("number", clip.number, 1, next_clip - 1)
        _check("gain", clip.file_gain_db, 0, _MOST_FILE_GAIN)
        for part in clip.context:
          _check("gain", part.gain_db, QUIETEST_DB, LOUDEST_DB)
          _check("pan", part.pan, -1, 1)

  @property
  def audible(self) -> list[Layer]:
    """Layers in the mix: accepted, not muted, and with solo if any has it."""
    there = [x for x in self.layers if x.clip is not None]
    solo = any(layer.solo for layer in there)
    return [x for x in there if not x.mute and (x.solo or not solo)]

  def layer(self, name: str) -> Layer:
    """Return a layer by name; raise ValueError if there is none."""
    for layer in self.layers:
      if layer.name == name:
        return layer
    raise ValueError(f"no layer {name!r}: expected {self._names()}")

  def find(self, clip: int) -> tuple[Layer, Clip]:
    """Return a clip by number, and its layer; ValueError if there is none."""
    for layer in self.layers:
      for one in layer.clips:
        if one.number == clip:
          return layer, one
    raise ValueError(f"no take {clip}: expected {self._numbers()}")

  def parts(self, without: str = "") -> tuple[Part, ...]:
    """Return the context of new takes: the audible layers but one."""
    return tuple(_part(x) for x in self.audible if x.name != without)

  def parts_of(self, names: Collection[str]) -> tuple[Part, ...]:
    """Return the accepted takes of layers, also of those that are muted."""
    there = [x for x in self.layers if x.clip is not None]
    return tuple(_part(x) for x in there if x.name in names)

  @property
  def undecided(self) -> list[str]:
    """Names of the layers without an accepted take."""
    return [layer.name for layer in self.layers if layer.clip is None]

  def is_stale(self, layer: Layer) -> bool:
    """Return whether the context of the accepted take has changed since.

    It has if a layer of it is gone, or has another take, gain or pan. Muting a
    layer to listen, and layers that came later, do not count, nor does a layer
    whose take was generated for this one: each of two would make the other
    stale for ever.
    """
    if layer.clip is None:
      return False
    own = _part(layer)
    return any(
      _part(one) != part and not (one.clip and own in one.clip.context)
      for part in layer.clip.context
      for one in [self._owner(part.clip)]
    )

  def stale_take(self, name: str) -> Clip:
    """Return the accepted take of a layer, if it is stale.

    Raises:
      ValueError: no such layer, or it has no generated take, or no stale one.
    """
    layer = self.layer(name)
    if layer.clip is None or not layer.clip.generated:
      raise ValueError(f"layer {name!r} has no generated take to refresh")
    if not self.is_stale(layer):
      raise ValueError(
        f"{name} is not stale: the layers that take {layer.accepted} was "
        "generated for are the same; add takes of it instead"
      )
    return layer.clip

  def with_layer(self, layer: Layer) -> "Song":
    """Return the song with a layer in place of that of its name, or on top."""
    if any(layer.name == one.name for one in self.layers):
      changed = [layer if x.name == layer.name else x for x in self.layers]
      return dataclasses.replace(self, layers=tuple(changed))
    return dataclasses.replace(self, layers=(*self.layers, layer))

  def without_layer(self, name: str) -> "Song":
    """Return the song without a layer; ValueError if there is none."""
    gone = self.layer(name)
    kept = tuple(layer for layer in self.layers if layer is not gone)
    return dataclasses.replace(self, layers=kept)

  def moved(self, name: str, place: int) -> "Song":
    """Return the song with a layer at another place, 0 for the lowest."""
    layer = self.layer(name)
    if not 0 <= place < len(self.layers):
      raise ValueError(
        f"place {place}: expected 0 to {len(self.layers) - 1}, as the song has "
        f"{len(self.layers)} layers"
      )
    others = [one for one in self.layers if one is not layer]
    others.insert(place, layer)
    return dataclasses.replace(self, layers=tuple(others))

  def adjusted(
    self,
    name: str,
    *,
    gain_db: float | None = None,
    pan: float | None = None,
    mute: bool | None = None,
    solo: bool | None = None,
  ) -> "Song":
    """Return the song with other mixer settings of a layer; None keeps one.

    Raises:
      ValueError: no such layer, a gain or pan out of range, or a pan in a song
        that is not stereo.
    """
    if gain_db is not None and not QUIETEST_DB <= gain_db <= LOUDEST_DB:
      raise ValueError(
        f"gain {gain_db:g} dB: expected {QUIETEST_DB:g} to {LOUDEST_DB:g}"
      )
    if pan is not None and not -1 <= pan <= 1:
      raise ValueError(f"pan {pan:g}: expected -1 (left) to 1 (right)")
    if pan and self.channels != 2:
      raise ValueError(
        f"pan {pan:g}: expected 0, as the song has {self.channels} channels; "
        "start the session from stereo audio"
      )
    new = {"gain_db": gain_db, "pan": pan, "mute": mute, "solo": solo}
    given = {key: value for key, value in new.items() if value is not None}
    return self.with_layer(dataclasses.replace(self.layer(name), **given))

  def accepted(self, clip: int | None, name: str = "") -> "Song":
    """Return the song with another clip of a layer, or with none of `name`."""
    layer = self.layer(name) if clip is None else self.find(clip)[0]
    return self.with_layer(dataclasses.replace(layer, accepted=clip))

  def discarded(self, clip: int) -> "Song":
    """Return the song without a clip; without its layer, if it was the last."""
    layer, gone = self.find(clip)
    left = tuple(one for one in layer.clips if one is not gone)
    if not left:
      return self.without_layer(layer.name)
    accepted = None if layer.accepted == clip else layer.accepted
    return self.with_layer(
      dataclasses.replace(layer, clips=left, accepted=accepted)
    )

  def unused_name(self, wanted: str) -> str:
    """Return a name for a new layer: "bass", "bass-2", ..."""
    # It becomes a file name when the song is exported.
    plain = categories.without_accents(wanted).lower()
    base = re.sub(r"[^a-z0-9_]+", "-", plain).strip("-")[:40] or "layer"
    taken, name, count = {one.name for one in self.layers}, base, 1
    while name in taken:
      count += 1
      name = f"{base}-{count}"
    return name

  def _owner(self, clip: int) -> Layer:
    for layer in self.layers:
      if any(one.number == clip for one in layer.clips):
        return layer
    return Layer(name="")

  def _names(self) -> str:
    return _listed([layer.name for layer in self.layers])

  def _numbers(self) -> str:
    numbers = [one.number for layer in self.layers for one in layer.clips]
    return _listed(list(map(str, sorted(numbers))))


def _part(layer: Layer) -> Part:
  return Part(layer.accepted or 0, layer.gain_db, layer.pan)


def _check(name: str, value: float, least: float, most: float) -> None:
  if not least <= value <= most:  # also for NaN
    raise ValueError(f"{name} {value:g}: expected {least:g} to {most:g}")


def _listed(names: Sequence[str]) -> str:
  return ", ".join(names) or "none yet, as the session has no layers"
