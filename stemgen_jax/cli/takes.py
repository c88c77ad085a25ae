"""Run the commands that write takes: check all input, load, generate, write.

jax and torch are imported after everything that the user gave is checked.
"""

import contextlib
import dataclasses
import functools
import gc
import pathlib
import re
import sys
import time
import warnings
from collections.abc import Callable, Collection, Iterator
from typing import TYPE_CHECKING, Any

from absl import flags

from stemgen_jax import audio, categories, progress
from stemgen_jax import codec as codec_lib
from stemgen_jax.audio import Audio
from stemgen_jax.cli import costs, music, next_steps, take_files
from stemgen_jax.cli.flags import settings
from stemgen_jax.cli.flags.required import required
from stemgen_jax.cli.flags.takes import BITS
from stemgen_jax.codec import backends, device, process, weight_files
from stemgen_jax.generation import codes_file, exported, regions
from stemgen_jax.generation.regions import Region
from stemgen_jax.generation.request import (
  Edit,
  Extend,
  GenerationRequest,
  Regenerate,
  Vary,
  next_seed,
)
from stemgen_jax.generation.take import GenerationWarning, Take, TakeFiles
from stemgen_jax.paths import SHIPPED, is_run, weights_file
from stemgen_jax.web import hub

if TYPE_CHECKING:
  from stemgen_jax.generation.stemgen import StemGen

_MOST_TAKES = 1000


def generate(values: flags.FlagValues) -> None:
  """Generate new takes, or print their cost.

  Raises:
    ValueError, OSError: the input is invalid; nothing is written then.
  """
  if values.context:
    _file(values, "context")
  if values.loop and not values.context:
    raise ValueError("--loop requires --context")
  if values.best is not None and not values.context:
    raise ValueError("--best requires --context")
  if values.best is not None and not 1 <= values.best <= values.takes:
    limit = (
      f"at most --takes ({values.takes})" if values.best > 0 else "1 or more"
    )
    raise ValueError(f"--best={values.best}: expected {limit}")
  if values["stem"].present:
    categories.parse_stem(values.stem)  # "" is not an instrument
  request = _validated(
    values,
    context=values.context or None,
    stem=values.stem or "",
    genre=values.genre,
    role=values.role,
    seeds=_seeds(values, values.seed),
    seconds=values.seconds,
    loop=values.loop,
    exact=values.exact,
    settings=settings.parse(values),
  )

  def plan(busy: Collection[str] = ()) -> take_files.Plans:
    read = [values.context]
    return take_files.plan(values, request, request.sound, read, busy)

  request = for_weights(values, request)
  if not values.dry_run:
    plan()
  # Only that they exist: their contents are checked when they are loaded.
  check_weights(values)
  request = for_weights(values, request)  # of the Hub, which are here now
  if values.stem and _letters(values.stem) != _letters(request.stem):
    progress.write(f"{values.stem!r} is category {request.stem}")
  if request.sound is not None and not values.dry_run:
    music.report(
      request.sound,
      exported.read(values.weights, "metadata"),
      loop=request.loop,
    )
  if values.dry_run:
    costs.show(values, load(values)[0], request)
    return
  with take_files.only_writer(values, plan) as plans:
    _run(values, *load(values), request, plans, request.sound)


def vary(values: flags.FlagValues) -> None:
  """Sample a share of --take again; errors as in `generate`."""
  _edit(values, lambda take: Vary(take, values.share, values.from_level))


def regenerate(values: flags.FlagValues) -> None:
  """Sample regions of --take again; errors as in `generate`."""
  _file(values, "take")
  if (values.regions is None) == (values.bars is None):
    raise ValueError(
      "give either --regions, such as --regions=2.5-4, or --bars, such as "
      "--bars=5-8 --bpm=120"
    )

  def seconds_at(bpm: float) -> list[Region]:
    return [
      regions.bars(
        first,
        last,
        bpm=bpm,
        beats_per_bar=values.beats_per_bar,
        first_beat=values.first_beat,
      )
      for first, last in values.bars
    ]

  seconds = values.regions
  if seconds is None and values.bpm is not None:
    seconds = seconds_at(values.bpm)  # raises before the take is read
  _edit(
    values,
    lambda take: Regenerate(take, seconds or seconds_at(_bpm(values, take))),
  )


