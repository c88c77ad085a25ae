"""The engine of StemGen: from a part that is to be played to its takes."""

import dataclasses
import time
import warnings
from collections.abc import Callable, Collection, Iterator
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Int

from stemgen_jax import audio as audio_lib
from stemgen_jax import categories, model, sampling
from stemgen_jax.audio import Audio
from stemgen_jax.codec import Codec, scales
from stemgen_jax.generation import compilation, stem_audio
from stemgen_jax.generation import context as context_lib
from stemgen_jax.generation.context import EncodedContext
from stemgen_jax.generation.take import Take
from stemgen_jax.sampling import cost, loops, windows

Progress = Callable[[int, int], object]
"""Called with the sampling steps just done, and with those there are in all."""

_REFERENCE_DB = -18.0
_TOO_QUIET_DB = 30.0
_SEAM_SECONDS = 0.5


@dataclasses.dataclass(frozen=True, eq=False)
class Part:
  """What is to be played: all of a take, or a part of an older one.

  `spliced` marks the frames in which the new audio replaces `old`.
  """

  context: EncodedContext
  stem: str
  settings: sampling.Settings
  progress: Progress | None
  genre: str = ""
  role: str = ""
  known: Int[np.ndarray, "t q"] | None = None
  free: Bool[np.ndarray, "t q"] | None = None
  spliced: Bool[np.ndarray, " t"] | None = None
  old: Float32[np.ndarray, "n c"] | None = None
  origin: str = ""


