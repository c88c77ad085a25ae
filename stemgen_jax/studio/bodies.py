"""Bodies of requests, and jobs as they are stored: JSON within limits."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from stemgen_jax.audio import LONGEST
from stemgen_jax.audio.files import MOST_VALUES
from stemgen_jax.sampling.settings import SEEDS
from stemgen_jax.session.song import LOUDEST_DB, QUIETEST_DB

_MOST_TAKES, _MOST_REGIONS = 20, 100
Name = Annotated[str, Field(max_length=100)]
Seed = Annotated[int, Field(ge=0, lt=SEEDS)] | None
Seconds = Annotated[float, Field(ge=0, le=LONGEST)]


class Body(BaseModel):
  """A JSON object without other fields than these."""

  model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Start(Body):
  """A new song: from a loop of the package, or from nothing.

  Attributes:
    loop: name of a loop, such as "drums"; the song is one period of it.
    seconds, sample_rate, channels: length and format of a song from nothing.
  """

  loop: Name | None = None
  seconds: Annotated[float, Field(gt=0, le=LONGEST)] | None = None
  sample_rate: Annotated[int, Field(ge=8000, le=192_000)] = 44_100
  channels: Annotated[int, Field(ge=1, le=8)] = 2

  @model_validator(mode="after")
  def _check_size(self) -> "Start":
    check_size(self.seconds or 0, self.sample_rate, self.channels)
    return self


class Mixer(Body):
  """Settings of a layer in the mix; those that are left out stay."""

  gain_db: Annotated[float, Field(ge=QUIETEST_DB, le=LOUDEST_DB)] | None = None
  pan: Annotated[float, Field(ge=-1, le=1)] | None = None
  mute: bool | None = None
  solo: bool | None = None


class _Sampling(Body):
  """How to sample.

  Attributes:
    preset: "default", "fast" or "paper"; of an edit, by default the settings of
      the take.
    settings: fields of `sampling.Settings` that differ from it. `guidance` maps
      sources to scales: {"context": 2.5, "category": 1.0}.
    seed: seed of the first take; by default one that the layer has not had.
  """

  preset: Name | None = None
  settings: dict[Name, Any] = Field(default={}, max_length=20)
  seed: Seed = None


class Generate(_Sampling):
  """Generate takes of an instrument for the audible layers."""

  kind: Literal["generate"]
  category: Name
  layer: Name = ""
  takes: Annotated[int, Field(ge=1, le=_MOST_TAKES)] = 1
  genre: Name = ""
  role: Name = ""


class Vary(_Sampling):
  """Sample a share of a take again, as a further take."""

  kind: Literal["vary"]
  clip: int
  share: Annotated[float, Field(gt=0, le=1)] = 0.5
  from_level: Annotated[int, Field(ge=0, le=64)] = 0


class Regenerate(_Sampling):
  """Sample regions of a take again, from and to in seconds."""

  kind: Literal["regenerate"]
  clip: int
  regions: Annotated[
    list[tuple[Seconds, Seconds]],
    Field(min_length=1, max_length=_MOST_REGIONS),
  ]


class Refresh(Body):
  """Generate the accepted take of a layer again, for the present context."""

  kind: Literal["refresh"]
  layer: Name


class Extend(Body):
  """Lengthen the song, and continue every accepted take."""

  kind: Literal["extend"]
  seconds: Seconds


Request = Annotated[
  Generate | Vary | Regenerate | Refresh | Extend, Field(discriminator="kind")
]


class Empty(Body):
  """An empty object."""


def check_size(seconds: float, sample_rate: int, channels: int) -> None:
  """Raise ValueError if a song would not fit in memory."""
  if seconds * sample_rate * channels > MOST_VALUES:
    most = MOST_VALUES / sample_rate / channels
    raise ValueError(
      f"seconds={seconds:g}: expected at most {most:.0f} for {channels} "
      f"channels at {sample_rate} Hz; shorten the song, or lower its rate"
    )
