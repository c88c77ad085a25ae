"""StemGen: a model and its codec, with methods that generate takes.

A stem has the format of its context: exactly as many samples, at the same
sample rate, in as many channels, without lag.
"""

import contextlib
import dataclasses
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from stemgen_jax import codec as codec_lib
from stemgen_jax import model, paths, sampling
from stemgen_jax import progress as progress_lib
from stemgen_jax.codec import Codec
from stemgen_jax.generation import compilation, engine
from stemgen_jax.generation.inputs import Context
from stemgen_jax.generation.regions import Region
from stemgen_jax.generation.request import (
  Edit,
  Extend,
  GenerationRequest,
  Progress,
  Regenerate,
  Vary,
)
from stemgen_jax.generation.take import Take
from stemgen_jax.web import hub


@dataclasses.dataclass(frozen=True, eq=False)
class StemGen:
  """A model that generates one instrument for a piece of music.

  Attributes:
    config: shape of the model.
    params: parameters of the model.
    codec: the codec that the model was trained with.
    metadata: description of the weights, see `engine.generate`.
    name: name or path that the weights were loaded from.
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
    codec: str | os.PathLike[str] | Codec | None = None,
    codec_device: str = codec_lib.device.AUTO,
    codec_backend: str = "auto",
    dtype: str = "auto",
  ) -> "StemGen":
    """Load a model and its codec.

    Programs that JAX compiles from here on are kept in the cache folder, see
    `compilation.keep_programs`.

    Args:
      weights: "demo" or "band"; the path of exported weights, with or without
        their suffix .safetensors; "hf:OWNER/NAME@REVISION" on the Hugging Face
        Hub, see `web.hub.fetch`; or the folder of a run, whose best checkpoint
        is loaded.
      codec: the codec, or its name or path; by default the one that the model
        names.
      codec_device: "cpu", "cuda" or "cuda:N"; "auto" is a GPU if PyTorch finds
        one. JAX, if it has not been used yet, leaves it some memory.
      codec_backend: implementation of the codec's networks, "encodec" or
        "transformers"; "auto" is the first that is installed.
      dtype: dtype of the model's products, "float32" or "bfloat16"; "auto" is
        that of the take for an edit, otherwise the faster one here.

    Raises:
      FileNotFoundError: there are no such weights.
      ValueError: the weights are corrupt, the codec is not the one that the
        model was trained with, or there is no such device or dtype.
    """
    if codec is None or isinstance(codec, str | os.PathLike):
      # Before JAX is used, which takes most of a GPU's memory then.
      codec_device = codec_lib.device.choose(codec_device)
    compilation.keep_programs()  # before anything is compiled
    name = hub.fetch(os.fspath(weights))
    loaded = load_weights(name)
    config = loaded.config
    if dtype != "auto":
      config = dataclasses.replace(config, dtype=dtype)
      config.validate()
    # Other weights would decode the model's codes to noise.
    if codec is None or isinstance(codec, str | os.PathLike):
      codec = codec_lib.load(
        codec or hub.codec_of(name) or config.codec or "demo",
        expected_checksum=config.codec_checksum,
        device=codec_device,
        backend=codec_backend,
      )
    else:
      loaded.check_codec(codec.name, codec.checksum)
    return cls(config, loaded.params, codec, loaded.metadata, name)

  def generate(
    self,
    context: Context | None,
    stem: str = "",
    *,
    genre: str = "",
    role: str = "",
    seed: int = 0,
    seconds: float | None = None,
    loop: bool = False,
    settings: sampling.Settings | None = None,
    progress: Progress = True,
  ) -> Take:
    """Generate one take for a context.

    A take depends on weights, settings, context and seed alone: on a CPU the
    same ones give the same samples, to the last bit.

    Args:
      context: a file, `Audio`, or (float samples [n] or [n, channels] in
        -1..1, sample rate in Hz), 0.2 s to 10 minutes; or None to start from
        nothing. The model sees a window of some seconds at a time; longer
        music is decoded in windows that overlap by half.
      stem: instrument category, or a name that musicians use for it; by
        default bass, or none for weights without instruments, such as those of
        `configs/mingus.py`.
      genre: one of `categories.GENRES`, for weights with that condition; "" for
        none in particular.
      role: one of `categories.ROLES`, the function of the stem in the music; as
        `genre`.
      seed: 0 to 2**32 - 1; another seed gives another take.
      seconds: length without a context; the stem then has the format of the
        codec.
      loop: the context is one period of a loop, and so is the stem.
      settings: how to sample, such as `sampling.preset("fast")`, or a preset
        with other values by `dataclasses.replace`; by default
        `preset("default")`.
      progress: called after each step of each window.

    Returns:
      The take. Its audio has the samples, sample rate and channels of the
      context, without lag; `Take.save` writes it, `Take.mix` adds it to the
      context.

    Raises:
      ValueError, OSError: an argument is not as documented, or the file cannot
        be read (see `audio.read`).
    """
    request = GenerationRequest(
      context=context,
      stem=stem,
      genre=genre,
      role=role,
      seeds=[seed],
      seconds=seconds,
      loop=loop,
      settings=settings,
      progress=progress,
    )
    return next(self.run(request.validate()))

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
    progress: Progress = True,
  ) -> Iterator[Take]:
    """Generate takes for a context, which is encoded only once.

    On a CPU, takes are sampled one at a time, where a batch would be no
    faster, and a seed gives the same samples to the last bit alone and among
    others.

    Args:
      context, stem, genre, role, seconds, loop, settings, progress: see
        `generate`.
      seeds: one for each take, 0 to 2**32 - 1.
      exact: sample one take at a time on accelerators too, where up to 8
        together are faster, but the last bits of their products depend on
        their number and may change a code.

    Raises:
      ValueError, OSError: see `generate`; raised here, before the first take.
    """
    request = GenerationRequest(
      context=context,
      stem=stem,
      genre=genre,
      role=role,
      seeds=list(seeds),
      seconds=seconds,
      loop=loop,
      exact=exact,
      settings=settings,
      progress=progress,
    )
    return self.run(request.validate())

  def vary(
    self,
    take: Take,
    *,
    seed: int | None = None,
    share: float = 0.5,
    from_level: int = 0,
    settings: sampling.Settings | None = None,
    progress: Progress = True,
  ) -> Take:
    """Sample a share of a take again, scattered over all of it.

    Args:
      take: take of these weights.
      seed: seed of the new codes; by default that of the take plus 1.
      share: share of the time that is sampled again, above 0 and at most 1, in
        runs of half a second; at least one run, so all of a shorter take.
      from_level: first codec level that is sampled again: 0 for all; 1 and
        above keep the notes and change the sound.
      settings: how to sample; by default the settings of the take.
      progress: called after each step of each window.

    Raises:
      ValueError: an argument is not as documented.
    """
    edit = Vary(take, share, from_level)
    return next(self._edit(edit, seed, settings, progress))

  def regenerate(
    self,
    take: Take,
    regions: Sequence[Region],
    *,
    seed: int | None = None,
    settings: sampling.Settings | None = None,
    progress: Progress = True,
  ) -> Take:
    """Sample regions of a take again and keep the rest.

    Regions are widened to whole frames. Outside of them the codes stay the
    same, bit for bit; so does the audio, except for a cross-fade of one frame
    (20 ms at 50 frames a second) on either side.

    Args:
      take: take of these weights.
      regions: (from, to) in seconds; `regions.bars` converts bars to seconds.
      seed: seed of the new codes; by default that of the take plus 1.
      settings: how to sample; by default the settings of the take.
      progress: called after each step of each window.

    Raises:
      ValueError: an argument is not as documented, or a region is outside.
    """
    edit = Regenerate(take, regions)
    return next(self._edit(edit, seed, settings, progress))

  def extend(
    self,
    take: Take,
    context: Context | None = None,
    *,
    seconds: float | None = None,
    seed: int | None = None,
    settings: sampling.Settings | None = None,
    progress: Progress = True,
  ) -> Take:
    """Continue a take to the end of a longer context.

    The take stays as `regenerate` keeps it, and so does its loudness: the
    longer context is encoded with the same gain, unless there was only silence
    before.

    Args:
      take: take of these weights, not a loop.
      context: music that begins with that of the take and is longer; see
        `generate`. It may have been saved again, also as mp3. None only for a
        take that was generated from nothing.
      seconds: the new length, without a context.
      seed: seed of the new codes; by default that of the take plus 1.
      settings: how to sample; by default the settings of the take.
      progress: called after each step of each window.

    Raises:
      ValueError, OSError: an argument is not as documented, or the context has
        another format, is not longer than the take, or begins differently.
    """
    sound = {"context": context, "seconds": seconds}
    return next(self._edit(Extend(take), seed, settings, progress, **sound))

  def run(self, request: GenerationRequest) -> Iterator[Take]:
    """Generate the takes of a validated request, see `engine.generate`."""
    weights = model.Weights(self.config, self.params, self.metadata)
    if request.progress is not True:
      return engine.generate(weights, self.codec, request, self.name)
    # Closed after an error, too: notebooks keep its frames, and with them a bar
    # that would hide those of later takes.
    with contextlib.ExitStack() as stack:
      steps = stack.enter_context(progress_lib.Steps())
      request = dataclasses.replace(request, progress=steps)
      with compilation.shown(sys.stderr):
        takes = engine.generate(weights, self.codec, request, self.name)
      stack.pop_all()
    return _closing(steps, takes)

  def _edit(
    self,
    edit: Edit,
    seed: int | None,
    settings: sampling.Settings | None,
    progress: Progress,
    **inputs: Any,
  ) -> Iterator[Take]:
    request = GenerationRequest(
      edit=edit,
      seeds=None if seed is None else [seed],
      settings=settings,
      progress=progress,
      **inputs,
    )
    return self.run(request.validate())


def _closing(
  steps: progress_lib.Steps, takes: Iterator[Take]
) -> Iterator[Take]:
  with steps:
    yield from takes


def load_weights(name: str) -> model.Weights:
  """Load shipped or exported weights, or the best checkpoint of a run."""
  if paths.is_run(name):
    # Exported weights, the usual case, need no Orbax.
    from stemgen_jax.training import runs

    return runs.load_run(name)
  return model.load_weights(name)
