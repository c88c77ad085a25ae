"""The paper's model at toy width: from Slakh's files to its tables."""

import dataclasses
import json
import signal
import sys
from typing import Any

import pytest
import random_codec
import safetensors.torch
import trees
from commands import ROOT, Training

from stemgen_jax import __main__ as command
from stemgen_jax import audio
from stemgen_jax.codec import published

pytestmark = [
  pytest.mark.processes,
  # A pair of each song is too few for all of its instruments.
  pytest.mark.filterwarnings("ignore:these weights were not trained on"),
]

NAME = "encodec_32khz"
SMALL = {"filters": 8, "latent": 16}  # of the published levels and codes
ROWS = ("both drawn", "none joint")


def run(*arguments):
  assert command.main(list(map(str, arguments))) == 0


def test_from_slakh_to_its_tables_and_a_stem(tmp_path, monkeypatch, capsys):
  config = dataclasses.replace(published.CONFIGS[NAME], **SMALL)
  monkeypatch.setitem(published.CONFIGS, NAME, config)
  network = random_codec.random_network(NAME, **SMALL, codes_per_level=2048)
  safetensors.torch.save_file(
    network.state_dict(), tmp_path / "codec.safetensors"
  )
  codec = f"--codec={NAME}:{tmp_path / 'codec.safetensors'}"
  songs, data, out = (tmp_path / x for x in ("slakh", "data", "run"))
  trees.slakh(songs)
  trees.slakh_track(songs / "test/Track01877")  # an evaluation needs two
  (tmp_path / "skip.csv").write_text("song,stem\nTrack01877,S01\n")
  run(
    *("prepare", "--source=slakh", f"--root={songs}", codec, f"--out={data}"),
    *("--segment_seconds=4", "--pairs=4", "--workers=0"),
  )

  first = Training(
    data,
    out,
    f"--config={ROOT / 'configs/slakh.py'}",
    "--config.steps=100000",
    "--config.model.window=100",
    "--config.mask.level_weights=(0.4, 0.3, 0.2, 0.1)",
  )
  saved = out / "checkpoints"
  assert first.wait_for(
    lambda: saved.is_dir() and any(x.name.isdigit() for x in saved.iterdir())
  ), first.end()
  first.process.send_signal(signal.SIGKILL)
  first.end()
  last = first.steps() + 20
  began: Any = first.process.args
  # On one of this process's devices.
  again = [*began[3:], f"--config.steps={last}", "--config.mesh_data=1"]
  sys.modules.pop("stemgen_jax.apps.train", None)  # as in a new process
  monkeypatch.setattr(sys, "argv", ["stemgen-jax", *again])
  run(*again)
  printed = capsys.readouterr().out
  assert "resuming from step " in printed
  assert f"trained {last} steps" in printed

  weights = tmp_path / "model.safetensors"
  run("export", f"--run={out}", f"--out={weights}", "--step=last")
  loaded = [f"--weights={weights}", codec, "--codec_backend=transformers"]
  grid = f"--grid={ROOT / 'configs/paper_slakh.py'}"
  results = tmp_path / "tables"
  run(
    *("evaluate", "--what=decoding", grid, *loaded, f"--data={data}"),
    *(f"--only={','.join(ROWS)}", "--steps=1", "--examples=2", "--seconds=2"),
    *("--mirdd=false", f"--skip={tmp_path / 'skip.csv'}", f"--out={results}"),
  )
  found = json.loads((results / "decoding.json").read_text())
  assert (found["examples"], found["songs"], found["seeds"]) == (2, 2, 1)
  # Four levels; eq. 3 has three branches, the joint prediction one.
  assert [found["rows"][x]["passes"] for x in ROWS] == [12, 4]
  recipe = json.loads((results / "recipe.json").read_text())
  assert recipe["codec_backend"] == "transformers"

  mix, stem = songs / "test/Track01876/mix.flac", tmp_path / "bass.wav"
  run(
    *("generate", f"--context={mix}", "--stem=bass", "--steps=1", *loaded),
    f"--out={stem}",
  )
  assert audio.read(stem).samples.shape == audio.read(mix).samples.shape
