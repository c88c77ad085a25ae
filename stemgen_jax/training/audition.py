"""Auditions: audio of the same few held-out examples during a run.

`listen/index.html` in the run's folder, which a browser opens from disk, shows
every sound as .wav with its spectrogram as .png. Masks and seeds are fixed, so
that steps and runs compare.
"""

import concurrent.futures
import dataclasses
import pathlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from matplotlib import image

from stemgen_jax import audio, categories, disk, sampling
from stemgen_jax.audio import Audio
from stemgen_jax.codec import Codec, check_made_by, decode
from stemgen_jax.data.examples import Examples
from stemgen_jax.model import ModelConfig, Params
from stemgen_jax.model import scales as scales_lib
from stemgen_jax.model.config import SCALES
from stemgen_jax.pages import figures, html, spectrogram

EXAMPLES = 3
"""Number of examples."""
MASKED = (15, 30, 50, 75, 100)
"""Shares of the frames that are masked and predicted, in percent."""

_GIVEN = {"context": "context", "real": "real stem, through the codec"}
# Keys are parts of file names, which pages of earlier runs link to.
_GENERATED = {
  **{f"hidden-{percent}": f"{percent} % masked" for percent in MASKED},
  "own": "generated for its context",
  "own-mix": "the same, with the context",
  "other": "generated for another context",
}
_LEAD = (
  "Masked: these shares of the real stem's frames are masked at every level "
  "and predicted by the most likely code in one pass per level, without "
  "guidance and with the real levels of segments, if the codec has any. "
  "Generated: no frame of the stem is known."
)


class Sound(NamedTuple):
  """A sound and its spectrogram, for TensorBoard."""

  name: str
  audio: Audio
  picture: UInt8[np.ndarray, "rows columns 3"]


