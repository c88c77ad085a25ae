"""Play the chunks of one layer at their bar lines, and cover missing ones."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float32, Int

from stemgen_jax.live.options import COVERS

FADE = 64
"""Samples over which one sound fades into the next."""

_RISE = np.linspace(0, 1, FADE, endpoint=False, dtype=np.float32)[:, None]
_KEPT = 16  # voices of the past, more than a window of the model needs


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Chunk:
  """A generated part of a stem.

  Attributes:
    start: sample of the stream where it enters.
    samples: its sound, and `FADE` further samples to fade out with.
    codes: its codes, int32 [t, q]; None where nothing continues them.
    first_frame: number of the frame of `codes[0]`; frame 0 begins with the
      stream.
    follows: start of the chunk that its first samples continue without a seam.
    kind: instrument or role, and genre, which a chunk that continues it shares.
    seed: its seed, for the display.
    take: the `Take` whose loop it is, if it is one.
  """

  start: int
  samples: Float32[np.ndarray, "n c"]
  codes: Int[np.ndarray, "t q"] | None = None
  first_frame: int = 0
  follows: int | None = None
  kind: tuple[str, str] = ("", "")
  seed: int = 0
  take: Any = None

  def __len__(self) -> int:
    return len(self.samples) - FADE

  @property
  def end(self) -> int:
    """Sample of the stream after its last one."""
    return self.start + len(self)

  def read(self, start: int, stop: int) -> Float32[np.ndarray, "n c"]:
    """Return samples of the stream; after its end it repeats, with fades."""
    if start >= self.start and stop <= self.end:
      return self.samples[start - self.start : stop - self.start]
    lap, within = np.divmod(np.arange(start, stop) - self.start, len(self))
    found = self.samples[within]
    seam = (lap > 0) & (within < FADE)
    rise = _RISE[within[seam]]
    before = self.samples[len(self) + within[seam]]
    found[seam] = rise * found[seam] + (1 - rise) * before
    return found

  def moved(self, start: int) -> "Chunk":
    """Return a loop that enters at another sample, in its phase."""
    samples = np.roll(self.samples[:-FADE], self.start - start, axis=0)
    samples = np.concatenate([samples, samples[:FADE]])
    return dataclasses.replace(self, start=start, samples=samples)


Voice = tuple[int, Chunk | None]
"""A sample of the stream, and what sounds from there on; None is silence."""


class Line:
  """The sound of one layer. All methods are called by one thread.

  Args:
    channels: number of channels.
    cover: what sounds where a chunk is late: "loop", the chunk before it
      again, or "silence".
  """

  def __init__(self, channels: int, cover: str = "loop"):
    if cover not in COVERS:
      raise ValueError(f"cover {cover!r}: expected {' or '.join(COVERS)}")
    self._channels, self._cover = channels, cover
    self._expected: dict[int, Chunk | None] = {}
    self._mutes: dict[int, bool] = {}
    self._fade: tuple[int, Float32[np.ndarray, "n c"]] | None = None
    self.muted = False
    self.voices: tuple[Voice, ...] = ((0, None),)
    """What sounded, the latest last. Replaced, never changed."""

  @property
  def sounding(self) -> Chunk | None:
    """The chunk that sounds now, or would if it were not muted."""
    return self.voices[-1][1]

  @property
  def expected(self) -> Mapping[int, Chunk | None]:
    """Chunks by the samples where they enter; None until they are there."""
    return dict(self._expected)

  @property
  def mutes(self) -> Mapping[int, bool]:
    """Samples where the layer will be muted (True) or unmuted."""
    return dict(self._mutes)

  def expect(self, start: int) -> None:
    """Promise a chunk that starts at a sample."""
    self._expected[start] = None

  def forget(self, start: int) -> None:
    """Expect no chunk from a sample on."""
    kept = {at: x for at, x in self._expected.items() if at < start}
    self._expected = kept

  def deliver(self, chunk: Chunk) -> bool:
    """Take a chunk; return False if it is late, or no longer expected."""
    if chunk.start not in self._expected:
      return False
    self._expected[chunk.start] = chunk
    return True

  def mute(self, at: int, muted: bool) -> None:
    """Mute or unmute the layer from a sample on."""
    self._mutes[at] = muted

  def render(
    self, start: int, stop: int
  ) -> tuple[Float32[np.ndarray, "n c"], list[int], list[int]]:
    """Return the samples `start` to `stop` of the stream.

    Blocks are rendered in order. A chunk that has not been delivered when its
    start is rendered is late, for good.

    Returns:
      The samples, the starts of chunks that entered, and those of late ones.
    """
    sound = np.zeros((stop - start, self._channels), np.float32)
    entered, late, at = [], [], start
    while at < stop:
      if at in self._expected:
        chunk = self._expected.pop(at)
        (late if chunk is None else entered).append(at)
        if chunk is not None:
          self._switch(at, chunk)
      current = self.sounding
      # Silence covers a late chunk only where the one before it has ended.
      ends = at
      if current is not None and self._cover == "silence":
        ends = current.end
        if at >= ends:
          self._switch(at, None)
      if at in self._mutes:
        muted = self._mutes.pop(at)
        if muted != self.muted:
          self._fade = (at, self._fading(at))
          self.muted = muted
      edges = (*self._expected, *self._mutes, ends)
      piece = min([stop, *(x for x in edges if x > at)])
      sound[at - start : piece - start] = self._faded(at, piece)
      at = piece
    return sound, entered, late

  def _switch(self, at: int, chunk: Chunk | None) -> None:
    before = self.sounding
    seamless = (
      chunk is not None
      and before is not None
      and chunk.follows == before.start
      and before.end == at
    )
    if not seamless:
      self._fade = (at, self._fading(at))
    # What nothing continues, such as loops, need not be kept.
    continued = chunk is not None and chunk.codes is not None
    kept = self.voices[-_KEPT if continued else -1 :]
    self.voices = (*kept, (at, chunk))

  def _fading(self, at: int) -> Float32[np.ndarray, "n c"]:
    """Return what would sound next, if nothing changed."""
    current = self.sounding
    if current is None or self.muted:
      return np.zeros((FADE, self._channels), np.float32)
    # At an end these are its further samples, not its repetition.
    if at > current.start and (at - current.start) % len(current) == 0:
      return current.samples[-FADE:]
    return current.read(at, at + FADE)

  def _faded(self, start: int, stop: int) -> Float32[np.ndarray, "n c"]:
    current = self.sounding
    if current is None or self.muted:
      sound = np.zeros((stop - start, self._channels), np.float32)
    else:
      sound = current.read(start, stop)
    if self._fade is None or self._fade[0] + FADE <= start:
      return sound
    at, before = self._fade
    part = slice(start - at, min(stop - at, FADE))
    n, rise = part.stop - part.start, _RISE[part]
    faded = rise * sound[:n] + (1 - rise) * before[part]
    return np.concatenate([faded, sound[n:]])


def codes_at(
  voices: tuple[Voice, ...],
  frames: Int[np.ndarray, " t"],
  samples_per_frame: float,
) -> tuple[Int[np.ndarray, "t q"] | None, Bool[np.ndarray, " t"]]:
  """Return the codes of what sounds at frames of the stream.

  Args:
    voices: see `Line.voices`.
    frames: numbers of the frames.
    samples_per_frame: samples of the stream in a frame.

  Returns:
    The codes, or None if there are none, and a mask of the frames that have
    some.
  """
  middles: Float[np.ndarray, " t"] = (frames + 0.5) * samples_per_frame
  known, found = np.zeros(len(frames), bool), None
  edges = [at for at, _ in voices[1:]] + [np.inf]
  for (at, chunk), end in zip(voices, edges):
    if chunk is None or chunk.codes is None:
      continue
    inside = (middles >= at) & (middles < end)
    # Also where the chunk repeats: the frame that sounds there.
    within = (middles[inside] - chunk.start) % len(chunk)
    place = np.floor((chunk.start + within) / samples_per_frame)
    rows = place.astype(int) - chunk.first_frame
    if found is None:
      found = np.zeros((len(frames), chunk.codes.shape[1]), np.int32)
    found[inside] = chunk.codes[rows.clip(0, len(chunk.codes) - 1)]
    known |= inside
  return found, known
