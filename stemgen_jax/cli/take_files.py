"""The files that a command will write, checked before anything is generated."""

import pathlib
from collections.abc import Iterable

from absl import flags

from stemgen_jax.cli.flags.required import required
from stemgen_jax.cli.flags.takes import BITS
from stemgen_jax.generation import codes_file
from stemgen_jax.generation.take import TakeFiles

MOST_TAKES = 1000


def plan(
  values: flags.FlagValues, seed: int, read: Iterable[str | None]
) -> dict[int, TakeFiles]:
  """Return the files of every take by its seed.

  Args:
    values: flags of the command.
    seed: seed of the first take.
    read: files that the command reads, which none may replace.

  Raises:
    ValueError, OSError: a file cannot be written, or a flag is invalid.
  """
  if not 1 <= values.takes <= MOST_TAKES:
    raise ValueError(f"--takes={values.takes}: expected 1 to {MOST_TAKES}")
  out = required(values, "out", "stem.wav")
  if values.mix and not values.context:
    raise ValueError(f"--mix={values.mix}: expected --context to mix with")

  def path_of(name: str, number: int) -> pathlib.Path:
    path = pathlib.Path(name)
    if values.takes == 1:
      return path
    return path.with_name(f"{path.stem}-seed{number}{path.suffix}")

  plans = {}
  taken = {pathlib.Path(path).resolve() for path in read if path}
  for number in range(seed, seed + values.takes):
    stem = path_of(out, number)
    files = TakeFiles(
      stem=stem,
      codes=codes_file.path_of(stem) if values.keep_codes else None,
      mix=path_of(values.mix, number) if values.mix else None,
      picture=path_of(values.picture, number) if values.picture else None,
    )
    files.check(bits=BITS[values.bits], overwrite=values.overwrite, taken=taken)
    taken.update(path.resolve() for path in files)
    plans[number] = files
  return plans