def _bpm(values: flags.FlagValues, take: Take) -> float:
  """Return the tempo of --context, or else that of the take."""
  if values.context:
    sound = audio.read(values.context, longest=audio.LONGEST)
    return music.bpm_of(sound, values.context)
  return music.bpm_of(take.audio, take.subject)


def extend(values: flags.FlagValues) -> None:
  """Continue --take under a longer context; errors as in `generate`."""
  _edit(values, Extend)


def _edit(values: flags.FlagValues, edit_of: Callable[[Take], Edit]) -> None:
  path = _file(values, "take")
  take = Take.load(path)
  change = edit_of(take)
  inputs: dict[str, Any] = {}
  if isinstance(change, Extend):
    inputs = {"context": values.context or None, "seconds": values.seconds}
  seed = next_seed(take) if values.seed is None else values.seed
  request = _validated(
    values,
    edit=change,
    seeds=_seeds(values, seed),
    settings=settings.parse(values, take.settings),
    **inputs,
  )
  context = request.sound if values.context else None
  if values.context and not inputs:
    # Only for the mix and the picture: the take has the codes of its context.
    context = audio.read(values.context, longest=audio.LONGEST)
    take.check_context(context, f"--context={values.context}")
  read = (path, str(codes_file.path_of(path)), values.context)
  plan = functools.partial(take_files.plan, values, request, take.audio, read)
  plan()
  own = values.weights is None
  if own:
    values.weights = take.weights
  try:
    # Not because a file of somebody else names them.
    check_weights(values, download=not own)
  except FileNotFoundError as error:
    if not own:
      raise
    raise FileNotFoundError(
      f"{path} was generated by {take.weights}, which is not here: give "
      "--weights"
    ) from error
  with take_files.only_writer(values, plan) as plans:
    _run(values, *load(values), request, plans, context)


def _file(values: flags.FlagValues, name: str) -> str:
  """Return the path of an input; raise FileNotFoundError before other errors.

  Its content is read after cheaper checks.
  """
  path = required(values, name, "bass.wav")
  audio.check_file(path)
  return path


def _seeds(values: flags.FlagValues, first: int) -> range:
  if not 1 <= values.takes <= _MOST_TAKES:
    raise ValueError(f"--takes={values.takes}: expected 1 to {_MOST_TAKES}")
  return range(first, first + values.takes)


def _validated(values: flags.FlagValues, **arguments: Any) -> GenerationRequest:
  with flags_in_errors(values):
    request = GenerationRequest(**arguments).validate()
  settings.check_scales(values, genre=request.genre, role=request.role)
  return request


@contextlib.contextmanager
def flags_in_errors(values: flags.FlagValues) -> Iterator[None]:
  """Replace the `arguments` that errors of a request name by --flags."""
  try:
    yield
  except ValueError as error:
    message = re.sub(
      r"`(\w+)`",
      lambda match: f"--{match[1]}" if match[1] in values else match[0],
      str(error),
    )
    raise ValueError(message) from error


def check_weights(values: flags.FlagValues, *, download: bool = True) -> None:
  """Raise an error if a flag of the model or its codec is wrong.

  Weights of the Hugging Face Hub are downloaded, and named with their commit.
  """
  device.check(values.codec_device)
  backends.check(values.codec_backend)
  if download and values.weights:
    values.weights = hub.fetch(values.weights)
  codecs = (*SHIPPED, *weight_files.PUBLISHED)
  for name, names in (("weights", SHIPPED), ("codec", codecs)):
    path = values[name].value or "demo"
    known = path.partition(":")[0] in names
    run = name == "weights" and is_run(path)
    file = weights_file(path) if name == "weights" else pathlib.Path(path)
    if not known and not run and not file.is_file():
      raise FileNotFoundError(
        f"--{name}={path}: no such file; expected {', '.join(SHIPPED)}, or a "
        ".safetensors file"
      )


def for_weights(
  values: flags.FlagValues, request: GenerationRequest
) -> GenerationRequest:
  """Complete a request for --weights, if their conditions can be read.

  No model is loaded, see `GenerationRequest.for_weights`.
  """
  known = exported.conditions(values.weights)
  if known is None:
    return request
  with flags_in_errors(values):
    return request.for_weights(known, values.weights)


def _letters(name: str) -> str:
  return re.sub(r"[\W_]+", "", name.lower())


