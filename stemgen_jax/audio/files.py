"""Read and write audio files at their own sample rate and channels."""

import contextlib
import io
import json
import os
import pathlib
import re
import threading
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import numpy as np
import soundfile

from stemgen_jax import disk
from stemgen_jax.audio import bwf, mpeg
from stemgen_jax.audio.sound import (
  CEILING,
  Audio,
  Cancelling,
  Samples,
  fit,
  to_db,
)
from stemgen_jax.version import __version__

Bits = Literal[16, 24, "float"]

READABLE = "wav, flac, ogg, mp3 or aiff"
WRITABLE = (".wav", ".flac")

# libsndfile repairs the header of a truncated file, and logs these.
_CUT_CHUNK = re.compile(r"(?:data|SSND)\s*: (\d+) \(should be (\d+)\)")
_CUT_OGG = "Last page lacks an end-of-stream bit"
_STREAMED = 0x7FFF0000  # larger sizes mean "unknown"
SUBTYPES = {16: "PCM_16", 24: "PCM_24", "float": "FLOAT"}
_BLOCK = 1 << 18  # samples decoded at a time
# Values of all channels that a file may have: 400 MB, 17 minutes of stereo at
# 48 kHz.
MOST_VALUES = 100_000_000
# The length in an mp3 header may include the encoder's padding.
_MP3_SLACK = 2 * 1152
# Index in ogg's order, L C R (Ls Rs) LFE (Vorbis I, 4.3.9), of wav's channels.
_OF_OGG = {
  3: (0, 2, 1),
  5: (0, 2, 1, 3, 4),
  6: (0, 2, 1, 5, 3, 4),
  7: (0, 2, 1, 6, 5, 3, 4),
  8: (0, 2, 1, 7, 5, 6, 3, 4),
}
_ONE_DECODER = threading.Lock()
# Far above any recording, and far below where squares overflow.
_LOUDEST = 1e6
# Limits of the flac format.
_FLAC_CHANNELS, _FLAC_RATE = 8, 655_350


def read(
  path: disk.Path, *, longest: float | None = None, fold: bool = False
) -> Audio:
  """Decode a whole wav, flac, ogg, mp3 or aiff file.

  Args:
    path: file to decode.
    longest: maximum length in seconds, checked before decoding.
    fold: read a file that has too many samples in mono, see `fold_down`, which
      is mixed while it is decoded.

  Raises:
    FileNotFoundError, IsADirectoryError: `path` is not a file.
    PermissionError: the file is not readable.
    ValueError: the file is empty, not audio, truncated, without samples, has
      more than `MOST_VALUES`, or has samples that are not finite or far beyond
      full scale.
  """
  path = check_file(path)
  with _silent_decoder():
    return _read(path, longest, fold)


def check_file(path: disk.Path) -> pathlib.Path:
  """Return the path of a file that is not empty; errors as those of `read`."""
  path = pathlib.Path(path)
  if path.is_dir():
    raise IsADirectoryError(f"{path} is a folder: expected an audio file")
  if not path.is_file():
    raise FileNotFoundError(f"no such file: {path}{disk.similar(path)}")
  if path.stat().st_size == 0:
    raise ValueError(f"{path} is empty (0 bytes): expected {READABLE}")
  # Raise PermissionError instead of libsndfile's generic error.
  with open(path, "rb"):
    pass
  return path


def stated_seconds(path: pathlib.Path) -> float:
  """Return the length of a file by its headers, of an mp3 by its frames.

  Raises:
    OSError, ValueError: the file cannot be read.
  """
  with _silent_decoder():
    file, stream = _open(path)
    with file:
      frames = file.frames
      if stream is not None and stream.data is not None:
        frames = stream.samples
      return frames / file.samplerate


@contextlib.contextmanager
def _silent_decoder() -> Iterator[None]:
  """Hide libmpg123's messages, which duplicate the error that is raised."""
  # It writes to file descriptor 2, which belongs to the whole process: one
  # thread at a time.
  with _ONE_DECODER:
    try:
      terminal = os.dup(2)
    except OSError:  # no stderr
      yield
      return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
      yield
    finally:
      os.dup2(terminal, 2)
      os.close(terminal)
      os.close(nowhere)


