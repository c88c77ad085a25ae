"""Write a file block by block, of any length in bounded memory."""

import contextlib
import pathlib
from collections.abc import Callable, Iterator

import soundfile

from stemgen_jax import disk
from stemgen_jax.audio.files import SUBTYPES, Bits
from stemgen_jax.audio.sound import Samples
from stemgen_jax.version import __version__


@contextlib.contextmanager
def writing(
  path: pathlib.Path, sample_rate: int, channels: int, bits: Bits = 24
) -> Iterator[Callable[[Samples], None]]:
  """Yield a function that appends samples; the file is there at the end.

  Args:
    path: wav or flac file, see `disk.check_writable`.
    sample_rate: sample rate in Hz.
    channels: number of channels.
    bits: sample format; integers are clipped at full scale.

  Raises:
    OSError: the file cannot be written; an existing one stays as it was.
  """
  with disk.replacing(path) as part:
    try:
      with soundfile.SoundFile(
        part,
        "w",
        samplerate=sample_rate,
        channels=channels,
        subtype=SUBTYPES[bits],
        format=path.suffix[1:].upper(),
      ) as file:
        file.software = f"stemgen-jax {__version__}"
        yield file.write
    except soundfile.LibsndfileError as error:
      raise OSError(f"cannot write {path}: {error.error_string}") from error
