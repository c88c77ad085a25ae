"""StemGen: a model and its codec in one object that plays along.

The stem comes back in the caller's own format: exactly as many samples, at
the same sample rate, in as many channels as the context, without lag.
"""

import dataclasses
import os
import pathlib
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from jaxtyping import Float32, Int

from stemgen_jax import audio as audio_lib
from stemgen_jax import categories, model, sampling, windows
from stemgen_jax.audio import Audio
from stemgen_jax.codec import Codec
from stemgen_jax.codec import load as load_codec
from stemgen_jax.take import Take

Context = str | os.PathLike[str] | Audio | tuple[np.ndarray, int]
Progress = Callable[[int], object]

_REFERENCE_DB = -18.0
_SILENCE_DB = -90.0
_TOO_QUIET_DB = 30.0


@dataclasses.dataclass(frozen=True, eq=False)
class _Heard:
  """A context as the model hears it, and the format it came in."""

  codes: Int[np.ndarray, "t q"]
  gain: float
  level_db: float
  from_nothing: bool
  samples: int
  sample_rate: int
  channels: int


@dataclasses.dataclass(frozen=True, eq=False)
class StemGen:
  """Listens to a piece of music and plays one instrument along with it.

  Attributes:
    config: shape of the model.
    params: its parameters.
    codec: the codec whose codes it speaks.
    metadata: what is known of the weights; used here: `categories`, the
      instrument categories they were trained on, and `context_rms_db`, the
      usual level of the contexts they were trained on.
    name: what the weights were loaded from.
  """

  config: model.ModelConfig
  params: Any = dataclasses.field(repr=False)
  codec: Codec
  metadata: dict[str, Any]
  name: str = "demo"

  @classmethod
  def load(
    cls,
    weights: str | os.PathLike[str] = "demo",
    *,
    codec: str | os.PathLike[str] | None = None,
  ) -> "StemGen":
    """Loads a model and its codec.

    Args:
      weights: "demo", or the path of exported weights, with or without their
        suffix .safetensors.
      codec: name or path of the codec; the one the model names if left out.

    Raises:
      FileNotFoundError: there are no such weights.
      ValueError: they are damaged, or the codec is not the one the model was
        trained with.
    """
    name = os.fspath(weights)
    path = pathlib.Path(name)
    if name != "demo" and path.suffix != ".safetensors":
      path = path.with_name(f"{path.name}.safetensors")
    loaded = model.load_weights(path)
    config = loaded.config
    return cls(
      config,
      loaded.params,
      load_codec(
        codec or config.codec or "demo",
        expected_checksum=config.codec_checksum,
      ),
      loaded.metadata,
      name,
    )

  def generate(
    self,
    context: Context | None,
    stem: str = "bass",
    *,
    seed: int = 0,
    seconds: float | None = None,
    settings: sampling.Settings | None = None,
    progress: Progress | None = None,
  ) -> Take:
    """Plays one take along with the context; arguments as `takes`."""
    return next(
      self.takes(
        context,
        stem,
        [seed],
        seconds=seconds,
        settings=settings,
        progress=progress,
      )
    )

  def takes(
    self,
    context: Context | None,
    stem: str,
    seeds: Iterable[int],
    *,
    seconds: float | None = None,
    settings: sampling.Settings | None = None,
    progress: Progress | None = None,
  ) -> Iterator[Take]:
    """Plays takes along with the context, which is encoded only once.

    Every take is sampled and decoded alone in one fixed shape: a seed gives
    the same samples alone and beside others.

    Args:
      context: a file, `Audio`, or (float samples [n] or [n, channels] in
        -1..1, sample rate in Hz), 0.2 s to 10 minutes; or None to start from
        nothing.
      stem: the instrument, a category or any name that musicians use for it.
      seeds: one for each take, 0 to 2**32 - 1.
      seconds: length without a context; the stem then comes in the codec's
        own format.
      settings: how to sample; `preset("default")` if left out.
      progress: called after each level of each window with the number of
        sampling steps just done.

    Raises:
      ValueError, OSError: an argument is not as above, or the file cannot be
        read (see `audio.read`). Raised here, before the first take.
    """
    category = categories.parse_category(stem)
    seeds = list(seeds)
    for seed in seeds:
      if not 0 <= seed < 2**32:
        raise ValueError(f"seed {seed}: expected 0 to {2**32 - 1}")
    chosen = settings or sampling.preset("default")
    chosen = self._with_scales(chosen)
    audio = self._audio_of(context, seconds)
    heard = self._hear(audio, from_nothing=context is None)
    return (
      self._play(heard, category, seed, chosen, progress) for seed in seeds
    )

  def _audio_of(self, context: Context | None, seconds: float | None) -> Audio:
    if context is None:
      if seconds is None:
        raise ValueError("there is no context: give a length, seconds=10")
      audio_lib.check_seconds(seconds, "the stem")
      shape = (round(seconds * self.codec.sample_rate), self.codec.channels)
      return Audio(np.zeros(shape, np.float32), self.codec.sample_rate)
    if seconds is not None:
      raise ValueError(
        f"seconds {seconds}, but the stem is as long as its context: give "
        "seconds only without a context"
      )
    if isinstance(context, str | os.PathLike):
      audio = audio_lib.read(context, longest=audio_lib.LONGEST)
    elif isinstance(context, Audio):
      audio = context
    else:
      audio = _audio_of_array(*context)
    audio_lib.check_seconds(audio.seconds, "the context")
    if not np.isfinite(audio.samples).all():
      raise ValueError("the context has samples that are NaN or infinite")
    return audio

  def _with_scales(self, settings: sampling.Settings) -> sampling.Settings:
    """A guidance scale for every source of this model, and for no other.

    Sources that the settings do not name are not given by the caller either:
    scale 0 leaves their branches out.
    """
    sources = (*self.config.conditions, "context")
    scales = {name: settings.guidance.get(name, 0.0) for name in sources}
    return dataclasses.replace(settings, guidance=scales)

  def _hear(self, audio: Audio, *, from_nothing: bool) -> _Heard:
    """Encodes a context, in the codec's format and at the training level."""
    rate, channels = self.codec.sample_rate, self.codec.channels
    sound = _with_channels(audio.samples, channels)
    sound = audio_lib.resample(sound, audio.sample_rate, rate)
    gain = gain_to_reference(sound, self._reference_db)
    sound = sound * np.float32(gain)
    return _Heard(
      codes=self.codec.encode(sound[None])[0],
      gain=gain,
      level_db=audio_lib.rms_db(sound),
      from_nothing=from_nothing,
      samples=len(audio.samples),
      sample_rate=audio.sample_rate,
      channels=audio.channels,
    )

  def _play(
    self,
    heard: _Heard,
    category: str,
    seed: int,
    settings: sampling.Settings,
    progress: Progress | None,
  ) -> Take:
    began = time.perf_counter()
    codes = self._sample(heard.codes, category, seed, settings, progress)
    sound = self.codec.decode(codes[None])[0]
    notes = self._notes(heard, category, sound)
    for note in notes:
      warnings.warn(note, stacklevel=3)
    # What the codec's last frame has beyond the context's end is cut after
    # resampling, so that the filter does not meet an edge there.
    sound = audio_lib.resample(
      sound / np.float32(heard.gain),
      self.codec.sample_rate,
      heard.sample_rate,
      heard.samples,
    )
    sound = _with_channels(sound, heard.channels)
    return Take(
      audio=Audio(sound, heard.sample_rate),
      codes=codes,
      seed=seed,
      settings=settings,
      stem=category,
      weights=self.name,
      elapsed=time.perf_counter() - began,
      warnings=notes,
    )

  def _sample(
    self,
    context: Int[np.ndarray, "t q"],
    category: str,
    seed: int,
    settings: sampling.Settings,
    progress: Progress | None,
  ) -> Int[np.ndarray, "t q"]:
    ids = {name: model.CONDITION_SIZES[name] for name in self.config.conditions}
    if "category" in ids:
      ids["category"] = categories.category_id(category)

    def decode(context, known, known_mask, valid, start):
      codes = sampling.decode_codes(
        self.config,
        self.params,
        context[None],
        {name: np.array([number]) for name, number in ids.items()},
        np.array([seed]),
        settings,
        known=known[None],
        known_mask=known_mask[None],
        valid=valid[None],
        frame_offset=start,
        progress=progress,
      )
      return np.asarray(codes)[0]

    return windows.decode_long(decode, context, self.config.window)

  @property
  def _reference_db(self) -> float:
    level = self.metadata.get("context_rms_db")
    return _REFERENCE_DB if level is None else level

  def _notes(
    self, heard: _Heard, category: str, sound: Float32[np.ndarray, "n c"]
  ) -> tuple[str, ...]:
    """What the listener should know about a take."""
    notes = []
    trained = self.metadata.get("categories", categories.CATEGORIES)
    if category not in trained:
      notes.append(
        f"these weights were not trained on {category!r}: expect little of "
        f"it; they know {', '.join(trained)}"
      )
    silent = heard.level_db < _SILENCE_DB
    if silent and not heard.from_nothing:
      notes.append(
        "the context is silent, or its channels cancel in mono: the stem was "
        "played to nothing"
      )
    level_db = self._reference_db if silent else heard.level_db
    below_db = level_db - audio_lib.rms_db(sound)
    if below_db > _TOO_QUIET_DB:
      than = "music usually is" if silent else "the context"
      quiet = f"{below_db:.0f} dB quieter than {than}"
      quiet = "silent" if below_db == np.inf else quiet
      notes.append(f"the stem is {quiet}: try another seed or lower guidance")
    return tuple(notes)


