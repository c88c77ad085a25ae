"""Listens to your music and plays along: writes a new stem for it.

Give it a mix and an instrument; the stem comes back in the format of your
file: same length, sample rate and channels, so that it lines up in your DAW.

  stemgen-jax generate --context=my_mix.wav --stem=bass --out=bass.wav

Four takes to choose from, bass-seed3.wav ... bass-seed6.wav, each with the
mix beside it (the same seed always gives the same take):

  stemgen-jax generate --context=my_mix.wav --stem=bass --out=bass.wav \\
    --seed=3 --takes=4 --mix=mix.wav

Eight seconds of drums from nothing, with a picture:

  stemgen-jax generate --seconds=8 --stem=drums --out=drums.flac \\
    --picture=drums.png

Instruments: piano, organ, guitar, bass, strings, ensemble, brass, reed, pipe,
synth_lead, synth_pad, drums, ... and what you call them: "e-piano", "sax".
"""

import dataclasses
import pathlib
import sys
import time
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

import tqdm
from absl import flags

from stemgen_jax import audio, categories, windows

if TYPE_CHECKING:
  from stemgen_jax.sampling import Settings
  from stemgen_jax.stemgen import StemGen, Take

PRESETS = ("default", "paper")
MOST_TAKES = 1000
_SEEDS = 2**32

FLAGS = flags.FlagValues()
_CONTEXT = flags.DEFINE_string(
  "context",
  None,
  "The music to play along with: wav, flac, ogg, mp3 or aiff, 0.2 s to 10 "
  "minutes.",
  flag_values=FLAGS,
)
_SECONDS = flags.DEFINE_float(
  "seconds",
  None,
  "Without --context: start from nothing, this long.",
  flag_values=FLAGS,
)
_STEM = flags.DEFINE_string(
  "stem", "bass", "The instrument that plays along.", flag_values=FLAGS
)
_OUT = flags.DEFINE_string(
  "out",
  None,
  "The file to write, .wav or .flac. With several takes each gets its seed: "
  "NAME-seedS.wav.",
  flag_values=FLAGS,
)
_SEED = flags.DEFINE_integer(
  "seed",
  0,
  "Number of the take: the same number gives the same take again.",
  flag_values=FLAGS,
)
_TAKES = flags.DEFINE_integer(
  "takes", 1, "How many takes, with seeds counting up.", flag_values=FLAGS
)
_MIX = flags.DEFINE_string(
  "mix",
  None,
  "Also write context and stem together, here. Never clips: it is lowered as "
  "a whole where needed.",
  flag_values=FLAGS,
)
_PICTURE = flags.DEFINE_string(
  "picture",
  None,
  "Also draw waveforms and spectrograms, into this .png.",
  flag_values=FLAGS,
)
_BITS = flags.DEFINE_enum(
  "bits",
  "24",
  ["16", "24", "float"],
  "Sample format of the files written; float is for .wav.",
  flag_values=FLAGS,
)
_OVERWRITE = flags.DEFINE_bool(
  "overwrite", False, "Replace files that exist.", flag_values=FLAGS
)
_WEIGHTS = flags.DEFINE_string(
  "weights",
  "demo",
  "The model: 'demo', or a .safetensors file from stemgen-jax export.",
  flag_values=FLAGS,
)
_CODEC = flags.DEFINE_string(
  "codec",
  None,
  "The codec that --weights were trained with, a .safetensors file. Default: "
  "the one in the package.",
  flag_values=FLAGS,
)
_PRESET = flags.DEFINE_enum(
  "preset",
  "default",
  list(PRESETS),
  "'paper' takes the paper's 256 steps: slower.",
  flag_values=FLAGS,
)
_STEPS = flags.DEFINE_list(
  "steps",
  None,
  "Steps per codec level, coarse to fine, as 16,8,8,4; fewer are faster. "
  "Default: the preset's.",
  flag_values=FLAGS,
)


@dataclasses.dataclass(frozen=True)
class _Files:
  """What one take writes."""

  seed: int
  stem: pathlib.Path
  mix: pathlib.Path | None
  picture: pathlib.Path | None

  @property
  def sounds(self) -> list[pathlib.Path]:
    """Those that are audio."""
    return [self.stem, self.mix] if self.mix else [self.stem]

  def __iter__(self) -> Iterator[pathlib.Path]:
    yield from self.sounds
    if self.picture:
      yield self.picture


def main(argv: list[str]) -> None:
  """Checks everything the user gave, then loads the model and plays.

  Raises:
    ValueError, OSError: something given cannot be; nothing is written then.
  """
  del argv
  category = categories.parse_category(_STEM.value)
  steps = _parse_steps()
  plans = _plan_files()
  context, seconds = _read_context()
  if context:
    for path in (path for files in plans for path in files.sounds):
      audio.check_format(path, context)
  for flag in (_WEIGHTS, _CODEC):
    path = flag.value or "demo"
    if path != "demo" and not pathlib.Path(path).is_file():
      raise FileNotFoundError(f"--{flag.name}={path}: no such file")

  began = time.perf_counter()
  from stemgen_jax.stemgen import StemGen

  settings = _settings(steps)
  player = StemGen.load(_WEIGHTS.value, codec=_CODEC.value)
  print(f"loaded {player.name} in {time.perf_counter() - began:.1f} s")
  total = len(plans) * _count_steps(player, settings, seconds)
  with (
    # Where no one watches there is no bar: a log wants lines.
    tqdm.tqdm(total=total, unit="step", leave=False, disable=None) as bar,
    warnings.catch_warnings(),
  ):
    warnings.simplefilter("ignore")  # take.warnings has them, printed once
    takes = player.takes(
      context,
      category,
      [files.seed for files in plans],
      seconds=_SECONDS.value,
      settings=settings,
      progress=bar.update,
    )
    for files, take in zip(plans, takes):
      with bar.external_write_mode():
        _write(files, take, context)


