"""The configuration of a training run, as plain dataclasses.

Every field is a flag, as --config.optimizer.learning_rate=1e-4. This module
loads without jax, so that flags are checked at once.
"""

import dataclasses
import math
import re
from collections.abc import Callable
from typing import Any

from stemgen_jax import recipes
from stemgen_jax.model.config import ModelConfig


@dataclasses.dataclass(kw_only=True)
class OptimizerConfig:
  """Optimizer and learning rate over time.

  Attributes:
    kind: "adamw", as in the paper, or "muon": orthogonal updates for the
      matrices of the blocks (arXiv 2502.16982), scaled to the RMS of AdamW's
      so that the learning rate need not change, and AdamW for the rest.
      Muon's state is not sharded.
    learning_rate: peak rate.
    warmup_steps: steps of the linear rise from 0 to the peak.
    hold_steps: steps at the peak.
    decay_steps: steps of the exponential decay that follows.
    final_ratio: share of the peak at the end of the decay and after it.
    beta1: decay of AdamW's first moment.
    beta2: decay of AdamW's second moment.
    weight_decay: decoupled decay of kernels and head; norms and embeddings
      are exempt.
    clip_norm: largest global norm of the gradients.
    frozen: patterns (regular expressions, searched in paths such as
      "blocks/query/kernel") of parameters that do not change. The codec's
      codebooks never do.
  """

  kind: str = "adamw"
  learning_rate: float = 5e-4
  warmup_steps: int = 10_000
  hold_steps: int = 50_000
  decay_steps: int = 300_000  # Longer than the run: it ends in mid-decay.
  final_ratio: float = 0.01
  beta1: float = 0.9
  beta2: float = 0.98
  weight_decay: float = 0.01
  clip_norm: float = 1.0
  frozen: tuple[str, ...] = ()

  def validate(self) -> None:
    """Raise ValueError, naming the field, if a value is out of range."""
    if self.kind not in ("adamw", "muon"):
      raise ValueError(f"optimizer.kind={self.kind!r}: expected adamw or muon")
    positive = ("learning_rate", "clip_norm")
    _check(self, "optimizer.", positive, lambda x: x > 0, "more than 0")
    counts = ("warmup_steps", "hold_steps", "weight_decay")
    _check(self, "optimizer.", counts, lambda x: x >= 0, "at least 0")
    _check(self, "optimizer.", ("decay_steps",), lambda x: x > 0, "at least 1")
    ratio = ("final_ratio",)
    _check(
      self, "optimizer.", ratio, lambda x: 0 < x <= 1, "a number in (0, 1]"
    )
    # Whether a pattern matches a parameter is checked by `check_frozen`.
    for pattern in self.frozen:
      try:
        re.compile(pattern)
      except re.error as error:
        raise ValueError(
          f"optimizer.frozen: {pattern!r} is not a regular expression ({error})"
        ) from error


@dataclasses.dataclass(kw_only=True)
class MaskConfig:
  """The training mask, see `masking.training_mask`.

  Attributes:
    level_weights: probabilities of the levels, up to scale; empty for uniform.
    span_share: share of examples with one masked run anywhere.
    prefix_share: share of examples with one masked run at the end.
    hidden_share: share of examples in which every frame of the active level is
      masked, as when decoding begins.
    live_share: share of examples whose context ends at a random frame, with
      the learned row of an unknown future after it.
    scale_share: share of examples in which scales are predicted, and no codes,
      with `model.scale_frames`.
    complementary: predict every frame of the active level, in a second pass
      over each example with the complementary mask. This doubles the passes
      of a step: halve `batch` to compare at equal cost.
  """

  level_weights: tuple[float, ...] = ()
  span_share: float = 0.0
  prefix_share: float = 0.0
  hidden_share: float = 0.0
  live_share: float = 0.0
  scale_share: float = 0.1
  complementary: bool = False

  def validate(self, levels: int) -> None:
    """Raise ValueError, naming the field, if a value is out of range."""
    exclusive = ("span_share", "prefix_share", "hidden_share")
    shares = (*exclusive, "live_share", "scale_share")
    _check(self, "mask.", shares, lambda x: 0 <= x <= 1, "a number in [0, 1]")
    # A plain sum of 0.56, 0.34 and 0.1 is above 1.
    total = math.fsum(getattr(self, name) for name in exclusive)
    if total > 1:
      raise ValueError(
        "mask.span_share + mask.prefix_share + mask.hidden_share is "
        f"{total:g}: expected at most 1"
      )
    weights = self.level_weights
    if weights and (len(weights) != levels or min(weights) <= 0):
      raise ValueError(
        f"mask.level_weights={weights}: expected {levels} positive numbers, "
        "one for each level of the codec, or none"
      )


