"""What is installed is enough: other packages of this environment are hidden.

Each job runs in processes that can import nothing but what the base install,
or one of its extras, asks for.
"""

import importlib.metadata
import os
import pathlib
import re
import runpy
import subprocess
import sys
from collections.abc import Iterable

import pytest
import setuptools
import trees
from packaging.requirements import Requirement

pytestmark = pytest.mark.processes

ROOT = pathlib.Path(__file__).parents[1]
SMALL_MODEL = (
  "--config.model.depth=1 --config.model.width=64 --config.model.heads=2 "
  "--config.model.mlp=64 --config.model.window=100 --config.steps=2 "
  "--config.batch=2 --config.validate_batches=1 --config.mesh_data=1"
)
TRAIN = (
  f"train --config={ROOT}/configs/demo.py --data=codes --out=run {SMALL_MODEL}"
)
# Read by every Python that has its folder on the path.
_HIDE = """
import sys
from importlib.machinery import PathFinder

class Finder(PathFinder):
  hidden = frozenset({hidden!r})

  @classmethod
  def find_spec(cls, name, path=None, target=None):
    if name.partition(".")[0] not in cls.hidden:
      return super().find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Finder
"""
# One after the other in one process: to import is most of the time.
_RUN = """
import sys
from stemgen_jax import __main__ as command
for line in sys.argv[1:]:
  sys.argv = ["stemgen-jax", *line.split()]  # ml_collections reads it
  if command.main(sys.argv[1:]):
    sys.exit(f"failed: {line}")
"""

_SERVE = """
import contextlib, pathlib, threading
import requests
from stemgen_jax.studio import Studio, server
from stemgen_jax.studio.loading import Loading

load = lambda: server.StemGen.load("demo")
studio = Studio(pathlib.Path("song"), Loading(load, "demo"))
serving = server.Server(studio)
with contextlib.closing(server.listen(0)) as listening:
  url = server.url_of(listening)
  thread = threading.Thread(target=serving.run, args=([listening],))
  thread.start()
  try:
    requests.post(url + "/song", json={"loop": "drums"}, timeout=60)
    url += requests.post(url + "/export", timeout=60).json()["url"]
    assert requests.get(url, timeout=60).ok
    url = server.url_of(listening)
    for path in ("", "wavesurfer/wavesurfer.min.js", "docs/swagger-ui.css"):
      assert requests.get(f"{url}/{path}", timeout=60).ok, path
    studio.loading.wait(lambda stage: None)
  finally:
    serving.should_exit = True
    thread.join()
"""


def _plain(name: str) -> str:
  return re.sub(r"[-_.]+", "-", name).lower()


def _asked_for(extra: str, monkeypatch) -> list[str]:
  """Requirements of setup.py; for some extras README adds a file of others."""
  packaging = {}
  monkeypatch.setattr(setuptools, "setup", packaging.update)
  monkeypatch.chdir(ROOT)
  runpy.run_path(str(ROOT / "setup.py"))
  asked = list(packaging["install_requires"])
  if extra:
    asked += packaging["extras_require"][extra]
  return asked


def _without_dependencies() -> list[str]:
  text = (ROOT / "launch/requirements-nodeps.txt").read_text()
  return [line for line in text.splitlines() if line and line[0] != "#"]


def _closure(asked: Iterable[str]) -> set[str]:
  """Distributions that come with those asked for, as far as they are here."""
  found: dict[str, set[str]] = {}
  todo = [Requirement(text) for text in asked]
  while todo:
    one = todo.pop()
    name = _plain(one.name)
    if name in found and one.extras <= found[name]:
      continue
    extras = found.setdefault(name, set())
    extras |= one.extras
    try:
      requires = importlib.metadata.requires(name) or ()
    except importlib.metadata.PackageNotFoundError:
      continue
    for text in requires:
      need = Requirement(text)
      if need.marker is None or any(
        need.marker.evaluate({"extra": extra}) for extra in ("", *extras)
      ):
        todo.append(need)
  return set(found)


