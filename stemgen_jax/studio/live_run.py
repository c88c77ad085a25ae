"""A live run: blocks of a client through an engine, and what is kept of it."""

import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float32

from stemgen_jax import audio, categories
from stemgen_jax.audio import Audio
from stemgen_jax.generation.request import GenerationRequest
from stemgen_jax.generation.stemgen import StemGen
from stemgen_jax.live import display, generators
from stemgen_jax.live.clock import ThreadWorker, WallClock
from stemgen_jax.live.engine import Engine
from stemgen_jax.live.options import Change
from stemgen_jax.live.sound_card import clicks
from stemgen_jax.session import Session
from stemgen_jax.studio.errors import ConflictError, RequestError
from stemgen_jax.studio.live_bodies import LiveChange
from stemgen_jax.studio.live_plan import Plan
from stemgen_jax.studio.open_song import titled
from stemgen_jax.studio.recording import Recording

_INPUT = "input"

Block = Float32[np.ndarray, "n c"]


class LiveRun:
  """An engine that a client moves on, block by block.

  The samples of the stream are counted from the end of the count-in, which has
  negative ones.

  Args:
    plan: what it plays.
    model: model and codec.
    weights: name of the weights, for errors.
    folder: see `Recording`.

  Attributes:
    plan: what it plays.
    engine: the engine.
    next: first sample of the next block.
    notes: warnings for the musician.
  """

  def __init__(
    self, plan: Plan, model: StemGen, weights: str, folder: pathlib.Path
  ):
    self._conditions, self._weights = model.config.conditions, weights
    plan.check_conditions(self._conditions, weights)
    trained = model.metadata.get("categories", categories.CATEGORIES)
    stems = dict.fromkeys(layer.stem for layer in plan.layers.values())
    notes = [categories.untrained(stem, trained) for stem in stems]
    self.notes = [note for note in notes if note]
    plain = next(iter(plan.layers.values()))
    generator, notes = generators.make(
      model,
      plan.settings,
      plan.options,
      plain=plain,
      loop=plan.sound if plan.loop else None,
      grid=plan.grid,
      beats_per_bar=plan.beats_per_bar,
      sample_rate=plan.sample_rate,
      channels=plan.channels,
      future=plan.future,
    )
    self.notes += notes
    rehearsed = generator.rehearse(plain)
    self.plan, self._dtype = plan, generator.dtype
    self._recording = Recording(
      folder, [_INPUT, *plan.layers], plan.sample_rate, plan.channels
    )
    clock = WallClock()
    self._worker = ThreadWorker(clock)
    self.engine = Engine(
      generator,
      plan.layers,
      clock=clock,
      worker=self._worker,
      sample_rate=plan.sample_rate,
      channels=plan.channels,
      grid=plan.grid,
      beats_per_bar=plan.beats_per_bar,
      options=plan.options,
      enter=plan.enter,
    )
    self.engine.warm(0, rehearsed.sampling, rehearsed.other)
    self._count_in = np.zeros((0, plan.channels), np.float32)
    if plan.grid is not None:
      self._count_in = clicks(plan.grid, plan.count_in, plan.channels)
    self.next = -len(self._count_in)
    self._shown: Any = None

  @property
  def ended(self) -> bool:
    """Whether the song is over."""
    sound, loop = self.plan.sound, self.plan.loop
    return sound is not None and not loop and self.next >= len(sound.samples)

  def exchange(self, start: int, count: int, block: Block | None) -> Block:
    """Return the next samples of the output.

    Args:
      start: their first sample, `next`.
      count: their number; there are fewer at the end of a song.
      block: the input, if it is the client's.

    Raises:
      RequestError: `start` is not the next sample.
      Exception: the last of three errors of the generator in a row.
    """
    if start != self.next:
      raise RequestError(f"sample {start}: expected {self.next}, the next one")
    clicked = self._count_in[len(self._count_in) + min(start, 0) :][:count]
    out = [clicked]
    if count > len(clicked):
      out.append(
        self._process(
          count - len(clicked), None if block is None else block[len(clicked) :]
        )
      )
    made = np.concatenate(out)
    self.next += len(made)
    if self.engine.failing:
      raise self.engine.failures[-1]
    return made

  def change(self, change: LiveChange) -> None:
    """Change a layer; ValueError if it cannot be as asked."""
    given = change.controls
    for name, parse in (
      ("stem", categories.parse_stem),
      ("genre", categories.parse_genre),
    ):
      if given.get(name):
        given[name] = parse(given[name])
    stem, genre = given.get("stem") or "", given.get("genre") or ""
    request = GenerationRequest(stem=stem, genre=genre)
    request.for_weights(self._conditions, self._weights)
    self.engine.change(Change(change.layer, given, change.mute, change.again))

  def started(self) -> dict[str, Any]:
    """Return the answer to the first message, fit for JSON."""
    plan, grid = self.plan, self.engine.grid
    return {
      "kind": "started",
      "next": self.next,
      "sample_rate": plan.sample_rate,
      "channels": plan.channels,
      "loop": plan.loop,
      "bars": plan.options.chunk_bars,
      "beats_per_bar": plan.beats_per_bar,
      "beat_samples": grid.beats(1) if grid else None,
      "notes": self.notes,
      "state": self.state(),
    }

  def news(self) -> dict[str, Any] | None:
    """Return the state if it has changed since the last call."""
    engine = self.engine
    lines = [layer.line for layer in engine.layers.values()]
    seen = (
      self._beat(),
      len(engine.figures.seconds),
      engine.figures.late,
      [(line.voices[-1][0], line.muted, line.mutes) for line in lines],
      [{at: bool(x) for at, x in line.expected.items()} for line in lines],
    )
    if seen == self._shown and not engine.events:
      return None
    self._shown = seen
    events = [engine.events.popleft() for _ in range(len(engine.events))]
    return {"kind": "state", **self.state(), "events": events}

  def state(self) -> dict[str, Any]:
    """Return the state at sample `next`, fit for JSON."""
    engine = self.engine
    found = display.state(engine) | {
      "sample": self.next,
      "dtype": self._dtype,
      "recorded": round(self._recording.samples / engine.sample_rate, 3),
      "recording": not self._recording.full,
    }
    bar, found["beat"] = self._beat()
    found["bar"] = None if bar is None else bar + 1
    found["counting"] = self.next < 0
    return found

  def stop(self) -> None:
    """End the work; what was played can still be kept."""
    for layer in self.engine.layers.values():
      for request in layer.pending:
        request.cancelled = True  # the model is for others from here on
    self._worker.close()

  def close(self) -> None:
    """Forget what was played."""
    self._recording.close()

  def keep_layers(self, session: Session) -> list[str]:
    """Add the layers to the session of the song; return their names.

    Of a loop they are the takes that sound at present, or did at the end.
    """
    kept = []
    for name, layer in self.engine.layers.items():
      chunk = layer.line.sounding
      if chunk is not None and chunk.take is not None:
        session.add_take(chunk.take, "live")
        kept.append(name)
      elif not self.plan.loop and self._has_sounded(name):
        sound, title = self._recording.read(name), f"{titled(name)}, live"
        session.add_audio(sound, name=title, category=layer.controls.stem)
        kept.append(name)
    if not kept:
      raise ConflictError("no layer has entered yet: try again later")
    return kept

  def performance(self) -> Callable[[pathlib.Path], Session]:
    """Return a function that makes a session of all that sounded."""
    lag = self.plan.options.lag
    if self._recording.samples <= lag:
      raise ConflictError("nothing was played yet")
    seconds = (self._recording.samples - lag) / self.plan.sample_rate
    audio.check_seconds(seconds, "the performance")

    def create(folder: pathlib.Path) -> Session:
      first = self._recording.read(_INPUT, lag)
      name = "Loop" if self.plan.loop else "Input"
      session = Session.create(folder, first, name=name)
      try:
        for name, layer in self.engine.layers.items():
          if self._has_sounded(name):
            sound = self._recording.read(name)
            samples = sound.samples[: len(first.samples)]
            session.add_audio(
              Audio(samples, sound.sample_rate),
              name=f"{titled(name)}, live",
              category=layer.controls.stem,
            )
      except BaseException:
        session.close()
        raise
      return session

    return create

  def _has_sounded(self, name: str) -> bool:
    voices = self.engine.layers[name].line.voices
    return any(chunk is not None for _, chunk in voices)

  def _beat(self) -> tuple[int | None, int | None]:
    """Return the bar, None in the count-in, and the beat from 1."""
    grid = self.engine.grid
    if grid is None:
      return None, None
    if self.next >= 0:
      return grid.bar_at(self.next), grid.beat_in_bar(self.next)
    beats = (self.next + len(self._count_in)) // grid.beats(1)
    return None, 1 + beats % grid.beats_per_bar

  def _process(self, count: int, block: Block | None) -> Block:
    sound, start = self.plan.sound, self.engine.position
    if sound is not None:
      places = np.arange(start, start + count)
      if self.plan.loop:
        block = sound.samples[places % len(sound.samples)]
      else:
        block = sound.samples[start : start + count]
    assert block is not None
    out = self.engine.process(block)
    layers = self.engine.layers.items()
    self._recording.write(
      {_INPUT: block, **{name: layer.sound for name, layer in layers}}
    )
    return out if sound is None else block + out
