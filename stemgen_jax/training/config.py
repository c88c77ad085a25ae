"""What a training run is: the root of the configuration tree."""

import dataclasses
import re
from typing import Any

from stemgen_jax.model.config import ModelConfig


@dataclasses.dataclass(kw_only=True)
class OptimizerConfig:
  """Learning rate over time, and what it is the rate of.

  Attributes:
    kind: "adamw", the paper's, or "muon": the matrices of the blocks take
      orthogonal steps (Muon, arXiv 2502.16982, scaled to the size of AdamW's,
      so that the learning rate stays), everything else AdamW's. Muon's state
      is whole on every device.
    learning_rate: The peak.
    warmup_steps: Linear rise from 0 to the peak.
    hold_steps: Steps at the peak.
    decay_steps: Steps of the exponential decay that follows.
    final_ratio: Of the peak, reached at the end of the decay and kept.
    beta1: AdamW's.
    beta2: AdamW's.
    weight_decay: Decoupled, on kernels only: not on norms, embeddings or
      anything else that is not a matrix.
    clip_norm: Largest global norm of the gradients.
    frozen: Patterns (regular expressions, searched in paths such as
      "blocks/query/kernel") of parameters that never change; the codec's
      codebooks never do.
  """

  kind: str = "adamw"
  learning_rate: float = 5e-4
  warmup_steps: int = 10_000
  hold_steps: int = 50_000
  decay_steps: int = 300_000
  final_ratio: float = 0.01
  beta1: float = 0.9
  beta2: float = 0.98
  weight_decay: float = 0.01
  clip_norm: float = 1.0
  frozen: tuple[str, ...] = ()

  def validate(self) -> None:
    """Raises ValueError, naming the field, if a value is out of range."""
    if self.kind not in ("adamw", "muon"):
      raise ValueError(f"optimizer.kind={self.kind!r}: expected adamw or muon")
    for name in ("learning_rate", "clip_norm"):
      if getattr(self, name) <= 0:
        raise ValueError(
          f"optimizer.{name}={getattr(self, name)}: must be more than 0"
        )
    for name in ("warmup_steps", "hold_steps", "weight_decay"):
      if getattr(self, name) < 0:
        raise ValueError(
          f"optimizer.{name}={getattr(self, name)}: must not be negative"
        )
    if self.decay_steps < 1:
      raise ValueError(
        f"optimizer.decay_steps={self.decay_steps}: must be at least 1"
      )
    if not 0 < self.final_ratio <= 1:
      raise ValueError(
        f"optimizer.final_ratio={self.final_ratio}: must be in (0, 1]"
      )
    for pattern in self.frozen:
      try:
        re.compile(pattern)
      except re.error as error:
        raise ValueError(
          f"optimizer.frozen: {pattern!r} is no regular expression ({error})"
        ) from error


@dataclasses.dataclass(kw_only=True)
class MaskConfig:
  """The training mask, see `masking.training_mask`.

  Attributes:
    level_weights: Probabilities of the levels, up to scale; empty: uniform.
    span_share: Share of examples with one run masked anywhere.
    prefix_share: Share of examples with all masked from a frame on.
    complementary: Predict every frame of the active level: a second pass of
      the same step takes each example with the complementary mask, where the
      frames that were shown are masked and the others shown. Twice the passes
      a step, so halve `batch` to compare at equal cost.
  """

  level_weights: tuple[float, ...] = ()
  span_share: float = 0.0
  prefix_share: float = 0.0
  complementary: bool = False

  def validate(self, levels: int) -> None:
    """Raises ValueError if a share or weight makes no sense."""
    for name in ("span_share", "prefix_share"):
      if not 0 <= getattr(self, name) <= 1:
        raise ValueError(
          f"mask.{name}={getattr(self, name)}: must be between 0 and 1"
        )
    if self.span_share + self.prefix_share > 1:
      raise ValueError(
        "mask.span_share + mask.prefix_share is "
        f"{self.span_share + self.prefix_share}: must be at most 1"
      )
    weights = self.level_weights
    if weights and (len(weights) != levels or min(weights) <= 0):
      raise ValueError(
        f"mask.level_weights={weights}: expected {levels} positive numbers, "
        "one for each level of the codec, or none"
      )


@dataclasses.dataclass(kw_only=True)
class DropConfig:
  """How often a condition is dropped, where not `TrainConfig.condition_drop`.

  Attributes:
    category: Share of examples whose category becomes the learned null.
    genre: The same of the genre.
    role: The same of the stem's role.
  """

  category: float | None = None
  genre: float | None = None
  role: float | None = None

  def validate(self) -> None:
    """Raises ValueError, naming the field, if a share makes no sense."""
    for name, share in vars(self).items():
      if share is not None and not 0 <= share < 1:
        raise ValueError(f"drop.{name}={share}: must be in [0, 1)")