@dataclasses.dataclass(kw_only=True)
class DropConfig:
  """Probability that a condition is dropped; None for `condition_drop`.

  Attributes:
    category: probability that the category becomes the learned null.
    genre: the same for the genre.
    role: the same for the role of the stem.
  """

  category: float | None = None
  genre: float | None = None
  role: float | None = None

  def validate(self) -> None:
    """Raise ValueError, naming the field, if a value is out of range."""
    given = [name for name, share in vars(self).items() if share is not None]
    _check(self, "drop.", given, lambda x: 0 <= x < 1, "a number in [0, 1)")


@dataclasses.dataclass(kw_only=True)
class TrainConfig:
  """One run; the paper's by default.

  Attributes:
    model: shape of the model. The data set decides codec, levels, codes,
      latent and frame rate.
    optimizer: optimizer and learning rate.
    mask: training mask.
    drop: probabilities of dropped conditions, by name.
    seed: seed of parameters, masks, dropped conditions and data order.
    steps: length of the run.
    batch: examples per step, over all devices.
    accumulate: passes that a batch is split into, to save memory; loss and
      gradients are those of the whole batch.
    context_drop: share of examples whose context becomes the learned null.
    condition_drop: probability that a condition is dropped, each
      independently, unless `drop` sets another.
    joint_drop: share of examples whose context and conditions are all dropped,
      in addition to those that lose all of them by chance.
    category_power: targets of a category are drawn in proportion to this power
      of their number: 1 for the frequencies of the data (the paper), 0.5 for
      their square roots, 0 for categories equally often.
    submix_gain_db: largest random change of a stem in a spectrum context, dB.
    augment: change spectrum contexts at random, as equalizers, noise, rooms and
      gaps do; see `data.augment`.
    beat_weight: weight of the loss of places in the bar, with `model.beats`,
      in nats per frame; the logged loss includes it. Frames of songs without
      beats do not count.
    ema_decay: decay of the averaged parameters, which are the ones exported.
    mesh_data: devices along the mesh's data axis; 0 for all.
    mesh_model: devices along its model axis.
    log_every: steps between lines of the log.
    save_every: steps between checkpoints.
    keep: number of latest checkpoints to keep.
    validate_every: steps between validations; 0 for none.
    validate_batches: batches of a validation.
    patience: steps without a rise of validation accuracy after which the run
      ends; 0 for unlimited.
    listen_every: steps between auditions, see `audition.Auditioner`; 0 for
      none.
    overfit: train on one batch, without dropped conditions, as a check: the
      loss must approach 0.
    start: exported weights or folder of a run to start from; "" for a random
      initialization. Conditions, `model.beats` and the unknown future of
      `mask.live_share` may be added: the first outputs for whole contexts are
      those of the weights.
    replay: share of every batch that is drawn from the data of --replay, which
      the weights of `start` were trained on, so that they are not forgotten.
  """

  model: ModelConfig = dataclasses.field(default_factory=ModelConfig)
  optimizer: OptimizerConfig = dataclasses.field(
    default_factory=OptimizerConfig
  )
  mask: MaskConfig = dataclasses.field(default_factory=MaskConfig)
  drop: DropConfig = dataclasses.field(default_factory=DropConfig)
  seed: int = 0
  steps: int = 150_000  # Where the paper's run ended by early stopping.
  batch: int = 40
  accumulate: int = 1
  context_drop: float = 0.2
  condition_drop: float = 0.2
  joint_drop: float = 0.0
  category_power: float = 1.0
  submix_gain_db: float = 6.0
  augment: bool = True
  beat_weight: float = 0.3
  ema_decay: float = 0.9999
  mesh_data: int = 0
  mesh_model: int = 1
  log_every: int = 10
  save_every: int = 1000
  keep: int = 3
  validate_every: int = 1000
  validate_batches: int = 8
  patience: int = 20_000
  listen_every: int = 5000  # The name that earlier runs saved.
  overfit: bool = False
  start: str = ""
  replay: float = 0.0

  def validate(self) -> None:
    """Raise ValueError, naming the field, if a value is out of range."""
    # From the parts to the whole: later checks divide by checked numbers.
    self.model.validate()
    self.optimizer.validate()
    self.mask.validate(self.model.levels)
    if self.mask.live_share and not self.model.future:
      raise ValueError(
        f"mask.live_share={self.mask.live_share}: model.future is False; "
        "expected True, the learned row of an unknown future"
      )
    if self.model.scale_frames and not 0 < self.mask.scale_share < 1:
      raise ValueError(
        f"mask.scale_share={self.mask.scale_share}: model.scale_frames is "
        f"{self.model.scale_frames}; expected a number above 0 and below 1"
      )
    self.drop.validate()
    counts = ("steps", "batch", "accumulate", "log_every", "save_every", "keep")
    counts += ("mesh_model", "validate_batches")
    _check(self, "", counts, lambda x: x >= 1, "at least 1")
    optional = ("mesh_data", "validate_every", "seed", "patience")
    optional += ("listen_every",)
    _check(self, "", optional, lambda x: x >= 0, "at least 0")
    shares = (
      "context_drop",
      "condition_drop",
      "joint_drop",
      "ema_decay",
      "replay",
    )
    _check(self, "", shares, lambda x: 0 <= x < 1, "a number in [0, 1)")
    power = ("category_power",)
    _check(self, "", power, lambda x: 0 <= x <= 1, "a number in [0, 1]")
    _check(self, "", ("beat_weight",), lambda x: x > 0, "more than 0")
    gain = ("submix_gain_db",)
    _check(self, "", gain, lambda x: 0 <= x <= 40, "0 to 40 dB")
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
    # A shorter patience would end the run before it is measured again.
    if 0 < self.patience < self.validate_every:
      raise ValueError(
        f"patience={self.patience}: must be at least "
        f"validate_every={self.validate_every}, or 0 for unlimited"
      )

  def drop_of(self, condition: str) -> float:
    """Return the probability that a condition is dropped."""
    share = getattr(self.drop, condition)
    return self.condition_drop if share is None else share


