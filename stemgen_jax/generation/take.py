"""A take: one generated stem, its seed, its settings and its codes."""

import dataclasses
import hashlib
import json
import os
import pathlib
import warnings
from typing import Any

import numpy as np
from jaxtyping import Int

from stemgen_jax import audio as audio_lib
from stemgen_jax import disk
from stemgen_jax.audio import Audio
from stemgen_jax.codec.framing import Framing
from stemgen_jax.generation.context import EncodedContext
from stemgen_jax.sampling import Settings

CODES_SUFFIX = ".codes.npz"
_FORMAT = 2
# Fields of the encoded context as files of format 1 call them.
_OLD_NAMES = {"back": "inverse_gain", "seconds_to_hear": "encoding_seconds"}
# What tells one take from another, of those that are played alike.
_IDENTITY = ("stem", "seed", "settings", "weights", "origin", "codes")


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Take:
  """One generated stem and how to have it again, or go on from it.

  Attributes:
    audio: the stem, in the context's format.
    codes: the codec's codes of the stem.
    context: the encoded context of the stem.
    seed: the seed it was drawn with.
    settings: the settings it was sampled with.
    stem: its instrument category.
    genre: that it was asked for in, if any.
    role: that it was asked to play, if any.
    weights: what the model was loaded from.
    codec_checksum: of the codec that the codes belong to.
    origin: what was done to which take, where it is not a first one.
    passes: passes of the model that it took.
    flops: floating-point operations of these.
    elapsed: seconds of work it took, with the encoding of the context.
    compiling: seconds that compiling the model took besides, or loading what
      an earlier run has compiled.
    warnings: what the listener should know, in plain words.
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
  genre: str = ""
  role: str = ""
  origin: str = ""
  passes: int = 0
  flops: float = 0.0
  compiling: float = 0.0
  warnings: tuple[str, ...] = ()

  @property
  def name(self) -> str:
    """File name without a suffix, such as "bass-seed3"."""
    return f"{self.stem}-seed{self.seed}"

  @property
  def history(self) -> str:
    """Its name, with what was done to which take before."""
    return f"{self.name}, {self.origin}" if self.origin else self.name

  @property
  def metadata(self) -> dict[str, Any]:
    """All that is needed to have the take again, fit for JSON."""
    return {
      "title": f"{self.stem}, seed {self.seed}",
      "stem": self.stem,
      "genre": self.genre,
      "role": self.role,
      "seed": self.seed,
      "settings": dataclasses.asdict(self.settings),
      "weights": self.weights,
      "loop": self.context.loop,
      "origin": self.origin,
      "codes": _digest(self.context.codes, self.codes),
      "cost": {
        "passes": self.passes,
        "flops": self.flops,
        "seconds": round(self.elapsed, 2),
        "seconds_to_compile": round(self.compiling, 2),
      },
    }

  def save(
    self,
    path: str | os.PathLike[str],
    *,
    bits: audio_lib.Bits = 24,
    codes: bool = True,
    overwrite: bool = False,
  ) -> pathlib.Path:
    """Writes the stem with its seed and settings in the file's metadata.

    Args:
      path: a .wav or .flac file, or a folder (made if it has no suffix and is
        not there), where the file is called `STEM-seedS.wav`.
      bits: 16, 24, or "float" (wav only).
      codes: write `NAME.codes.npz` beside it too, from which `load` has the
        take back to be varied, redone in parts, or extended.
      overwrite: replace files that are there.

    Returns:
      The file.

    Raises:
      ValueError, OSError: as `audio.write`; nothing is written then.
    """
    path = pathlib.Path(path)
    if path.is_dir() or not path.suffix:
      path.mkdir(parents=True, exist_ok=True)
      path = path / f"{self.name}.wav"
    if codes:
      disk.check_writable(codes_path(path), overwrite, (".npz",))
    gain_db = audio_lib.write(
      path, self.audio, bits=bits, metadata=self.metadata, overwrite=overwrite
    )
    if codes:
      self.save_codes(codes_path(path), gain_db)
    if gain_db < 0:
      warnings.warn(
        f"{path}: the stem was lowered by {-gain_db:.1f} dB so as not to clip: "
        "add as much where you mix it yourself",
        stacklevel=2,
      )
    return path

  def save_codes(self, path: pathlib.Path, gain_db: float = 0.0) -> None:
    """Writes what the audio file cannot hold; replaces what is at `path`.

    Args:
      path: ends in .codes.npz.
      gain_db: by which the audio was written louder (or quieter, so as not to
        clip): what is played anew later comes out at the same level.
    """
    encoded = {
      field.name: getattr(self.context, field.name)
      for field in dataclasses.fields(EncodedContext)
      if field.name != "codes"
    }
    encoded["inverse_gain"] *= 10 ** (gain_db / 20)
    encoded["framing"] = dataclasses.asdict(self.context.framing)
    about = self.metadata | {
      "format": _FORMAT,
      "codec_checksum": self.codec_checksum,
      "encoded_context": encoded,
    }
    with disk.replacing(path) as temporary, open(temporary, "wb") as file:
      np.savez_compressed(
        file,
        codes=self.codes.astype(np.uint16),
        context=self.context.codes.astype(np.uint16),
        about=np.array(json.dumps(about)),
      )

  @classmethod
  def load(cls, path: str | os.PathLike[str]) -> "Take":
    """Reads a saved stem and the codes beside it.

    Raises:
      FileNotFoundError: the audio file, or its `NAME.codes.npz`, is missing.
      ValueError: one of them is damaged, or they do not belong together.
    """
    sound = audio_lib.read(path, longest=audio_lib.LONGEST)
    beside = codes_path(path)
    if not beside.is_file():
      raise FileNotFoundError(
        f"no codes of {path}: expected {beside}, which `stemgen-jax generate` "
        "writes beside a take"
      )
    try:
      with disk.open_npz(beside) as file:
        codes, context = (
          file[name].astype(np.int32) for name in ("codes", "context")
        )
        about = json.loads(str(file["about"]))
      fields = _context_fields(about)
      framing = Framing(**fields.pop("framing"))
      encoded = EncodedContext(codes=context, framing=framing, **fields)
      take = cls(
        audio=sound,
        codes=codes,
        context=encoded,
        seed=about["seed"],
        settings=_settings_of(about["settings"]),
        stem=about["stem"],
        genre=about.get("genre", ""),
        role=about.get("role", ""),
        weights=about["weights"],
        codec_checksum=about["codec_checksum"],
        origin=about["origin"],
        passes=about["cost"]["passes"],
        flops=about["cost"]["flops"],
        elapsed=about["cost"]["seconds"],
        compiling=about["cost"].get("seconds_to_compile", 0.0),
      )
    except disk.NPZ_ERRORS as error:
      raise ValueError(
        f"{beside} is damaged, or of another version: {error}"
      ) from error
    found = (len(sound.samples), sound.sample_rate, sound.channels)
    if found != (encoded.samples, encoded.sample_rate, encoded.channels):
      raise ValueError(
        f"{path} has {found[0]} samples at {found[1]} Hz in {found[2]} "
        f"channels, but {beside.name} belongs to {encoded.samples} at "
        f"{encoded.sample_rate} in {encoded.channels}: the audio was changed"
      )
    # An editor may have dropped what the file said of itself.
    stated = audio_lib.read_metadata(path)
    different = [
      name
      for name in _IDENTITY
      if name in stated and stated[name] != about.get(name)
    ]
    if different:
      raise ValueError(
        f"{path} and {beside.name} are of different takes "
        f"({', '.join(different)}): one of them was replaced"
      )
    return take

  def longer(self, context: Audio | None, seconds: float | None) -> Audio:
    """What the take would go on under: the context, or silence of a length.

    Args:
      context: in the take's format, and longer than it.
      seconds: the new length, for a take from nothing and without a context.

    Raises:
      ValueError: the take cannot go on so.
    """
    encoded = self.context
    if encoded.loop:
      raise ValueError(f"{self.name} is a loop, which has no end to go on from")
    if context is None and not encoded.from_nothing:
      raise ValueError(
        f"{self.name} was played to music: give the longer context, not seconds"
      )
    if context is None:
      if seconds is None:
        raise ValueError("there is no context: give a length, seconds=10")
      audio_lib.check_seconds(seconds, "the new length")
      shape = (round(seconds * encoded.sample_rate), encoded.channels)
      context = Audio(np.zeros(shape, np.float32), encoded.sample_rate)
    elif seconds is not None:
      raise ValueError(
        f"seconds {seconds:g}, but the take goes on as long as its context: "
        "give one of them"
      )
    if (context.sample_rate, context.channels) != (
      encoded.sample_rate,
      encoded.channels,
    ):
      raise ValueError(
        f"the context has {context.sample_rate} Hz and {context.channels} "
        f"channels, but the take {encoded.sample_rate} Hz and "
        f"{encoded.channels}: convert it to the take's format"
      )
    least = encoded.edge(encoded.whole_frames) + encoded.samples_per_frame
    if len(context.samples) < least:
      frame = encoded.samples_per_frame / encoded.sample_rate
      raise ValueError(
        f"the new length is {context.seconds:.2f} s: expected more than the "
        f"take's {encoded.seconds:.2f} s, by {1000 * frame:.0f} ms at least"
      )
    return context

  def mix(self, context: Audio) -> tuple[Audio, float]:
    """The stem with its context, as `audio.mix`: mix and its gain in dB."""
    return audio_lib.mix(context, self.audio)


def codes_path(path: str | os.PathLike[str]) -> pathlib.Path:
  """Where the codes of a stem are kept, beside the stem itself."""
  return pathlib.Path(path).with_suffix(CODES_SUFFIX)


def _digest(*codes: Int[np.ndarray, "t q"]) -> str:
  """Return a digest of the codes of a take and of its context."""
  digest = hashlib.sha256()
  for each in codes:
    digest.update(each.astype("<u2").tobytes())
  return digest.hexdigest()[:16]


def _context_fields(about: dict[str, Any]) -> dict[str, Any]:
  """Return the fields of the encoded context, by their present names."""
  if about.get("format", 1) > _FORMAT:
    raise ValueError(
      f"format {about['format']}, expected at most {_FORMAT}: update "
      "stemgen-jax"
    )
  fields = about.get("encoded_context") or about["heard"]
  return {_OLD_NAMES.get(name, name): value for name, value in fields.items()}


def _settings_of(fields: dict[str, Any]) -> Settings:
  """Settings from JSON, which knows no tuples."""

  def restore(value):
    if isinstance(value, list):
      return tuple(value)
    if isinstance(value, dict):
      return {name: restore(entry) for name, entry in value.items()}
    return value

  return Settings(**restore(fields))