def gain_to_reference(
  samples: Float32[np.ndarray, "n c"], reference_db: float
) -> float:
  """Factor that brings a context to the level of the training's contexts.

  The codec and the model have learned music at about one level and play at
  that level whatever they hear. So the context is brought there, and the stem
  is brought back by the inverse: a quiet context gets a stem as much quieter.

  Args:
    samples: of the context.
    reference_db: its wanted root mean square, dB of full scale.

  Returns:
    The factor, at most what makes the loudest sample 1; 1 for silence.
  """
  level_db = audio_lib.rms_db(samples)
  if level_db < _SILENCE_DB:
    return 1.0
  factor = 10 ** ((reference_db - level_db) / 20)
  return min(factor, 1.0 / float(np.abs(samples).max()))


def _audio_of_array(samples: np.ndarray, sample_rate: int) -> Audio:
  samples = np.asarray(samples)
  if not np.issubdtype(samples.dtype, np.floating):
    raise ValueError(
      f"the context's samples are {samples.dtype}: expected floating-point "
      "numbers in -1..1; divide 16-bit samples by 32768"
    )
  if samples.ndim == 1:
    samples = samples[:, None]
  if samples.ndim != 2 or samples.shape[1] > max(1, len(samples)):
    raise ValueError(
      f"the context has shape {samples.shape}: expected [samples] or "
      "[samples, channels]; transpose it"
    )
  return Audio(samples.astype(np.float32), sample_rate)


def _with_channels(
  samples: Float32[np.ndarray, "n c"], channels: int
) -> Float32[np.ndarray, "n {channels}"]:
  """As many channels as asked for; through mono where the number differs."""
  if samples.shape[1] == channels:
    return samples
  return audio_lib.spread(audio_lib.fold_down(samples), channels)
