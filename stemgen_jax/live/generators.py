"""Choose and make the generator of an engine: `Continuation` or `Loops`."""

from stemgen_jax import sampling
from stemgen_jax.audio import Audio
from stemgen_jax.generation.request import GenerationRequest
from stemgen_jax.generation.stemgen import StemGen
from stemgen_jax.live.continuation import Continuation
from stemgen_jax.live.grid import USUAL_BPM, Grid
from stemgen_jax.live.loops import Loops
from stemgen_jax.live.options import Options
from stemgen_jax.live.request import Controls


def make(
  stemgen: StemGen,
  settings: sampling.Settings,
  options: Options,
  *,
  plain: Controls,
  loop: Audio | None,
  grid: Grid | None,
  beats_per_bar: int,
  sample_rate: int,
  channels: int,
  future: str = "auto",
  bpm: float = USUAL_BPM,
) -> tuple[Continuation | Loops, list[str]]:
  """Return a generator, whose programs are not compiled, and warnings.

  Args:
    stemgen: model and codec.
    settings: settings with the most passes.
    options: how the engine plays.
    plain: controls of one layer.
    loop: the loop that repeats, or None for other music.
    grid: bar lines; None if the tempo is not known yet.
    beats_per_bar: beats of a bar.
    sample_rate: sample rate of the stream in Hz.
    channels: channels of the stream.
    future: see `Continuation`.
    bpm: tempo to compile for, without a grid.

  Raises:
    ValueError: see `Continuation` and `Loops`.
  """
  given = GenerationRequest(
    stem=plain.stem, genre=plain.genre, role=plain.role
  ).conditions
  if loop is not None:
    return Loops(stemgen, settings, loop, given=given), []
  grid = grid or Grid(bpm=bpm, sample_rate=sample_rate)
  generator = Continuation(
    stemgen,
    settings,
    sample_rate=sample_rate,
    channels=channels,
    seconds=grid.beats(options.chunk_bars * beats_per_bar) / sample_rate,
    given=given,
    future=future,
  )
  slack = grid.beats(options.slack_beats) + options.lag
  return generator, generator.notes(slack / sample_rate)