class Auditioner:
  """Generate the audio of fixed examples at steps of a run, and write it.

  Args:
    config: shape of the model.
    examples: held-out examples; each also gets the context of another.
    codec: codec that made their codes.
    run: folder of the run.

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
    check_made_by(codec, examples.codec, examples.checksum)
    self._config, self._codec = config, codec
    self._examples = examples.with_scales(config.scale_frames)
    self._folder = run / "listen"
    self._names = [
      f"{number}-{categories.CATEGORIES[category]}"
      for number, category in enumerate(examples.category, 1)
    ]
    self._contexts = self._decode(examples.context, scales=None)
    real = self._decode(examples.target, scales=examples.target_scales)
    # One reference per example, so that its spectrograms compare.
    self._loudest = [
      figures.loudest(*sounds) for sounds in zip(self._contexts, real)
    ]
    self._given = {"context": self._contexts, "real": real}
    self._written: list[Sound] = []  # those given, which steps share

  def run(self, step: int, params: Params) -> list[Sound]:
    """Generate all examples, and write the files and the page.

    Args:
      step: step of the run. The page leaves out later ones, which are of a run
        that was restored to an earlier checkpoint.
      params: parameters on the host. They run on the first device of this
        process, whatever the mesh of the training.

    Returns:
      All sounds, including the context and real stem that steps share.
    """
    # The mesh set by the training is local to its thread; here there is none.
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
      generated = thread.submit(self._generate, params).result()
    if not self._written:
      given = self._write(self._folder / "given", self._given)
      self._written = list(given)
    folder = self._folder / f"step-{step:07d}"
    sounds = list(self._write(folder, generated))
    disk.write_text(self._folder / "index.html", self._page(step))
    return [*self._written, *sounds]

  def _generate(self, params: Params) -> dict[str, list[Audio]]:
    examples, scales = self._examples, self._examples.target_scales
    n, t = examples.target.shape[:2]
    inputs = examples.inputs(self._config.context)
    # Ranks of uniform noise, so that larger shares contain the smaller ones.
    order = np.random.default_rng(0).random((n, t)).argsort(1).argsort(1)
    # The most likely codes in one pass per level. Scales of 1 disable guidance.
    ones = dict.fromkeys(self._sources, 1.0)
    one_pass = sampling.Settings(steps=(1,), top_k=1, guidance=ones)
    generated = {}
    for percent in MASKED:
      masked = order < max(1, round(t * percent / 100))  # [n, t]
      codes = self._sample(params, inputs, one_pass, masked, scales=True)
      generated[f"hidden-{percent}"] = self._decode(codes, scales)
    all_masked = np.ones((n, t), bool)
    # The preset's guidance, for the conditions that this model has.
    settings = sampling.preset("default")
    scale = {name: settings.guidance.get(name, 1.0) for name in self._sources}
    settings = dataclasses.replace(settings, guidance=scale)
    for name, context in (
      ("own", inputs),
      ("other", np.roll(inputs, 1, axis=0)),  # The previous one's.
    ):
      codes = self._sample(params, context, settings, all_masked)
      generated[name] = self._decode(codes, scales)
    generated["own-mix"] = [
      audio.mix(context, stem)[0]
      for context, stem in zip(self._contexts, generated["own"])
    ]
    return generated

  @property
  def _sources(self) -> tuple[str, ...]:
    return ("context", *self._config.conditions)

  def _sample(
    self,
    params: Params,
    context: np.ndarray,
    settings: sampling.Settings,
    masked: np.ndarray,
    *,
    scales: bool = False,
  ) -> np.ndarray:
    columns, names = self._config.columns, self._config.conditions
    known_mask = np.repeat(~masked[:, :, None], columns, axis=2)
    if self._config.scale_frames:
      known_mask[..., SCALES] = scales
    return sampling.decode_codes(
      self._config,
      params,
      context,
      {name: self._examples.condition(name) for name in names},
      np.arange(len(context)),  # Seeds.
      settings,
      known=self._examples.target,
      known_mask=known_mask,
    )

  def _decode(
    self, codes: np.ndarray, scales: np.ndarray | None
  ) -> list[Audio]:
    if codes.shape[-1] > self._config.levels:  # those predicted or known
      codes, scales = scales_lib.split(codes, self._config.scale_frames)
    sounds = []
    for row in range(len(codes)):  # one at a time, to bound the codec's memory
      own = None if scales is None else scales[row : row + 1]
      samples = decode(self._codec, codes[row : row + 1], own)[0]
      sounds.append(Audio(samples, self._codec.sample_rate))
    return sounds

  def _write(
    self, folder: pathlib.Path, sounds: dict[str, list[Audio]]
  ) -> Iterator[Sound]:
    for kind, found in sounds.items():
      for example, sound, loudest in zip(self._names, found, self._loudest):
        path = folder / f"{example}-{kind}"
        audio.write(path.with_suffix(".wav"), sound, bits=16, overwrite=True)
        pixels = spectrogram.pixels(sound, loudest)
        with disk.replacing(path.with_suffix(".png")) as file:
          # A fifth of the default's time for 5 % more bytes.
          fast = {"compress_level": 2}
          image.imsave(file, pixels, format="png", pil_kwargs=fast)
        yield Sound(f"{example}/{kind}", sound, pixels)

  def _page(self, last: int) -> str:
    folders = sorted(self._folder.glob("step-*"), reverse=True)
    sections = {"Given": self._section("given", _GIVEN)}
    for folder in folders:
      step = int(folder.name.partition("-")[2])
      if step <= last:
        sections[f"Step {step}"] = self._section(folder.name, _GENERATED)
    return html.page("Auditions", _LEAD, sections)

  def _section(self, folder: str, kinds: dict[str, str]) -> str:
    cards = []
    for example in self._names:
      players = (
        figures.linked_player(f"{folder}/{example}-{kind}", label)
        for kind, label in kinds.items()
      )
      cards.append(html.card(example, figures.sounds(*players)))
    return "".join(cards)
