"""How an engine plays, and changes of its layers."""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple, Self

from stemgen_jax.live.grid import USUAL_BPM, Grid

COVERS = ("loop", "silence")
FUTURES = ("auto", "unknown", "repeat")

_SLACK = 4.0  # beats
_MEMORY = 30.0  # seconds
# Seconds; 64 bars at 120 bpm. Two chunks of all layers are kept in memory.
_LONGEST_CHUNK = 128.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
  """How an engine plays.

  Attributes:
    chunk_bars: bars of a chunk, at least 1.
    slack_beats: beats from the request for a chunk to the bar line where it
      enters, above 0, at most a chunk.
    hold: a chunk repeats until a change replaces it, as for loops; otherwise
      each chunk continues the one before.
    cover: what sounds in place of a late chunk, see `line.Line`.
    memory: seconds of input that are kept for the generator.
    watch: chunks from one check of the tempo to the next; 0 for none.
    follow: adopt a tempo that differs, without being asked.
    lag: samples from the output to the input that was played to it, such as the
      latency of a sound card.
  """

  chunk_bars: int = 2
  slack_beats: float = _SLACK
  hold: bool = False
  cover: str = "loop"
  memory: float = _MEMORY
  watch: int = 4
  follow: bool = False
  lag: int = 0

  @classmethod
  def at_tempo(
    cls,
    bars: int,
    slack: float | None,
    grid: Grid | None,
    beats_per_bar: int,
    *,
    hold: bool = False,
    **others: Any,
  ) -> Self:
    """Return valid options for chunks of `bars` bars.

    Args:
      bars: bars of a chunk.
      slack: `slack_beats`; None for a chunk that is held, else for 4 beats or
        a shorter chunk.
      grid: bar lines; if None, the tempo is not known yet, and 120 bpm are
        assumed.
      beats_per_bar: beats of a bar.
      hold: as the field.
      **others: other fields, but `memory`.

    Raises:
      ValueError: a value is out of range.
    """
    most = float(bars * beats_per_bar)
    if slack is None:
      slack = most if hold else min(_SLACK, most)
    beat = 60 / (grid.bpm if grid else USUAL_BPM)
    seconds = most * beat
    # A held chunk needs the period before it. Each may wait for those of other
    # layers for its slack.
    context = seconds if hold else 2 * seconds
    options = cls(
      chunk_bars=bars,
      slack_beats=slack,
      hold=hold,
      memory=max(_MEMORY, context + slack * beat + 1.0),
      **others,
    )
    options.validate(beats_per_bar)
    if not hold and seconds > _LONGEST_CHUNK:
      raise ValueError(
        f"`bars`={bars}: chunks of {seconds:g} s; expected at most "
        f"{_LONGEST_CHUNK:g} s: fewer bars"
      )
    return options

  def validate(self, beats_per_bar: int) -> None:
    """Raise ValueError, naming the field, if a value is out of range."""
    if self.chunk_bars < 1:
      raise ValueError(f"`bars`={self.chunk_bars}: expected 1 or more")
    most = self.chunk_bars * beats_per_bar
    if not 0 < self.slack_beats <= most:
      raise ValueError(
        f"`slack`={self.slack_beats:g}: expected above 0, at most the "
        f"{most} beats of a chunk"
      )


class Change(NamedTuple):
  """A change of a layer.

  Attributes:
    layer: name of the layer.
    controls: new values of `Controls`, by name.
    mute: True or False to mute or unmute it.
    again: generate the layer again, with the next seed.
  """

  layer: str
  controls: Mapping[str, Any] = {}
  mute: bool | None = None
  again: bool = False
