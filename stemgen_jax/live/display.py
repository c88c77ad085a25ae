"""The state of an engine, for display."""

from typing import Any

from stemgen_jax.live.engine import Engine
from stemgen_jax.live.grid import Grid
from stemgen_jax.live.layer import Layer


def state(engine: Engine) -> dict[str, Any]:
  """Return the state of an engine, fit for JSON.

  Returns:
    `bar` and `beat`, from 1, or None before the tempo is known; `bpm`;
    `layers`, each with its name, controls, whether it is muted, and see
    `layer_state`; and the figures: `passes` of the latest chunk, `p50`, `p95`,
    `p99` and `slack` in seconds, `late` chunks and the `hit_rate`.
  """
  grid, figures = engine.grid, engine.figures
  bar = beat = bpm = slack = None
  if grid is not None:
    number = grid.bar_at(engine.position)
    bar, bpm = number + 1, grid.bpm
    beat = grid.beat_in_bar(engine.position)
    slack = engine.slack / engine.sample_rate
  return {
    "bar": bar,
    "beat": beat,
    "bpm": bpm,
    "layers": [
      {
        "name": layer.name,
        "stem": layer.controls.stem,
        "genre": layer.controls.genre,
        "seed": layer.controls.seed,
        "guidance": layer.controls.guidance,
        "muted": layer.line.muted,
        **layer_state(layer, grid),
      }
      for layer in engine.layers.values()
    ],
    "passes": figures.passes[-1] if figures.passes else 0,
    "p50": figures.quantile(0.5),
    "p95": figures.quantile(0.95),
    "p99": figures.quantile(0.99),
    "slack": slack,
    "late": figures.late,
    "hit_rate": figures.hit_rate,
  }


def layer_state(layer: Layer, grid: Grid | None) -> dict[str, Any]:
  """Return what sounds in a layer, and what will, with bars from 1.

  Returns:
    `sounds`, the bar where it entered, instrument and seed, or None; `coming`,
    the same of chunks that were requested, with whether each is `ready`;
    `next`, the bar of the next request, or None; and `mutes`, bars with whether
    the layer will be `muted` there.
  """
  if grid is None:
    return {"sounds": None, "coming": [], "next": None, "mutes": []}
  requests = {x.start: x for x in layer.pending if not x.cancelled}
  coming = []
  for start, chunk in sorted(layer.line.expected.items()):
    controls = requests[start].controls if start in requests else None
    stem, seed = (controls.kind[0], controls.seed) if controls else ("", None)
    if chunk is not None:
      stem, seed = chunk.kind[0], chunk.seed
    coming.append(
      {
        "bar": grid.bar_at(start) + 1,
        "stem": stem,
        "seed": seed,
        "ready": chunk is not None,
      }
    )
  at, chunk = layer.line.voices[-1]
  sounds = chunk and {
    "bar": grid.bar_at(at) + 1,
    "stem": chunk.kind[0],
    "seed": chunk.seed,
  }
  mutes = [
    {"bar": grid.bar_at(at) + 1, "muted": muted}
    for at, muted in sorted(layer.line.mutes.items())
  ]
  following = None if layer.next_bar is None else layer.next_bar + 1
  return {
    "sounds": sounds,
    "coming": coming,
    "next": following,
    "mutes": mutes,
  }


def line(engine: Engine) -> str:
  """Return the state as one line."""
  found = state(engine)
  if found["bar"] is None:
    return "listening for the tempo"
  layers = [
    f"{layer['name']} seed {layer['seed']}" + " muted" * layer["muted"]
    for layer in found["layers"]
  ]
  return (
    f"bar {found['bar']}.{found['beat']} | {' | '.join(layers)} | "
    f"{found['passes']} passes | p95 {found['p95']:.2f} of "
    f"{found['slack']:.2f} s | {found['late']} late"
  )