def _read(path: pathlib.Path, longest: float | None, fold: bool) -> Audio:
  file, stream = _open(path)
  with file:
    stated = file.frames if file.frames < 2**62 else None  # None for streams
    if stream is not None and stream.data is not None:
      stated = stream.samples
    if longest and stated and stated > longest * file.samplerate:
      raise ValueError(
        f"{path} is {stated / file.samplerate:.0f} s long: expected at most "
        f"{longest:g} s; cut it into parts"
      )
    _check_whole(file, path)
    most = MOST_VALUES
    if longest:
      most = min(most, round(longest * file.samplerate + 1) * file.channels)
    samples = _decode(file, path, stated, most, fold)
    if stream is not None and stream.data is not None:
      samples = samples[max(0, len(samples) - stream.samples) :]
    sample_rate = file.samplerate
  if not len(samples):
    raise ValueError(f"{path} holds no samples: expected some audio")
  if not np.isfinite(samples).all():
    bad = np.argmin(np.isfinite(samples).all(axis=1)) / sample_rate
    raise ValueError(
      f"{path} has samples that are not numbers (NaN or infinite, first at "
      f"{bad:.3f} s): export it again"
    )
  if (peak := float(max(samples.max(), -samples.min()))) > _LOUDEST:
    raise ValueError(
      f"{path} has samples of up to {peak:.3g}: expected -1 to 1; export it "
      "again"
    )
  return Audio(
    samples,
    sample_rate,
    notes=() if stream is None else stream.notes,
    delayed=stream is not None and not stream.gapless,
    time_reference=bwf.time_reference(path),
  )


def _open(
  path: pathlib.Path,
) -> tuple[soundfile.SoundFile, mpeg.Stream | None]:
  """Open a file; return also the frames of an mp3."""
  try:
    file = soundfile.SoundFile(_name(path))
  except (soundfile.LibsndfileError, TypeError):  # TypeError: headerless .raw
    file = None
  if file is not None and not file.subtype.startswith("MPEG"):
    return file, None
  try:
    stream = mpeg.scan_file(path, rebuild=file is None)
  except ValueError as error:
    raise ValueError(f"{path} {error}") from None
  if stream is not None and stream.data is not None:
    # libsndfile would need a correct tag, and no other data, in the file.
    if file is not None:
      file.close()
    try:
      file = soundfile.SoundFile(io.BytesIO(stream.data))
    except soundfile.LibsndfileError:
      file = None
  if file is None or stream is None:
    raise ValueError(
      f"{path} is not audio that can be read: expected {READABLE}"
    )
  return file, stream


def _check_whole(file: soundfile.SoundFile, path: pathlib.Path) -> None:
  notes = file.extra_info
  chunk = _CUT_CHUNK.search(notes)
  cut = chunk and int(chunk[2]) < int(chunk[1]) < _STREAMED
  if cut or _CUT_OGG in notes:
    raise ValueError(
      f"{path} is cut off after {file.frames / file.samplerate:.1f} s: copy or "
      "export it again"
    )


def _decode(
  file: soundfile.SoundFile,
  path: pathlib.Path,
  stated: int | None,
  most: int,
  fold: bool,
) -> Samples:
  """Decode a file of at most so many values, or in mono if `fold`."""
  channels, mix = file.channels, None
  if (stated or 0) * channels > most and fold:
    cancelling = Cancelling()
    for block in _blocks(file, path, stated):
      cancelling.add(block)
    file.seek(0)
    channels, mix = 1, cancelling.mix
  if (stated or 0) * channels > most:
    raise _too_long(path, stated or 0, file, most)
  # Filled in place: a list of blocks would need twice the memory.
  samples, count = np.empty((stated or 0, channels), np.float32), 0
  for block in _blocks(file, path, stated):
    if (count + len(block)) * channels > most + _MP3_SLACK * channels:
      raise _too_long(path, count + len(block), file, most)
    if count + len(block) > len(samples):  # of unknown length
      samples = fit(samples, max(2 * count, count + len(block)))
    samples[count : count + len(block)] = block if mix is None else mix(block)
    count += len(block)
  return samples[:count]