def from_dict(fields: dict[str, Any]) -> TrainConfig:
  """Invert `dataclasses.asdict`, also after JSON, see `recipes.build`."""
  return recipes.build(TrainConfig, fields)


# Fields that may change when a run resumes: a step depends on none of them,
# except for the order of additions.
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


# Fields that may also change while the learning rate is held.
_HELD = {"optimizer.hold_steps", "optimizer.decay_steps"}


def check_same_run(saved: TrainConfig, wanted: TrainConfig, step: int) -> None:
  """Raise ValueError if a run of `saved` cannot resume as `wanted`.

  Args:
    saved: configuration of the run.
    wanted: configuration to resume with.
    step: step of the checkpoint to resume from.
  """
  have, want = flat(saved), flat(wanted)
  ends = [
    x.warmup_steps + x.hold_steps for x in (saved.optimizer, wanted.optimizer)
  ]
  free = _FREE | _HELD if step <= min(ends) else _FREE
  for name, value in want.items():
    # Earlier versions recorded "auto", and not the dtype it stood for.
    if name == "model.dtype" and have[name] == "auto":
      continue
    if name not in free and have[name] != value:
      held = (
        f", or --restore_step= of at most {min(ends)}, where the learning rate "
        "is held"
        if name in _HELD
        else ""
      )
      raise ValueError(
        f"this run was started with config.{name}={have[name]!r} and cannot "
        f"resume with {value!r} at step {step}; give another --out for a new "
        f"run, or the configuration it was started with{held}"
      )


def flat(config: Any, prefix: str = "") -> dict[str, Any]:
  """Return all fields of a tree of dataclasses by path, as "model.depth"."""
  fields = {}
  for field in dataclasses.fields(config):
    value = getattr(config, field.name)
    if dataclasses.is_dataclass(value):
      fields |= flat(value, f"{prefix}{field.name}.")
    else:
      fields[prefix + field.name] = value
  return fields


def _check(
  config: Any,
  prefix: str,
  names: tuple[str, ...] | list[str],
  valid: Callable[[Any], bool],
  expected: str,
) -> None:
  for name in names:
    value = getattr(config, name)
    if not valid(value):
      raise ValueError(f"{prefix}{name}={value}: expected {expected}")
