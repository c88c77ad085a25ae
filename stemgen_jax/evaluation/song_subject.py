"""The subject of studies that generate: weights, and examples as audio."""

import dataclasses
import functools
import hashlib
import json
import pathlib
from typing import Any

from stemgen_jax import disk, recipes
from stemgen_jax.codec import Codec, backends
from stemgen_jax.codec import load as load_codec
from stemgen_jax.data import records
from stemgen_jax.data.manifest import Manifest
from stemgen_jax.data.preparation import skipping
from stemgen_jax.data.songs import Song, Songs
from stemgen_jax.data.sources import restore
from stemgen_jax.data.sources.band import Band
from stemgen_jax.evaluation import measurement
from stemgen_jax.evaluation.decoded_list import LIMITS, DecodedList
from stemgen_jax.evaluation.metrics import (
  clap,
  descriptors,
  downbeats,
  embeddings,
  musicnn,
  notes,
  vggish,
)
from stemgen_jax.evaluation.protocol import ExampleList
from stemgen_jax.evaluation.subject import Subject
from stemgen_jax.web import hub


class SongSubject(Subject):
  """Weights and songs, with everything that is measured on an example.

  The songs are those of --split in --data as they were prepared, or of the
  source that the weights were trained on. If some of --data are not on this
  machine, the examples are its records, decoded.

  Raises:
    ValueError: a folder without weights, an unknown source of songs, or songs
      that have changed since --data was prepared.
    OSError: weights or data are missing, or songs without --data.
    ModuleNotFoundError: a package of [evaluate] is missing.
  """

  @functools.cached_property
  def codec(self) -> Codec:
    """Codec of the model, which alone can be loaded without the engine."""
    if "engine" in vars(self):
      return self.engine.codec
    config = self.weights.config
    return load_codec(
      self.options.codec
      or hub.codec_of(self.options.weights)
      or config.codec
      or "demo",
      expected_checksum=config.codec_checksum,
      backend=self.options.codec_backend,
    )

  @functools.cached_property
  def _all_songs(self) -> Songs:
    """Source of the songs, of all splits."""
    self.check_weights()
    if data := self.options.data:
      return restore.restore(Manifest.load(data).config)
    return restore.restore(
      self.weights.metadata.get("data", {}).get("config", {})
    )

  @functools.cached_property
  def missing_songs(self) -> str:
    """Why the songs of --data cannot be read, in one line, or ""."""
    if not (data := self.options.data):
      return ""
    # These have errors of their own.
    self.check_weights()
    Manifest.load(data)
    try:
      _ = self._all_songs
    except (OSError, ValueError) as error:
      return str(error)
    try:
      _ = self.source
    except restore.MissingSongsError as error:
      return str(error)
    return ""

  @functools.cached_property
  def source(self) -> Songs:
    """Songs of --split."""
    data, prepared = self.options.data, {}
    if data and not isinstance(self._all_songs, Band):
      # Splits as prepared: the source's may have changed since.
      prepared = records.song_ids(data)
    source = restore.held_out(self._all_songs, prepared, self.options.split)
    if not self.options.skip:
      return source
    if isinstance(source, Band):
      raise ValueError(
        f"--skip={self.options.skip}: the songs are the band's, which are "
        "rendered without files; expected --data with songs in files"
      )
    kept = {song.id: song for song in reversed(self._skip[1])}
    found = (kept.get(song.id) for song in source.songs())
    return restore.Listed(
      source.name,
      tuple(
        dataclasses.replace(song, split=self.options.split)
        for song in found
        if song and song.stems
      ),
    )

  @functools.cached_property
  def _skip(self) -> tuple[tuple[Song, ...], tuple[Song, ...], str]:
    """Songs of all splits, these without --skip, and a line about it."""
    name, found = self._all_songs.name, tuple(self._all_songs.songs())
    return found, *skipping.apply(name, found, self.options.skip)

  @functools.cached_property
  def _skip_records(self) -> tuple[tuple[Song, ...], tuple[Song, ...], str]:
    """The same of the songs of --data; its records do not name stems."""
    data = self.options.data or ""
    ids = records.song_ids(data)
    found = tuple(Song(x, "", "", ()) for one in ids.values() for x in one)
    try:
      kept = skipping.apply(Manifest.load(data).name, found, self.options.skip)
    except ValueError as error:
      raise ValueError(
        f"{error}; only whole songs can be left out of records"
      ) from error
    return found, *kept

  @functools.cached_property
  def skipped_songs(self) -> frozenset[str]:
    """Ids of the songs that --skip leaves out."""
    if not self.options.skip:
      return frozenset()
    found, kept, line = self._skip_records if self.missing_songs else self._skip
    if line:
      print(line)
    return frozenset(x.id for x in found) - {x.id for x in kept}

  @functools.cached_property
  def examples(self) -> ExampleList | DecodedList:
    """Examples of the songs of --split."""
    options = self.options
    if options.data and self.missing_songs:
      if options.balanced:
        raise ValueError(
          f"--balanced needs the songs of --data={options.data}: "
          f"{self.missing_songs}"
        )
      return DecodedList(
        options.data,
        self.codec,
        options.seconds,
        options.seed,
        options.examples or 0,
        options.split,
        self.skipped_songs,
      )
    return ExampleList(
      self.source,
      self.codec,
      options.seconds,
      options.seed,
      self.data,
      options.split,
      options.balanced,
    )

  @property
  def data(self) -> str:
    """Description of the songs for a report."""
    data = self.options.data
    if data and self.missing_songs:
      return f"{data}, whose songs are not on this machine: {LIMITS}"
    return data or self.source.name

  @functools.cached_property
  def identity(self) -> dict[str, Any]:
    """Checksums and configuration that determine weights and examples."""
    identity = {
      "weights": self.checksum,
      "codec": self.codec.checksum,
      "seconds": self.options.seconds,
      "seed": self.options.seed,
    }
    # Results of earlier versions have none of these.
    if self.options.split != "test":
      identity["split"] = self.options.split
    # A code of a thousand may differ from those of the other one.
    if backends.choose(self.options.codec_backend) == "transformers":
      identity["codec_backend"] = "transformers"
    if self.options.balanced:
      identity["balanced"] = True
    if self.options.data and self.missing_songs:
      manifest = Manifest.load(self.options.data)
      if self.skipped_songs:
        identity["skipped_songs"] = sorted(self.skipped_songs)
      return identity | {
        "songs": f"records of {manifest.name}",
        "songs_config": manifest.config,
        "test_songs": recipes.digest(records.song_ids(self.options.data)),
      }
    source, config = self.source, {}
    if dataclasses.is_dataclass(self._all_songs):
      config = dataclasses.asdict(self._all_songs)
    identity |= {"songs": source.name, "songs_config": config}
    # The same folder may hold other songs, or its table name other
    # categories; the band's songs follow from its configuration.
    if not isinstance(source, Band):
      made_of = [(song.id, song.made_of()) for song in source.songs()]
      digest = hashlib.sha256(json.dumps(made_of).encode()).hexdigest()
      identity["test_songs"] = f"{len(made_of)} songs, {digest[:12]}"
    return identity

  @functools.cached_property
  def embeddings(self) -> dict[str, embeddings.Embedding]:
    """Embeddings of every stem and mix, by name."""
    # Report missing packages before hours of work.
    notes.check()
    if self.missing_songs or not isinstance(self.source, Band):
      downbeats.check()
    found: dict[str, embeddings.Embedding] = {
      "codec": embeddings.codec_latents(self.codec),
      "musicnn": musicnn.load(),
      # The quality of settings is by the last one: these, VGGish or CLAP.
      "notes": embeddings.keys,
    }
    if self.options.vggish:
      found["vggish"] = vggish.load(self.options.vggish)
    if self.options.clap:
      found["clap"] = clap.load(self.options.clap)
    return found

  @functools.cached_property
  def describe(self) -> descriptors.Describe | None:
    """Descriptors of mixes and stems, with --mirdd."""
    if not self.options.mirdd:
      return None
    descriptors.check()
    return descriptors.describe

  def examples_recipe(self) -> dict[str, Any]:
    """Return everything but settings that generated stems depend on."""
    _ = self.engine  # first: weights and codec are then loaded once
    if self.missing_songs:
      print(f"{self.missing_songs}; {LIMITS}")
    _ = self.skipped_songs  # prints them
    _ = self.examples  # too few test songs are an error before any result
    return self.identity

  def recipe(self) -> dict[str, Any]:
    """Return everything but settings that results of an example depend on."""
    recipe = self.examples_recipe() | {
      "embeddings": list(self.embeddings),
      "measured": measurement.VERSION,
    }
    if self.options.vggish:
      recipe["vggish"] = disk.checksum(self.options.vggish)
    if self.options.clap:
      weights = pathlib.Path(self.options.clap) / "model.safetensors"
      recipe["clap"] = disk.checksum(weights)
    return recipe
