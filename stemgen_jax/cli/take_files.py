"""The files that a command will write, checked before anything is generated."""

import contextlib
import itertools
import pathlib
import re
from collections.abc import Callable, Collection, Iterator, Sequence

from absl import flags

from stemgen_jax import audio, disk, locks, paths
from stemgen_jax.audio import Audio
from stemgen_jax.cli.flags.required import required
from stemgen_jax.cli.flags.takes import BITS
from stemgen_jax.generation import codes_file
from stemgen_jax.generation.request import GenerationRequest
from stemgen_jax.generation.take import TakeFiles

_LONGEST = 200  # bytes of a name without suffix, of 255 in most file systems

Plans = dict[int, TakeFiles]
"""The files of every take by its seed."""


def plan(
  values: flags.FlagValues,
  request: GenerationRequest,
  sound: Audio | None,
  read: Sequence[str | None],
  busy: Collection[str] = (),
) -> Plans:
  """Return the files of every take.

  If --out is not given, it is set to a name that no file has.

  Args:
    values: flags of the command.
    request: a validated request.
    sound: audio in the format of the stems, if it is known.
    read: files that the command reads, which none may replace, and of these
      first the context or the take, None without one.
    busy: values of --out that other processes write.

  Raises:
    ValueError, OSError: a file cannot be written, or a flag is invalid.
  """
  if values["out"].present:
    required(values, "out", "stem.wav")
  else:
    names = _free_names(values, request, read[0])
    values.out = next(name for name in names if name not in busy)
  if values.mix and not values.context:
    raise ValueError(f"--mix={values.mix}: expected --context to mix with")
  # All files of all takes are checked before the first take is generated.
  plans = {}
  taken = {pathlib.Path(path).resolve() for path in read if path}
  for seed in request.seeds or ():
    stem = _of_seed(values, values.out, seed)
    files = TakeFiles(
      stem=stem,
      codes=codes_file.path_of(stem) if values.keep_codes else None,
      mix=_of_seed(values, values.mix, seed) if values.mix else None,
      picture=_of_seed(values, values.picture, seed)
      if values.picture
      else None,
    )
    files.check(
      sound, bits=BITS[values.bits], overwrite=values.overwrite, taken=taken
    )
    taken.update(path.resolve() for path in files)
    plans[seed] = files
  return plans


@contextlib.contextmanager
def only_writer(
  values: flags.FlagValues, plan: Callable[[Collection[str]], Plans]
) -> Iterator[Plans]:
  """Yield the files of a command, which no other process writes meanwhile.

  Args:
    values: flags of the command.
    plan: function `plan` with all arguments but `busy`.

  Raises:
    BlockingIOError: another process writes to --out, --mix or --picture.
    ValueError, OSError: as `plan`.
  """
  busy: set[str] = set()
  with contextlib.ExitStack() as stack:
    for path in filter(None, (values.mix, values.picture)):
      stack.enter_context(locks.only_writer(path))
    while True:
      plans, out = plan(busy), values.out
      try:
        stack.enter_context(locks.only_writer(out))
        # Another process may have written it just before.
        if plan(busy) == plans:
          break
      except BlockingIOError:
        if values["out"].present:
          raise
      busy.add(out)
    yield plans


def _free_names(
  values: flags.FlagValues, request: GenerationRequest, source: str | None
) -> Iterator[str]:
  """Yield values of --out next to a context or take that no file has."""
  path = pathlib.Path(source or request.kind)
  name, suffix, first = f"{path.stem}-{request.kind}", ".wav", 1
  if request.edit:  # bass.wav, then bass-2.wav, bass-3.wav
    name, first = re.sub(r"-\d{1,2}$", "", path.stem), 2
    suffix = path.suffix if path.suffix in audio.WRITABLE else ".wav"
  elif not source:
    name = request.kind
  name = name.encode(errors="ignore")[:_LONGEST].decode(errors="ignore")
  for number in itertools.count(first):
    file = f"{name}-{number}{suffix}" if number > 1 else f"{name}{suffix}"
    out = str(_folder(path) / file)
    stems = [_of_seed(values, out, seed) for seed in request.seeds or ()]
    if not any(
      stem.exists()
      or codes_file.path_of(stem).exists()
      or stem == pathlib.Path(values.mix or "")
      for stem in stems
    ):
      yield out


def _folder(path: pathlib.Path) -> pathlib.Path:
  """Return the folder of a file if takes can be written to it, or this one."""
  here = pathlib.Path()
  if path.resolve().is_relative_to(paths.ASSETS):
    return here  # a loop of the package
  try:
    return disk.check_folder(path.parent)
  except OSError:
    return here


def _of_seed(values: flags.FlagValues, name: str, seed: int) -> pathlib.Path:
  path = pathlib.Path(name)
  if values.takes == 1:
    return path
  return path.with_name(f"{path.stem}-seed{seed}{path.suffix}")
