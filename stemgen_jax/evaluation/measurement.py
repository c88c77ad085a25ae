"""Measure the stems of an example: figures, embeddings and descriptors."""

import dataclasses
import functools
import json
import pathlib
import time
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from stemgen_jax import audio, categories, disk
from stemgen_jax.audio import Audio
from stemgen_jax.codec import Codec, ScaledCodec, decode
from stemgen_jax.evaluation import figures
from stemgen_jax.evaluation.baselines import baselines
from stemgen_jax.evaluation.features import Features
from stemgen_jax.evaluation.metrics.descriptors import Describe
from stemgen_jax.evaluation.metrics.embeddings import Embedding
from stemgen_jax.evaluation.protocol import Example
from stemgen_jax.generation.stemgen import StemGen

SYSTEMS = {
  "generated": "generated to the context",
  "shuffled": "generated to another song's context",
  "real": "the real stem",
  "round_trip": "the real stem through the codec: the upper bound of codes",
  "random": "a real stem of the instrument from another song",
  "random_codes": "the same through the codec",
  "silence": "silence",
}
DESCRIBED = ("generated", "real", "round_trip", "random")
"""Systems whose mixes are described for MIRDD."""

ALONE = ", alone"
"""Suffix of the names of systems whose stems are described without context."""

VERSION = 6
"""Increased with each change to a figure, embedding or descriptor, so that
results from before and after it never share a folder."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measurements:
  """Results of one example.

  Attributes:
    about: `number`, `song`, `start`, `category`, `stems`, `pitched`,
      `estimated`, `seconds` of work.
    figures: system -> figure -> value, NaN where it is undefined.
    embeddings: embedding -> "stem" or "mix" -> system -> [windows, d].
    descriptors: system -> descriptor of MIRDD -> values, of mixes; with the
      suffix `ALONE` of stems.
  """

  about: dict[str, Any]
  figures: dict[str, dict[str, float]]
  embeddings: dict[str, dict[str, dict[str, np.ndarray]]]
  descriptors: dict[str, dict[str, list[Any]]]

  def save(self, path: pathlib.Path) -> None:
    """Write an .npz; it is complete or absent."""
    arrays: dict[str, Any] = {
      # One array per embedding, side and system.
      f"{name}/{side}/{system}": vectors.astype(np.float32)
      for name, sides in self.embeddings.items()
      for side, systems in sides.items()
      for system, vectors in systems.items()
    }
    about = {
      "about": self.about,
      "figures": self.figures,
      "descriptors": self.descriptors,
    }
    with disk.replacing(path) as file:
      np.savez_compressed(file, about=np.array(json.dumps(about)), **arrays)

  @classmethod
  def load(cls, path: pathlib.Path) -> "Measurements":
    """Read what `save` wrote.

    Raises:
      ValueError: the file is corrupt.
    """
    arrays = disk.read_npz(
      path, "delete it and evaluate again", described=("about",)
    )
    about = arrays.pop("about")
    names = {"about", "figures", "descriptors"}
    if not (isinstance(about, dict) and about.keys() == names) or any(
      key.count("/") != 2 for key in arrays
    ):
      raise ValueError(
        f"{path} is of another version: delete it and evaluate again"
      )
    embeddings: dict[str, Any] = {}
    for key, vectors in arrays.items():
      name, side, system = key.split("/")
      embeddings.setdefault(name, {}).setdefault(side, {})[system] = vectors
    return cls(**about, embeddings=embeddings)


def anchors(codec: Codec, example: Example) -> dict[str, Features]:
  """Return the stems of an example that need no model, by system."""

  def coded(stem: Features) -> Features:
    return stem if example.decoded else Features(round_trip(codec, stem))

  real = Features(example.real)
  stems = {
    "real": real,
    "round_trip": coded(real),
    "silence": _silence(real.samples.shape, real.sample_rate),
  }
  if example.random_stem is not None:
    stems["random"] = Features(example.random_stem)
    stems["random_codes"] = coded(stems["random"])
  return stems


@functools.lru_cache(maxsize=2)
def _silence(shape: tuple[int, int], sample_rate: int) -> Features:
  # The same for all examples, so its features are computed once.
  return Features(Audio(np.zeros(shape, np.float32), sample_rate))


def round_trip(codec: Codec, sound: Features) -> Audio:
  """Encode and decode a sound."""
  codes = sound.codes(codec)[None]  # [1, t, q]
  # Codecs with scales decode at the level of the original.
  scaled = isinstance(codec, ScaledCodec)
  scales = codec.scales(sound.samples[None]) if scaled else None
  samples = decode(codec, codes, scales)[0]
  return Audio(audio.fit(samples, len(sound.samples)), sound.sample_rate)


def stem_of(engine: StemGen, example: Example) -> str:
  """Return the instrument of an example; "" for weights without them."""
  named = categories.kind_field(engine.config.conditions) == "stem"
  return example.category if named else ""


def conditions(engine: StemGen, example: Example) -> dict[str, Any]:
  """Return the conditions of the model other than the category."""
  return {
    name: getattr(example, name)
    for name in ("genre", "role")
    if name in engine.config.conditions
  }


def measure(
  example: Example,
  stems: Mapping[str, Features],
  embeddings: Mapping[str, Embedding],
  *,
  describe: Describe | None = None,
  described: Collection[str] = DESCRIBED,
  stems_described: bool = False,
  with_baselines: bool = False,
  began: float,
  spent: float = 0.0,
  **about: Any,
) -> Measurements:
  """Measure stems against an example's context.

  Args:
    example: context with its reference annotations.
    stems: stems by system.
    embeddings: computed of every stem and mix.
    describe: descriptors of mixes, if any.
    described: systems whose mixes are described.
    stems_described: whether their stems are described, too.
    with_baselines: whether figures of `baselines` are added.
    began: `time.perf_counter()` at the start of the work on the example.
    spent: seconds of work before that.
    **about: additional entries of `Measurements.about`.
  """
  context = Features(example.context)
  real = stems.get("real") or Features(example.real)
  found, vectors, descriptors = {}, {}, {}
  compared = dict(stems)
  if with_baselines:
    compared |= baselines(example, context)
  for name, stem in compared.items():
    found[name] = figures.compute(
      figures.Case(stem, context, real, example.annotations, example.category),
      pitched=example.pitched,
    )
  for name, stem in stems.items():
    mix = Features(audio.mix(example.context, stem.sound)[0])
    if np.array_equal(mix.samples, context.samples):  # of silence
      mix = context
    # FAD compares stems; sub-FAD, APA and MIRDD compare mixes.
    sounds = {"stem": stem, "mix": mix}
    for embedding, embed in embeddings.items():
      for side, sound in sounds.items():
        sides = vectors.setdefault(embedding, {"stem": {}, "mix": {}})
        sides[side][name] = embed(sound)  # [windows, d]
    if describe and name in described:
      descriptors[name] = describe(mix)
      if stems_described:
        descriptors[name + ALONE] = describe(stem)
  return Measurements(
    about={
      "number": example.number,
      "song": example.song,
      "start": round(example.start, 3),
      "category": example.category,
      "stems": list(example.stems),
      "pitched": example.pitched,
      "estimated": example.annotations.estimated,
      "seconds": round(spent + time.perf_counter() - began, 2),
      **about,
    },
    figures=found,
    embeddings=vectors,
    descriptors=descriptors,
  )
