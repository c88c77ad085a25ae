"""Training of a codec on one machine: a loop, its checkpoint and its log."""

import contextlib
import dataclasses
import json
import math
import os
import pathlib
import time
from collections.abc import Iterator
from typing import IO, Any

import numpy as np
import safetensors.torch
import torch
from jaxtyping import Float
from torch import Tensor

from stemgen_jax import disk
from stemgen_jax.codec import encodec, networks
from stemgen_jax.codec.training import losses, normalization, quantizer
from stemgen_jax.codec.training.clips import Clips
from stemgen_jax.codec.training.teacher import Teacher

_CHECKPOINT = "checkpoint.safetensors"
_LOG = "log.jsonl"
_LOG_EVERY = 10
_SMOOTHING = 0.98  # of the figure that decides the end of the warm-up
_MAX_GRADIENT = 5.0
_WEIGHT_DECAY = 1e-2
_RAMP = 50  # steps
_APART = 10**9  # more than anybody's steps
_FINAL_RATE = 0.05  # of the learning rate, at the last step


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingConfig:
  """How to train a codec; the defaults are the demo codec's.

  Attributes:
    network: the networks' shape.
    steps: optimiser steps in all, warm-up included.
    batch: clips per step.
    frames: frames per clip.
    learning_rate: constant, then falling to a twentieth (half a cosine).
    decay_share: the share of the steps in which it falls.
    warm_up: the warm-up, without quantiser, ends when `losses.waveform_error`
      is below this.
    warm_up_share: it ends after this share of the steps at the latest.
    warm_up_spectral: weight of the spectral loss during the warm-up; the
      waveform error's is always 1.
    spectral: its weight from then on.
    commitment: weight of the commitment loss.
    taught: how many dimensions of the latents are taught by `teacher.Teacher`
      (0: none); the coarsest codebook lives in these alone.
    teaching: weight of the squared distance between them and the lesson.
    kmeans_batches: batches that the quantiser starts from, and the teacher.
    seed: of the initial weights, the clips and the restarted codes.
  """

  network: networks.NetworkConfig = dataclasses.field(
    default_factory=networks.NetworkConfig
  )
  steps: int = 6000
  batch: int = 8
  frames: int = 40
  learning_rate: float = 1e-3
  decay_share: float = 0.4
  warm_up: float = 0.4
  warm_up_share: float = 0.25
  warm_up_spectral: float = 0.3
  spectral: float = 1.0
  commitment: float = 0.25
  taught: int = 32
  teaching: float = 1.0
  kmeans_batches: int = 40
  seed: int = 0

  def validate(self) -> None:
    """Raises ValueError where a field is out of range."""
    for name in ("steps", "batch", "frames", "kmeans_batches"):
      if getattr(self, name) < 1:
        raise ValueError(f"{name} is {getattr(self, name)}: expected 1 or more")
    for name in ("decay_share", "warm_up_share"):
      if not 0 <= getattr(self, name) <= 1:
        raise ValueError(f"{name} is {getattr(self, name)}: expected 0 to 1")
    if not 0 <= self.taught <= self.network.latent:
      raise ValueError(
        f"taught is {self.taught}: expected 0 to {self.network.latent}, the"
        " width of the latents"
      )


