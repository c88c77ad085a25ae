"""The files that a command will write, checked before anything is generated."""

import pathlib
from collections.abc import Iterable

from absl import flags

from stemgen_jax.audio import Audio
from stemgen_jax.cli.flags.required import required
from stemgen_jax.cli.flags.takes import BITS
from stemgen_jax.generation import codes_file
from stemgen_jax.generation.request import GenerationRequest
from stemgen_jax.generation.take import TakeFiles


def plan(
  values: flags.FlagValues,
  request: GenerationRequest,
  sound: Audio | None,
  read: Iterable[str | None],
) -> dict[int, TakeFiles]:
  """Return the files of every take by its seed.

  Args:
    values: flags of the command.
    request: a validated request.
    sound: audio in the format of the stems, if it is known.
    read: files that the command reads, which none may replace.

  Raises:
    ValueError, OSError: a file cannot be written, or a flag is invalid.
  """
  out = required(values, "out", "stem.wav")
  if values.mix and not values.context:
    raise ValueError(f"--mix={values.mix}: expected --context to mix with")

  def path_of(name: str, number: int) -> pathlib.Path:
    path = pathlib.Path(name)
    if values.takes == 1:
      return path
    return path.with_name(f"{path.stem}-seed{number}{path.suffix}")

  # All files of all takes are checked before the first take is generated.
  plans = {}
  taken = {pathlib.Path(path).resolve() for path in read if path}
  for number in request.seeds or ():
    stem = path_of(out, number)
    files = TakeFiles(
      stem=stem,
      codes=codes_file.path_of(stem) if values.keep_codes else None,
      mix=path_of(values.mix, number) if values.mix else None,
      picture=path_of(values.picture, number) if values.picture else None,
    )
    files.check(
      sound, bits=BITS[values.bits], overwrite=values.overwrite, taken=taken
    )
    taken.update(path.resolve() for path in files)
    plans[number] = files
  return plans
