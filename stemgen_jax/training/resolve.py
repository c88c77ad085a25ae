"""Complete and check the configuration of a run, without loading jax."""

import copy
import dataclasses

from stemgen_jax.categories import CATEGORIES
from stemgen_jax.data.manifest import Manifest
from stemgen_jax.training.config import DropConfig, TrainConfig


def resolve(config: TrainConfig, data: Manifest) -> TrainConfig:
  """Return a checked copy of `config`, completed from the data set.

  Raises:
    ValueError: see `TrainConfig.validate`; or the window is longer than the
      records of the data, or these have no such segments.
  """
  config = copy.deepcopy(config)  # Nested configurations are mutable.
  config.model = dataclasses.replace(
    config.model,
    codec=data.codec,
    codec_checksum=data.checksum,
    frame_rate=data.frame_rate,
    levels=data.levels,
    codes=data.codes,
    latent=data.codebooks.shape[-1],
    future=config.model.future or config.mask.live_share > 0,
  )
  if config.overfit:  # With dropped conditions the loss cannot reach 0.
    config.context_drop = config.condition_drop = config.joint_drop = 0.0
    config.mask.live_share = 0.0
    config.drop = DropConfig()
  config.validate()
  if config.model.context == "spectrum" and not data.stems:
    raise ValueError(
      "model.context='spectrum': the data set has no spectra of stems; prepare "
      "it with --contexts=spectrum, or give --config.model.context=codes"
    )
  frames = config.model.scale_frames
  if frames and frames != data.segment_frames:
    raise ValueError(
      f"model.scale_frames={frames}: codec {data.codec!r} of the data set has "
      f"segments of {data.segment_frames} frames; expected that number, where "
      "0 predicts no scales, or data of another codec, such as encodec_48khz"
    )
  if config.model.window > data.frames:
    most = data.frames - data.frames % (frames or 1)  # whole segments
    raise ValueError(
      f"model.window={config.model.window}: longer than the {data.frames} "
      "frames of the data's records; give "
      f"--config.model.window={most} or less, or prepare longer songs"
    )
  return config


def check_replay(
  config: TrainConfig, data: Manifest, replay: Manifest | None
) -> None:
  """Check a second data set, of which every batch has `config.replay`.

  Args:
    config: configuration of the run.
    data: data set to fine-tune on.
    replay: data of the pretraining, or None.

  Raises:
    ValueError: share or folder is missing, or the data do not fit together.
  """
  if replay is None:
    if config.replay:
      raise ValueError(
        f"config.replay={config.replay:g}: --replay is missing; give the "
        "folder of the pretraining's data, or --config.replay=0 for none"
      )
    return
  if not config.replay:
    raise ValueError(
      "--replay: config.replay is 0; expected the share of a batch, as "
      "--config.replay=0.2"
    )
  data.check_fits(replay, own="--data", name="--replay")
  if config.model.context == "spectrum" and not replay.stems:
    raise ValueError(
      "--replay: no spectra of stems; expected them for "
      "model.context='spectrum'; prepare it with --contexts=spectrum"
    )
  if replay.frames < config.model.window:
    raise ValueError(
      f"--replay: records of {replay.frames} frames; expected at least "
      f"model.window={config.model.window}; shorten the window, or prepare "
      "longer segments (--segment_seconds)"
    )
  if unknown := sorted({*replay.categories} - {*CATEGORIES}):
    raise ValueError(
      f"--replay: unknown categories {', '.join(unknown)}; expected those of "
      "this version; prepare it again"
    )


def check_batch(config: TrainConfig, shards: int) -> None:
  """Check that batch and kernels can be split over the devices.

  Args:
    config: configuration of the run.
    shards: devices along the data axis of the mesh.

  Raises:
    ValueError: `batch` or `model.width` is not a multiple of `shards`.
  """
  if config.batch % (shards * config.accumulate):
    raise ValueError(
      f"batch={config.batch}: must be a multiple of the {shards} devices "
      f"along the mesh's data axis (mesh_data) times accumulate="
      f"{config.accumulate}"
    )
  # FSDP splits the kernels' width over the data axis, too.
  if config.model.width % shards:
    raise ValueError(
      f"model.width={config.model.width}: must be a multiple of the {shards} "
      "devices along the mesh's data axis (mesh_data)"
    )


def check_processes(
  coordinator: str | None, processes: int | None, process: int | None
) -> None:
  """Check the flags of a run of several processes.

  Args:
    coordinator: HOST:PORT of process 0, "auto", or None for one process.
    processes: number of processes.
    process: index of this process, from 0.

  Raises:
    ValueError: a flag is missing or out of range.
  """
  if not coordinator:
    if processes is not None or process is not None:
      raise ValueError(
        "--coordinator is missing: --processes and --process need the "
        "HOST:PORT of process 0, as --coordinator=10.0.0.1:1234"
      )
    return
  if coordinator == "auto":  # JAX finds all three.
    return
  host, _, port = coordinator.rpartition(":")
  if not host or not port.isdigit():
    raise ValueError(
      f"--coordinator={coordinator}: expected HOST:PORT of process 0, or auto"
    )
  if processes is None or processes < 1:
    raise ValueError(
      f"--processes={processes}: expected the number of processes, at least 1"
    )
  if process is None or not 0 <= process < processes:
    raise ValueError(
      f"--process={process}: expected 0 to {processes - 1}, a different one "
      "for each process"
    )
