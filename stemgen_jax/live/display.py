"""The state of an engine, for people and for pages."""

from typing import Any

from stemgen_jax.live.engine import Engine


def state(engine: Engine) -> dict[str, Any]:
  """Return the state of an engine, fit for JSON.

  Returns:
    `bar` and `beat`, from 1, or None before the tempo is known; `bpm`;
    `layers`, each with its name, controls and whether it is muted; and the
    figures: `passes` of the latest chunk, `p95` and `slack` in seconds, `late`
    chunks and the `hit_rate`.
  """
  grid, figures = engine.grid, engine.figures
  bar = beat = bpm = slack = None
  if grid is not None:
    number = grid.bar_at(engine.position)
    bar, bpm = number + 1, grid.bpm
    beat = 1 + (engine.position - grid.bar(number)) // grid.beats(1)
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
      }
      for layer in engine.layers.values()
    ],
    "passes": figures.passes[-1] if figures.passes else 0,
    "p95": figures.quantile(0.95),
    "slack": slack,
    "late": figures.late,
    "hit_rate": figures.hit_rate,
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
