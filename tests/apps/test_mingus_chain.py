"""The stereo models at toy width: from the band and a folder to stems."""

import dataclasses
import functools
import signal

import numpy as np
import pytest
import random_codec
import safetensors.torch
import soundfile
from commands import ROOT, Training, assert_same_run

from stemgen_jax import __main__ as command
from stemgen_jax import audio
from stemgen_jax import codec as codec_lib
from stemgen_jax.codec import published
from stemgen_jax.data.manifest import Manifest
from stemgen_jax.disk import read_log
from stemgen_jax.generation.take import Take

pytestmark = pytest.mark.processes

NAME, RATE = "encodec_48khz", 48_000
SMALL = {"filters": 8, "latent": 16}  # of the published levels and codes
PRETRAINING, TUNING = 72, 24  # steps
STEMS = {"lead": ("synth_lead", "melodic"), "beat": ("drums", "percussive")}


def run(*arguments):
  assert command.main(list(map(str, arguments))) == 0


def write_songs(folder):
  """Write seven songs of two stereo stems, with genres and roles."""
  rows, rng = ["song,file,category,split,genre,role"], np.random.default_rng(0)
  for number in range(7):
    time = np.arange(4 * RATE) / RATE
    pitches = rng.choice([220, 262, 330, 392], 8).repeat(RATE // 2)
    tone = 0.2 * np.sin(2 * np.pi * np.cumsum(pitches) / RATE)
    beat = 0.2 * rng.normal(size=len(time)) * np.exp(-20 * (time % 0.5))
    for name, sound, pan in (("lead", tone, 0.3), ("beat", beat, 0.6)):
      path = folder / f"song{number}" / f"{name}.wav"
      path.parent.mkdir(parents=True, exist_ok=True)
      soundfile.write(path, np.stack([pan * sound, sound], 1), RATE)
      category, role = STEMS[name]
      split = "valid" if number > 4 else "train"
      rows.append(
        f"song{number},{name}.wav,{category},{split},electronic,{role}"
      )
  (folder / "stems.csv").write_text("\n".join(rows) + "\n")


def train(config, data, out, steps, *flags):
  return Training(
    data,
    out,
    f"--config={ROOT / f'configs/{config}.py'}",
    *(f"--config.steps={steps}", "--config.batch=8", "--config.model.width=32"),
    *("--config.model.window=300", "--config.validate_every=24"),
    *("--config.optimizer.learning_rate=1e-2", "--config.validate_batches=4"),
    *("--config.optimizer.warmup_steps=4", "--config.ema_decay=0.8"),
    "--config.mask.level_weights=(0.4, 0.3, 0.2, 0.1)",
    *flags,
  )


def killed_and_resumed(start):
  """Kill a run once it has saved a checkpoint, then let it end."""
  first = start()
  saved = first.out / "checkpoints"
  assert first.wait_for(
    lambda: saved.is_dir() and any(x.name.isdigit() for x in saved.iterdir())
  ), first.end()
  first.process.send_signal(signal.SIGKILL)
  first.end()
  assert "resuming from step " in ended(start())


def ended(training):
  code, printed, err = training.end()
  assert code == 0, err
  return printed


def last_loss(out, name="loss_per_level"):
  """Mean loss over the levels in the last validation of a run."""
  lines = [x for x in read_log(out / "log.jsonl") if x["kind"] == "validation"]
  return np.mean(lines[-1][name])


def width(samples):
  """Return the share of the energy that is in the side signal."""
  side, middle = samples[:, 0] - samples[:, 1], samples.sum(axis=1)
  return (side**2).sum() / ((side**2).sum() + (middle**2).sum())


def test_from_the_band_to_a_stem_of_a_tuned_model(tmp_path, monkeypatch):
  config = dataclasses.replace(published.CONFIGS[NAME], **SMALL)
  monkeypatch.setitem(published.CONFIGS, NAME, config)
  network = random_codec.random_network(NAME, **SMALL, codes_per_level=1024)
  path = tmp_path / "codec.safetensors"
  safetensors.torch.save_file(network.state_dict(), path)
  codec = f"--codec={NAME}:{path}"
  songs, band, mine = (tmp_path / x for x in ("songs", "band", "mine"))
  write_songs(songs)
  shared = (codec, "--segment_seconds=4", "--pairs=3", "--workers=0")
  run(
    *("prepare", "--source=band", "--sample_rate=48000", "--channels=2"),
    *("--songs=6", "--valid_songs=2", "--test_songs=0", "--seconds=4"),
    *(f"--out={band}", *shared),
  )
  run("prepare", "--source=folder", f"--root={songs}", f"--out={mine}", *shared)
  manifest = Manifest.load(band)
  assert (manifest.sample_rate, manifest.channels) == (RATE, 2)
  assert {"percussive", "bass"} <= manifest.roles["pairs"].keys()
  assert Manifest.load(mine).roles["pairs"].keys() == {"percussive", "melodic"}

  pretrained = tmp_path / "pretrained"
  killed_and_resumed(lambda: train("mingus", band, pretrained, PRETRAINING))
  weights = tmp_path / "mingus.safetensors"
  run("export", f"--run={pretrained}", f"--out={weights}", "--step=last")

  runs = {}
  for name, flags in {
    "whole": (f"--start={weights}", f"--replay={band}"),
    "killed": (f"--start={weights}", f"--replay={band}"),
    "scratch": ("--config.replay=0",),
  }.items():
    runs[name] = out = tmp_path / name

    start = functools.partial(train, "mingus_tune", mine, out, TUNING, *flags)
    if name == "killed":
      killed_and_resumed(start)
    else:
      ended(start())
  assert_same_run(runs["killed"], runs["whole"])
  assert last_loss(runs["whole"]) < last_loss(runs["scratch"])
  replayed = last_loss(runs["whole"], "replay_loss_per_level")
  assert replayed < 1.05 * last_loss(pretrained)

  tuned, stem = tmp_path / "tuned.safetensors", tmp_path / "lead.wav"
  run("export", f"--run={runs['whole']}", f"--out={tuned}", "--step=last")
  assert "| scales | " in tuned.with_suffix(".md").read_text()
  run(
    *("generate", f"--context={songs / 'song6/beat.wav'}", "--role=melodic"),
    *("--genre=electronic", "--steps=1", f"--weights={tuned}", codec),
    *(f"--out={stem}", "--bits=float"),
  )
  take, loaded = Take.load(stem), codec_lib.load(f"{NAME}:{path}")
  assert (take.kind, take.audio.channels) == ("melodic", 2)
  assert take.audio.samples.shape == (4 * RATE, 2)
  assert take.scales is not None
  decoded = codec_lib.decode(loaded, take.codes[None], take.scales[None])[0]
  assert width(audio.read(stem).samples) == pytest.approx(
    width(decoded[: 4 * RATE]), rel=1e-3
  )
  assert width(decoded) > 0.02