class Training:
  """A codec in training: `run` it, stop it anywhere, make it anew to resume.

  It warms up without quantiser and with batch norm until the waveform is there.
  (Phase has to be learned: constant latents can only give multiples of the
  frame rate, so a pitch is latents that turn from frame to frame. A codec
  trained on spectra alone learned envelopes without pitch.) Then batch norm is
  folded into the convolutions, the codebooks are set by k-means, and the very
  function that is exported is trained on.

  Everything random is a function of (seed, step), so a resumed run takes the
  steps that an undisturbed one would have taken.

  Args:
    config: what to train.
    clips: the training clips, of `config.frames` frames.
    folder: where the checkpoint and the log live; a checkpoint there is
      resumed.

  Raises:
    ValueError: the configuration is out of range, or the folder's checkpoint
      was made with another one (`steps` apart).
  """

  def __init__(
    self, config: TrainingConfig, clips: Clips, folder: pathlib.Path
  ):
    config.validate()
    self.config = config
    self.step = 0
    self.warm_up_end: int | None = None  # the step, once it has come
    self._clips = clips
    self._folder = folder
    torch.manual_seed(config.seed)
    self._use(normalization.with_batch_norm(networks.Network(config.network)))
    self._spectral = losses.SpectralLoss(config.network.sample_rate)
    self._teacher = self._new_teacher()
    self._error = 1.0  # of the waveform, smoothed
    self._usage = torch.zeros(
      config.network.levels, config.network.codes_per_level
    )
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / _CHECKPOINT).exists():
      self._restore()
    elif self._teacher:
      self._teacher.fit(torch.cat(self._other_batches()))

  def run(self) -> Iterator[dict[str, float]]:
    """Trains to the last step; yields each step's figures, logs every tenth.

    Figures: `loss`; `waveform`, see `losses.waveform_error`; `log_mel`,
    `plateau` and `pitch` of `losses.SpectralLoss`; `teaching`, the squared
    distance of the latents from the lesson; after the warm-up `commitment` and,
    of each level over the recent steps, `perplexity_0` ...
    """
    self._cut_log()
    with open(self._folder / _LOG, "a") as log:
      while self.step < self.config.steps:
        started = time.monotonic()
        figures = self._train_step()
        self.step += 1
        if self.warm_up_end is None and self._warm():
          self._end_warm_up()
        figures["seconds"] = time.monotonic() - started
        if self.step % _LOG_EVERY == 0 or self.step == self.config.steps:
          self._write(log, figures)
        yield figures

  def _cut_log(self) -> None:
    """Takes out the steps that a killed run wrote after its checkpoint."""
    path = self._folder / _LOG
    if not path.exists():
      return
    lines = path.read_text().splitlines(keepends=True)
    with disk.replacing(path) as partial:
      partial.write_text("".join(x for x in lines if self._is_done(x)))

  def _is_done(self, line: str) -> bool:
    try:
      return json.loads(line)["step"] <= self.step
    except ValueError:
      return False  # the line that a killed run was writing

  def save(self) -> None:
    """Writes the checkpoint: whole or not at all."""
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
    path = self._folder / _CHECKPOINT
    partial = path.with_suffix(".partial")
    safetensors.torch.save_file(
      tensors, partial, metadata={"progress": json.dumps(progress)}
    )
    os.replace(partial, path)

  def export(self, path: pathlib.Path, name: str) -> str:
    """Writes the codec as it is now; returns its checksum.

    Raises:
      ValueError: it has no codebooks yet.
    """
    if self.warm_up_end is None:
      raise ValueError(
        f"the codec is still warming up after {self.step} steps, without"
        " codebooks: train on"
      )
    metadata = {
      "steps": self.step,
      "seed": self.config.seed,
      "categories": self._clips.categories,
    }
    config = self.config.network
    return encodec.save(path, name, config, self._network, metadata)

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
    torch.add(loss, commitment, alpha=config.commitment).backward()
    parameters = self._network.parameters()
    norm = torch.nn.utils.clip_grad_norm_(parameters, _MAX_GRADIENT)
    # One bad step would spoil the averages for good.
    if not math.isfinite(norm):
      raise ValueError(
        f"the gradient is no finite number at step {self.step}: this run "
        "cannot go on; begin another, in another folder with another seed"
      )
    self._optimizer.step()
    self._error += (1 - _SMOOTHING) * (waveform.item() - self._error)
    figures |= {"loss": loss.item(), "waveform": waveform.item()}
    figures["teaching"] = teaching.item()
    return figures | more | {"gradient": norm.item(), "rate": rate}

  def _decode(
    self, latents: Float[Tensor, "b d t"]
  ) -> tuple[Float[Tensor, "b c samples"], Tensor, dict[str, float]]:
    """Output, commitment loss and the quantiser's figures."""
    if self.warm_up_end is None:
      return self._network.decoder(latents), torch.zeros(()), {}
    quantized, ids, commitment = quantizer.quantize(
      self._network.quantizer,
      latents,
      self._generator(),
      self.config.taught,
    )
    for usage, level in zip(self._usage, ids.T):
      usage.mul_(0.99).add_(torch.bincount(level, minlength=len(usage)))
    figures = {"commitment": commitment.item()}
    for level, value in enumerate(quantizer.perplexity(self._usage).tolist()):
      figures[f"perplexity_{level}"] = value
    return self._network.decoder(quantized), commitment, figures

  def _teaching(
    self, latents: Float[Tensor, "b d t"], audio: Float[Tensor, "b c samples"]
  ) -> Tensor:
    if not self._teacher:
      return torch.zeros(())
    taught = latents[:, : self.config.taught]
    return (taught - self._teacher(audio)).square().mean()

  def _warm(self) -> bool:
    config = self.config
    latest = config.warm_up_share * config.steps
    return self._error < config.warm_up or self.step >= latest

  @torch.no_grad()
  def _end_warm_up(self) -> None:
    config = self.config
    batches = self._other_batches()
    self.warm_up_end = self.step
    self._use(normalization.folded(self._network, batches))
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

  def _other_batches(self) -> list[Float[Tensor, "b c samples"]]:
    """Other clips than training's, whose numbers count up from 0."""
    return [
      torch.from_numpy(self._clips.batch(_APART + number, self.config.batch))
      for number in range(self.config.kmeans_batches)
    ]

  def _new_teacher(self) -> Teacher | None:
    network = self.config.network
    if not self.config.taught:
      return None
    return Teacher(network.sample_rate, network.hop, self.config.taught)

  def _use(self, network: networks.Network) -> None:
    """Trains this network from now on, with a new optimiser."""
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

  def _write(self, log: IO[str], figures: dict[str, float]) -> None:
    rounded = {name: float(f"{value:.4g}") for name, value in figures.items()}
    log.write(json.dumps({"step": self.step, **rounded}) + "\n")
    log.flush()

  def _restore(self) -> None:
    path = self._folder / _CHECKPOINT
    with _opened(path) as file:
      progress = json.loads(file.metadata()["progress"])
      tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    ours = json.loads(json.dumps(dataclasses.asdict(self.config)))
    del ours["steps"]  # A run may be made longer or shorter.
    different = [k for k, v in ours.items() if progress["config"].get(k) != v]
    if different:
      raise ValueError(
        f"{path} was made with other settings ({', '.join(different)}): use"
        " those, or another folder"
      )
    self.step = progress["step"]
    self.warm_up_end = progress["warm_up_end"]
    if self.warm_up_end is not None:
      self._use(networks.Network(self.config.network))
    self._error = progress["error"]
    self._usage = tensors.pop("usage")
    parts: dict[str, dict] = {"network": {}, "optimizer": {}, "teacher": {}}
    for key, value in tensors.items():
      part, _, rest = key.partition(".")
      parts[part][rest] = value
    self._network.load_state_dict(parts["network"])
    if self._teacher:
      self._teacher.load_state_dict(parts["teacher"])
    state: dict[int, dict] = {}
    for key, value in parts["optimizer"].items():
      number, _, name = key.partition(".")
      state.setdefault(int(number), {})[name] = value
    groups = self._optimizer.state_dict()["param_groups"]
    self._optimizer.load_state_dict({"state": state, "param_groups": groups})


