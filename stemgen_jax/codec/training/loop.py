"""Training of a codec on one machine: loop, checkpoint and log."""

import dataclasses
import math
import pathlib
from collections.abc import Iterator

import numpy as np
import safetensors.torch
import torch
from jaxtyping import Float
from torch import Tensor

from stemgen_jax import disk, recipes, small_runs
from stemgen_jax.codec import encodec, networks
from stemgen_jax.codec.training import losses, normalization, quantizer
from stemgen_jax.codec.training.clips import Clips
from stemgen_jax.codec.training.config import TrainingConfig
from stemgen_jax.codec.training.teacher import Teacher

_SMOOTHING = 0.98  # of the waveform error that ends the warm-up
_USAGE_DECAY = 0.99  # of the code counts that the perplexity is computed from
_MAX_GRADIENT = 5.0  # norm
_WEIGHT_DECAY = 1e-2
_RAMP = 50  # steps from a new optimizer to the full learning rate
_FIRST_OTHER_BATCH = 10**9  # more than the steps of any run
_FINAL_RATE = 0.05  # share of the learning rate at the last step


class Training:
  """A codec in training; make it again from the same folder to resume it.

  It warms up without quantizer and with batch norm until it reconstructs the
  waveform. (Phase must be learned: constant latents can only give multiples of
  the frame rate, so a pitch needs latents that rotate from frame to frame. A
  codec trained on spectra alone learned envelopes without pitch.) Then batch
  norm is folded into the convolutions, the codebooks are initialized by
  k-means, and training continues on the function that is exported.

  All randomness is a function of (seed, step), so a resumed run takes the
  steps that an uninterrupted one would have taken.

  Args:
    config: configuration.
    clips: training clips of `config.frames` frames.
    folder: folder of checkpoint and log; a checkpoint in it is resumed.

  Raises:
    ValueError: the configuration is out of range, or the folder's checkpoint
      has another one (except for `steps`).
  """

  def __init__(
    self, config: TrainingConfig, clips: Clips, folder: pathlib.Path
  ):
    config.validate()
    self.config = config
    self.step = 0
    self.warm_up_end: int | None = None  # step; None during the warm-up
    self._clips = clips
    self._folder = folder
    torch.manual_seed(config.seed)
    self._use(normalization.with_batch_norm(networks.Network(config.network)))
    self._spectral = losses.SpectralLoss(config.network.sample_rate)
    network, self._teacher = config.network, None
    if config.taught:
      self._teacher = Teacher(network.sample_rate, network.hop, config.taught)
    self._error = 1.0  # waveform error, smoothed
    self._usage = torch.zeros(
      config.network.levels, config.network.codes_per_level
    )
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / small_runs.CHECKPOINT).exists():
      self._restore()
    elif self._teacher:
      self._teacher.fit(torch.cat(self._other_batches()))

  def run(self) -> Iterator[dict[str, float]]:
    """Train to the last step; yield the figures of each step.

    Figures: `loss`; `waveform`, see `losses.waveform_error`; `log_mel`,
    `plateau` and `pitch` of `losses.SpectralLoss`; `teaching`, the squared
    distance of the latents from the teacher's targets; after the warm-up
    `commitment` and per level, over recent steps, `perplexity_0` ...
    """
    return small_runs.logged(self, self._folder, self._advance)

  def _advance(self) -> dict[str, float]:
    figures = self._train_step()
    self.step += 1
    latest = self.config.warm_up_share * self.config.steps
    warm = self._error < self.config.warm_up or self.step >= latest
    if self.warm_up_end is None and warm:
      self._end_warm_up()
    return figures

  def save(self) -> None:
    """Write the checkpoint: whole or not at all."""
    tensors = _prefixed("network", self._network.state_dict())
    for number, state in self._optimizer.state_dict()["state"].items():
      tensors |= _prefixed(f"optimizer.{number}", state)
    if self._teacher:
      tensors |= _prefixed("teacher", self._teacher.state_dict())
    tensors["usage"] = self._usage
    tensors = {k: v.contiguous() for k, v in tensors.items()}
    progress = {
      "config": dataclasses.asdict(self.config),
      "step": self.step,
      "warm_up_end": self.warm_up_end,
      "error": self._error,
    }
    metadata = small_runs.metadata(progress, tensors)
    with disk.replacing(self._folder / small_runs.CHECKPOINT) as file:
      file.write(safetensors.torch.save(tensors, metadata))

  def export(self, path: pathlib.Path, name: str) -> str:
    """Write the codec in its present state; return its checksum.

    Raises:
      ValueError: the codec has no codebooks yet.
    """
    if self.warm_up_end is None:
      raise ValueError(
        f"the codec is still warming up after {self.step} steps and has no"
        " codebooks: continue the training"
      )
    metadata = {"steps": self.step, "seed": self.config.seed}
    metadata |= {"categories": self._clips.categories}
    return encodec.save(path, name, self._network, metadata)

  def _train_step(self) -> dict[str, float]:
    config = self.config
    rate = _rate(self.step, self.warm_up_end, config)
    for group in self._optimizer.param_groups:
      group["lr"] = rate * config.learning_rate
    audio = torch.from_numpy(self._clips.batch(self.step, config.batch))
    latents = self._network.encoder(audio)
    output, commitment, more = self._decode(latents)
    teaching = self._teaching(latents, audio)
    waveform = losses.waveform_error(output, audio)
    spectral, figures = self._spectral(output, audio)
    warming_up = self.warm_up_end is None
    weight = config.warm_up_spectral if warming_up else config.spectral
    loss = waveform + weight * spectral + config.teaching * teaching
    self._optimizer.zero_grad()
    # `loss` is logged without the commitment, which the warm-up does not have.
    torch.add(loss, commitment, alpha=config.commitment).backward()
    parameters = self._network.parameters()
    norm = torch.nn.utils.clip_grad_norm_(parameters, _MAX_GRADIENT)
    # Before the step: the optimizer's averages would keep a NaN forever.
    if not math.isfinite(norm):
      raise ValueError(
        f"the gradient is {norm.item()} at step {self.step}: this run cannot "
        "continue; start another, in another folder with another seed"
      )
    self._optimizer.step()
    self._error += (1 - _SMOOTHING) * (waveform.item() - self._error)
    figures |= {"loss": loss.item(), "waveform": waveform.item()}
    figures["teaching"] = teaching.item()
    return figures | more | {"gradient": norm.item(), "rate": rate}

  def _decode(
    self, latents: Float[Tensor, "b d t"]
  ) -> tuple[losses.Audio, Tensor, dict[str, float]]:
    """Return output, commitment loss and the quantizer's figures."""
    if self.warm_up_end is None:
      return self._network.decoder(latents), torch.zeros(()), {}
    quantized, ids, commitment = quantizer.quantize(
      self._network.quantizer, latents, self._generator(), self.config.taught
    )
    for usage, level in zip(self._usage, ids.T):
      usage.mul_(_USAGE_DECAY).add_(torch.bincount(level, minlength=len(usage)))
    figures = {"commitment": commitment.item()}
    for level, value in enumerate(quantizer.perplexity(self._usage).tolist()):
      figures[f"perplexity_{level}"] = value
    return self._network.decoder(quantized), commitment, figures

  def _teaching(
    self, latents: Float[Tensor, "b d t"], audio: losses.Audio
  ) -> Tensor:
    """Return the squared distance of the latents from their targets."""
    if not self._teacher:
      return torch.zeros(())
    taught = latents[:, : self.config.taught]
    return (taught - self._teacher(audio)).square().mean()

  @torch.no_grad()
  def _end_warm_up(self) -> None:
    config = self.config
    batches = self._other_batches()
    self.warm_up_end = self.step
    self._use(normalization.folded(self._network, batches))
    # [b, d, t] of each batch to [b * t, d].
    latents = [
      self._network.encoder(audio).transpose(1, 2).flatten(0, 1)
      for audio in batches
    ]
    quantizer.start(
      self._network.quantizer,
      torch.cat(latents),
      config.batch * config.frames,
      self._generator(),
      config.taught,
    )

  def _other_batches(self) -> list[losses.Audio]:
    """Return batches that training, which counts from 0, does not use."""
    return [
      torch.from_numpy(
        self._clips.batch(_FIRST_OTHER_BATCH + number, self.config.batch)
      )
      for number in range(self.config.kmeans_batches)
    ]

  def _use(self, network: networks.Network) -> None:
    """Train this network from here on, with a new optimizer."""
    self._network = network
    self._optimizer = torch.optim.AdamW(
      network.parameters(),
      lr=self.config.learning_rate,
      betas=(0.8, 0.99),
      weight_decay=_WEIGHT_DECAY,
    )

  def _generator(self) -> torch.Generator:
    seed = np.random.SeedSequence((self.config.seed, self.step))
    return torch.Generator().manual_seed(int(seed.generate_state(1)[0]))

  def _restore(self) -> None:
    path = self._folder / small_runs.CHECKPOINT
    progress, tensors = small_runs.read(self._folder, "pt")
    # A run may be made longer or shorter.
    ours = recipes.as_json(self.config) | {"steps": progress["config"]["steps"]}
    # Ignore fields that only earlier versions had.
    theirs = {name: progress["config"].get(name) for name in ours}
    recipes.check_same(path, theirs, ours)
    self.step = progress["step"]
    self.warm_up_end = progress["warm_up_end"]
    if self.warm_up_end is not None:
      self._use(networks.Network(self.config.network))  # no batch norm
    self._error = progress["error"]
    self._usage = tensors.pop("usage")
    parts: dict[str, dict] = {"network": {}, "optimizer": {}, "teacher": {}}
    for key, value in tensors.items():
      part, _, rest = key.partition(".")
      parts[part][rest] = value
    self._network.load_state_dict(parts["network"])
    if self._teacher:
      try:
        self._teacher.load_state_dict(parts["teacher"])
      except RuntimeError as error:
        raise ValueError(
          f"{path} was made by a version with other targets of the coarsest "
          "level: start again in another folder"
        ) from error
    state: dict[int, dict] = {}
    for key, value in parts["optimizer"].items():
      number, _, name = key.partition(".")
      state.setdefault(int(number), {})[name] = value
    groups = self._optimizer.state_dict()["param_groups"]
    self._optimizer.load_state_dict({"state": state, "param_groups": groups})


def _prefixed(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
  return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def _rate(step: int, warm_up_end: int | None, config: TrainingConfig) -> float:
  """Return the learning rate as a share of its maximum."""
  # A new optimizer has no variances yet: its first steps would be too large.
  since = step if warm_up_end is None else step - warm_up_end
  start = min(1.0, (since + 1) / _RAMP)
  falling = config.decay_share * config.steps
  done = (step - (config.steps - falling)) / falling if falling else 0.0
  if done <= 0:
    return start
  cosine = (1 + math.cos(math.pi * done)) / 2
  return start * (_FINAL_RATE + (1 - _FINAL_RATE) * cosine)
