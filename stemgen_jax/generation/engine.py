"""Generate takes: encode the context, sample codes, decode the stem."""

import dataclasses
import time
import warnings
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Int

from stemgen_jax import audio as audio_lib
from stemgen_jax import categories, model, sampling
from stemgen_jax.audio import Audio
from stemgen_jax.codec import Codec
from stemgen_jax.codec.process import CodecProcess
from stemgen_jax.generation import (
  compilation,
  inputs,
  sampler,
  stem_audio,
  stem_scales,
)
from stemgen_jax.generation import context as context_lib
from stemgen_jax.generation.context import EncodedContext
from stemgen_jax.generation.request import (
  Extend,
  GenerationRequest,
  Regenerate,
  Vary,
)
from stemgen_jax.generation.take import GenerationWarning, Take
from stemgen_jax.sampling import cost

_REFERENCE_DB = -18.0  # of weights that do not state their level
_RUN_SECONDS = 0.5  # sampled again by `Vary`, or kept
# Measured with the demo codec on 2.5 s of music: the same music saved again is
# at most 0.06 apart (16 bit, mp3, ogg; 0.18 if 6 dB quieter), other music at
# least 0.77 (992 pairs).
_OTHER_MUSIC = 0.5


@dataclasses.dataclass(frozen=True, eq=False)
class Task:
  """A request for a model, in codes.

  Attributes:
    weights: the model.
    codec: the codec of the model.
    request: the request.
    settings: settings with a guidance scale for every condition.
    context: encoded context of the new takes.
    known: codes to keep outside the edit mask, int32 [t, q].
    scales: scales of the segments of `known`, for an edit.
    old_samples: audio to keep outside the edited frames, [n, c]; None if the
      whole stem is decoded again.
    sound: sound of the context; None for edits that keep their context.
  """

  weights: model.Weights
  codec: Codec
  request: GenerationRequest
  settings: sampling.Settings
  context: EncodedContext
  known: Int[np.ndarray, "t q"]
  scales: Float32[np.ndarray, " segments"] | None = None
  old_samples: Float32[np.ndarray, "n c"] | None = None
  sound: Audio | None = None


def generate(
  weights: model.Weights, codec: Codec, request: GenerationRequest, name: str
) -> Iterator[Take]:
  """Generate the takes of a request, one for each seed.

  The context is encoded once. Takes are sampled while they are iterated over.

  Args:
    weights: the model; `categories`, `roles`, `loudness`, `context_rms_db` and
      `scale_ratio` of its metadata are used.
    codec: the codec that the model was trained with.
    request: a validated request.
    name: name or path of the weights.

  Raises:
    ValueError: the request does not suit the weights; raised before the first
      take.
  """
  weights = sampler.with_dtype(weights, request)
  conditions = weights.config.conditions
  request = request.for_weights(conditions, name)
  if request.edit is None and request.stem:
    trained = weights.metadata.get("categories", categories.CATEGORIES)
    if untrained := categories.untrained(request.stem, trained):
      warnings.warn(untrained, GenerationWarning, stacklevel=4)
  elif isinstance(request.edit, Regenerate):
    for cut in _cut_regions(request.edit):
      warnings.warn(cut, GenerationWarning, stacklevel=4)
  if request.sound is not None:
    for note in inputs.notes(request.sound, codec.channels, request.loop):
      warnings.warn(note, GenerationWarning, stacklevel=4)
  settings = request.settings or sampling.preset("default")
  settings = with_guidance(settings, conditions, request.conditions)
  # Before the context is encoded: a codec in a process of its own is loading.
  compiled = sampler.compile_programs(weights, request, settings)
  began = time.perf_counter()
  if isinstance(codec, CodecProcess):
    codec.wait()  # Not part of the time for the encoding.
  waited = time.perf_counter() - began
  task = _encode(weights, codec, request, settings)
  return _takes(task, name, compiled, waited)


def _cut_regions(edit: Regenerate) -> Iterator[str]:
  """Yield a warning for each region that ends after the take, by a frame."""
  old = edit.take.context
  frame = old.samples_per_frame / old.sample_rate  # bars may be rounded
  for start, end in edit.regions:
    if end > old.seconds + frame:
      yield (
        f"region {start:g} to {end:g} s: cut at {old.seconds:.2f} s, where "
        f"{edit.take.subject} ends"
      )


def reference_db(metadata: dict[str, Any]) -> float:
  """Return the loudness of the contexts of the training, dB of full scale."""
  rms_db = metadata.get("context_rms_db")
  older = _REFERENCE_DB if rms_db is None else rms_db
  return metadata.get("loudness", {}).get("reference_db", older)


