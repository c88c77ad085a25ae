"""What the apps that play have in common: flags, files, words on a take.

Nothing here loads jax or torch before all that the user gave is checked.
"""

import dataclasses
import json
import pathlib
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import tqdm
from absl import flags

from stemgen_jax import audio, disk
from stemgen_jax.cli.flags import settings as settings_lib
from stemgen_jax.codec import weight_files
from stemgen_jax.generation.take import Take, codes_path
from stemgen_jax.paths import exported, is_run

if TYPE_CHECKING:
  from stemgen_jax.generation.engine import Progress
  from stemgen_jax.generation.stemgen import StemGen

MOST_TAKES = 1000
_SEEDS = 2**32
_BITS: dict[str, audio.Bits] = {"16": 16, "24": 24, "float": "float"}


@dataclasses.dataclass(frozen=True)
class Files:
  """What one take writes."""

  seed: int
  stem: pathlib.Path
  codes: pathlib.Path | None
  mix: pathlib.Path | None
  picture: pathlib.Path | None

  @property
  def sounds(self) -> list[pathlib.Path]:
    """Those that are audio."""
    return [self.stem, self.mix] if self.mix else [self.stem]

  def __iter__(self) -> Iterator[pathlib.Path]:
    yield from self.sounds
    yield from (path for path in (self.codes, self.picture) if path)


def define_flags(values: flags.FlagValues, *, of_take: bool) -> None:
  """Defines the flags that all of them have.

  Args:
    values: of the app.
    of_take: the app changes a take: seed and settings go on from its own.
  """
  own = "the take's"
  flags.DEFINE_string(
    "out",
    None,
    "The file to write, .wav or .flac. With several takes each gets its seed: "
    "NAME-seedS.wav.",
    flag_values=values,
  )
  flags.DEFINE_integer(
    "seed",
    None if of_take else 0,
    "Number of the new take: the same number gives the same take again."
    + (f" Default: {own} and 1." if of_take else ""),
    flag_values=values,
  )
  flags.DEFINE_integer(
    "takes", 1, "How many takes, with seeds counting up.", flag_values=values
  )
  flags.DEFINE_string(
    "mix",
    None,
    "Also write context and stem together, here. Never clips: it is lowered as "
    "a whole where needed.",
    flag_values=values,
  )
  flags.DEFINE_string(
    "picture",
    None,
    "Also draw waveforms and spectrograms, into this .png.",
    flag_values=values,
  )
  flags.DEFINE_enum(
    "bits",
    "24",
    list(_BITS),
    "Sample format of the files written; float is for .wav.",
    flag_values=values,
  )
  flags.DEFINE_bool(
    "keep_codes",
    True,
    "Write NAME.codes.npz beside each stem, which vary, regenerate and extend "
    "need.",
    flag_values=values,
  )
  flags.DEFINE_bool(
    "overwrite", False, "Replace files that exist.", flag_values=values
  )
  flags.DEFINE_string(
    "weights",
    None if of_take else "demo",
    "The model: 'demo', a .safetensors file from stemgen-jax export, or the "
    "folder of a run." + (f" Default: {own}." if of_take else ""),
    flag_values=values,
  )
  flags.DEFINE_string(
    "codec",
    None,
    "The codec that --weights were trained with: a .safetensors file, or "
    "encodec_32khz:FILE (24, 48) for published weights kept elsewhere than in "
    "the cache. Default: the one that --weights name.",
    flag_values=values,
  )
  settings_lib.define(values, of_take=of_take)


