"""From a folder of recordings to a stem, with `configs/internal.py`."""

import signal

import numpy as np
import pytest
import soundfile
from commands import ROOT, Training, trained
from random_codec import random_network

from stemgen_jax import __main__ as command
from stemgen_jax.audio import with_channels
from stemgen_jax.codec import encodec
from stemgen_jax.data.manifest import Manifest
from stemgen_jax.data.preparation import problems
from stemgen_jax.data.sources.band import Band

pytestmark = pytest.mark.processes

SECONDS = 21.0
# Part of the band -> file, sample rate and channels of a session.
FILES = {
  "drums": ("Drums/Overheads.wav", 48_000, 2),
  "bass": ("Basse DI.flac", 44_100, 1),
  "comp": ("03 Klavier.wav", 32_000, 2),
  "lead": ("Lead Vox.flac", 22_050, 1),
}
CATEGORIES = {"drums", "bass", "piano"}


def write_song(folder, number):
  """Write parts of a song of the band as a session's files, unmixed."""
  for part, (name, rate, channels) in FILES.items():
    band = Band(seconds=SECONDS, sample_rate=rate)
    score = band.score(number)
    found = next((x for x in score.parts if x.name == part), score.parts[-1])
    samples = with_channels(band.read(found).samples, channels)
    if part == "bass":
      samples = samples * np.float32(0.05)
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate)


def add_bleed(folder):
  """Add the drums to the piano, late and 8 dB below it."""
  drums, _ = soundfile.read(folder / FILES["drums"][0])
  piano, rate = soundfile.read(folder / FILES["comp"][0])
  at = np.arange(len(piano)) / rate - 0.004  # seconds
  leak = np.interp(at, np.arange(len(drums)) / 48_000, drums[:, 0])[:, None]
  gain = 0.4 * np.linalg.norm(piano[:, :1]) / np.linalg.norm(leak)
  soundfile.write(folder / FILES["comp"][0], piano + gain * leak, rate)


@pytest.fixture(scope="module")
def codec(tmp_path_factory):
  """An untrained codec of EnCodec's layout, with 8 filters."""
  path = tmp_path_factory.mktemp("codec") / "codec.safetensors"
  network = random_network("encodec_32khz", filters=8)
  encodec.save(path, "small", network, {})
  return path


def test_from_a_folder_to_a_stem(codec, tmp_path, capsys):
  root, data, run = (tmp_path / name for name in ("songs", "data", "run"))
  for split, number in (("train", 0), ("train", 2), ("valid", 3)):
    write_song(root / split / f"Song {number}", number)
  add_bleed(root / "train" / "Song 2")
  prepare = [
    *("prepare", "--source=folder", f"--root={root}", "--usual_levels"),
    *("--level_db=6", f"--codec={codec}", f"--out={data}"),
    *("--segment_seconds=7", "--pairs=2", "--workers=0"),
  ]
  assert command.main(prepare) == 0, capsys.readouterr().err
  manifest = Manifest.load(data)
  assert set(manifest.categories) == CATEGORIES  # vocals are context only
  # Levels of the files differ by 26 dB.
  assert max(map(abs, manifest.loudness["relative_db"].values())) < 12
  (bleed,) = [x for x in problems.read(data) if x[1].kind == "correlated bleed"]
  assert "Song 2" in bleed[0]
  assert "Klavier" in bleed[1].stem
  assert not bleed[1].left_out

  flags = (
    f"--config={ROOT / 'configs/internal.py'}",
    "--config.mask.level_weights=(0.4, 0.2, 0.2, 0.2)",
    "--config.steps=20",
  )
  first = Training(data, run, *flags)
  assert first.wait_for(lambda: first.steps() >= 7)
  first.process.send_signal(signal.SIGKILL)
  first.end()
  code, out, err = Training(data, run, *flags).end()
  assert code == 0, err
  assert "resuming from step" in out
  losses, _, _ = trained(run)
  assert sorted(losses) == list(range(1, 21))
  assert losses[20] < losses[1]

  weights, stem = tmp_path / "weights.safetensors", tmp_path / "bass.wav"
  export = ["export", f"--run={run}", f"--out={weights}", "--license=none"]
  assert command.main(export) == 0, capsys.readouterr().err
  mix = tmp_path / "mix.wav"
  drums, rate = soundfile.read(root / "valid/Song 3/Drums/Overheads.wav")
  soundfile.write(mix, drums[: 2 * rate], rate)
  generate = [
    *("generate", f"--context={mix}", "--stem=bass", f"--out={stem}"),
    *(f"--weights={weights}", f"--codec={codec}", "--steps=1"),
  ]
  assert command.main(generate) == 0, capsys.readouterr().err
  samples, rate = soundfile.read(stem)
  assert np.isfinite(samples).all()
  assert len(samples) == pytest.approx(2 * rate, abs=1)
