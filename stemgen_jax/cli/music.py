"""Report tempo and key of a context, and compare them with the training's."""

import sys
from typing import Any

from stemgen_jax import audio, progress
from stemgen_jax.audio import Audio, key, tempo

_ANALYZED = 30.0  # seconds from the beginning, which take 0.3 s (measured)
_SAME_TEMPO = 0.04  # relative error of the detection
_WHOLE = 0.15  # beats by which a loop may miss whole ones
_BAR = 4  # beats
# Modes of the band with a minor third.
_MINOR = ("minor", "dorian", "phrygian")


def report(sound: Audio, metadata: dict[str, Any], *, loop: bool) -> None:
  """Print tempo and key of a context, and warnings about them.

  Args:
    sound: the context.
    metadata: metadata of the weights, which may state their training set.
    loop: the context is one period of a loop.
  """
  part = _beginning(sound)
  found, found_key = tempo.of(part), key.of(part)
  progress.write(
    f"context: tempo {_tempo(found)}, key {_key(found_key)}, as detected"
  )
  for warning in outside(found, found_key, metadata):
    progress.write(f"warning: {warning}", file=sys.stderr)
  if loop and found.confidence >= tempo.CLEAR:
    progress.write(bars(sound.seconds, found.bpm))


def bpm_of(sound: Audio, name: str) -> float:
  """Return the tempo of a sound for its bars, and print it.

  Raises:
    ValueError: the tempo is unclear.
  """
  found = tempo.of(_beginning(sound))
  if found.confidence < tempo.CLEAR:
    raise ValueError(
      f"{name}: its tempo is unclear; expected --bpm, such as --bpm=120"
    )
  progress.write(
    f"{name}: tempo {_tempo(found)}, as detected; --bpm sets another"
  )
  return found.bpm


def outside(
  found: tempo.Tempo, found_key: key.Key, metadata: dict[str, Any]
) -> list[str]:
  """Return warnings about a clear tempo or key that the training had not."""
  style = _style(metadata)
  warnings = []
  match style.get("tempo"):
    case [int() | float() as slowest, int() | float() as fastest] if (
      found.confidence >= tempo.CLEAR
    ):
      # Half or twice the detected tempo may be meant.
      if not any(
        slowest * (1 - _SAME_TEMPO) <= bpm <= fastest * (1 + _SAME_TEMPO)
        for bpm in (found.bpm / 2, found.bpm, 2 * found.bpm)
      ):
        warnings.append(
          f"these weights were not trained on {found.bpm:.0f} bpm: expect poor "
          f"results; they were trained on {slowest:g} to {fastest:g} bpm"
        )
  keys, modes = style.get("keys"), style.get("modes")
  if (
    found_key.confidence >= key.CLEAR
    and isinstance(keys, list)
    and isinstance(modes, list)
  ):
    tonic, mode = found_key.name.split()
    known = {"minor" if name in _MINOR else "major" for name in modes}
    if tonic not in keys or mode not in known:
      warnings.append(
        f"these weights were not trained on {found_key.name}: expect poor "
        f"results; they were trained on {', '.join(map(str, keys))} in "
        f"{' and '.join(sorted(known))}"
      )
  return warnings


def bars(seconds: float, bpm: float) -> str:
  """Return a line about the bars of a loop, or the nearest whole ones."""
  beats = seconds * bpm / 60
  bar = _BAR * 60 / bpm  # seconds
  if abs(beats - round(beats)) <= _WHOLE:
    return f"loop: {round(beats)} beats, {round(beats) / _BAR:g} bars of 4/4"
  less = max(1, int(beats / _BAR))
  return (
    f"loop: {beats:.1f} beats are not whole bars: expected {less * bar:.3f} s "
    f"for {less} or {(less + 1) * bar:.3f} s for {less + 1} bars of 4/4; cut "
    "or lengthen it"
  )


def _beginning(sound: Audio) -> Audio:
  samples = sound.samples[: round(_ANALYZED * sound.sample_rate)]
  return Audio(audio.fold_down(samples), sound.sample_rate)


def _tempo(found: tempo.Tempo) -> str:
  if found.confidence < tempo.CLEAR:
    return "unclear"
  return f"{found.bpm:.1f} bpm (confidence {found.confidence:.0%})"


def _key(found: key.Key) -> str:
  if found.confidence < key.CLEAR:
    return "unclear"
  return f"{found.name} (confidence {found.confidence:.0%})"


def _style(metadata: dict[str, Any]) -> dict[str, Any]:
  """Return the style of the band that weights were trained on, or {}."""
  found: Any = metadata
  for name in ("data", "config", "source_config", "style"):
    found = found.get(name) if isinstance(found, dict) else None
  return found if isinstance(found, dict) else {}
