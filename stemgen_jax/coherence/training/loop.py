"""Training of the coherence model: loop, checkpoint and log."""

import pathlib
from collections.abc import Iterator, Sequence

import jax
import numpy as np
import optax
import safetensors.numpy
from flax import nnx

from stemgen_jax import disk, recipes, small_runs
from stemgen_jax.coherence import weights
from stemgen_jax.coherence.network import Network
from stemgen_jax.coherence.training import clips
from stemgen_jax.coherence.training import loss as loss_lib
from stemgen_jax.coherence.training.config import TrainingConfig
from stemgen_jax.coherence.training.corpus import Song

_MOST_GRADIENT = 5.0  # norm


class Training:
  """A coherence model in training; make it again to resume it.

  All randomness is a function of (seed, step), so a resumed run takes the
  steps that an uninterrupted one would have taken.

  Args:
    config: configuration.
    songs: songs to train on.
    folder: folder of checkpoint and log; a checkpoint in it is resumed.

  Raises:
    ValueError: the configuration is out of range, or the folder's checkpoint
      has another one (except for `steps`).
  """

  def __init__(
    self, config: TrainingConfig, songs: Sequence[Song], folder: pathlib.Path
  ):
    config.validate()
    if len(songs) < config.songs:
      raise ValueError(
        f"{len(songs)} songs: expected at least the {config.songs} of a step"
      )
    self.config, self.step = config, 0
    self._songs, self._folder = songs, folder
    network = Network(config.network, rngs=nnx.Rngs(config.seed))
    self._graph, self._params = nnx.split(network)
    rate = optax.warmup_cosine_decay_schedule(
      0.0,
      config.learning_rate,
      config.warm_up,
      max(config.steps, config.warm_up + 1),
      0.02 * config.learning_rate,
    )
    self._optimizer = optax.chain(
      optax.clip_by_global_norm(_MOST_GRADIENT),
      optax.adamw(rate, weight_decay=config.weight_decay),
    )
    self._state = self._optimizer.init(self._params)
    self._update = jax.jit(self._step, donate_argnums=(0, 1))
    if (folder / small_runs.CHECKPOINT).exists():
      self._restore()

  def run(self) -> Iterator[dict[str, float]]:
    """Train to the last step; yield the figures of each step.

    Figures: `loss`, `gradient`, and of every kind of counterexample the share
    of those that score below the true stem.
    """
    return small_runs.logged(self, self._folder, self._advance)

  def _advance(self) -> dict[str, float]:
    rng = np.random.default_rng((self.config.seed, self.step))
    batch = clips.batch(self._songs, self.config.songs, self.config.frames, rng)
    self._params, self._state, found = self._update(
      self._params, self._state, batch
    )
    figures = {name: float(value) for name, value in found.items()}
    if not np.isfinite(figures["gradient"]):
      raise ValueError(
        f"the gradient is {figures['gradient']} at step {self.step}: start "
        "again in another folder with another seed"
      )
    self.step += 1
    return figures

  def _step(self, params, state, batch):
    def loss(params):
      return loss_lib.loss(nnx.merge(self._graph, params), batch)

    (value, won), gradient = jax.value_and_grad(loss, has_aux=True)(params)
    updates, state = self._optimizer.update(gradient, state, params)
    figures = {"loss": value, "gradient": optax.global_norm(gradient), **won}
    return optax.apply_updates(params, updates), state, figures

  @property
  def network(self) -> Network:
    """The network in its present state."""
    return nnx.merge(self._graph, self._params)

  def save(self) -> None:
    """Write the checkpoint: whole or not at all."""
    leaves = jax.tree.leaves((self._params, self._state))
    tensors = {str(i): np.asarray(leaf) for i, leaf in enumerate(leaves)}
    progress = {"step": self.step, "config": recipes.as_json(self.config)}
    metadata = small_runs.metadata(progress, tensors)
    data = safetensors.numpy.save(tensors, metadata)
    with disk.replacing(self._folder / small_runs.CHECKPOINT) as file:
      file.write(data)

  def export(self, path: pathlib.Path) -> None:
    """Write the weights in their present state."""
    about = {"steps": self.step, "songs": len(self._songs)}
    about["training"] = recipes.as_json(self.config)
    weights.save(path, self.network, self.config.network, about)

  def _restore(self) -> None:
    path = self._folder / small_runs.CHECKPOINT
    progress, tensors = small_runs.read(self._folder)
    # A run may be made longer or shorter.
    ours = recipes.as_json(self.config) | {"steps": progress["config"]["steps"]}
    recipes.check_same(path, progress["config"], ours)
    self.step = progress["step"]
    leaves, tree = jax.tree.flatten((self._params, self._state))
    shapes = [x.shape for x in leaves]
    if [tensors.get(str(i), np.zeros(0)).shape for i in range(len(leaves))] != (
      shapes
    ):
      raise ValueError(
        f"{path} is of another version of the network: {small_runs.FIX}"
      )
    restored = [jax.numpy.asarray(tensors[str(i)]) for i in range(len(leaves))]
    self._params, self._state = jax.tree.unflatten(tree, restored)
