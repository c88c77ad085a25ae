"""The lead sheet: what all players of a song read."""

import bisect
import dataclasses

from stemgen_jax.data.sources.band.genre import Groove
from stemgen_jax.data.sources.band.harmony import Harmony
from stemgen_jax.data.sources.band.rhythm import Clock


@dataclasses.dataclass(frozen=True)
class Section:
  """A run of bars with its own patterns, called by a letter."""

  letter: str
  start: int  # in steps
  bars: int
  energy: float  # 0..1
  beat: str  # the drummer's grid; the bass hears its kick

  @property
  def touch(self) -> float:
    """Factor of every player's force."""
    return 0.75 + 0.25 * self.energy


@dataclasses.dataclass(frozen=True)
class Span:
  """A chord from one step to another."""

  start: int
  end: int
  chord: Harmony


@dataclasses.dataclass(frozen=True)
class Sheet:
  """Grid, form and chords of a song, in steps."""

  clock: Clock
  groove: Groove
  scale: tuple[int, ...]  # pitch classes of the key
  sections: tuple[Section, ...]
  spans: tuple[Span, ...]

  def end_of(self, section: Section) -> int:
    """First step after a section."""
    return section.start + section.bars * self.clock.meter.bar

  def span_at(self, step: float) -> Span:
    """The chord that sounds at a step; the last one goes on for ever."""
    index = bisect.bisect_right(self.spans, step, key=lambda span: span.end)
    return self.spans[min(index, len(self.spans) - 1)]

  def scale_at(self, step: float) -> tuple[int, ...]:
    """The key's scale, bent to hold the chord's foreign tones."""
    chord = self.span_at(step).chord
    foreign = set(chord.pitch_classes) - set(self.scale)
    bent = {
      tone
      for tone in self.scale
      if tone in chord.pitch_classes
      or not {(tone + 1) % 12, (tone - 1) % 12} & foreign
    }
    return tuple(sorted(bent | foreign))
