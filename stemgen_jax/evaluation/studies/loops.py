"""Does the model keep time with loops that it has never heard the like of?

Every loop is repeated to some seconds and a stem is played to it. The beats of
the stem are held against those heard in the loop, beside two anchors: the loop
itself, which is as good as the ear that hears it, and the stem that was played
to the next loop, which knows nothing of this one.
"""

import pathlib
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import tqdm

from stemgen_jax import audio
from stemgen_jax.audio import Audio
from stemgen_jax.evaluation import reference_annotations
from stemgen_jax.evaluation.metrics import intervals, rhythm
from stemgen_jax.generation.stemgen import StemGen
from stemgen_jax.sampling import Settings

SYSTEMS = {
  "generated": "played to the loop",
  "other": "played to the next loop",
  "loop": "the loop itself",
}
FIGURES = ("beat_f1", "grid_agreement")


def loops(
  player: StemGen,
  files: Sequence[pathlib.Path],
  out: pathlib.Path,
  *,
  stems: Sequence[str] = ("drums", "bass"),
  seconds: float = 10.0,
  settings: Settings | None = None,
  seed: int = 0,
) -> dict[str, Any]:
  """Plays along with loops.

  Args:
    player: model and codec.
    files: at least two loops.
    out: a folder, made if it is not there, for what is played: 000-LOOP.wav
      and 000-LOOP-STEM.wav, which replace those of the last time.
    stems: that are played to each.
    seconds: that each loop is repeated to; longer ones are cut.
    settings: how to sample.
    seed: loop i is played to with seed + i; also of the intervals.

  Returns:
    A dict for JSON: `loops`; by stem and figure of `FIGURES` each system's
    `mean` with its 95 % interval over the loops, `low` and `high`; `each`, the
    figures of every loop, None where fewer than two beats were heard in it,
    and `beats`, how many were.

  Raises:
    ValueError: there are fewer than two loops, or a file is no sound.
    OSError: a file is not there, or `out` cannot be written.
  """
  if len(files) < 2:
    raise ValueError(
      f"{len(files)} loops: each is compared with another, give two or more"
    )
  sounds = [_repeated(audio.read(path), seconds) for path in files]
  heard = [
    reference_annotations.heard_in(audio.mono(x), x.sample_rate) for x in sounds
  ]
  names = [f"{n:03d}-{path.stem}" for n, path in enumerate(files)]
  out.mkdir(parents=True, exist_ok=True)
  for name, sound in zip(names, sounds):
    audio.write(out / f"{name}.wav", sound, bits=16, overwrite=True)
  takes: dict[str, list[Audio]] = {stem: [] for stem in stems}
  with tqdm.tqdm(
    total=len(stems) * len(sounds),
    desc="playing along",
    unit="stem",
    mininterval=0.5 if sys.stderr.isatty() else 30,
  ) as bar:
    for stem in stems:
      for number, sound in enumerate(sounds):
        take = player.generate(
          sound, stem, seed=seed + number, settings=settings
        )
        takes[stem].append(take.audio)
        path = out / f"{names[number]}-{stem}.wav"
        audio.write(path, take.audio, bits=16, overwrite=True)
        bar.update()
  draws = intervals.draws(np.arange(len(files)), np.random.default_rng(seed))
  each, means = {}, {}
  for stem, played in takes.items():
    systems = {
      "generated": played,
      "other": [*played[1:], played[0]],
      "loop": sounds,
    }
    found = {
      system: [_figures(*pair) for pair in zip(ones, heard)]
      for system, ones in systems.items()
    }
    each[stem] = {
      str(path): {system: found[system][number] for system in systems}
      for number, path in enumerate(files)
    }
    means[stem] = {
      figure: {
        system: intervals.mean(
          np.array([one[figure] for one in ones], float), draws
        )
        for system, ones in found.items()
      }
      for figure in FIGURES
    }
  return {
    "loops": len(files),
    "seconds": seconds,
    "beats": {str(path): len(true.beats) for path, true in zip(files, heard)},
    "stems": means,
    "each": each,
  }


def _repeated(sound: Audio, seconds: float) -> Audio:
  samples = round(seconds * sound.sample_rate)
  times = -(-samples // len(sound.samples))
  return Audio(np.tile(sound.samples, (times, 1))[:samples], sound.sample_rate)


def _figures(
  sound: Audio, true: reference_annotations.Truth
) -> dict[str, float | None]:
  found = rhythm.figures(
    audio.mono(sound), sound.sample_rate, true.beats, true.grid
  )
  # As JSON has no NaN.
  return {name: x if np.isfinite(x) else None for name, x in found.items()}


def table(result: dict[str, Any]) -> str:
  """What `loops` returns, in lines to read."""
  lines = [f"{result['loops']} loops, {result['seconds']:g} s of each"]
  lines.append(f"{'':<24}" + "".join(f"{name:>24}" for name in SYSTEMS))
  for stem, figures in result["stems"].items():
    for name, systems in figures.items():
      cells = (
        intervals.said(x["mean"], x["low"], x["high"]) for x in systems.values()
      )
      lines.append(
        f"{stem + ' ' + name:<24}" + "".join(f"{cell:>24}" for cell in cells)
      )
  deaf = [path for path, beats in result["beats"].items() if beats < 2]
  if deaf:
    lines.append(
      f"fewer than two beats were heard in, and left out: {', '.join(deaf)}"
    )
  return "\n".join(lines)
