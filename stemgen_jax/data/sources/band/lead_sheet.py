"""The lead sheet, which all players of a song share."""

import bisect
import dataclasses

from stemgen_jax.data.sources.band.genre import Groove
from stemgen_jax.data.sources.band.harmony import Harmony
from stemgen_jax.data.sources.band.rhythm import Clock


@dataclasses.dataclass(frozen=True)
class Section:
  """Consecutive bars with patterns of their own, named by a letter."""

  letter: str
  start: int  # in steps
  bars: int
  energy: float  # 0..1
  beat: str  # grid of the drums; the bass may follow its kick

  @property
  def touch(self) -> float:
    """Factor of every player's force, 0.75..1."""
    return 0.75 + 0.25 * self.energy


@dataclasses.dataclass(frozen=True)
class Span:
  """A chord from one step to another, the end excluded."""

  start: int
  end: int
  chord: Harmony


@dataclasses.dataclass(frozen=True)
class LeadSheet:
  """Grid, form and chords of a song, in steps."""

  clock: Clock
  groove: Groove
  scale: tuple[int, ...]  # pitch classes of the key
  sections: tuple[Section, ...]
  spans: tuple[Span, ...]

  def end_of(self, section: Section) -> int:
    """Return the first step after a section."""
    return section.start + section.bars * self.clock.meter.bar

  def span_at(self, step: float) -> Span:
    """Return the chord at a step; the last chord has no end."""
    index = bisect.bisect_right(self.spans, step, key=lambda span: span.end)
    return self.spans[min(index, len(self.spans) - 1)]

  def scale_at(self, step: float) -> tuple[int, ...]:
    """Return the key's scale, altered to contain the chord's tones.

    A foreign tone replaces its neighbours a semitone away.
    """
    chord = self.span_at(step).chord
    foreign = set(chord.pitch_classes) - set(self.scale)
    bent = {
      tone
      for tone in self.scale
      if tone in chord.pitch_classes
      or not {(tone + 1) % 12, (tone - 1) % 12} & foreign
    }
    return tuple(sorted(bent | foreign))