def steps_done(folder: pathlib.Path) -> int:
  """Steps of the run in a folder; 0 if there is none.

  Raises:
    ValueError: its checkpoint is damaged.
  """
  path = folder / _CHECKPOINT
  if not path.exists():
    return 0
  with _opened(path) as file:
    return json.loads(file.metadata()["progress"])["step"]


@contextlib.contextmanager
def _opened(path: pathlib.Path) -> Iterator[Any]:
  try:
    with safetensors.safe_open(path, "pt") as file:
      yield file
  except safetensors.SafetensorError as error:
    raise ValueError(
      f"{path} is damaged ({error}): put a copy there, or begin again in "
      "another folder"
    ) from error


def _prefixed(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
  return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def _rate(step: int, warm_up_end: int | None, config: TrainingConfig) -> float:
  """The learning rate as a share of its peak."""
  # A new optimiser knows no variances: it starts gently.
  since = step if warm_up_end is None else step - warm_up_end
  start = min(1.0, (since + 1) / _RAMP)
  falling = config.decay_share * config.steps
  done = (step - (config.steps - falling)) / falling if falling else 0.0
  if done <= 0:
    return start
  cosine = (1 + math.cos(math.pi * done)) / 2
  return start * (_FINAL_RATE + (1 - _FINAL_RATE) * cosine)
