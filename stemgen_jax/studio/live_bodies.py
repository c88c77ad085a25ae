"""Messages of clients to a live run: JSON within limits."""

from typing import Annotated, Any, Literal

from pydantic import Field

from stemgen_jax.sampling.settings import SEEDS
from stemgen_jax.studio.bodies import Body, Name, Seed

_MOST_LAYERS = 8
_Guidance = Annotated[float, Field(ge=0, le=100)] | None


class LiveLayer(Body):
  """A layer, as it begins.

  Attributes:
    stem: instrument category.
    genre: genre, or "".
    seed: seed of its first chunk.
    guidance: scale of the context; None for that of the preset.
  """

  stem: Name
  genre: Name = ""
  seed: Annotated[int, Field(ge=0, lt=SEEDS)] = 0
  guidance: _Guidance = None


class LiveStart(Body):
  """The first message: starts the run.

  Attributes:
    input: "song", the mix of the open song, or "line", samples of the client.
    layers: the layers.
    bpm: beats per minute; None for the detected tempo.
    beats_per_bar: beats of a bar.
    bars: bars of a chunk; of a loop, chunks have its length.
    slack: beats from a request to its chunk; None for 4, or the loop's length.
    count_in: bars of clicks before; none where the tempo is not known yet.
    sample_rate, channels: of "line"; otherwise those of the song.
    lag: samples of "line" from the output to the input played to it.
    preset: "default", "fast" or "paper".
    future: context that is not known yet: "unknown", or "repeat", the latest
      bars again; "auto" chooses by the training of the weights.
  """

  kind: Literal["start"]
  input: Literal["song", "line"]
  layers: Annotated[
    list[LiveLayer], Field(min_length=1, max_length=_MOST_LAYERS)
  ]
  bpm: Annotated[float, Field(ge=20, le=400)] | None = None
  beats_per_bar: Annotated[int, Field(ge=1, le=16)] = 4
  bars: Annotated[int, Field(ge=1, le=64)] = 2
  slack: Annotated[float, Field(gt=0, le=1024)] | None = None
  count_in: Annotated[int, Field(ge=0, le=8)] = 1
  sample_rate: Annotated[int, Field(ge=8000, le=192_000)] = 48_000
  channels: Annotated[int, Field(ge=1, le=2)] = 2
  lag: Annotated[int, Field(ge=0, le=192_000)] = 0
  preset: Name = "default"
  future: Literal["auto", "unknown", "repeat"] = "auto"


class LiveChange(Body):
  """A change of a layer; it enters at the next bar that can be reached.

  Attributes:
    layer: name of the layer.
    stem, genre, seed, guidance: new values; those that are left out stay.
    mute: mute or unmute it.
    again: generate it again, with the next seed.
  """

  kind: Literal["change"]
  layer: Name
  stem: Annotated[Name, Field(min_length=1)] | None = None
  genre: Name | None = None
  seed: Seed = None
  guidance: _Guidance = None
  mute: bool | None = None
  again: bool = False

  @property
  def controls(self) -> dict[str, Any]:
    """New values of `Controls`, by name."""
    names = {"stem", "genre", "seed", "guidance"}
    given = self.model_dump(include=names, exclude_unset=True)
    return {
      name: value
      for name, value in given.items()
      if value is not None or name == "guidance"
    }


class LiveSync(Body):
  """Take over the tempo of the input."""

  kind: Literal["sync"]


class LiveStop(Body):
  """End the run."""

  kind: Literal["stop"]


class Keep(Body):
  """Keep the latest run.

  Attributes:
    what: "layers", the layers become layers of the open song; or
      "performance", all that sounded becomes a song of its own.
  """

  what: Literal["layers", "performance"]


LiveMessage = Annotated[
  LiveStart | LiveChange | LiveSync | LiveStop, Field(discriminator="kind")
]
