"""Train from a prepared data set: its batches, examples and description."""

import dataclasses
import itertools
import json
import os
import pathlib
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from stemgen_jax import codec as codec_lib
from stemgen_jax import disk
from stemgen_jax.data import batches
from stemgen_jax.data.manifest import Manifest
from stemgen_jax.data.mixture import Mixture
from stemgen_jax.generation import compilation
from stemgen_jax.model.products import resolve_dtype
from stemgen_jax.training import metrics, processes, trainer, watchdog
from stemgen_jax.training.config import TrainConfig

if TYPE_CHECKING:
  from stemgen_jax.training.audition import Auditioner  # imports matplotlib


def train(
  config: TrainConfig,
  mixture: Mixture,
  manifest: Manifest,
  out: str | os.PathLike,
  *,
  replay: Mixture | None = None,
  codec: str | None = None,
  command: str = "",
  restore_step: int | None = None,
  copies: int = 1,
  stall_timeout: float = watchdog.SECONDS,
  trackers: Sequence[str] = (),
) -> None:
  """Train on prepared data and print the outcome, in each process of a run.

  Args:
    config: configuration, from `resolve`.
    mixture: prepared data.
    manifest: manifest of the mixture.
    out: folder of the run.
    replay: data of which every batch has `config.replay`, see
      `resolve.check_replay`.
    codec: codec to decode with; the one that the data name if None.
    command: command line, for the log.
    restore_step: checkpoint to resume from, see `trainer.train`.
    copies: CPU devices, see `trainer.train`.
    stall_timeout: see `trainer.train`.
    trackers: see `trainer.train`.

  Raises:
    BlockingIOError: another process is writing `out`.
  """
  with processes.only_writer(out):
    config = with_dtype(config, out)
    compilation.keep_programs()  # before anything is compiled
    if processes.is_first():
      print(json.dumps(dataclasses.asdict(config), indent=2))
      seen = manifest.examples_seen
      own = round((1 - config.replay) * config.batch)
      print(seen(config.steps, own, config.model.context))
    # Each process reads its own rows of every global batch.
    shard: dict[str, Any] = {
      "batch": config.batch,
      "window": config.model.window,
      "contexts": config.model.context,
      "scale_frames": config.model.scale_frames,
      "beats": config.model.beats,
      "shard_index": jax.process_index(),
      "shard_count": jax.process_count(),
    }
    drawn = mixture
    if replay is not None:
      drawn = mixture.with_replay(replay, config.replay)
      manifest = drawn.manifest()
    training = batches.batches(
      drawn,
      "train",
      seed=config.seed,
      category_power=config.category_power,
      gain_db=config.submix_gain_db,
      augment=config.augment,
      **shard,
    )
    validated = mixture.only("valid")
    validation = _validation(config, validated, shard)
    replayed = replay.only("valid") if replay else None
    if validation and not any("other_context" in x for x in validation):
      print(
        "no validation batch has two songs: the listening gain compares parts "
        "of one",
        file=sys.stderr,
      )
    step = trainer.train(
      config,
      manifest,
      training,
      validation,
      out,
      replayed=_validation(config, replayed, shard),
      summary=_summary(manifest),
      auditioner=_auditioner(config, validated, pathlib.Path(out), codec),
      command=command,
      restore_step=restore_step,
      copies=copies,
      stall_timeout=stall_timeout,
      trackers=trackers,
    )
    if not processes.is_first():
      return
    if not metrics.has_ended(f"{out}/log.jsonl"):
      print(f"stopped at step {step}, saved; the same command resumes")
    else:
      print(f"trained {step} steps; stemgen-jax export --run={out}")


def _validation(
  config: TrainConfig, validated: Mixture | None, shard: dict[str, Any]
) -> list[dict[str, np.ndarray]]:
  """Return the validation batches of data sets; [] without any."""
  if not config.validate_every or validated is None:
    return []
  # The same for all seeds, so that runs compare.
  endless = batches.batches(validated, "valid", seed=0, **shard)
  return [
    batches.with_other_context(batch)
    for batch in itertools.islice(endless, config.validate_batches)
  ]


def with_dtype(config: TrainConfig, out: str | os.PathLike) -> TrainConfig:
  """Replace the dtype "auto" by that of the run in `out`, or the fastest."""
  if config.model.dtype != "auto":
    return config
  path, recorded = pathlib.Path(out, "config.json"), "auto"
  if path.is_file():
    recorded = disk.read_json(path, "delete it")["model"]["dtype"]
  model = dataclasses.replace(config.model, dtype=resolve_dtype(recorded))
  return dataclasses.replace(config, model=model)


def _summary(manifest: Manifest) -> dict[str, Any]:
  # Compared when a run resumes: another set of names refuses older runs.
  names = ("name", "codec", "counts", "categories", "context_rms_db")
  names += ("scale_ratio", "config")
  # Absent for older data sets, so that their runs can be resumed.
  names += tuple(x for x in ("loudness", "roles") if getattr(manifest, x))
  return {name: getattr(manifest, name) for name in names}


def _auditioner(
  config: TrainConfig,
  validated: Mixture | None,
  out: pathlib.Path,
  name: str | None,
) -> "Auditioner | None":
  """Return the first process's auditioner, if examples and codec exist."""
  if not config.listen_every or not processes.is_first():
    return None

  from stemgen_jax.training import audition

  # Empty pairs have no context.
  count = 0
  if validated is not None:
    valid = Manifest.load(validated.folders[0]).counts["valid"]
    count = min(audition.EXAMPLES, valid["pairs"] - valid["empty"])
  if validated is None or not count:
    print("no audition: no validation pair has a context", file=sys.stderr)
    return None
  try:
    codec = codec_lib.load(
      name or config.model.codec, expected_checksum=config.model.codec_checksum
    )
  except (ImportError, OSError, ValueError) as error:
    # Training needs no codec: only one that was asked for has to load.
    if name:
      raise
    print(f"no audition: {error}", file=sys.stderr)
    return None
  examples = batches.eval_examples(
    validated.folders[0], "valid", config.model.window, count
  )
  return audition.Auditioner(config.model, examples, codec, out)
