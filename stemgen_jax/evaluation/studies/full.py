"""Judges weights example by example; what is done is kept.

Every example leaves a file in the folder, with the figures and embeddings of
each system, and the stem that was played. A run that was stopped goes on; a
longer one continues a shorter one; several at once share the work.
"""

import dataclasses
import itertools
import json
import pathlib
import time
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from stemgen_jax import audio, disk
from stemgen_jax.audio import Audio
from stemgen_jax.codec import Codec, ScaledCodec, decode
from stemgen_jax.evaluation import sharing
from stemgen_jax.evaluation.metrics import harmony, rhythm
from stemgen_jax.evaluation.metrics.descriptors import Describe
from stemgen_jax.evaluation.metrics.embeddings import Embedding
from stemgen_jax.evaluation.protocol import Example, ExampleList
from stemgen_jax.generation.stemgen import StemGen
from stemgen_jax.sampling import Settings

SYSTEMS = {
  "generated": "played to the context",
  "shuffled": "played to another song's context",
  "real": "the stem that was really played",
  "round_trip": "the real stem through the codec: what codes can reach",
  "random": "a real stem of the instrument from another song",
  "random_codes": "the same through the codec",
  "silence": "nothing",
}
FIGURES = {
  "beat_f1": "rhythm",
  "grid_agreement": "rhythm",
  "chord_tone_share": "harmony",
  "chroma_agreement": "harmony",
  "key_agreement": "harmony",
}
"""The figures of a stem against its context, and what they are of."""
DESCRIBED = ("generated", "real", "round_trip", "random")
"""Systems whose mixes are described for MIRDD."""

MEASURED = 3
"""Raised with each change of what a figure, embedding or descriptor is, so that
results from before and after it never meet in one folder."""