def _blocks(
  file: soundfile.SoundFile, path: pathlib.Path, stated: int | None
) -> Iterator[Samples]:
  """Yield the samples of a file, in the order of channels of wav files."""
  count, broken = 0, False
  slack = _MP3_SLACK if file.subtype.startswith("MPEG") else 0
  order = _OF_OGG.get(file.channels) if file.format == "OGG" else None
  while not broken:
    try:
      block = file.read(_BLOCK, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError:
      broken = True
      break
    if not len(block):
      broken = stated is not None and count + slack < stated
      break
    count += len(block)
    yield block if order is None else block[:, order]
  if broken:
    of = f" of {stated / file.samplerate:.1f} s" if stated else ""
    raise ValueError(
      f"{path} cannot be decoded beyond {count / file.samplerate:.1f} s{of}: "
      "it is cut off or corrupt; copy or export it again"
    )


def _too_long(
  path: pathlib.Path, frames: int, file: soundfile.SoundFile, most: int
) -> ValueError:
  seconds = frames / file.samplerate
  return ValueError(
    f"{path} is {seconds:.0f} s long or longer in {file.channels} channels: "
    f"expected at most {most / file.channels / file.samplerate:.0f} s; cut it "
    "into parts"
  )


def write(
  path: disk.Path,
  audio: Audio,
  *,
  bits: Bits = 24,
  metadata: Mapping[str, Any] | None = None,
  overwrite: bool = False,
  timeline: bool = False,
) -> float:
  """Write a wav or flac file (by suffix), whole or not at all.

  Args:
    path: .wav or .flac file.
    audio: audio to write.
    bits: 16, 24, or "float" (32-bit, wav only).
    metadata: values stored as JSON in the file's comment, and "title" also as
      its title; see `read_metadata`. The time reference of `audio` is among
      them, and in the `bext` chunk of a wav file.
    overwrite: replace an existing file.
    timeline: state the position on the timeline of a wav file even if it is 0.

  Returns:
    Gain in dB, at most 0, that was applied to avoid clipping in fixed-point
    files.

  Raises:
    ValueError: unknown suffix or bits, or as `check_format`.
    FileExistsError, FileNotFoundError, OSError: as `disk.check_writable`.
  """
  path = disk.check_writable(path, overwrite, WRITABLE)
  check_bits(path, bits)
  check_format(path, audio)
  samples, gain_db = audio.samples, 0.0
  peak = float(np.abs(samples).max(initial=0.0))
  if bits != "float" and peak > 1:
    # Lowered as a whole: clipping would distort.
    samples, gain_db = samples * (CEILING / peak), to_db(CEILING / peak)
  metadata = dict(metadata or {})
  if audio.time_reference:
    metadata["time_reference"] = audio.time_reference
  format = path.suffix[1:].upper()
  # In memory, as libsndfile does not report errors of the disk at its close.
  encoded = io.BytesIO()
  try:
    with soundfile.SoundFile(
      encoded,
      "w",
      samplerate=audio.sample_rate,
      channels=audio.channels,
      subtype=SUBTYPES[bits],
      format=format,
    ) as file:
      title = str(metadata.get("title", path.stem))
      file.title = title.encode(errors="replace").decode()
      file.software = f"stemgen-jax {__version__}"
      file.comment = json.dumps(metadata)
      file.write(samples)
  except soundfile.LibsndfileError as error:
    raise OSError(f"cannot write {path}: {error.error_string}") from error
  data = encoded.getvalue()
  if (audio.time_reference or timeline) and format == "WAV":
    data = bwf.with_time_reference(data, audio.time_reference)
  with disk.replacing(path) as file:
    file.write(data)
  return gain_db


def _name(path: disk.Path) -> Any:
  # As bytes, which soundfile's types do not state: it cannot open names that
  # are not UTF-8 otherwise.
  return os.fsencode(path)


def read_metadata(path: disk.Path) -> dict[str, Any]:
  """Return the `metadata` of `write`; {} for files of other programs."""
  try:
    with soundfile.SoundFile(_name(path)) as file:
      metadata = disk.parse_json(file.comment)
  # LibsndfileError: `read` accepts more, such as mp3 data in a wav file.
  except (ValueError, soundfile.LibsndfileError):
    return {}
  return metadata if isinstance(metadata, dict) else {}


def check_bits(path: disk.Path, bits: Bits) -> None:
  """Raise ValueError if a file of that name cannot have that bit depth."""
  if bits not in SUBTYPES:
    raise ValueError(f"bits {bits!r}: expected 16, 24 or 'float'")
  if bits == "float" and pathlib.Path(path).suffix.lower() == ".flac":
    raise ValueError(
      f"{path}: flac has no floating-point samples; use 24 bits, or .wav"
    )


def check_format(path: disk.Path, audio: Audio) -> None:
  """Raise ValueError if a file of that name cannot store such audio."""
  if pathlib.Path(path).suffix.lower() != ".flac":
    return
  if audio.channels > _FLAC_CHANNELS or audio.sample_rate > _FLAC_RATE:
    raise ValueError(
      f"{path}: flac cannot store {audio.channels} channels at "
      f"{audio.sample_rate} Hz; expected at most {_FLAC_CHANNELS} at "
      f"{_FLAC_RATE} Hz; write .wav"
    )
