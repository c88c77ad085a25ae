"""StemGen: a model and its codec in one object that plays along.

The stem comes back in the caller's own format: exactly as many samples, at
the same sample rate, in as many channels as the context, without lag.
"""

import dataclasses
import os
import pathlib
import warnings
from collections.abc import Iterable, Iterator, Sequence

import jax
import numpy as np

from stemgen_jax import audio as audio_lib
from stemgen_jax import categories, model, paths, sampling
from stemgen_jax.audio import Audio
from stemgen_jax.codec import Codec
from stemgen_jax.codec import load as load_codec
from stemgen_jax.generation import compilation
from stemgen_jax.generation import context as context_lib
from stemgen_jax.generation.context import EncodedContext, Region
from stemgen_jax.generation.engine import Part, Player, Progress
from stemgen_jax.generation.take import Take

Context = str | os.PathLike[str] | Audio | tuple[np.ndarray, int]

_RUN_SECONDS = 0.5
_MOST_AT_ONCE = 8
# Between what the demo codec gives for 2.5 s of the same music saved again (16
# bit, mp3, ogg: 0.06 at most; 6 dB quieter: 0.18) and for other music (0.77 at
# least, of 992 pairs).
_FOREIGN = 0.5


@dataclasses.dataclass(frozen=True, eq=False)
class StemGen(Player):
  """Listens to a piece of music and plays one instrument along with it.

  Its attributes are those of `playing.Player`.
  """

  @classmethod
  def load(
    cls,
    weights: str | os.PathLike[str] = "demo",
    *,
    codec: str | os.PathLike[str] | None = None,
  ) -> "StemGen":
    """Loads a model and its codec.

    What JAX compiles from here on is kept in the cache folder, see
    `compilation.keep_programs`.

    Args:
      weights: "demo"; the path of exported weights, with or without their
        suffix .safetensors; or the folder of a run, of which the best
        checkpoint is loaded.
      codec: name or path of the codec; the one the model names if left out.

    Raises:
      FileNotFoundError: there are no such weights.
      ValueError: they are damaged, or the codec is not the one the model was
        trained with.
    """
    compilation.keep_programs()
    name = os.fspath(weights)
    loaded = load_weights(name)
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
    genre: str = "",
    role: str = "",
    seed: int = 0,
    seconds: float | None = None,
    loop: bool = False,
    settings: sampling.Settings | None = None,
    progress: Progress | None = None,
  ) -> Take:
    """Plays one take along with the context.

    It depends on weights, settings, context and seed alone: on a CPU the same
    ones give the same samples, to the last bit.

    Args:
      context: a file, `Audio`, or (float samples [n] or [n, channels] in
        -1..1, sample rate in Hz), 0.2 s to 10 minutes; or None to start from
        nothing. The model hears a window of some seconds at a time; longer
        music is played in windows that overlap by half.
      stem: the instrument, a category or any name that musicians use for it.
      genre: one of `categories.GENRES`, for weights that listen to it; "" for
        none in particular.
      role: one of `categories.ROLES`, what the stem shall do in the music; as
        `genre`.
      seed: 0 to 2**32 - 1; another seed is another take.
      seconds: length without a context; the stem then comes in the codec's
        own format.
      loop: the context is one period of a loop, and so is the stem.
      settings: how to sample, such as `sampling.preset("fast")`, or one of
        them with other numbers by `dataclasses.replace`; `preset("default")`
        if left out.
      progress: called after each level of each window.

    Returns:
      The take. Its audio has the samples, sample rate and channels of the
      context, without lag; `Take.save` writes it, `Take.mix` adds it to the
      context.

    Raises:
      ValueError, OSError: an argument is not as above, or the file cannot be
        read (see `audio.read`).
    """
    return next(
      self.takes(
        context,
        stem,
        [seed],
        genre=genre,
        role=role,
        seconds=seconds,
        loop=loop,
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
    genre: str = "",
    role: str = "",
    seconds: float | None = None,
    loop: bool = False,
    exact: bool = False,
    settings: sampling.Settings | None = None,
    progress: Progress | None = None,
  ) -> Iterator[Take]:
    """Plays takes along with the context, which is encoded only once.

    A take depends on weights, settings, context and seed alone. On a CPU
    takes are sampled one at a time, where a batch would be no faster, and a
    seed gives the same samples to the last bit alone and beside others.

    Args:
      context: a file, `Audio`, or (float samples [n] or [n, channels] in
        -1..1, sample rate in Hz), 0.2 s to 10 minutes; or None to start from
        nothing.
      stem: the instrument, a category or any name that musicians use for it.
      seeds: one for each take, 0 to 2**32 - 1.
      genre: one of `categories.GENRES`, for weights that listen to it; "" for
        none in particular.
      role: one of `categories.ROLES`, what the stem shall do in the music; as
        `genre`.
      seconds: length without a context; the stem then comes in the codec's
        own format.
      loop: the context is one period of a loop, and so is the stem.
      exact: take no more than one take at a time on accelerators either,
        where up to 8 together are faster, but the last bits of their products
        depend on their number and may tip a code.
      settings: how to sample; `preset("default")` if left out.
      progress: called after each level of each window.

    Raises:
      ValueError, OSError: an argument is not as above, or the file cannot be
        read (see `audio.read`). Raised here, before the first take.
    """
    category = categories.parse_category(stem)
    seeds = list(seeds)
    for seed in seeds:
      _check_seed(seed)
    genre = categories.parse_genre(genre) if genre else ""
    role = categories.parse_role(role) if role else ""
    self._check_conditions(genre=genre, role=role)
    settings = self.with_scales(
      settings or sampling.preset("default"), _given(genre, role)
    )
    if untrained := self.untrained(category):
      warnings.warn(untrained, stacklevel=2)
    audio = self._audio_of(context, seconds)
    encoded = context_lib.encode_context(
      self.codec,
      audio,
      self.reference_db,
      loop=loop,
      from_nothing=context is None,
    )
    plain = Part(encoded, category, settings, progress, genre=genre, role=role)
    return self.play(plain, seeds, at_once(exact=exact))

  def vary(
    self,
    take: Take,
    *,
    seed: int | None = None,
    share: float = 0.5,
    from_level: int = 0,
    settings: sampling.Settings | None = None,
    progress: Progress | None = None,
  ) -> Take:
    """Plays a part of a take anew, scattered over the whole of it.

    Args:
      take: of these weights.
      seed: of the new part; the take's own and 1 if left out.
      share: of the time that is played anew, above 0 and at most 1, in runs
        of half a second; at least one run, so all of a shorter take.
      from_level: codec levels coarser than this one stay in any case: 0 plays
        all anew; 1 and above keep the notes and change the sound.
      settings: how to sample; the take's own if left out.
      progress: see `Progress`.

    Raises:
      ValueError: an argument is not as above.
    """
    if not 0 < share <= 1:
      raise ValueError(f"share {share:g}: expected above 0 and at most 1")
    if not 0 <= from_level < self.codec.levels:
      raise ValueError(
        f"from_level {from_level}: expected 0 to {self.codec.levels - 1}"
      )
    seed = _new_seed(take, seed)
    part = self._part_of(take, settings, progress)
    frames = len(take.codes)
    run = round(_RUN_SECONDS * self.codec.frame_rate)
    runs = -(-frames // run)
    count = max(1, round(share * runs))
    chosen = np.random.default_rng(seed).permutation(runs) < count
    free = np.repeat(chosen, run)[:frames, None] & (
      np.arange(self.codec.levels) >= from_level
    )
    part = dataclasses.replace(
      part,
      free=free,
      origin=f"varied {share:g} from level {from_level} of {take.history}",
    )
    return next(self.play(part, [seed]))

  def regenerate(
    self,
    take: Take,
    regions: Sequence[Region],
    *,
    seed: int | None = None,
    settings: sampling.Settings | None = None,
    progress: Progress | None = None,
  ) -> Take:
    """Plays regions of a take anew and leaves the rest alone.

    Regions are widened to whole frames. Outside them the codes are the
    take's, bit for bit; so is the audio, but for a cross-fade of one frame
    (20 ms at 50 frames a second) on either side.

    Args:
      take: of these weights.
      regions: (from, to) in seconds; `regions.bars` has them from bars.
      seed: of the new part; the take's own and 1 if left out.
      settings: how to sample; the take's own if left out.
      progress: see `Progress`.

    Raises:
      ValueError: an argument is not as above, or a region is outside.
    """
    seed = _new_seed(take, seed)
    frames = take.context.frames_of(regions)
    said = ", ".join(f"{start:.2f}-{end:.2f} s" for start, end in regions)
    part = dataclasses.replace(
      self._part_of(take, settings, progress),
      free=np.repeat(frames[:, None], self.codec.levels, axis=1),
      spliced=frames,
      old=take.audio.samples,
      origin=f"regenerated {said} of {take.history}",
    )
    return next(self.play(part, [seed]))

  def extend(
    self,
    take: Take,
    context: Context | None = None,
    *,
    seconds: float | None = None,
    seed: int | None = None,
    settings: sampling.Settings | None = None,
    progress: Progress | None = None,
  ) -> Take:
    """Goes on where a take ends, under a longer context.

    What was played stays as `regenerate` leaves it, and so does its level:
    the longer context is brought to the model by the same factor, unless there
    was only silence before.

    Args:
      take: of these weights, and no loop.
      context: begins with the take's own and goes on; see `takes`. It may have
        been saved anew, also as mp3. None only for a take that was played
        from nothing.
      seconds: the new length, without a context.
      seed: of the new part; the take's own and 1 if left out.
      settings: how to sample; the take's own if left out.
      progress: see `Progress`.

    Raises:
      ValueError, OSError: an argument is not as above, or the context has
        another format, is not longer than the take, or begins otherwise.
    """
    seed = _new_seed(take, seed)
    part, old = self._part_of(take, settings, progress), take.context
    sound = None if context is None else _audio_of(context)
    sound = take.longer(sound, seconds)
    kept = old.whole_frames
    encoded = context_lib.encode_context(
      self.codec,
      sound,
      self.reference_db,
      # Silence says nothing of how loud the music is that follows it.
      gain=None if old.level_db < context_lib.SILENCE_DB else old.gain,
      from_nothing=context is None,
    )
    _check_beginning(self.codec, take, encoded, sound)
    encoded = dataclasses.replace(encoded, inverse_gain=old.inverse_gain)
    new = np.arange(len(encoded.codes)) >= kept
    part = dataclasses.replace(
      part,
      context=encoded,
      free=np.repeat(new[:, None], self.codec.levels, axis=1),
      known=_fit(take.codes[:kept], len(new)),
      spliced=new,
      old=_fit(take.audio.samples, encoded.samples),
      origin=f"extended from {old.seconds:.2f} s: {take.history}",
    )
    return next(self.play(part, [seed]))

  def _part_of(
    self,
    take: Take,
    settings: sampling.Settings | None,
    progress: Progress | None,
  ) -> "Part":
    if take.codec_checksum != self.codec.checksum:
      raise ValueError(
        f"{take.name} has codes of another codec ({take.codec_checksum[:12]}, "
        f"not {self.codec.checksum[:12]}): load the weights that played it, "
        f"{take.weights}"
      )
    self._check_conditions(genre=take.genre, role=take.role)
    settings = self.with_scales(
      settings or take.settings, _given(take.genre, take.role)
    )
    return Part(
      take.context,
      take.stem,
      settings,
      progress,
      genre=take.genre,
      role=take.role,
      known=take.codes,
    )

  def _check_conditions(self, **asked: str) -> None:
    """Raises ValueError for a condition that would have no effect."""
    for name, value in asked.items():
      if value and name not in self.config.conditions:
        raise ValueError(
          f"{name} {value!r}: these weights do not listen to a {name}, only "
          f"to {', '.join((*self.config.conditions, 'context'))}"
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
    return _audio_of(context)


def at_once(*, exact: bool) -> int:
  """How many takes are sampled together here, see `StemGen.takes`."""
  return 1 if exact or jax.default_backend() == "cpu" else _MOST_AT_ONCE


def _given(genre: str, role: str) -> list[str]:
  """Names of the conditions that have a value."""
  values = {"category": True, "genre": genre, "role": role}
  return [name for name, value in values.items() if value]


def load_weights(name: str) -> model.Weights:
  """The weights that `StemGen.load` finds under a name; errors as there."""
  path = pathlib.Path(name)
  if paths.is_run(path):
    # Here: who plays exported weights needs no Orbax.
    from stemgen_jax.training import runs

    return runs.load_run(path)
  return model.load_weights(name)


def _check_seed(seed: int) -> None:
  if not 0 <= seed < 2**32:
    raise ValueError(f"seed {seed}: expected 0 to {2**32 - 1}")


def _check_beginning(
  codec: Codec, take: Take, encoded: EncodedContext, sound: Audio
) -> None:
  """Raises ValueError if a context begins otherwise than the take's own."""
  old = take.context
  begins = sound.samples[: old.samples] * np.float32(old.gain)
  level_db = max(old.level_db, audio_lib.rms_db(begins))
  if old.from_nothing or level_db < context_lib.SILENCE_DB:
    return
  n = old.whole_frames
  if context_lib.distance(codec, old.codes[:n], encoded.codes[:n]) > _FOREIGN:
    raise ValueError(
      f"the context does not begin with what {take.name} was played to: give "
      f"the same music, without a shift in time, that goes on after its "
      f"{old.seconds:.2f} s"
    )


def _new_seed(take: Take, seed: int | None) -> int:
  """The seed of what is played anew: as given, or the one after the take's."""
  if seed is None:
    return (take.seed + 1) % 2**32
  _check_seed(seed)
  return seed


def _fit(rows: np.ndarray, length: int) -> np.ndarray:
  """Cut, or padded with zeros, to so many rows."""
  missing = max(0, length - len(rows))
  return np.pad(rows[:length], ((0, missing), (0, 0)))


def _audio_of(context: Context) -> Audio:
  """The sound of a context, which is one that can be played along with."""
  if isinstance(context, str | os.PathLike):
    audio = audio_lib.read(context, longest=audio_lib.LONGEST)
  elif isinstance(context, Audio):
    audio = context
  elif isinstance(context, tuple) and len(context) == 2:
    audio = _audio_of_array(*context)
  else:
    raise ValueError(
      f"the context is of type {type(context).__name__}: expected an Audio, a "
      "path, or (samples, sample rate)"
    )
  audio_lib.check_seconds(audio.seconds, "the context")
  if not np.isfinite(audio.samples).all():
    raise ValueError("the context has samples that are NaN or infinite")
  return audio


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
