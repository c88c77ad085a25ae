"""The scripts of live performances, with a sampler without a model."""

import re
import shlex

import numpy as np
import pytest
import soundfile
from pcm_model import sampler

from stemgen_jax import __main__
from stemgen_jax.generation import stemgen as stemgen_lib
from stemgen_jax.paths import LOOPS

__all__ = ["sampler"]
ROOT = LOOPS.parents[2]
FOLDER = ROOT / "colab/live"
README = (FOLDER / "README.md").read_text(encoding="utf-8")
COMMANDS = [
  shlex.split(line)[1:]
  for line in re.findall(
    r"^ {4}(stemgen-jax .*)$", README.replace("\\\n", ""), re.M
  )
]


def test_every_script_has_a_command():
  named = re.findall(r"--script=colab/live/(\w+.txt)", README)
  assert named == sorted(path.name for path in FOLDER.glob("*.txt"))


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[-1])
def test_performances(words, sampler, tmp_path, monkeypatch, capsys):
  monkeypatch.chdir(tmp_path)
  monkeypatch.setattr(stemgen_lib.StemGen, "load", lambda *_, **__: sampler)
  (tmp_path / "loops").symlink_to(LOOPS)
  (tmp_path / "colab").symlink_to(ROOT / "colab")
  code = __main__.main(words)
  out, err = capsys.readouterr()
  assert code == 0, err
  sound, rate = soundfile.read(words[-1].partition("=")[2])
  assert len(sound) == 120 * rate
  # Every change enters at its bar.
  (script,) = [x.partition("=")[2] for x in words if x.startswith("--script")]
  changes = re.findall(r"^(\d+) (\w+) ", (ROOT / script).read_text(), re.M)
  assert len(changes) >= 15
  for bar, layer in changes:
    assert re.search(rf"^bar {bar}: {layer}[: ]", out, re.M), (bar, layer)
  assert ", untimed, 0 late, " in out.splitlines()[-1]
  # The loop sounds throughout: no second is silent.
  assert (np.abs(sound).reshape(120, -1).max(axis=1) > 0.01).all()