def relative_db(metadata: dict[str, Any], stem: str, role: str) -> float:
  """Return the usual loudness of a stem over that of its context, in dB.

  Args:
    metadata: metadata of the weights.
    stem: instrument category; "" for weights without instruments.
    role: role of the stem, which decides then, or "".
  """
  of_stem = metadata.get("loudness", {}).get("relative_db", {})
  of_role = metadata.get("roles", {}).get("relative_db", {})
  if stem:
    return of_stem.get(stem, 0.0)
  known = of_role or of_stem
  usual = sum(known.values()) / len(known) if known else 0.0
  return of_role.get(role, usual)


def with_guidance(
  settings: sampling.Settings,
  conditions: Collection[str],
  given: Collection[str] = ("category",),
) -> sampling.Settings:
  """Return settings with exactly one guidance scale for every source.

  A condition that is given but has no scale takes that of the category. One
  that is not given is null in every branch, so it gets the scale that adds no
  branch: nested, the scale of the condition before it, otherwise 0.

  Args:
    settings: settings with scales of any sources.
    conditions: names of the conditions of the model, in their order.
    given: names of the conditions that have a value.
  """
  scale_of = settings.guidance
  guidance, before = {}, 1.0
  for name in conditions:
    if name in given:
      before = scale_of.get(name, scale_of.get("category", 1.0))
    elif settings.guidance_form == "paper":
      before = 0.0
    guidance[name] = before
  guidance["context"] = scale_of.get("context", 0.0)
  return dataclasses.replace(settings, guidance=guidance)


def _encode(
  weights: model.Weights,
  codec: Codec,
  request: GenerationRequest,
  settings: sampling.Settings,
) -> Task:
  """Encode the context of a request, and collect the codes to keep."""
  edit, sound = request.edit, request.sound
  loudness = weights.metadata.get("loudness", {})
  if sound is None:  # from nothing, or an edit that keeps its context
    sound = inputs.silence(
      request.seconds or 0, codec.sample_rate, codec.channels
    )

  def encode(gain: float | None, loop: bool) -> EncodedContext:
    return context_lib.encode_context(
      codec,
      sound,
      reference_db(weights.metadata),
      rms=not loudness,
      relative_db=relative_db(weights.metadata, request.stem, request.role),
      gain=gain,
      loop=loop,
      from_nothing=request.seconds is not None,
      kind=weights.config.context,
    )

  if edit is None:
    context = encode(None, request.loop)
    known = np.zeros(context.codes.shape, np.int32)  # [t, q], all sampled
    return Task(weights, codec, request, settings, context, known, sound=sound)
  take, old = edit.take, edit.take.context
  if take.codec_checksum != codec.checksum:
    raise ValueError(
      f"{take.subject} has codes of another codec ({take.codec_checksum[:12]}, "
      f"not {codec.checksum[:12]}): load the weights that generated it, "
      f"{take.weights}"
    )
  old.inputs(weights.config.context, take.subject)  # raises if it is missing
  samples = None if isinstance(edit, Vary) else take.audio.samples
  scales = take.scales
  if scales is None:
    db = reference_db(weights.metadata)
    scales = stem_scales.derived(weights.metadata, take, old, db)
  task = Task(
    weights, codec, request, settings, old, take.codes, scales, samples
  )
  if not isinstance(edit, Extend):
    return task
  # After silence the music may have any loudness: measure it again.
  context = encode(
    None if old.level_db < context_lib.SILENCE_DB else old.gain, loop=False
  )
  _check_beginning(codec, take, context, sound)
  known = np.zeros(context.codes.shape, np.int32)  # [t, q] of the longer take
  # The last frame of the take may be incomplete: it is sampled again.
  known[: old.whole_frames] = take.codes[: old.whole_frames]
  return dataclasses.replace(
    task,
    # A saved take may have been lowered: its gain is that of its file.
    context=dataclasses.replace(context, inverse_gain=old.inverse_gain),
    known=known,
    old_samples=audio_lib.fit(take.audio.samples, context.samples),
    sound=sound,
  )


def _check_beginning(
  codec: Codec, take: Take, context: EncodedContext, sound: Audio
) -> None:
  """Raise ValueError unless a context begins with that of the take."""
  old, n = take.context, take.context.whole_frames
  begins = sound.samples[: old.samples] * np.float32(old.gain)
  begins = audio_lib.without_clicks(
    begins, sound.sample_rate, context_lib.SILENCE_DB
  )
  level_db = max(old.level_db, audio_lib.rms_db(begins))
  if old.from_nothing or level_db < context_lib.SILENCE_DB:
    return
  distance = context_lib.distance(codec, old.codes[:n], context.codes[:n])
  if distance > _OTHER_MUSIC:
    raise ValueError(
      f"the context does not begin with that of {take.subject}: give the same "
      "music, not shifted in time, that continues after its "
      f"{old.seconds:.2f} s"
    )


