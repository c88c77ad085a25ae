"""Compare the sum of a song's stems with its published mixture."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float

from stemgen_jax import audio
from stemgen_jax.data import songs
from stemgen_jax.data.sources import multitracks

# Share of the mixture's power; limiters and encoders change less.
_LARGEST_DB = -20.0


def differences(
  song: songs.Song,
  stems: Float[np.ndarray, "stems samples channels"],
  sample_rate: int,
) -> Iterator[songs.Problem]:
  """Report a mixture that is not the sum of the stems, up to a gain.

  Args:
    song: song, of which no stem is left out.
    stems: its stems as they are published.
    sample_rate: sample rate in Hz.
  """
  if song.mixture is None or any(x.left_out for x in song.problems):
    return
  try:
    sound = audio.read(song.mixture, fold=True)
  except (ValueError, OSError) as error:
    yield songs.Problem("unreadable mixture", str(error), left_out=False)
    return
  mix = multitracks.convert(sound, sample_rate, stems.shape[2])
  length = min(len(mix), stems.shape[1])
  mix, total = mix[:length], stems[:, :length].sum(axis=0)  # [n, c]
  power = float(np.square(mix).sum())
  gain = float((mix * total).sum()) / max(float(np.square(total).sum()), 1e-12)
  rest = float(np.square(mix - gain * total).sum())
  share_db = 10 * np.log10(max(rest, 1e-12) / max(power, 1e-12))
  if power and share_db > _LARGEST_DB:
    yield songs.Problem(
      "other mixture",
      f"{song.mixture.name} has {share_db:.1f} dB of its power that is not the "
      "sum of the stems: one may be missing, or have other audio",
      left_out=False,
    )