_FOLDER, _RECIPE = "examples", "evaluation.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Judged:
  """What was found out about an example.

  Attributes:
    about: `number`, `song`, `start`, `category`, `stems`, `pitched`,
      `estimated`, `seconds` of work.
    figures: system -> figure -> value; NaN where there is nothing to measure.
    embeddings: embedding -> "stem" or "mix" -> system -> [windows, d].
    descriptors: system -> descriptor -> values, of MIRDD.
  """

  about: dict[str, Any]
  figures: dict[str, dict[str, float]]
  embeddings: dict[str, dict[str, dict[str, np.ndarray]]]
  descriptors: dict[str, dict[str, list[Any]]]

  def save(self, path: pathlib.Path) -> None:
    """Writes an .npz in one step."""
    arrays: dict[str, Any] = {
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
    with disk.replacing(path) as partial, open(partial, "wb") as file:
      np.savez_compressed(file, about=np.array(json.dumps(about)), **arrays)

  @classmethod
  def load(cls, path: pathlib.Path) -> "Judged":
    """Reads what `save` wrote.

    Raises:
      ValueError: the file is damaged.
    """
    embeddings: dict[str, Any] = {}
    try:
      with disk.open_npz(path) as arrays:
        about = json.loads(str(arrays["about"]))
        for key in arrays.files:
          if key != "about":
            name, side, system = key.split("/")
            sides = embeddings.setdefault(name, {})
            sides.setdefault(side, {})[system] = arrays[key]
      return cls(**about, embeddings=embeddings)
    except disk.NPZ_ERRORS as error:
      raise ValueError(
        f"{path} is damaged ({error}): delete it and evaluate again"
      ) from error


def run(
  player: StemGen,
  examples: ExampleList,
  out: pathlib.Path,
  *,
  count: int,
  recipe: Mapping[str, Any],
  settings: Settings,
  seed: int,
  embeddings: Mapping[str, Embedding],
  describe: Describe | None,
) -> list[Judged]:
  """Judges the first `count` examples of a list.

  Args:
    player: model and codec.
    examples: the list.
    out: a folder; what is in it of an earlier run is not done again.
    count: of examples.
    recipe: what the results depend on; the folder is bound to it.
    settings: how to sample.
    seed: example i is played with seed + i.
    embeddings: to take of every stem and mix.
    describe: descriptors to take of mixes, if any.

  Raises:
    ValueError: `out` has results of another recipe, or a damaged file.
    OSError: `out` cannot be written.
  """
  folder = out / _FOLDER
  folder.mkdir(parents=True, exist_ok=True)
  claim(out, recipe)

  def judge(path: pathlib.Path, place: int) -> None:
    _judge(
      player,
      examples,
      place,
      stem_path(out, place),
      settings=settings,
      seed=seed,
      embeddings=embeddings,
      describe=describe,
    ).save(path)

  jobs = (
    (folder / f"{place:05d}.npz", place)
    for place in itertools.islice(examples, count)
  )
  done = sharing.fill(jobs, judge, Judged.load, count=count, desc="judging")
  return list(done.values())


def stem_path(out: pathlib.Path, number: int) -> pathlib.Path:
  """The stem that was played to an example."""
  return out / _FOLDER / f"{number:05d}.flac"


def stem(
  player: StemGen,
  example: Example,
  out: pathlib.Path,
  *,
  settings: Settings,
  seed: int,
) -> Audio:
  """The stem that `run` played to an example, played anew where it was lost.

  Args:
    player: model and codec.
    example: of the list.
    out: the folder of `run`.
    settings: those of `run`.
    seed: that of `run`.

  Raises:
    ValueError: the file is damaged.
  """
  path = stem_path(out, example.number)
  if not path.is_file():
    heard = _play(player, example, example.context, settings, seed)
    # Another process may have played it meanwhile: the same.
    audio.write(path, heard, bits=16, overwrite=True)
  try:
    return audio.read(path)
  except ValueError as error:
    raise ValueError(
      f"{error}: delete {path} and evaluate again, it is played anew"
    ) from error


def claim(out: pathlib.Path, recipe: Mapping[str, Any]) -> None:
  """Binds the folder of `run` to what its results depend on, or refuses it."""
  bind(out / _RECIPE, recipe, f"{_FOLDER}/*.npz")


def bind(path: pathlib.Path, recipe: Mapping[str, Any], *results: str) -> None:
  """Ties a folder to a recipe by a file in it, or refuses it.

  Args:
    path: of the file.
    recipe: what results depend on.
    *results: patterns of the results in the folder.

  Raises:
    ValueError: it is tied to another one, or has results without such a file,
      or a damaged one.
  """
  recipe = json.loads(json.dumps(recipe, default=str))  # as it is read again
  mend = (
    f"give another --out, which will have a {path.name} of its own; if the "
    f"results in {path.parent} came of the same call, that file is the one "
    "they need"
  )
  if path.is_file():
    try:
      there = json.loads(path.read_text(encoding="utf-8"))
      if not isinstance(there, dict):
        raise ValueError("no table of names")
    except ValueError as error:
      raise ValueError(f"{path} is damaged ({error}): {mend}") from error
    differing = [
      f"{name} {there.get(name)!r} there, {recipe.get(name)!r} now"
      for name in sorted(there.keys() | recipe.keys())
      if there.get(name) != recipe.get(name)
    ]
    if differing:
      raise ValueError(
        f"{path.parent} has results of another evaluation "
        f"({'; '.join(differing[:3])}): give another --out, or delete it"
      )
    return
  if any(any(path.parent.glob(pattern)) for pattern in results):
    raise ValueError(
      f"{path} is not there, which says of what evaluation the results beside "
      f"it are: {mend}"
    )
  disk.write_json(path, recipe)


def _judge(
  player: StemGen,
  examples: ExampleList,
  place: int,
  played: pathlib.Path,
  *,
  settings: Settings,
  seed: int,
  embeddings: Mapping[str, Embedding],
  describe: Describe | None,
) -> Judged:
  began = time.perf_counter()
  example = examples.example(place)
  stems = anchors(player.codec, example)
  for name, heard in (
    ("generated", example.context),
    ("shuffled", examples.other_context(place)),
  ):
    stems[name] = _play(player, example, heard, settings, seed)
    if name == "generated":
      audio.write(played, stems[name], bits=16, overwrite=True)
  return measure(example, stems, embeddings, describe=describe, began=began)


def _play(
  player: StemGen,
  example: Example,
  heard: Audio,
  settings: Settings,
  seed: int,
) -> Audio:
  """A stem of the example's category to what is heard."""
  return player.generate(
    heard,
    example.category,
    **told(player, example),
    seed=seed + example.number,
    settings=settings,
  ).audio


def anchors(codec: Codec, example: Example) -> dict[str, Audio]:
  """The stems of an example that no model played, by system."""
  stems = {
    "real": example.real,
    "round_trip": round_trip(codec, example.real),
    "silence": Audio(
      np.zeros_like(example.real.samples), example.real.sample_rate
    ),
  }
  if example.stranger is not None:
    stems["random"] = example.stranger
    stems["random_codes"] = round_trip(codec, example.stranger)
  return stems


def told(player: StemGen, example: Example) -> dict[str, Any]:
  """What a model is told of an example, beside its category."""
  return {
    name: getattr(example, name)
    for name in ("genre", "role")
    if name in player.config.conditions
  }


def measure(
  example: Example,
  stems: Mapping[str, Audio],
  embeddings: Mapping[str, Embedding],
  *,
  describe: Describe | None = None,
  described: Collection[str] = DESCRIBED,
  began: float,
  **about: Any,
) -> Judged:
  """Figures, embeddings and descriptors of stems to an example's context.

  Args:
    example: the context, and what is true of it.
    stems: by system.
    embeddings: to take of every stem and mix.
    describe: descriptors to take of mixes, if any.
    described: the systems whose mixes they are taken of.
    began: `time.perf_counter()` when the work on the example began.
    **about: said of the example, besides.
  """
  context = audio.mono(example.context)
  chroma = harmony.chroma(context, example.context.sample_rate)
  figures, vectors, descriptors = {}, {}, {}
  for name, stem in stems.items():
    figures[name] = _figures(stem, example, chroma)
    sounds = {"stem": stem, "mix": audio.mix(example.context, stem)[0]}
    for embedding, embed in embeddings.items():
      for side, sound in sounds.items():
        sides = vectors.setdefault(embedding, {"stem": {}, "mix": {}})
        sides[side][name] = embed(sound.samples, sound.sample_rate)
    if describe and name in described:
      descriptors[name] = describe(sounds["mix"].samples, stem.sample_rate)
  return Judged(
    about={
      "number": example.number,
      "song": example.song,
      "start": round(example.start, 3),
      "category": example.category,
      "stems": list(example.stems),
      "pitched": example.pitched,
      "estimated": example.truth.estimated,
      "seconds": round(time.perf_counter() - began, 2),
      **about,
    },
    figures=figures,
    embeddings=vectors,
    descriptors=descriptors,
  )


def _figures(
  stem: Audio, example: Example, context: np.ndarray
) -> dict[str, float]:
  """`FIGURES` of a stem against the context, whose chroma is given."""
  samples, rate, true = audio.mono(stem), stem.sample_rate, example.truth
  figures = dict.fromkeys(FIGURES, float("nan"))
  figures |= rhythm.figures(samples, rate, true.beats, true.grid)
  if example.pitched:
    played = harmony.chroma(samples, rate)
    figures |= {
      "chord_tone_share": harmony.chord_tone_share(played, true.chords),
      "chroma_agreement": harmony.chroma_agreement(played, context),
      "key_agreement": harmony.key_agreement(true.key, played),
    }
  return figures


def round_trip(codec: Codec, sound: Audio) -> Audio:
  """What is left of a sound after its codes."""
  batch = sound.samples[None]
  scales = codec.scales(batch) if isinstance(codec, ScaledCodec) else None
  samples = decode(codec, codec.encode(batch), scales)[0]
  return Audio(audio.fit(samples, len(sound.samples)), sound.sample_rate)
