"""Edits of takes in words, with the numbers of a session."""

import warnings

from stemgen_jax.generation.request import Edit, Extend, Regenerate, Vary
from stemgen_jax.generation.take import GenerationWarning
from stemgen_jax.session.song import Clip


def described(edit: Edit, clip: int) -> str:
  """Return the origin of a take, such as "30 % of take 3 varied".

  Args:
    edit: the edit.
    clip: number of the edited take.
  """
  match edit:
    case Vary(_, share, level):
      levels = f" from level {level}" if level else ""
      return f"{100 * share:g} % of take {clip} varied{levels}"
    case Regenerate(_, regions):
      spans = ", ".join(f"{start:.2f}-{end:.2f} s" for start, end in regions)
      return f"regenerated {spans} of take {clip}"
    case Extend():
      return f"take {clip} extended"


def warn_of_loss(clip: Clip) -> None:
  """Warn that an edited take is generated without its edit."""
  if clip.origin:
    warnings.warn(
      f"take {clip.number} is an edit ({clip.origin}): refresh generates a "
      "take with its seed, without the edit",
      GenerationWarning,
      stacklevel=3,
    )
