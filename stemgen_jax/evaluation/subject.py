"""The subject of a study: weights, and examples as codes."""

import functools
import hashlib
import pathlib

import jax
import numpy as np

from stemgen_jax import disk, model, paths, sampling
from stemgen_jax.data.examples import Examples
from stemgen_jax.evaluation.options import Options
from stemgen_jax.generation import compilation
from stemgen_jax.generation.stemgen import StemGen, load_weights
from stemgen_jax.web import hub


class Subject:
  """Weights and examples of the options; each is loaded once, on first use.

  Args:
    options: resolved by `Study.resolve`.
  """

  def __init__(self, options: Options):
    self.options = options
    self.out = pathlib.Path(options.out or "")
    # Resumed and concurrent runs load compiled programs from disk.
    compilation.keep_programs()

  @functools.cached_property
  def skipped_songs(self) -> frozenset[str]:
    """Ids of songs that are left out."""
    return frozenset()

  @property
  def settings(self) -> sampling.Settings:
    """Settings of --preset."""
    return sampling.preset(self.options.preset)

  @functools.cached_property
  def _name(self) -> str:
    """Name of the weights, with a commit if they are on the Hub."""
    self.check_weights()
    return hub.fetch(self.options.weights)

  @functools.cached_property
  def engine(self) -> StemGen:
    """Model with its codec, which generates stems."""
    return StemGen.load(
      self._name,
      codec=self.options.codec,
      codec_backend=self.options.codec_backend,
    )

  @functools.cached_property
  def weights(self) -> model.Weights:
    """Model without a codec: enough to predict codes, without torch."""
    if "engine" in vars(self):  # loaded before, by a study that generates
      engine = self.engine
      return model.Weights(engine.config, engine.params, engine.metadata)
    return load_weights(self._name)

  @functools.cached_property
  def checksum(self) -> str:
    """Checksum of the exported weights, or of the best ones of a run."""
    if not paths.is_run(self._name):
      return disk.checksum(paths.weights_file(self._name))
    digest = hashlib.sha256()
    for path, leaf in jax.tree.leaves_with_path(self.weights.params):
      digest.update(jax.tree_util.keystr(path).encode())
      digest.update(np.asarray(leaf).tobytes())
    return digest.hexdigest()

  def check_weights(self) -> None:
    """Raise ValueError if --weights is a folder without weights."""
    weights = self.options.weights
    if (
      pathlib.Path(weights).is_dir()
      and not paths.is_run(weights)
      and not paths.weights_file(weights).is_file()
    ):
      raise ValueError(
        f"--weights={weights} is a folder without checkpoints: expected demo, "
        "band, exported weights (.safetensors) or the folder of a run"
      )

  def coded_examples(self, config: model.ModelConfig, count: int) -> Examples:
    """Return the first examples of --data, or of the package, as codes.

    Args:
      config: configuration of the model, whose window is the length of
        examples from a folder.
      count: number of examples; fewer where a file has fewer.

    Raises:
      ValueError: --split is not that of a file.
    """
    data = self.options.data
    if data and pathlib.Path(data).is_dir():
      from stemgen_jax.data import batches  # needs the extra [train]

      return batches.eval_examples(
        data,
        self.options.split,
        config.window,
        count,
        self.options.seed,
        self.skipped_songs,
      )
    if self.options.split != "test":
      raise ValueError(
        f"--split={self.options.split}: the examples of "
        f"{data or 'the package'} are of test songs; give a prepared folder as "
        "--data"
      )
    shipped = paths.HELDOUT.get(config.codec, paths.HELDOUT["demo"])
    return Examples.load(data or shipped).select(slice(count))
