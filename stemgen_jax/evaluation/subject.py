"""The subject of a study: weights, and examples as codes."""

import functools
import pathlib

from stemgen_jax import model, paths, sampling
from stemgen_jax.data.examples import Examples
from stemgen_jax.evaluation.options import Options
from stemgen_jax.generation import compilation
from stemgen_jax.generation.stemgen import StemGen


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

  @property
  def settings(self) -> sampling.Settings:
    """Settings of --preset."""
    return sampling.preset(self.options.preset)

  @functools.cached_property
  def engine(self) -> StemGen:
    """Model with its codec, which generates stems."""
    return StemGen.load(self.options.weights, codec=self.options.codec)

  @functools.cached_property
  def weights(self) -> model.Weights:
    """Model without a codec: enough to predict codes, without torch."""
    if "engine" in vars(self):  # loaded before, by a study that generates
      engine = self.engine
      return model.Weights(engine.config, engine.params, engine.metadata)
    self.check_exported()
    return model.load_weights(self.options.weights)

  def check_exported(self) -> None:
    """Raise ValueError if --weights is a folder, such as that of a run."""
    weights = self.options.weights
    if not paths.exported(weights).is_file() and pathlib.Path(weights).is_dir():
      raise ValueError(
        f"--weights={weights} is a folder: expected weights that do not "
        "change; export the run, `stemgen-jax export --help`, and give the "
        ".safetensors"
      )

  def coded_examples(self, config: model.ModelConfig, count: int) -> Examples:
    """Return the first examples of --data or of the package, as codes.

    Args:
      config: configuration of the model, whose window is the length of
        examples from a folder.
      count: number of examples; fewer where a file has fewer.
    """
    data = self.options.data
    if data and pathlib.Path(data).is_dir():
      from stemgen_jax.data import batches  # needs the extra [train]

      return batches.eval_examples(
        data, "test", config.window, count, self.options.seed
      )
    return Examples.load(data or paths.DEMO_HELDOUT).select(slice(count))
