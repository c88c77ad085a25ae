"""Read the stems of a song in a codec's format, and report differences."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float

from stemgen_jax.codec import Codec
from stemgen_jax.data import songs
from stemgen_jax.data.preparation import (
  bleed,
  levels,
  pairs,
  stem_sum,
  suspicious,
)
from stemgen_jax.data.sources import multitracks

# Renderers' tails and codecs' padding make lengths differ by less than this.
_SAME_SECONDS = 0.1


def read_stems(
  song: songs.Song,
  codec: Codec,
  config: pairs.PairConfig,
  *,
  keep_suspicious: bool | None = None,
) -> tuple[Float[np.ndarray, "stems samples channels"], list[songs.Problem]]:
  """Read all stems at the codec's rate and channels, padded to the longest.

  An unreadable stem becomes silence, so that the others keep their indices.
  Stems begin where their time references place them.

  Args:
    song: the song.
    codec: the codec.
    config: how pairs are drawn, for the length of the segments and the levels.
    keep_suspicious: False silences white noise and copies of stems and removes
      constant offsets; True reports them only; None does neither.

  Returns:
    The stems, and the problems found.

  Raises:
    ValueError, OSError: a stem without files cannot be rendered.
  """
  stems, problems, formats = [], [], {}
  times: list[float | None] = []
  for stem in song.stems:
    try:
      sound = stem.read()
    except (ValueError, OSError) as error:
      if not stem.files:  # the renderer failed, the data is not at fault
        raise
      stems.append(np.zeros((0, codec.channels), np.float32))
      times.append(None)
      problems.append(songs.Problem("unreadable file", str(error), stem.name))
      continue
    formats[stem.name] = (sound.sample_rate, sound.channels, sound.seconds)
    times.append(sound.time_reference / sound.sample_rate)
    problems += [
      songs.Problem("odd audio", note, stem.name, False) for note in sound.notes
    ]
    if keep_suspicious is not None:
      found = list(suspicious.of_stem(stem, sound))
      problems += found
      if found and not keep_suspicious:
        sound = suspicious.cleaned(sound)
    stems.append(multitracks.convert(sound, codec.sample_rate, codec.channels))
  problems += _differences(formats, config)
  begins, notes = multitracks.placed(times)
  problems += [
    songs.Problem("time reference", note, stem.name, False)
    for stem, note in zip(song.stems, notes)
    if note
  ]
  starts = [round(begin * codec.sample_rate) for begin in begins]
  length = max(start + len(stem) for start, stem in zip(starts, stems))
  padded = np.zeros((len(stems), length, codec.channels), np.float32)
  for row, start in zip(padded, starts):  # [n, c]
    stem = stems.pop(0)  # freed, so that no song is in memory twice
    row[start : start + len(stem)] = stem
  if keep_suspicious is not None and not any(x.left_out for x in problems):
    problems += stem_sum.differences(song, padded, codec.sample_rate)
  if keep_suspicious is not None:
    copies = suspicious.copies(song.stems, padded, codec.sample_rate)
    problems += copies.values()
    if not keep_suspicious:
      padded[[i for i, x in copies.items() if x.kind == "near duplicate"]] = 0
    problems += bleed.find(
      song.stems, padded, codec.sample_rate, config.threshold_db
    )
  if keep_suspicious:
    problems = [
      suspicious.kept(x) if x.kind in suspicious.KINDS else x for x in problems
    ]
  if config.usual_levels:
    gains = levels.gains(
      song.stems, padded, codec.sample_rate, config.threshold_db
    )
    padded *= gains[:, None, None]
  return padded, problems


def _differences(
  formats: dict[str, tuple[int, int, float]], config: pairs.PairConfig
) -> Iterator[songs.Problem]:
  """Report stems of different rates, channels and lengths."""
  if not formats:
    return
  rates, channels, seconds = map(set, zip(*formats.values()))
  longest = max(seconds)
  for kind, values, unit in (
    ("mixed rates", rates, "Hz"),
    ("mixed channels", channels, "channels"),
  ):
    if len(values) > 1:
      listed = " and ".join(map(str, sorted(values)))
      message = f"stems of {listed} {unit}: all are converted"
      yield songs.Problem(kind, message, left_out=False)
  if longest < config.segment_seconds:
    yield songs.Problem(
      "short song",
      f"{longest:.2f} s, less than a segment of {config.segment_seconds:g} s: "
      "the rest is silence, or give --segment_seconds",
      left_out=False,
    )
  if longest - min(seconds) > _SAME_SECONDS:
    yield songs.Problem(
      "unequal lengths",
      f"stems of {min(seconds):.2f} to {longest:.2f} s: the shorter ones end "
      "in silence",
      left_out=False,
    )
  for name, (_, _, lasts) in formats.items():
    if lasts < min(config.segment_seconds, longest - _SAME_SECONDS):
      yield songs.Problem(
        "short stem",
        f"{lasts:.2f} s of the song's {longest:.2f} s: the rest is silence",
        name,
        left_out=False,
      )
