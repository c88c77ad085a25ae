"""How alike are two sounds in onsets and pitch, without beats or chords?"""

import numpy as np
from jaxtyping import Bool, Float
from scipy import stats

from stemgen_jax.evaluation.metrics import rhythm

_SLACK = 0.03  # seconds that one of the sounds may be late


def onset_correlation(
  one: Float[np.ndarray, " t"], other: Float[np.ndarray, " u"]
) -> float:
  """Return the greatest correlation of onset strengths within 30 ms.

  Args:
    one: onset strength, see `rhythm.strength`.
    other: that of another sound.

  Returns:
    -1..1; 0 if one of them is constant, as in silence.
  """
  frames = min(len(one), len(other))
  most = int(_SLACK * rhythm.FRAME_RATE)
  if frames <= 2 * most + 2:
    return 0.0
  one, other = one[:frames], other[:frames]
  found = []
  for lag in range(-most, most + 1):
    # Positive: `other` is late.
    early, late = (one, other) if lag >= 0 else (other, one)
    left, right = early[: frames - abs(lag)], late[abs(lag) :]
    if not (np.ptp(left) and np.ptp(right)):
      return 0.0
    found.append(float(np.corrcoef(left, right)[0, 1]))
  return max(found)


def ranks(
  similarity: Float[np.ndarray, "stems contexts"],
  counted: Bool[np.ndarray, " contexts"],
) -> Float[np.ndarray, " counted"]:
  """Return the rank of each stem's own context among all.

  Similarities are normalized per context first, to mean 0 and deviation 1
  over the stems: a context that resembles every stem would win too often.

  Args:
    similarity: row i is the stem whose own context is i.
    counted: contexts that take part.

  Returns:
    From 1; a tie has its mean rank, so that a constant scores by chance.
  """
  matrix = similarity[np.ix_(counted, counted)]
  deviation = matrix.std(axis=0)
  # A context that is equally similar to all stems, as silence, has no weight.
  same = deviation < 1e-9
  matrix = np.where(same, 0, matrix - matrix.mean(axis=0))
  matrix /= np.where(same, 1, deviation)
  placed = stats.rankdata(-matrix, axis=1)  # [counted, counted]
  return np.diag(placed)