def plan_files(
  values: flags.FlagValues, read: Iterable[str | None], seed: int
) -> list[Files]:
  """The files of every take, all of them shown to be writable.

  Args:
    values: of the app.
    read: files that the app reads, which none may replace.
    seed: of the first take.

  Raises:
    ValueError, OSError: one cannot be written, or a flag is wrong.
  """
  takes = values.takes
  if not 1 <= takes <= MOST_TAKES:
    raise ValueError(f"--takes={takes}: expected 1 to {MOST_TAKES}")
  if not 0 <= seed <= _SEEDS - takes:
    raise ValueError(f"--seed={seed}: expected 0 to {_SEEDS - takes}")
  if not values.out:
    raise ValueError(
      "--out is missing: name the file to write, as --out=stem.wav"
    )

  def name(path: str, number: int) -> pathlib.Path:
    plain = pathlib.Path(path)
    if takes == 1:
      return plain
    return plain.with_name(f"{plain.stem}-seed{number}{plain.suffix}")

  plans = []
  for number in range(seed, seed + takes):
    stem = name(values.out, number)
    plans.append(
      Files(
        seed=number,
        stem=stem,
        codes=codes_path(stem) if values.keep_codes else None,
        mix=name(values.mix, number) if values.mix else None,
        picture=name(values.picture, number) if values.picture else None,
      )
    )
  taken = {pathlib.Path(path).resolve() for path in read if path}
  for files in plans:
    for path in files:
      if path in files.sounds:
        disk.check_writable(path, values.overwrite, audio.WRITABLE)
        audio.check_bits(path, _BITS[values.bits])
      else:
        kind = ".png" if path == files.picture else ".npz"
        disk.check_writable(path, values.overwrite, (kind,))
      if path.resolve() in taken:
        raise ValueError(f"{path} is named twice: give each file its own name")
      taken.add(path.resolve())
  return plans


def check_weights(values: flags.FlagValues) -> None:
  """Raises FileNotFoundError if --weights or --codec is not there."""
  for name, published in (("weights", ()), ("codec", weight_files.PUBLISHED)):
    path = values[name].value or "demo"
    known = path == "demo" or path.partition(":")[0] in published
    run = name == "weights" and is_run(path)
    there = exported(path) if name == "weights" else pathlib.Path(path)
    if not known and not run and not there.is_file():
      raise FileNotFoundError(f"--{name}={path}: no such file")


def check_conditions(values: flags.FlagValues, **asked: str) -> None:
  """Raises ValueError for a condition that --weights do not listen to.

  It is read in the description of exported weights, before any model loads;
  of other weights `StemGen` tells it later.
  """
  path = exported(values.weights).with_suffix(".json")
  try:
    about = json.loads(path.read_text(encoding="utf-8"))
    known = about["config"]["conditions"]
  except (OSError, ValueError, KeyError, TypeError):
    return  # A run's, or damaged, which is told when they are loaded.
  for name, value in asked.items():
    if value and name not in known:
      raise ValueError(
        f"--{name}={value}: the weights {values.weights} do not listen to a "
        f"{name}, only to {', '.join((*known, 'context'))}; leave it out"
      )


def load_player(values: flags.FlagValues) -> "StemGen":
  """Loads model and codec, and says how long it took."""
  began = time.perf_counter()
  from stemgen_jax.generation.stemgen import StemGen

  player = StemGen.load(values.weights, codec=values.codec)
  print(f"loaded {player.name} in {time.perf_counter() - began:.1f} s")
  return player


def change_take(
  values: flags.FlagValues,
  context_path: str | None,
  change: Callable[["StemGen", Take, dict[str, Any]], Take],
  check: Callable[[Take, audio.Audio | None], object] = lambda *_: None,
  *,
  longer: bool = False,
) -> None:
  """The whole of an app that makes new takes from --take.

  Args:
    values: of the app.
    context_path: what a mix is made with.
    change: called with the player, the take, and seed, settings and progress
      of the new one.
    check: raises ValueError if the take cannot be changed so, to that context.
    longer: the context is another than the take's own.

  Raises:
    ValueError, OSError: something given cannot be; nothing is written then.
  """
  if not values.take:
    raise ValueError(
      "--take is missing: name the stem to go on from, as --take=bass.wav"
    )
  take = Take.load(values.take)
  settings = settings_lib.parse(values, take.settings)
  settings_lib.check_scales(values, genre=take.genre, role=take.role)
  seed = values.seed
  if seed is None:
    seed = (take.seed + 1) % _SEEDS
  read = (values.take, str(codes_path(values.take)), context_path)
  plans = plan_files(values, read, seed)
  if values.mix and not context_path:
    raise ValueError(f"--mix={values.mix}: there is no --context to mix with")
  context = None
  if context_path:
    context = audio.read(context_path, longest=audio.LONGEST)
    if not longer:
      _check_belongs(context_path, context, take)
  check(take, context)
  for path in (path for files in plans for path in files.sounds):
    audio.check_format(path, take.audio)
  own = values.weights is None
  if own:
    values.weights = take.weights
  try:
    check_weights(values)
  except FileNotFoundError as error:
    if not own:
      raise
    raise FileNotFoundError(
      f"{values.take} was played by {take.weights}, which is not here: give "
      "--weights"
    ) from error
  player = load_player(values)

  def takes(progress: "Progress") -> Iterator[Take]:
    for files in plans:
      yield change(
        player,
        take,
        {
          "seed": files.seed,
          "settings": settings,
          "progress": lambda done, total: progress(done, total * len(plans)),
        },
      )

  write_takes(values, plans, takes, context)


