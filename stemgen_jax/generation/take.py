"""A take: one generated stem, its seed, its settings and its codes."""

import dataclasses
import hashlib
import os
import pathlib
import warnings
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
from jaxtyping import Float32, Int

from stemgen_jax import audio as audio_lib
from stemgen_jax import categories, disk
from stemgen_jax.audio import Audio
from stemgen_jax.generation import codes_file
from stemgen_jax.generation.context import EncodedContext
from stemgen_jax.sampling.settings import Settings

# Metadata that differs between takes and is in both files of a take.
_IDENTITY = ("stem", "seed", "settings", "weights", "origin", "codes")


class GenerationWarning(UserWarning):
  """A warning about a take, for its listener."""


@dataclasses.dataclass(frozen=True)
class TakeFiles:
  """The files of one take; None for those that are not written.

  Attributes:
    stem: the stem, .wav or .flac.
    codes: its codes, .codes.npz.
    mix: the stem with its context, .wav or .flac.
    picture: waveforms and spectrograms, .png.
  """

  stem: pathlib.Path
  codes: pathlib.Path | None = None
  mix: pathlib.Path | None = None
  picture: pathlib.Path | None = None

  def __iter__(self) -> Iterator[pathlib.Path]:
    paths = (self.stem, self.mix, self.codes, self.picture)
    return (path for path in paths if path is not None)

  def check(
    self,
    sound: Audio | None,
    *,
    bits: audio_lib.Bits,
    overwrite: bool,
    taken: Collection[pathlib.Path] = (),
  ) -> None:
    """Raise ValueError or OSError if one of them cannot be written.

    Args:
      sound: audio in the format of the stem, if it is known.
      bits: bit depth of the audio files.
      overwrite: existing files may be replaced.
      taken: absolute paths of other files, which may not.
    """
    taken = set(taken)
    for path in self:
      if path in (self.stem, self.mix):
        disk.check_writable(path, overwrite, audio_lib.WRITABLE)
        audio_lib.check_bits(path, bits)
        if sound is not None:
          audio_lib.check_format(path, sound)
      else:
        suffix = ".png" if path == self.picture else ".npz"
        disk.check_writable(path, overwrite, (suffix,))
      if path.resolve() in taken:
        raise ValueError(f"{path} is named twice: give each file its own name")
      taken.add(path.resolve())


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Take:
  """One generated stem, and all that is needed to repeat or edit it.

  Attributes:
    audio: the stem, in the format of the context.
    codes: codes of the stem, int32 [t, q].
    scales: scales of the stem's segments, if the model predicts them.
    context: encoded context of the stem.
    seed: seed of the sampling.
    settings: settings of the sampling.
    stem: instrument category; "" for weights without instruments.
    genre: requested genre, or "".
    role: requested role, or "".
    weights: name or path of the weights.
    codec_checksum: checksum of the codec of the codes.
    codec_device: device of the codec, for information; "" if unknown.
    dtype: dtype of the model's products, "float32" or "bfloat16", which edits
      use again. Takes of earlier versions are float32.
    devices: number of devices that each pass was split over.
    origin: edit and name of the edited take; "" for other takes.
    passes: forward passes of the model.
    flops: floating-point operations of the passes.
    elapsed: seconds of work, with the encoding of the context.
    compiling: further seconds of compilation, or of loading programs that an
      earlier run has compiled.
    decoding: seconds of `elapsed` for decoding the stem.
    importing: seconds before `loading`, from the start of the process, for
      imports and checks of the input; 0 for takes of the API and for all
      but the first take of a command, as for `loading`.
    loading: seconds to load the weights and to wait for the codec.
    coherence: how well the take fits its context, see `coherence.score`; None
      if it was not compared with other takes.
    warnings: warnings for the listener.
    file: audio file that the take was loaded from, or "".
  """

  audio: Audio
  codes: Int[np.ndarray, "t q"]
  context: EncodedContext
  seed: int
  settings: Settings
  stem: str
  weights: str
  codec_checksum: str
  elapsed: float
  scales: Float32[np.ndarray, " segments"] | None = None
  codec_device: str = ""
  dtype: str = "float32"
  devices: int = 1
  genre: str = ""
  role: str = ""
  origin: str = ""
  passes: int = 0
  flops: float = 0.0
  compiling: float = 0.0
  decoding: float = 0.0
  importing: float = 0.0
  loading: float = 0.0
  coherence: float | None = None
  warnings: tuple[str, ...] = ()
  file: str = ""

  @property
  def name(self) -> str:
    """File name without a suffix, such as "bass-seed3"."""
    return f"{self.kind}-seed{self.seed}"

  @property
  def kind(self) -> str:
    """Instrument, or else role or genre."""
    return categories.kind(self.stem, self.role, self.genre)

  @property
  def subject(self) -> str:
    """Subject of an error about the take: its file, or its name."""
    return self.file or self.name

  @property
  def history(self) -> str:
    """Name, followed by the edits that led to the take."""
    return f"{self.name}, {self.origin}" if self.origin else self.name

  @property
  def seconds(self) -> dict[str, float]:
    """Seconds of each part of the work, in their order."""
    encoding = self.context.encoding_seconds
    return {
      "import": self.importing,
      "load": self.loading,
      "compile": self.compiling,
      "encode": encoding,
      "generate": max(0.0, self.elapsed - encoding - self.decoding),
      "decode": self.decoding,
    }

  @property
  def metadata(self) -> dict[str, Any]:
    """All that is needed to repeat the take, fit for JSON."""
    return {
      "title": f"{self.kind}, seed {self.seed}",
      "stem": self.stem,
      "genre": self.genre,
      "role": self.role,
      "seed": self.seed,
      "settings": dataclasses.asdict(self.settings),
      "weights": self.weights,
      "codec_device": self.codec_device,
      "dtype": self.dtype,
      "devices": self.devices,
      "loop": self.context.loop,
      "origin": self.origin,
      "coherence": self.coherence,
      "codes": _digest(self.context.codes, self.codes),
      "cost": {
        "passes": self.passes,
        "flops": self.flops,
        "seconds": round(self.elapsed, 2),
        **{
          f"seconds_to_{part}": round(seconds, 2)
          for part, seconds in self.seconds.items()
        },
      },
    }

  def save(
    self,
    path: str | os.PathLike[str],
    *,
    bits: audio_lib.Bits = 24,
    codes: bool = True,
    overwrite: bool = False,
    context: Audio | None = None,
    mix: str | os.PathLike[str] | None = None,
    picture: str | os.PathLike[str] | None = None,
  ) -> pathlib.Path:
    """Write the stem with its seed and settings in the file's metadata.

    Args:
      path: a .wav or .flac file, or a folder (created if it has no suffix),
        where the file is called `STEM-seedS.wav`, or `ROLE-seedS.wav`.
      bits: 16, 24, or "float" (wav only).
      codes: also write `NAME.codes.npz` next to it, from which `load` restores
        the take to be varied, regenerated in parts, or extended.
      overwrite: replace existing files.
      context: the music of the take, for `mix` and `picture`.
      mix: .wav or .flac file for the stem with its context.
      picture: .png file for waveforms and spectrograms.

    Returns:
      The path of the stem.

    Raises:
      ValueError, OSError: see `write`; nothing is written then.
    """
    path = pathlib.Path(path)
    if path.is_dir() or not path.suffix:  # A folder, which may be new.
      path = path / f"{self.name}.wav"
    files = TakeFiles(
      stem=path,
      codes=codes_file.path_of(path) if codes else None,
      mix=pathlib.Path(mix) if mix else None,
      picture=pathlib.Path(picture) if picture else None,
    )
    self.write(files, context, bits=bits, overwrite=overwrite)
    return path

  def write(
    self,
    files: TakeFiles,
    context: Audio | None = None,
    *,
    bits: audio_lib.Bits = 24,
    overwrite: bool = False,
  ) -> dict[pathlib.Path, float]:
    """Write the files of the take, each in one step.

    Args:
      files: their paths.
      context: the music of the take, for the mix and the picture.
      bits: 16, 24, or "float" (wav only).
      overwrite: replace existing files.

    Returns:
      The gain of each file in dB, in the order of writing: below 0 where it was
      lowered so as not to clip.

    Raises:
      ValueError: an unknown suffix or bit depth, a format that the files cannot
        hold, or a context of another format. Nothing is written then.
      OSError: a file exists or cannot be written; see `disk.check_writable`.
    """
    if context is not None:
      self.check_context(context)
    elif files.mix:
      raise ValueError(f"{files.mix}: a mix needs the context of the take")
    files.check(self.audio, bits=bits, overwrite=overwrite)

    def write_audio(path: pathlib.Path, sound: Audio) -> float:
      return audio_lib.write(
        path, sound, bits=bits, metadata=self.metadata, overwrite=overwrite
      )

    # The codes state the gain of the stem, so the stem is written first.
    gains = {files.stem: write_audio(files.stem, self.audio)}
    if files.codes:
      about = {
        "codec_checksum": self.codec_checksum,
        "gain_db": gains[files.stem],
      }
      codes_file.write(
        files.codes,
        self.codes,
        self.context,
        self.metadata | about,
        self.scales,
      )
      gains[files.codes] = 0.0
    # The picture shows the mix, even where it is not written.
    mix, mix_db = self.mix(context) if context else (None, 0.0)
    if mix and files.mix:
      gains[files.mix] = mix_db + write_audio(files.mix, mix)
    if files.picture:
      from stemgen_jax.pages import take_picture  # matplotlib is slow to import

      title = f"{self.kind}, seed {self.seed}"
      take_picture.draw(files.picture, context, self.audio, mix, title=title)
      gains[files.picture] = 0.0
    if gains[files.stem] < 0:
      warnings.warn(
        f"{files.stem}: the stem was lowered by {-gains[files.stem]:.1f} dB so "
        "as not to clip: lower the context as much where you mix it yourself",
        GenerationWarning,
        stacklevel=3,
      )
    return gains

  @classmethod
  def load(cls, path: str | os.PathLike[str]) -> "Take":
    """Read a saved stem and the codes next to it.

    The take has the level of the original one, also if its file was lowered so
    as not to clip.

    Raises:
      FileNotFoundError: the audio file, or its `NAME.codes.npz`, is missing.
      ValueError: one of them is corrupt, or they are of different takes.
    """
    sound = audio_lib.read(path, longest=audio_lib.LONGEST)
    codes_path = codes_file.path_of(path)
    known = {"audio": sound, "file": os.fspath(path)}
    take, about = codes_file.read(codes_path, cls, **known)
    actual = _digest(take.context.codes, take.codes)
    if about.get("codes", actual) != actual:
      raise ValueError(
        f"{codes_path} is corrupt (its codes have digest {actual}, it states "
        f"{about['codes']}): generate the take again"
      )
    # Frames of the codes are at fixed samples of the audio.
    context = take.context
    found = (len(sound.samples), sound.sample_rate, sound.channels)
    if found != (context.samples, context.sample_rate, context.channels):
      raise ValueError(
        f"{path} has {found[0]} samples at {found[1]} Hz in {found[2]} "
        f"channels, but {codes_path.name} belongs to {context.samples} at "
        f"{context.sample_rate} in {context.channels}: the audio was changed"
      )
    # An editor may have dropped the metadata of the audio file.
    stated = audio_lib.read_metadata(path)
    different = [
      name
      for name in _IDENTITY
      if name in stated and stated[name] != about.get(name)
    ]
    if different:
      raise ValueError(
        f"{path} and {codes_path.name} are of different takes "
        f"({', '.join(different)}): one of them was replaced"
      )
    # Files of earlier versions state no gain; their codes belong to the level
    # of the file.
    gain_db = codes_file.gain_db(codes_path, about)
    if not gain_db:
      return take
    samples = sound.samples * np.float32(10 ** (-gain_db / 20))
    return dataclasses.replace(
      take, audio=dataclasses.replace(sound, samples=samples)
    )

  def check_context(self, context: Audio, name: str = "the context") -> None:
    """Raise ValueError if a context has another format or length."""

    def describe(sound: Audio) -> str:
      return (
        f"{len(sound.samples)} samples at {sound.sample_rate} Hz in "
        f"{sound.channels} channels"
      )

    has, expected = describe(context), describe(self.audio)
    if has != expected:
      raise ValueError(
        f"{name} has {has}, but the take {expected}: expected the music that "
        "the take was generated for"
      )

  def mix(self, context: Audio) -> tuple[Audio, float]:
    """Return the stem with its context, and the gain in dB; see `audio.mix`."""
    return audio_lib.mix(context, self.audio)


def _digest(*codes: Int[np.ndarray, "t q"]) -> str:
  """Return a digest of the codes of a take and of its context."""
  digest = hashlib.sha256()
  for each in codes:
    digest.update(each.astype("<u2").tobytes())  # on any machine
  # 64 bits tell the takes of one folder apart.
  return digest.hexdigest()[:16]