@pytest.fixture
def run(tmp_path, monkeypatch):
  """Runs commands, with an install of one extra and in `tmp_path`."""

  def run(
    extra: str, *lines: str, no_deps: bool = False, code: str = _RUN
  ) -> None:
    installed = _closure(_asked_for(extra, monkeypatch))
    if no_deps:
      installed |= {
        _plain(Requirement(x).name) for x in _without_dependencies()
      }
    hidden = [
      module
      for module, owners in importlib.metadata.packages_distributions().items()
      if module != "stemgen_jax" and not installed & set(map(_plain, owners))
    ]
    assert "pytest" in hidden
    assert "numpy" not in hidden
    site = tmp_path / "site"
    site.mkdir(exist_ok=True)
    (site / "sitecustomize.py").write_text(_HIDE.format(hidden=hidden))
    monkeypatch.chdir(tmp_path)
    done = subprocess.run(
      [sys.executable, "-c", code, *lines],
      env=os.environ
      | {"JAX_NUM_CPU_DEVICES": "1", "PYTHONPATH": f"{site}:{ROOT}"},
      capture_output=True,
      text=True,
      check=False,
    )
    assert done.returncode == 0, done.stderr

  return run


def songs(root: pathlib.Path) -> str:
  """A command that prepares a few small songs."""
  for song in ("train/one", "valid/two", "test/three", "test/four"):
    for name in ("bass.wav", "drums.wav"):
      trees.sound(root / "songs" / song / name)
  return (
    "prepare --source=folder --root=songs --out=codes --pairs=3 --workers=0"
  )


def test_train_prepares_trains_and_exports_and_base_generates(tmp_path, run):
  prepare = songs(tmp_path)
  run(
    "train",
    f"{prepare} --dry_run",
    prepare,
    f"{TRAIN} --config.listen_every=0",
    "export --run=run --out=model.safetensors",
    "evaluate --what=listening --weights=model.safetensors --data=codes "
    "--examples=4 --out=judged",
  )
  assert (tmp_path / "judged/listening.json").is_file()
  run(
    "",
    "generate --context=songs/train/one/bass.wav --stem=drums --steps=1 "
    "--weights=model.safetensors --out=drums.wav --mix=mix.wav "
    "--picture=picture.png",
    "evaluate --what=listening --weights=model.safetensors --examples=4 "
    "--out=shipped",
  )
  assert (tmp_path / "mix.wav").is_file()
  assert (tmp_path / "shipped/listening.json").is_file()


def test_the_extra_tensorboard_is_enough_for_it(tmp_path, run):
  run("tensorboard", songs(tmp_path), f"{TRAIN} --config.listen_every=0")
  assert list((tmp_path / "run/tensorboard").iterdir())


def test_the_extra_beam_is_enough_for_a_runner(tmp_path, run):
  run("beam", f"{songs(tmp_path)} --runner=DirectRunner")
  assert (tmp_path / "codes/manifest.json").is_file()


def test_the_extra_band_is_enough_to_let_it_play(tmp_path, run):
  band = "--songs=1 --valid_songs=0 --test_songs=0 --seconds=4"
  run(
    "band",
    f"prepare --source=band {band} --out=codes --pairs=1 --workers=0",
    no_deps=True,
  )
  assert (tmp_path / "codes/manifest.json").is_file()


def test_the_extra_studio_is_enough_to_serve(tmp_path, run):
  run("studio", code=_SERVE)
  assert (tmp_path / "song/export/song.zip").is_file()


@pytest.mark.soak
def test_the_extra_evaluate_is_enough_for_it(tmp_path, run):
  run(
    "evaluate",
    "evaluate --examples=2 --seconds=2 --preset=fast --variations=1 --shown=1 "
    "--out=report",
    no_deps=True,
  )
  assert (tmp_path / "report/report.html").is_file()