def _check_belongs(path: str, context: audio.Audio, take: Take) -> None:
  """Raises ValueError if the take was not played to such a context."""

  def form(sound: audio.Audio) -> tuple[int, int, int]:
    return sound.sample_rate, sound.channels, len(sound.samples)

  if form(context) != form(take.audio):
    has, wanted = (
      f"{len(sound.samples)} samples at {sound.sample_rate} Hz in "
      f"{sound.channels} channels"
      for sound in (context, take.audio)
    )
    raise ValueError(
      f"--context={path} has {has}, but the take {wanted}: expected the music "
      "that it was played to"
    )


def write_takes(
  values: flags.FlagValues,
  plans: list[Files],
  takes: Callable[["Progress"], Iterable[Take]],
  context: audio.Audio | None,
) -> None:
  """Plays the takes under a bar, and writes each as soon as it is there."""
  with (
    # Where no one watches there is no bar: a log wants lines.
    tqdm.tqdm(unit="step", leave=False, disable=None) as bar,
    warnings.catch_warnings(),
  ):
    # Printed already: those of a take with the take, others before it.
    warnings.simplefilter("ignore")

    def progress(done: int, total: int) -> None:
      bar.total = total
      bar.update(done)

    for files, take in zip(plans, takes(progress)):
      with bar.external_write_mode():
        _write(values, files, take, context)


def _write(
  values: flags.FlagValues,
  files: Files,
  take: Take,
  context: audio.Audio | None,
) -> None:
  """Writes a take's files and says what a listener should know of them."""

  def save(path: pathlib.Path, sound: audio.Audio, gain_db: float) -> float:
    gain_db += audio.write(
      path,
      sound,
      bits=_BITS[values.bits],
      metadata=take.metadata,
      overwrite=values.overwrite,
    )
    lowered = f"lowered by {-gain_db:.1f} dB so as not to clip"
    if path == files.stem:
      lowered += ": add as much where you mix it yourself"
    print(f"  wrote {path}" + (f" ({lowered})" if gain_db else ""))
    return gain_db

  print(
    f"{take.stem}, seed {take.seed}: {take.elapsed:.1f} s for "
    f"{take.audio.seconds:.1f} s of music, real-time factor "
    f"{take.elapsed / take.audio.seconds:.2f}, and {take.compiling:.1f} s to "
    f"compile; {take.passes} passes, {take.flops / 1e9:.0f} GFLOP"
  )
  lowered_db = save(files.stem, take.audio, 0.0)
  if files.codes:
    take.save_codes(files.codes, lowered_db)
    print(f"  wrote {files.codes}")
  mix, gain_db = take.mix(context) if context else (None, 0.0)
  if mix and files.mix:
    save(files.mix, mix, gain_db)
  if files.picture:
    from stemgen_jax.pages import take_picture

    title = f"{take.stem}, seed {take.seed}"
    take_picture.draw(files.picture, context, take.audio, mix, title=title)
    print(f"  wrote {files.picture}")
  for warning in take.warnings:
    print(f"warning: {warning}", file=sys.stderr)