@dataclasses.dataclass(kw_only=True)
class TrainConfig:
  """One run. The paper's by default.

  Attributes:
    model: The model's shape. What the data decide (codec, levels, codes,
      latent, frame rate) is filled in from the data set.
    optimizer: Learning rate and AdamW.
    mask: The training mask.
    drop: Shares of dropped conditions, by name.
    seed: Of parameters, masks, dropped conditions and the order of the data.
    steps: To train in all.
    batch: Examples a step, over all devices.
    accumulate: Passes that a batch is cut into, to need less memory; loss and
      gradients are those of the whole batch.
    context_drop: Share of examples whose context becomes the learned null.
    condition_drop: The same, for each condition on its own, where `drop` says
      nothing else.
    ema_decay: Of the averaged parameters, which are what gets exported.
    mesh_data: Devices along the mesh's data axis; 0 for all.
    mesh_model: Devices along its model axis.
    log_every: Steps between lines of the log.
    save_every: Steps between checkpoints.
    keep: Checkpoints kept, the latest.
    validate_every: Steps between validations; 0 for none.
    validate_batches: Batches of each.
    patience: The run ends when validation accuracy has not risen for so many
      steps; 0 for never.
    listen_every: Steps between listening, see `listen.Listener`; 0 for never.
    overfit: Learn one batch by heart, without dropped conditions: a check
      that model and training work, for the loss must go to nearly 0.
    start: Exported weights, or a run's folder, to start from; "" for afresh.
  """

  model: ModelConfig = dataclasses.field(default_factory=ModelConfig)
  optimizer: OptimizerConfig = dataclasses.field(
    default_factory=OptimizerConfig
  )
  mask: MaskConfig = dataclasses.field(default_factory=MaskConfig)
  drop: DropConfig = dataclasses.field(default_factory=DropConfig)
  seed: int = 0
  steps: int = 150_000
  batch: int = 40
  accumulate: int = 1
  context_drop: float = 0.2
  condition_drop: float = 0.2
  ema_decay: float = 0.9999
  mesh_data: int = 0
  mesh_model: int = 1
  log_every: int = 10
  save_every: int = 1000
  keep: int = 3
  validate_every: int = 1000
  validate_batches: int = 8
  patience: int = 20_000
  listen_every: int = 5000
  overfit: bool = False
  start: str = ""

  def validate(self) -> None:
    """Raises ValueError, naming the field, if the run makes no sense."""
    self.model.validate()
    self.optimizer.validate()
    self.mask.validate(self.model.levels)
    self.drop.validate()
    for name in (
      "steps",
      "batch",
      "accumulate",
      "log_every",
      "save_every",
      "keep",
      "mesh_model",
      "validate_batches",
    ):
      if getattr(self, name) < 1:
        raise ValueError(f"{name}={getattr(self, name)}: must be at least 1")
    for name in (
      "mesh_data",
      "validate_every",
      "seed",
      "patience",
      "listen_every",
    ):
      if getattr(self, name) < 0:
        raise ValueError(f"{name}={getattr(self, name)}: must not be negative")
    for name in ("heads", "mlp"):
      if getattr(self.model, name) % self.mesh_model:
        raise ValueError(
          f"mesh_model={self.mesh_model}: must divide model.{name}="
          f"{getattr(self.model, name)}, which it splits"
        )
    if self.batch % self.accumulate:
      raise ValueError(
        f"accumulate={self.accumulate}: must divide batch={self.batch}"
      )
    if 0 < self.patience < self.validate_every:
      raise ValueError(
        f"patience={self.patience}: must be at least "
        f"validate_every={self.validate_every}, or 0 for never"
      )
    for name in ("context_drop", "condition_drop", "ema_decay"):
      if not 0 <= getattr(self, name) < 1:
        raise ValueError(f"{name}={getattr(self, name)}: must be in [0, 1)")

  def drop_of(self, condition: str) -> float:
    """Share of examples in which a condition is dropped."""
    share = getattr(self.drop, condition)
    return self.condition_drop if share is None else share


def from_dict(fields: dict[str, Any]) -> TrainConfig:
  """The inverse of `dataclasses.asdict`, also after a way through JSON.

  A field that is missing is younger than what was saved and has its default.

  Raises:
    ValueError: if a field is unknown: another version wrote it.
  """
  return _build(TrainConfig, fields)


def _build(kind: Any, fields: dict[str, Any]) -> Any:
  known: dict[str, Any] = {
    field.name: field for field in dataclasses.fields(kind)
  }
  if unknown := sorted(fields.keys() - known.keys()):
    raise ValueError(
      f"the configuration was written by another version of stemgen-jax: "
      f"this one has no {', '.join(unknown)} in {kind.__name__}"
    )
  values = {}
  for name, value in fields.items():
    if isinstance(value, dict):
      value = _build(type(known[name].default_factory()), value)
    values[name] = tuple(value) if isinstance(value, list) else value
  return kind(**values)


# What may change when a run goes on: nothing that a step depends on, but for
# the order in which numbers are added up.
_FREE = {
  "accumulate",
  "model.attention",
  "model.remat",
  "steps",
  "mesh_data",
  "mesh_model",
  "log_every",
  "save_every",
  "keep",
  "validate_every",
  "validate_batches",
  "patience",
  "listen_every",
}


def check_same_run(saved: TrainConfig, wanted: TrainConfig) -> None:
  """Raises ValueError if a run of `saved` cannot go on as `wanted`."""
  have, want = flat(saved), flat(wanted)
  for name, value in want.items():
    if name not in _FREE and have[name] != value:
      raise ValueError(
        f"this run was started with config.{name}={have[name]!r} and cannot "
        f"go on with {value!r}: give another --out for a new run, or the "
        "configuration it was started with"
      )


def flat(config: Any, prefix: str = "") -> dict[str, Any]:
  """All fields of a tree of dataclasses by their paths, as "model.depth"."""
  fields = {}
  for field in dataclasses.fields(config):
    value = getattr(config, field.name)
    if dataclasses.is_dataclass(value):
      fields |= flat(value, f"{prefix}{field.name}.")
    else:
      fields[prefix + field.name] = value
  return fields
