"""What is judged: weights, and the examples that they are judged by."""

import dataclasses
import hashlib
import json
import pathlib
from typing import Any

from stemgen_jax import disk
from stemgen_jax.data import records
from stemgen_jax.data.manifest import Manifest
from stemgen_jax.data.songs import Songs
from stemgen_jax.data.sources import restore
from stemgen_jax.data.sources.band import Band
from stemgen_jax.evaluation.protocol import ExampleList
from stemgen_jax.generation.stemgen import StemGen
from stemgen_jax.paths import exported


@dataclasses.dataclass(frozen=True, kw_only=True)
class Subject:
  """Weights and examples.

  Attributes:
    player: model and codec.
    source: the songs.
    examples: of the source's test songs.
    identity: what tells this subject from others.
  """

  player: StemGen
  source: Songs
  examples: ExampleList
  identity: dict[str, Any]


def load(
  weights: str,
  *,
  codec: str | None = None,
  data: str | None = None,
  seconds: float = 10.0,
  seed: int = 0,
) -> Subject:
  """Loads weights and lists examples.

  Args:
    weights: "demo", or an exported .safetensors file.
    codec: that they were trained with; None for the one that they name.
    data: a prepared folder, whose songs are still where they were, and of
      which the test songs are taken as they were prepared; None for
      the songs that the weights did not learn from, beside those they did.
    seconds: length of an example, 2 to 60.
    seed: of the list.

  Raises:
    ValueError: a length out of range, weights that are a run, nothing says
      which songs to take, or the songs are no longer those that `data` was
      prepared from.
    OSError: weights, data or songs are not there.
  """
  if not 2 <= seconds <= 60:
    raise ValueError(f"--seconds={seconds:g}: expected 2 to 60")
  if not exported(weights).is_file() and pathlib.Path(weights).is_dir():
    raise ValueError(
      f"--weights={weights} is a folder: what is judged shall stay what it is; "
      "export the run, `stemgen-jax export --help`, and give the .safetensors"
    )
  player = StemGen.load(weights, codec=codec)
  if data:
    recipe = Manifest.load(data).config
  else:
    recipe = player.metadata.get("data", {}).get("config", {})
  source = restore.restore(recipe)
  prepared = {}
  if data and not isinstance(source, Band):
    prepared = records.song_ids(data)
  listed = restore.held_out(source, prepared)
  fields = (
    dataclasses.asdict(source) if dataclasses.is_dataclass(source) else {}
  )
  return Subject(
    player=player,
    source=listed,
    examples=ExampleList(listed, player.codec, seconds, seed),
    identity={
      "weights": disk.checksum(exported(weights)),
      "codec": player.codec.checksum,
      "songs": source.name,
      "songs_config": fields,
      "seconds": seconds,
      "seed": seed,
    }
    | _told_apart(listed),
  )


def _told_apart(source: Songs) -> dict[str, str]:
  """What of the songs their configuration does not say.

  What the test songs are made of (`Song.made_of`), as the same folder may hold
  others, or a table call them something else. The band's follow from its
  configuration.
  """
  if isinstance(source, Band):
    return {}
  made_of = [(song.id, song.made_of()) for song in source.songs()]
  digest = hashlib.sha256(json.dumps(made_of).encode()).hexdigest()
  return {"test_songs": f"{len(made_of)} songs, {digest[:12]}"}