def load(values: flags.FlagValues) -> "tuple[StemGen, dict[str, float]]":
  """Load model and codec; return also the seconds that `Take` states."""
  began = time.perf_counter()
  # From here on there are seconds of imports: all input is checked.
  gc.disable()  # Imports make many objects and no garbage: 10 % (measured).
  try:
    only_costs = "dry_run" in values and values.dry_run
    codec = None if only_costs else _start(values)
    from stemgen_jax.generation.stemgen import StemGen

    importing = progress.process_age()
    stemgen = StemGen.load(
      values.weights,
      codec=codec or values.codec,
      codec_device=values.codec_device,
      codec_backend=values.codec_backend,
      dtype=values.dtype,
    )
    loading = progress.process_age() - importing
  finally:
    gc.enable()
  progress.write(
    f"loaded {stemgen.name} in {time.perf_counter() - began:.1f} s"
  )
  return stemgen, {"importing": importing, "loading": loading}


def _start(values: flags.FlagValues) -> codec_lib.Codec | None:
  """Start to load the codec in its own process, or return None."""
  stated = exported.read(values.weights)
  name = values.codec or hub.codec_of(values.weights) or stated.get("codec")
  name = name or "demo"
  if name.partition(":")[0] in weight_files.PUBLISHED or not stated:
    return None
  if is_run(values.weights) or not process.is_useful(values.codec_device):
    return None
  return codec_lib.load(
    name,
    expected_checksum=stated.get("codec_checksum"),
    backend=values.codec_backend,
    own_process=True,
  )


def _run(
  values: flags.FlagValues,
  stemgen: "StemGen",
  seconds: dict[str, float],
  request: GenerationRequest,
  plans: dict[int, TakeFiles],
  context: Audio | None,
) -> None:
  """Generate takes under a progress bar; write each as soon as it is done."""
  from stemgen_jax.generation import compilation

  with progress.Steps(delay=0.0) as steps, warnings_shown():
    # Takes are sampled in the loop; errors are raised here.
    with flags_in_errors(values), compilation.shown():
      takes = stemgen.run(dataclasses.replace(request, progress=steps))
    if "best" in values and values.best and context:
      from stemgen_jax.generation import selection

      takes = selection.best(takes, context, values.best)
    following = ""
    for rank, take in enumerate(takes, 1):
      if seconds:
        loading = seconds["loading"] + take.loading
        take = dataclasses.replace(take, **seconds | {"loading": loading})
        seconds = {}
      progress.write(_line(rank, take, values))
      began = time.perf_counter()
      gains = take.write(
        plans[take.seed],
        context,
        bits=BITS[values.bits],
        overwrite=values.overwrite,
      )
      for path, gain_db in gains.items():
        lowered = ""
        if gain_db and path != plans[take.seed].stem:  # it has a warning
          lowered = f" (lowered by {-gain_db:.1f} dB so as not to clip)"
        progress.write(f"  wrote {path}{lowered}")
      if values.verbose:
        parts = take.seconds | {"write": time.perf_counter() - began}
        listed = ", ".join(f"{name} {x:.2f}" for name, x in parts.items())
        age = progress.process_age()
        progress.write(f"  seconds: {listed}; {age:.2f} since the start")
      if rank == 1:
        following = next_steps.after_take(values, request, plans[take.seed])
  progress.write(following)


def _line(rank: int, take: Take, values: flags.FlagValues) -> str:
  """Return the line about a take; with --verbose also what it cost."""
  line = (
    f"{take.kind}, seed {take.seed}: {take.audio.seconds:.1f} s of music in "
    f"{take.elapsed:.1f} s"
  )
  if take.compiling > 0.1:
    line += f", plus {take.compiling:.1f} s to compile"
  best = values.best if "best" in values else None
  if best and rank == 1:
    line += f"; fits the music best of {values.takes}"
  if values.verbose:
    line += (
      f"; real-time factor {take.elapsed / take.audio.seconds:.2f}; "
      f"{take.passes} passes, {take.flops / 1e9:.0f} GFLOP"
    )
  if best and values.verbose:
    fit = "none, as the stem is silent"
    if take.coherence is not None:
      fit = f"{take.coherence:.2f}"
    line += f"; coherence {fit}, {rank} of the best {best} of {values.takes}"
  return line


@contextlib.contextmanager
def warnings_shown() -> Iterator[None]:
  """Print warnings for the listener in one line each, and no others."""

  def show(message: Warning | str, *_: object) -> None:
    progress.write(f"warning: {message}", file=sys.stderr)

  with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of libraries
    warnings.simplefilter("always", GenerationWarning)
    warnings.showwarning = show
    yield