def _edit_mask(task: Task, seed: int) -> Bool[np.ndarray, "t q"]:
  """Return a mask of the codes to sample: of all codes for a new take.

  With predicted scales it has their column.
  """
  edit, (frames, levels) = task.request.edit, task.known.shape
  edited = np.ones(frames, bool)
  if isinstance(edit, Extend):
    edited = np.arange(frames) >= edit.take.context.whole_frames
  elif isinstance(edit, Regenerate):
    edited = task.context.frames_of(edit.regions)
  elif isinstance(edit, Vary):
    run = round(_RUN_SECONDS * task.codec.frame_rate)
    runs = -(-frames // run)  # rounded up: the last may be shorter
    # At least one run, so that a small share still varies a short take.
    count = max(1, round(edit.share * runs))
    chosen = np.random.default_rng(seed).permutation(runs) < count
    edited = np.repeat(chosen, run)[:frames]  # [t]
  first = edit.from_level if isinstance(edit, Vary) else 0
  mask = edited[:, None] & (np.arange(levels) >= first)  # [t, q]
  return stem_scales.join_mask(task.weights.config, mask)


def _takes(
  task: Task, name: str, compiled: float, waited: float
) -> Iterator[Take]:
  """Yield takes; the first one states the seconds before `_encode`, too."""
  request, context, settings = task.request, task.context, task.settings
  config, metadata = task.weights.config, task.weights.metadata
  batches = sampler.batches(request)
  # The only place where edit masks become the known masks of the decoder.
  known_masks = [~_edit_mask(task, batch[0]) for batch in batches]
  masked = [
    sampler.masked_frames(known_mask, task.codec, config, context.loop)
    for known_mask in known_masks
  ]
  # Levels that are kept count as well: the decoder reports them, too.
  steps = sum(settings.steps_at(level) for level in config.stages)
  total = steps * sum(len(x) * len(n) for x, n in zip(batches, masked))
  given = stem_scales.join(
    config, context.inputs(config.context), context.scales
  )
  known = stem_scales.join(config, task.known, task.scales)
  shown = request.progress
  # Without it, a level is one call of the decoder.
  report = (lambda done: shown(done, total)) if callable(shown) else None
  for batch, known_mask, frames in zip(batches, known_masks, masked):
    passes = sum(cost.passes(settings, config, each) for each in frames)
    decode = sampler.decoder(
      task.weights,
      request,
      settings,
      batch,
      progress=report,
    )
    began = time.perf_counter()
    with compilation.timed() as compiling:
      codes = sampler.decode_windows(
        decode,
        given,
        config,
        np.repeat(known[None], len(batch), axis=0),
        known_mask,
        task.codec,
        context.loop,
      )  # [b, t, q]
    # Each take of a batch accounts for its share of the time.
    sampled = time.perf_counter() - began - compiling.seconds
    sampled /= len(batch)
    compiled = (compiled + compiling.seconds) / len(batch)
    for seed, item in zip(batch, codes):
      began = time.perf_counter()
      item, scales = stem_scales.split(config, item)
      follows = scales
      if follows is None:
        db = reference_db(metadata)
        follows = stem_scales.derived(metadata, request, context, db)
      audio = stem_audio.decode_stem(
        task.codec, item, context, follows, task.sound
      )
      # Before the splice: warnings are about the new codes, not the kept ones.
      notes = stem_audio.notes(
        task.codec, context, audio.samples, reference_db(metadata)
      )
      for note in notes:
        warnings.warn(note, GenerationWarning, stacklevel=3)
      if task.old_samples is not None:
        edited = np.logical_or.reduce(~known_mask, axis=1)  # [t]
        samples = stem_audio.splice(
          task.old_samples, audio.samples, edited, context
        )
        audio = dataclasses.replace(audio, samples=samples)
      decoded = time.perf_counter() - began
      yield Take(
        audio=audio,
        codes=item,
        scales=scales,
        context=context,
        seed=seed,
        settings=settings,
        stem=request.stem,
        genre=request.genre,
        role=request.role,
        weights=name,
        codec_checksum=task.codec.checksum,
        # Only codecs with networks have a device.
        codec_device=getattr(task.codec, "device", ""),
        dtype=config.dtype,
        devices=sampler.count_devices(),
        origin=request.origin,
        passes=passes,
        flops=passes * cost.pass_flops(config),
        elapsed=context.encoding_seconds + sampled + decoded,
        decoding=decoded,
        loading=waited,
        compiling=compiled,
        warnings=notes,
      )
      waited = 0.0
    compiled = 0.0