@dataclasses.dataclass(frozen=True, eq=False)
class Player:
  """A model with its codec.

  Attributes:
    config: shape of the model.
    params: its parameters.
    codec: the codec whose codes it speaks.
    metadata: what is known of the weights; used here: `categories`, the
      instrument categories they were trained on, `context_rms_db`, the usual
      level of the contexts they were trained on, and for a codec with scales
      `scale_ratio`, see `scales.of_stem`.
    name: what the weights were loaded from.
  """

  config: model.ModelConfig
  params: Any = dataclasses.field(repr=False)
  codec: Codec
  metadata: dict[str, Any]
  name: str = "demo"

  def with_scales(
    self, settings: sampling.Settings, given: Collection[str] = ("category",)
  ) -> sampling.Settings:
    """A guidance scale for every source of this model, and for no other.

    A condition that is given but has no scale takes the category's. One that
    is not given is null in every branch, so it gets the scale that adds no
    branch: when nested that of the condition before it, else 0.

    Args:
      settings: with scales of any sources.
      given: names of the conditions that the caller gives.
    """
    scales = settings.guidance
    guidance, before = {}, 1.0
    for name in self.config.conditions:
      if name in given:
        before = scales.get(name, scales.get("category", 1.0))
      elif settings.guidance_form == "paper":
        before = 0.0
      guidance[name] = before
    guidance["context"] = scales.get("context", 0.0)
    return dataclasses.replace(settings, guidance=guidance)

  def steps_of(self, settings: sampling.Settings, count: int) -> int:
    """Sampling steps of a take of so many windows."""
    levels = range(self.codec.levels)
    return count * sum(settings.steps_at(level) for level in levels)

  def count_windows(self, free: Bool[np.ndarray, "t q"], loop: bool) -> int:
    """Windows in which the free codes are decoded."""
    window = self.config.window
    if loop:
      return loops.count_windows(~free, window, self._seam)
    return len(windows.starts(~free, window))

  def untrained(self, category: str) -> str:
    """What to expect of an instrument that was not trained; "" if it was."""
    trained = self.metadata.get("categories", categories.CATEGORIES)
    return categories.untrained(category, trained)

  def play(
    self, part: Part, seeds: list[int], at_once: int = 1
  ) -> Iterator[Take]:
    """Takes of a part, sampled `at_once` together; audio one at a time."""
    shape = part.context.codes.shape
    free = np.ones(shape, bool) if part.free is None else part.free
    known = np.zeros(shape, np.int32) if part.known is None else part.known
    count = self.count_windows(free, part.context.loop)
    # A level of which nothing is free is not decoded.
    levels = np.flatnonzero(free.any(axis=0)).tolist()
    passes = count * cost.passes(part.settings, self.config, levels)
    steps = len(seeds) * self.steps_of(part.settings, count)
    for first in range(0, len(seeds), at_once):
      group = seeds[first : first + at_once]
      began = time.perf_counter()
      with compilation.timed() as compiling:
        codes = self.sample(part, group, known, free, steps)
      compiled = compiling.seconds / len(group)
      sampled = (time.perf_counter() - began) / len(group) - compiled
      for seed, item in zip(group, codes):
        began = time.perf_counter()
        audio = stem_audio.to_audio(
          self.codec, item, part.context, self._stem_scales(part)
        )
        notes = self._notes(part.context, audio.samples)
        for note in notes:
          warnings.warn(note, stacklevel=3)
        if part.spliced is not None and part.old is not None:
          samples = stem_audio.splice(
            part.old, audio.samples, part.spliced, part.context
          )
          audio = Audio(samples, audio.sample_rate)
        elapsed = time.perf_counter() - began + sampled
        yield Take(
          audio=audio,
          codes=item,
          context=part.context,
          seed=seed,
          settings=part.settings,
          stem=part.stem,
          genre=part.genre,
          role=part.role,
          weights=self.name,
          codec_checksum=self.codec.checksum,
          origin=part.origin,
          passes=passes,
          flops=passes * cost.pass_flops(self.config),
          elapsed=elapsed + part.context.encoding_seconds,
          compiling=compiled,
          warnings=notes,
        )

  def sample(
    self,
    part: Part,
    seeds: list[int],
    known: Int[np.ndarray, "t q"],
    free: Bool[np.ndarray, "t q"],
    steps: int,
  ) -> Int[np.ndarray, "b t q"]:
    """Codes of a part for each seed; `steps` is all that progress counts."""
    known_ids = {"category": categories.category_id(part.stem)}
    if part.genre:
      known_ids["genre"] = categories.GENRES.index(part.genre)
    if part.role:
      known_ids["role"] = categories.ROLES.index(part.role)
    ids = {
      name: known_ids.get(name, model.CONDITION_SIZES[name])
      for name in self.config.conditions
    }
    b = len(seeds)

    def progress(done: int) -> None:
      if part.progress is not None:
        part.progress(done, steps)

    def decode(context, known, known_mask, valid, start):
      return sampling.decode_codes(
        self.config,
        self.params,
        np.repeat(context[None], b, axis=0),
        {name: np.full(b, number) for name, number in ids.items()},
        np.array(seeds),
        part.settings,
        known=known,
        known_mask=np.repeat(known_mask[None], b, axis=0),
        valid=np.repeat(valid[None], b, axis=0),
        frame_offset=start,
        progress=progress,
      )

    context, window = part.context.codes, self.config.window
    known = np.repeat(known[None], b, axis=0)
    if part.context.loop:
      return loops.decode_loop(
        decode, context, window, known, ~free, self._seam
      )
    return windows.decode_long(decode, context, window, known, ~free)

  def _stem_scales(self, part: Part) -> Float32[np.ndarray, " segments"] | None:
    """What the model does not predict; None for a codec without scales."""
    if not part.context.framing.segment:
      return None
    return scales.of_stem(
      np.array(part.context.scales, np.float32),
      part.stem,
      self.metadata.get("scale_ratio") or {},
      10 ** (self.reference_db / 20),
    )

  @property
  def _seam(self) -> int:
    return round(_SEAM_SECONDS * self.codec.frame_rate)

  @property
  def reference_db(self) -> float:
    """Root mean square of the training's contexts, dB of full scale."""
    level = self.metadata.get("context_rms_db")
    return _REFERENCE_DB if level is None else level

  def _notes(
    self, encoded: EncodedContext, stem: Float32[np.ndarray, "n c"]
  ) -> tuple[str, ...]:
    """What the listener should know about a take."""
    notes = []
    silent = encoded.level_db < context_lib.SILENCE_DB
    if silent and not encoded.from_nothing:
      notes.append(
        "the context is silent, or its channels cancel in mono: the stem was "
        "played to nothing"
      )
    level_db = self.reference_db if silent else encoded.level_db
    stem = audio_lib.with_channels(stem, self.codec.channels)
    below_db = level_db - audio_lib.rms_db(
      stem / np.float32(encoded.inverse_gain)
    )
    if below_db > _TOO_QUIET_DB:
      than = "music usually is" if silent else "the context"
      quiet = f"{below_db:.0f} dB quieter than {than}"
      quiet = "silent" if below_db == np.inf else quiet
      notes.append(f"the stem is {quiet}: try another seed or lower guidance")
    return tuple(notes)
