"""Requests for chunks, and the interface of a generator."""

import dataclasses
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from jaxtyping import Float32

from stemgen_jax import categories
from stemgen_jax.live.line import Chunk, Voice
from stemgen_jax.sampling.settings import SEEDS, Settings


@dataclasses.dataclass(frozen=True, kw_only=True)
class Controls:
  """Controls of a layer; changes enter on a bar line.

  Attributes:
    stem: instrument category; "" for weights without instruments.
    genre: genre, or "".
    role: role, or "".
    seed: seed of the chunks, 0 to 2**32 - 1.
    guidance: scale of the context; None for that of the settings.
  """

  stem: str
  genre: str = ""
  role: str = ""
  seed: int = 0
  guidance: float | None = None

  @property
  def kind(self) -> tuple[str, str]:
    """Instrument or role, and genre, which a chunk shares with the last."""
    return self.stem or self.role, self.genre

  @property
  def next_seed(self) -> int:
    """Seed of another version."""
    return (self.seed + 1) % SEEDS

  def guided(self, settings: Settings) -> Settings:
    """Return settings with the guidance of these controls."""
    if self.guidance is None:
      return settings
    guidance = {**settings.guidance, "context": self.guidance}
    return dataclasses.replace(settings, guidance=guidance)


@dataclasses.dataclass(eq=False, kw_only=True)
class Request:
  """A request for one chunk.

  Attributes:
    layer: name of the layer.
    bar: bar where the chunk enters.
    start: sample of the stream where it enters.
    stop: sample where it ends.
    known: samples of the context that are known; those after it are not.
    controls: see `Controls`.
    bars: number of bars of the chunk.
    read: function of two samples that returns the context between them,
      [n, c].
    at: when it was requested, by the clock.
    voices: what sounded, and sounds up to the start; see `line.Line.voices`.
    cancelled: whether a change has replaced it.
  """

  layer: str
  bar: int
  start: int
  stop: int
  known: int
  controls: Controls
  read: Callable[[int, int], Float32[np.ndarray, "n c"]]
  bars: int = 1
  at: float = 0.0
  voices: tuple[Voice, ...] = ()
  cancelled: bool = False


def variants(plain: Controls, conditions: Collection[str]) -> list[Controls]:
  """Return controls with all numbers of guidance branches.

  Each number is a program of its own, which must not be compiled later.

  Args:
    plain: stem and role of a layer.
    conditions: names of the conditions of the weights.
  """
  found = [plain]
  values = {"genre": categories.GENRES[0], "role": categories.ROLES[0]}
  for name, value in values.items():
    if name in conditions and not getattr(plain, name):
      found.append(dataclasses.replace(found[-1], **{name: value}))
  return [dataclasses.replace(x, guidance=1.0) for x in found] + found[::-1]


class Generated(NamedTuple):
  """A chunk, and the seconds of its passes and of all else."""

  chunk: Chunk
  sampling: float
  other: float

  def untimed(self) -> "Generated":
    """Return the chunk as if it had taken no time."""
    return self._replace(sampling=0.0, other=0.0)


class Generator(Protocol):
  """Generates chunks."""

  @property
  def passes(self) -> Sequence[int]:
    """Passes of the model for one chunk at each rung, ascending."""
    ...

  @property
  def dtype(self) -> str:
    """Dtype of the model's products."""
    ...

  def __call__(self, request: Request, rung: int) -> Generated:
    """Generate one chunk with the passes of a rung."""
    ...
