"""How often does a held-out stem score above one that does not fit?

Each stem is compared with counterexamples of its own, one at a time: a pair is
won if the true stem has the greater score.
"""

import collections
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float

from stemgen_jax import categories
from stemgen_jax.audio import spectrum
from stemgen_jax.coherence import features
from stemgen_jax.coherence.network import Network
from stemgen_jax.coherence.scoring import compared, embed_features
from stemgen_jax.coherence.training import clips
from stemgen_jax.coherence.training.clips import Clip
from stemgen_jax.coherence.training.config import REPORT_SECONDS
from stemgen_jax.coherence.training.corpus import Song

FRAMES = round(REPORT_SECONDS * features.FRAME_RATE)
"""Frames of a clip."""
_DRAWS = 4  # clips per song
_TRANSPOSED = (-6, -5, -4, -3, -2, -1, 1, 2, 3, 4, 5)
_STRETCHED = (-5, -3, -2, -1, 1, 2, 3, 5)  # percent

Won = dict[str, dict[str, tuple[int, int]]]
"""Counterexample -> group of instruments -> pairs won, pairs."""


def report(
  network: Network,
  songs: Sequence[Song],
  seed: int = 0,
  frames: int = FRAMES,
) -> Won:
  """Compare the stems of held-out songs with their counterexamples.

  The context is all other stems; see `clips` for the decidable ones.

  Args:
    network: the network.
    songs: songs with at least `frames` frames.
    seed: seed of the clips.
    frames: length of a clip.
  """
  rng = np.random.default_rng(seed)
  won: dict[str, dict[str, list[int]]] = collections.defaultdict(
    lambda: collections.defaultdict(lambda: [0, 0])
  )
  drawn = list(_drawn(songs, rng, frames))
  by_category = collections.defaultdict(list)
  for clip in drawn:
    by_category[clip.stems[0].category].append(clip)
  for clip in drawn:
    category = clip.stems[0].category
    power = clips.mixed(
      clip.song, clip.contexts[0], clip.part, [0.0] * len(clip.contexts[0])
    )
    context = embed_features(network, features.relative(power), stem=False)
    named = dict(_wrong(clip))
    others = [x for x in by_category[category] if x.song is not clip.song]
    if others:
      other = others[rng.integers(len(others))]
      named["another song"] = _stem(other, other.part)
    stems = [_stem(clip, clip.part), *named.values()]
    true, *found = (
      compared(context, embed_features(network, x, stem=True)) for x in stems
    )
    for name, value in zip(named, found):
      for group in ("all", category):
        of = won[name.split(":")[0]][group]
        of[0] += int(true > value)
        of[1] += 1
  return {
    name: {group: (of[0], of[1]) for group, of in groups.items()}
    for name, groups in won.items()
  }


HEADER = ("counterexample", "all", "drums", "bass", "other pitched", "pairs")


def rows(won: Won) -> list[tuple[str, ...]]:
  """Return the shares as rows of a table."""
  found = []
  for name in sorted(won):
    of = won[name]
    pitched = [
      pair
      for category, pair in of.items()
      if category not in ("all", "bass", *categories.UNPITCHED)
    ]
    groups = (
      of["all"],
      of.get("drums", (0, 0)),
      of.get("bass", (0, 0)),
      tuple(sum(x) for x in zip((0, 0), *pitched)),
    )
    shares = (f"{a / b:.2f}" if b else "-" for a, b in groups)
    found.append((name, *shares, str(of["all"][1])))
  return found


def _drawn(
  songs: Sequence[Song], rng: np.random.Generator, frames: int
) -> Iterator[Clip]:
  for song in songs:
    for _ in range(_DRAWS):
      if clip := clips.draw(song, frames, rng, whole=True):
        yield clip


def _wrong(clip: Clip) -> Iterator[tuple[str, Float[np.ndarray, "t bands"]]]:
  """Yield names and features of counterexamples; a suffix varies a kind."""
  song, part = clip.song, clip.part
  frames = part.stop - part.start
  for name, moved, valid in zip(
    clips.SHIFTS, clips.shift_frames(song), clips.shiftable(clip)
  ):
    first = part.start - round(moved)
    if valid and first >= 0 and first + frames <= song.spectra.shape[1]:
      kind = name.lstrip("+-")
      yield (
        f"{kind} early or late:{name}",
        _stem(clip, slice(first, first + frames)),
      )
  power = song.power(clip.stems[0].row, part)
  if clip.stems[0].category not in clips.SLOW:
    for percent in _STRETCHED:
      source = np.arange(frames) / (1 + percent / 100)
      nearest = part.start + np.round(source).astype(int)
      if nearest[-1] < song.spectra.shape[1]:
        rows = song.spectra[clip.stems[0].row][nearest]
        yield (
          f"stretched {abs(percent)} %:{percent}",
          features.relative(spectrum.restored(rows)),
        )
  if clip.pitched:
    for k in _TRANSPOSED:
      yield f"transposed:{k}", features.relative(_transposed(power, k))
  if clip.reharmonized:
    yield "other chords", features.relative(song.power(clip.stems[1].row, part))


def _transposed(
  power: Float[np.ndarray, "t bands"], k: int
) -> Float[np.ndarray, "t bands"]:
  """Move the semitone bands; the onset bands stay."""
  moved = power.copy()
  semitones = spectrum.SEMITONES
  moved[:, :semitones] = np.roll(power[:, :semitones], k, axis=1)
  edge = slice(0, k) if k > 0 else slice(semitones + k, semitones)
  moved[:, edge] = 0.0
  return moved


def _stem(clip: Clip, part: slice) -> Float[np.ndarray, "t bands"]:
  return features.relative(clip.song.power(clip.stems[0].row, part))