def _parse_steps() -> tuple[int, ...] | None:
  if _STEPS.value is None:
    return None
  try:
    steps = tuple(int(step) for step in _STEPS.value)
  except ValueError:
    steps = ()
  if not steps or min(steps) < 1:
    raise ValueError(
      f"--steps={','.join(_STEPS.value)}: expected whole numbers of at least "
      "1, one per level, as 16,8,8,4"
    )
  return steps


def _plan_files() -> list[_Files]:
  """The files of every take, all of them shown to be writable."""
  seed, takes = _SEED.value, _TAKES.value
  if not 1 <= takes <= MOST_TAKES:
    raise ValueError(f"--takes={takes}: expected 1 to {MOST_TAKES}")
  if not 0 <= seed <= _SEEDS - takes:
    raise ValueError(f"--seed={seed}: expected 0 to {_SEEDS - takes}")
  if not _OUT.value:
    raise ValueError(
      "--out is missing: name the file to write, as --out=stem.wav"
    )
  if _MIX.value and not _CONTEXT.value:
    raise ValueError(f"--mix={_MIX.value}: there is no --context to mix with")
  plans = [
    _Files(
      seed=number,
      stem=_name(_OUT.value, number),
      mix=_name(_MIX.value, number) if _MIX.value else None,
      picture=_name(_PICTURE.value, number) if _PICTURE.value else None,
    )
    for number in range(seed, seed + takes)
  ]
  taken = {pathlib.Path(_CONTEXT.value).resolve()} if _CONTEXT.value else set()
  for files in plans:
    for path in files:
      if path == files.picture:
        audio.check_writable(path, _OVERWRITE.value, (".png",))
      else:
        audio.check_writable(path, _OVERWRITE.value)
        audio.check_bits(path, _bits())
      if path.resolve() in taken:
        raise ValueError(f"{path} is named twice: give each file its own name")
      taken.add(path.resolve())
  return plans


def _name(path: str, seed: int) -> pathlib.Path:
  plain = pathlib.Path(path)
  if _TAKES.value == 1:
    return plain
  return plain.with_name(f"{plain.stem}-seed{seed}{plain.suffix}")


def _read_context() -> tuple[audio.Audio | None, float]:
  """What is played to, if anything, and how long it lasts in seconds."""
  path, seconds = _CONTEXT.value, _SECONDS.value
  if seconds is not None and path is None:
    audio.check_seconds(seconds, f"--seconds={seconds:g}")
    return None, seconds
  if path is None or seconds is not None:
    raise ValueError(
      "give either --context=FILE, the music to play along with, or "
      "--seconds=N, to start from nothing"
    )
  context = audio.read(path, longest=audio.LONGEST)
  audio.check_seconds(context.seconds, path)
  return context, context.seconds


def _settings(steps: tuple[int, ...] | None) -> "Settings":
  from stemgen_jax import sampling

  settings = sampling.preset(_PRESET.value)
  return dataclasses.replace(settings, steps=steps) if steps else settings


def _count_steps(
  player: "StemGen", settings: "Settings", seconds: float
) -> int:
  """Sampling steps of a take, as its progress counts them."""
  codec = player.codec
  frames = codec.frames(round(seconds * codec.sample_rate))
  passes = len(windows.starts(frames, player.config.window))
  return passes * sum(settings.steps_at(level) for level in range(codec.levels))


def _bits() -> audio.Bits:
  return {"16": 16, "24": 24, "float": "float"}[_BITS.value]


def _write(files: _Files, take: "Take", context: audio.Audio | None) -> None:
  """Writes a take's files and says what a listener should know of them."""

  def save(path: pathlib.Path, sound: audio.Audio, gain_db: float) -> None:
    gain_db += audio.write(
      path,
      sound,
      bits=_bits(),
      metadata=take.metadata,
      overwrite=_OVERWRITE.value,
    )
    lowered = f" (lowered by {-gain_db:.1f} dB so as not to clip)"
    print(f"  wrote {path}{lowered if gain_db else ''}")

  print(
    f"{take.stem}, seed {take.seed}: {take.elapsed:.1f} s for "
    f"{take.audio.seconds:.1f} s of music, real-time factor "
    f"{take.elapsed / take.audio.seconds:.2f}"
  )
  save(files.stem, take.audio, 0.0)
  mix, gain_db = take.mix(context) if context else (None, 0.0)
  if mix and files.mix:
    save(files.mix, mix, gain_db)
  if files.picture:
    from stemgen_jax import picture

    title = f"{take.stem}, seed {take.seed}"
    picture.draw(files.picture, context, take.audio, mix, title=title)
    print(f"  wrote {files.picture}")
  for warning in take.warnings:
    print(f"warning: {warning}", file=sys.stderr)
