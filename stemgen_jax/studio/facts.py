"""Tempo and key of a song, detected while the server answers."""

import concurrent.futures
import functools
import sys
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np

from stemgen_jax.audio import Audio, key, tempo
from stemgen_jax.session import Session

_PATIENCE = 0.3  # seconds to wait for a short song
_BEATS = 4  # in a bar
_UNKNOWN = {"tempo": None, "key": None}


class Facts:
  """Tempo and key of the user's own audio, or of all if there is none."""

  def __init__(self, session: Session, changed: Callable[[], object]):
    """Detect in a thread.

    Args:
      session: the session.
      changed: called when another result is known.
    """
    self._session, self._changed = session, changed
    self._pool = concurrent.futures.ThreadPoolExecutor(1)
    self._found = functools.lru_cache(maxsize=8)(self._submit)

  def of_song(self) -> dict[str, Any]:
    """Return "tempo" and "key"; None for those that are not known (yet)."""
    clips = [x.clip for x in self._session.song.layers if x.clip]
    chosen = [x for x in clips if not x.generated] or clips
    numbers = tuple(x.number for x in chosen)
    if not numbers:
      return _UNKNOWN
    try:
      return self._found(numbers).result(_PATIENCE)
    except TimeoutError:
      return _UNKNOWN
    except (concurrent.futures.CancelledError, RuntimeError):  # closed
      return _UNKNOWN

  def close(self) -> None:
    """End the thread when its work is done."""
    self._pool.shutdown(wait=False, cancel_futures=True)

  def _submit(self, numbers: tuple[int, ...]) -> concurrent.futures.Future:
    future = self._pool.submit(self._detect, numbers)
    future.add_done_callback(lambda _: self._changed())
    return future

  def _detect(self, numbers: tuple[int, ...]) -> dict[str, Any]:
    try:
      sounds = [self._session.audio(number) for number in numbers]
      return _detect(sounds, self._session.song.loop)
    except (ValueError, OSError):  # a clip was removed meanwhile
      return _UNKNOWN
    except Exception:  # a bug, or no memory: the song is shown without them
      traceback.print_exc(file=sys.stderr)
      return _UNKNOWN


def _detect(sounds: list[Audio], loop: bool) -> dict[str, Any]:
  length = max(len(sound.samples) for sound in sounds)
  summed = np.zeros((length, sounds[0].channels), np.float32)
  for sound in sounds:
    summed[: len(sound.samples)] += sound.samples
  mix = Audio(summed, sounds[0].sample_rate)
  beat, found = (tempo.of_loop if loop else tempo.of)(mix), key.of(mix)
  return {
    "tempo": {
      "bpm": round(beat.bpm, 2),
      "clear": beat.confidence >= tempo.CLEAR,
      "beats": [round(float(x), 4) for x in beat.beats],
      "bar_seconds": round(_BEATS * 60 / beat.bpm, 4),
    }
    if beat.bpm
    else None,
    "key": {"name": found.name, "clear": found.confidence >= key.CLEAR}
    if found.name
    else None,
  }
