"""What a run sounds like: the same few examples, played again and again.

A run's folder gets `listen/index.html`, which a browser opens from disk, and
beside it every sound as .wav with its spectrogram as .png. Masks and seeds are
the same each time, so that steps and runs compare.
"""

import concurrent.futures
import dataclasses
import pathlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from matplotlib import image

from stemgen_jax import audio, categories, disk, sampling
from stemgen_jax.audio import Audio
from stemgen_jax.codec import Codec, decode
from stemgen_jax.data.examples import Examples
from stemgen_jax.model import ModelConfig, Params
from stemgen_jax.pages import figures, html, spectrogram

EXAMPLES = 3
"""How many examples are listened to."""
HIDDEN = (15, 30, 50, 75, 100)
"""Shares of the frames that are hidden and filled in, in percent."""

_GIVEN = {
  "context": "context",
  "real": "real stem, through the codec",
}
_PLAYED = {
  **{f"hidden-{percent}": f"{percent} % hidden" for percent in HIDDEN},
  "own": "sampled to its context",
  "own-mix": "the same, with the context",
  "other": "sampled to another context",
}
_LEAD = (
  "Hidden: of the real stem, these shares of the frames are hidden at every "
  "level and filled in by the likeliest code in one pass a level, without "
  "guidance. Sampled: nothing of the stem is known."
)


class Sound(NamedTuple):
  """A sound and its spectrogram, for TensorBoard."""

  name: str
  samples: Float[np.ndarray, "n c"]
  sample_rate: int
  picture: UInt8[np.ndarray, "rows columns 3"]


class Auditioner:
  """Plays fixed examples with the parameters of a moment.

  Args:
    config: Shape of the model.
    examples: To be heard; the context of each is another's in "other".
    codec: The one that made their codes.
    run: Folder of the run.

  Raises:
    ValueError: the codec is not the one that made the codes.
  """

  def __init__(
    self,
    config: ModelConfig,
    examples: Examples,
    codec: Codec,
    run: pathlib.Path,
  ):
    if codec.checksum != examples.checksum:
      raise ValueError(
        f"the codes were made by codec {examples.codec!r} "
        f"({examples.checksum[:12]}), not by {codec.name!r} "
        f"({codec.checksum[:12]})"
      )
    self._config, self._examples, self._codec = config, examples, codec
    self._folder = run / "listen"
    self._names = [
      f"{number}-{categories.CATEGORIES[category]}"
      for number, category in enumerate(examples.category, 1)
    ]
    self._contexts = self._decode(examples.context, scales=None)
    real = self._decode(examples.target, scales=examples.target_scales)
    self._loudest = [
      figures.loudest(*sounds) for sounds in zip(self._contexts, real)
    ]
    self._given = {"context": self._contexts, "real": real}

  def run(self, step: int, params: Params) -> list[Sound]:
    """Plays all examples, writes the files and the page.

    Args:
      step: Of the run; the page shows it and those before. Later ones are of
        a run that went on from an earlier checkpoint since.
      params: The model's, on the host; on this process's first device a plain
        program runs with them, whatever mesh is set.

    Returns:
      All sounds, those that every step shares too.
    """
    # The mesh that training has set is this thread's alone.
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
      played = thread.submit(self._play, params).result()
    given = list(self._write(self._folder / "given", self._given))
    folder = self._folder / f"step-{step:07d}"
    sounds = list(self._write(folder, played))
    with disk.replacing(self._folder / "index.html") as partial:
      partial.write_text(self._page(step), "utf-8")
    return [*given, *sounds]

  def _play(self, params: Params) -> dict[str, list[Audio]]:
    examples, scales = self._examples, self._examples.target_scales
    n, t = examples.target.shape[:2]
    order = np.random.default_rng(0).random((n, t)).argsort(1).argsort(1)
    played = {}
    for percent in HIDDEN:
      hidden = order < max(1, round(t * percent / 100))
      codes = self._sample(
        params, examples.context, _one_pass(self._sources), hidden
      )
      played[f"hidden-{percent}"] = self._decode(codes, scales)
    all_hidden = np.ones((n, t), bool)
    settings = sampling.preset("default")
    scale = {name: settings.guidance.get(name, 1.0) for name in self._sources}
    settings = dataclasses.replace(settings, guidance=scale)
    for name, context in (
      ("own", examples.context),
      ("other", np.roll(examples.context, 1, axis=0)),
    ):
      codes = self._sample(params, context, settings, all_hidden)
      played[name] = self._decode(codes, scales)
    played["own-mix"] = [
      audio.mix(context, stem)[0]
      for context, stem in zip(self._contexts, played["own"])
    ]
    return played

  @property
  def _sources(self) -> tuple[str, ...]:
    return ("context", *self._config.conditions)

  def _sample(
    self,
    params: Params,
    context: np.ndarray,
    settings: sampling.Settings,
    hidden: np.ndarray,
  ) -> np.ndarray:
    q = self._config.levels
    return sampling.decode_codes(
      self._config,
      params,
      context,
      {
        name: self._examples.condition(name) for name in self._config.conditions
      },
      np.arange(len(context)),
      settings,
      known=self._examples.target,
      known_mask=np.repeat(~hidden[:, :, None], q, axis=2),
    )

  def _decode(
    self, codes: np.ndarray, scales: np.ndarray | None
  ) -> list[Audio]:
    # One at a time: as many as there are need not fit.
    return [
      Audio(
        decode(
          self._codec,
          codes[row : row + 1],
          None if scales is None else scales[row : row + 1],
        )[0],
        self._codec.sample_rate,
      )
      for row in range(len(codes))
    ]

  def _write(
    self, folder: pathlib.Path, sounds: dict[str, list[Audio]]
  ) -> Iterator[Sound]:
    folder.mkdir(parents=True, exist_ok=True)
    for kind, of_examples in sounds.items():
      for example, sound, loudest in zip(
        self._names, of_examples, self._loudest
      ):
        path = folder / f"{example}-{kind}"
        audio.write(path.with_suffix(".wav"), sound, bits=16, overwrite=True)
        pixels = spectrogram.pixels(sound, loudest)
        image.imsave(path.with_suffix(".png"), pixels)
        yield Sound(
          f"{example}/{kind}", sound.samples, sound.sample_rate, pixels
        )

  def _page(self, last: int) -> str:
    folders = sorted(self._folder.glob("step-*"), reverse=True)
    sections = {"Given": self._section("given", _GIVEN)}
    for folder in folders:
      step = int(folder.name.partition("-")[2])
      if step <= last:
        sections[f"Step {step}"] = self._section(folder.name, _PLAYED)
    return html.page("What the run sounds like", _LEAD, sections)

  def _section(self, folder: str, kinds: dict[str, str]) -> str:
    return "".join(
      html.card(
        example,
        figures.sounds(
          *(
            figures.linked_player(f"{folder}/{example}-{kind}", label)
            for kind, label in kinds.items()
          )
        ),
      )
      for example in self._names
    )


def _one_pass(sources: tuple[str, ...]) -> sampling.Settings:
  """The likeliest code of every hidden frame at once, from all sources."""
  return sampling.Settings(
    steps=(1,), top_k=1, guidance=dict.fromkeys(sources, 1.0)
  )
