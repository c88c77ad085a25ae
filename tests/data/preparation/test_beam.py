import hashlib
import pathlib
import urllib.parse

import pytest
import tiny
from apache_beam.io.filesystem import FileMetadata
from apache_beam.io.localfilesystem import LocalFileSystem

from stemgen_jax.data.manifest import Manifest
from stemgen_jax.data.preparation import beam, pairs
from stemgen_jax.data.preparation import prepare as prepare_lib

CONFIG = pairs.PairConfig(segment_seconds=4.0, pairs=5, empty_share=0.1)
HERE = beam.Cluster("DirectRunner")


def prepare(out, **more):
  source = more.pop("source", tiny.Sines())
  codec = more.pop("codec", tiny.FrameEnergies)
  return prepare_lib.prepare(source, codec, out, CONFIG, **more)


def digest(out) -> dict[str, str]:
  """Hashes of the bytes of songs, records and manifest."""
  return {
    str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
    for path in sorted(pathlib.Path(out).rglob("*"))
    if path.is_file()
  }


@pytest.fixture(scope="module")
def local(tmp_path_factory):
  out = tmp_path_factory.mktemp("local") / "codes"
  prepare(out)
  return out


def test_a_cluster_makes_the_same_bytes(local, tmp_path):
  out = tmp_path / "codes"
  prepare(out, cluster=HERE)
  assert digest(out) == digest(local)
  assert len(list(out.glob("songs/*.npz"))) == 6


class Shelf(LocalFileSystem):
  """Another file system of Beam: shelf:///path is at /path."""

  @classmethod
  def scheme(cls) -> str:  # pyright: ignore[reportIncompatibleMethodOverride]
    return "shelf"

  def join(self, basepath, *paths):
    return "/".join([basepath, *paths])

  def match(self, patterns, limits=None):
    (matched,) = super().match([_path(p) for p in patterns], limits)
    matched.metadata_list = [
      FileMetadata(f"shelf://{m.path}", m.size_in_bytes)
      for m in matched.metadata_list
    ]
    return [matched]

  def create(self, path, *args, **more):
    return super().create(_path(path), *args, **more)

  def open(self, path, *args, **more):
    return super().open(_path(path), *args, **more)

  def rename(self, source_file_names, destination_file_names):
    super().rename(
      [_path(p) for p in source_file_names],
      [_path(p) for p in destination_file_names],
    )

  def delete(self, paths):
    super().delete([_path(p) for p in paths])


def _path(url: str) -> str:
  return urllib.parse.urlparse(url).path


def test_songs_come_through_a_file_system_of_beam(local, tmp_path):
  out, shelf = tmp_path / "codes", tmp_path / "shelf"
  shelf.mkdir()
  away = beam.Cluster("DirectRunner", shared=f"shelf://{shelf}")
  prepare(out, cluster=away)
  assert digest(out) == digest(local)
  assert {p.name for p in shelf.iterdir()} == {
    p.name for p in local.glob("songs/*")
  }
  # A second launching machine finds the work done: it only fetches.
  kept = {p: p.stat().st_mtime_ns for p in shelf.iterdir()}
  prepare(tmp_path / "again", cluster=away)
  assert digest(tmp_path / "again") == digest(local)
  assert {p: p.stat().st_mtime_ns for p in shelf.iterdir()} == kept


class Failing(tiny.FrameEnergies):
  def encode(self, audio):
    if audio.shape[0] and abs(audio).max() > 0 and FAIL["on"]:
      FAIL["calls"] += 1
      if FAIL["calls"] > 2:
        raise ValueError("no more today")
    return super().encode(audio)


FAIL = {"on": False, "calls": 0}


def test_a_failed_pipeline_names_the_song_and_resumes(local, tmp_path):
  out = tmp_path / "codes"
  FAIL.update(on=True, calls=0)
  with pytest.raises(ValueError, match=r"song sines/\d: no more today"):
    prepare(out, codec=Failing, cluster=HERE)
  with pytest.raises(FileNotFoundError, match="no finished data set"):
    Manifest.load(out)
  kept = {p: p.stat().st_mtime_ns for p in out.glob("songs/*")}
  assert all(p.suffix == ".npz" for p in kept)
  FAIL.update(on=False)
  prepare(out, codec=Failing, cluster=HERE)
  assert digest(out) == digest(local)
  assert all(p.stat().st_mtime_ns == at for p, at in kept.items())


@pytest.mark.parametrize(
  ("wrong", "message"),
  [
    (beam.Cluster("SlackRunner"), "Unexpected pipeline runner: Slack"),
    (
      beam.Cluster("DataflowRunner", ("project=My!", "temp_location=/tmp")),
      "Invalid Project ID",
    ),
    (
      beam.Cluster("DirectRunner", ("direct_num_workers=two",)),
      "direct_num_workers=two",
    ),
  ],
)
def test_mistakes_in_the_options_are_reported(wrong, message):
  with pytest.raises(ValueError, match=message):
    wrong.pipeline()
