import collections
import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import trees

from stemgen_jax import __main__ as command
from stemgen_jax import disk
from stemgen_jax.codec import weight_files
from stemgen_jax.data.examples import Examples
from stemgen_jax.data.manifest import RECIPE, Manifest
from stemgen_jax.data.sources.folder import Folder


@pytest.fixture(scope="module")
def codec_path(tmp_path_factory) -> pathlib.Path:
  """An untrained codec, which is as good as any for counting."""
  from stemgen_jax.codec import encodec, networks

  config = networks.NetworkConfig(
    ratios=(20, 32), filters=2, latent=4, levels=2, codes_per_level=16
  )
  path = tmp_path_factory.mktemp("codec") / "codec.safetensors"
  encodec.save(path, "untrained", networks.Network(config), {})
  return path


def prepare(out, *flags) -> int:
  return command.main(["prepare", f"--out={out}", *flags])


def small(codec_path) -> list[str]:
  return [
    "--source=band",
    f"--codec={codec_path}",
    "--songs=2",
    "--valid_songs=0",
    "--test_songs=3",
    "--seconds=4",
    "--pairs=3",
    "--style=demo",
    "--workers=0",
  ]


def test_from_the_band_to_examples(codec_path, tmp_path, capsys):
  out, heldout = tmp_path / "codes", tmp_path / "heldout.npz"
  assert prepare(out, *small(codec_path)) == 0
  assert "from silence" in capsys.readouterr().out
  manifest = Manifest.load(out)
  assert manifest.codec == "untrained"
  assert manifest.config["source_config"]["style"]["programs"] == 1
  assert manifest.counts["train"]["songs"] == 2
  assert (manifest.frames, manifest.frame_rate) == (200, 50)

  flags = [f"--export_heldout={heldout}", "--window=100", "--heldout=3"]
  assert prepare(out, *flags) == 0
  examples = Examples.load(heldout)
  assert examples.target.shape == (3, 100, 2)
  assert examples.checksum == manifest.checksum
  assert len(np.unique(examples.song)) == 3

  capsys.readouterr()
  assert prepare(out, *small(codec_path), "--pairs=4") == 1
  assert "pairs.pairs 3 there, 4 now" in capsys.readouterr().err


@pytest.mark.parametrize(
  ("flags", "message"),
  [
    (["--source=slack"], "--source=slack: expected one of band, slakh"),
    (["--root=songs"], "--root is for --source=slakh or musdb18 or"),
    (["--variant=orig"], "--variant is for --source=slakh, not band"),
    (["--style=polka"], "--style=polka: expected one of all, demo"),
    (["--genres=polka"], "polka"),
    (["--codec=mp3"], "unknown codec 'mp3'"),
    (["--codec={}/none.safetensors"], "no codec weights at"),
    (["--codec=encodec_32khz:{}/none"], "no weights of encodec_32khz at"),
    (["--songs=-1"], "train is -1"),
    (["--songs=0", "--test_songs=0"], "has no songs"),
    (["--seconds=1"], "seconds is 1.0"),
    (["--segment_seconds=0"], "--segment_seconds=0.0: expected 1 to 60"),
    (["--segment_seconds=90"], "--segment_seconds=90.0: expected 1 to 60"),
    (["--pairs=0"], "--pairs=0: expected at least 1"),
    (["--workers=-1"], "workers is -1"),
    (["--subset_sizes=all"], "subset_sizes"),
    (["--out="], "--out is missing"),
    (["--export_heldout={}/heldout.wav"], "expected an .npz file"),
    (["--export_heldout={}/heldout.npz"], "no folder"),
    (["--beam=project=lab"], "name its --runner"),
    (["--runner=SlackRunner"], "Unexpected pipeline runner: SlackRunner"),
    (["--sonsg=3"], "unknown flag --sonsg, did you mean --songs?"),
  ],
)
def test_mistakes_in_flags_are_one_line(
  codec_path, tmp_path, capsys, flags, message
):
  given = [flag.format(tmp_path) for flag in flags]
  assert prepare(tmp_path / "codes", *small(codec_path), *given) == 1
  error = capsys.readouterr().err
  assert message in error
  assert len(error.splitlines()) == 1
  assert not (tmp_path / "codes").exists()


@pytest.mark.processes
def test_a_cluster_of_processes_makes_the_same_codes(codec_path, tmp_path):
  flags = [*small(codec_path), "--test_songs=1"]
  assert prepare(tmp_path / "here", *flags) == 0
  runner = [
    "--runner=DirectRunner",
    "--beam=direct_running_mode=multi_processing",
    "--beam=direct_num_workers=2",
  ]
  assert prepare(tmp_path / "there", *flags, *runner) == 0
  files = {
    path.relative_to(tmp_path / "here"): path.read_bytes()
    for path in (tmp_path / "here").rglob("*")
    if path.is_file()
  }
  assert len(files) > 8
  for name, content in files.items():
    assert (tmp_path / "there" / name).read_bytes() == content, name


MULTITRACKS = {
  "slakh": trees.slakh,
  "musdb18": trees.musdb18,
  "moisesdb": lambda root: trees.moisesdb(root, songs=2),
  "folder": lambda root: trees.folder(root, songs=2),
}


@pytest.mark.parametrize("source", MULTITRACKS)
def test_from_multitracks_to_a_training_set(
  codec_path, tmp_path, capsys, source
):
  root, out = tmp_path / "my songs", tmp_path / "codes"
  MULTITRACKS[source](root)
  flags = [f"--source={source}", f"--root={root}", f"--codec={codec_path}"]
  flags += ["--segment_seconds=4", "--pairs=3", "--workers=0"]
  assert prepare(out, *flags, "--dry_run") == 0
  planned = capsys.readouterr().out
  assert "drums drums" in planned.lower() or "S01 drums" in planned
  assert "audio was read only to compare" in planned
  assert ("stems for contexts only: ensemble" in planned) == (source != "slakh")
  assert not out.exists()

  assert prepare(out, *flags, "--strict") == 0
  printed = capsys.readouterr().out
  manifest = Manifest.load(out)
  assert manifest.counts["train"]["pairs"] > 0
  assert manifest.config["source_config"]["root"] == str(root)
  assert manifest.config["source_key"] == source
  recipe = json.loads((out / RECIPE).read_text())
  del recipe["source_key"]  # as in sets of earlier versions
  (out / RECIPE).write_text(json.dumps(recipe))
  assert "ensemble" not in manifest.categories  # never sings
  assert (out / "problems.csv").is_file()
  flags[1] += "/"
  assert prepare(out, *flags) == 0  # finds it done
  if source == "folder":
    assert "mix or click" in printed
    assert "problems.csv" in printed
  else:
    assert "no problems found" in printed


def test_vocals_are_targets_with_the_flag_vocals(codec_path, tmp_path):
  trees.musdb18(tmp_path / "musdb18hq")
  flags = ["--source=musdb18", f"--root={tmp_path}/musdb18hq", "--vocals"]
  flags += [f"--codec={codec_path}", "--segment_seconds=4", "--workers=0"]
  assert prepare(tmp_path / "codes", *flags, "--pairs=12") == 0
  assert "ensemble" in Manifest.load(tmp_path / "codes").categories


@pytest.mark.parametrize(
  ("flags", "message"),
  [
    (["--source=slakh"], "--root is missing: name the folder of Slakh2100"),
    (["--source=folder", "--root={}/none"], "none: no such folder"),
    (["--source=folder", "--root={}/file"], "file is a file"),
    (["--source=band", "--out={}/file/codes", "--dry_run"], "file is a file"),
    (["--source=slakh", "--root={}/empty"], "holds no Slakh2100"),
    (["--source=musdb18", "--root={}/empty"], "holds no MUSDB18-HQ"),
    (["--source=moisesdb", "--root={}/empty"], "holds no MoisesDB"),
    (["--source=folder", "--root={}/empty"], "holds no songs"),
    (["--source=slakh", "--root={}", "--variant=new"], "redux, split2, orig"),
    (["--source=slakh", "--root={}", "--songs=3"], "--songs is for --source"),
    (["--source=slakh", "--root={}", "--vocals"], "musdb18 or moisesdb or"),
  ],
)
def test_mistakes_in_flags_of_multitracks_are_one_line(
  codec_path, tmp_path, capsys, flags, message
):
  (tmp_path / "empty").mkdir()
  (tmp_path / "file").touch()
  given = [flag.format(tmp_path) for flag in flags]
  out = tmp_path / "codes"
  assert prepare(out, f"--codec={codec_path}", *given) == 1
  error = capsys.readouterr().err
  assert message in error
  assert len(error.splitlines()) == 1
  assert not out.exists()


def test_a_dry_run_prints_the_plan(codec_path, tmp_path, capsys):
  runner = ["--runner=FlinkRunner", "--beam=flink_master=flink:8081"]
  flags = [*small(codec_path), *runner, "--dry_run"]
  assert prepare(tmp_path / "codes", *flags) == 0
  printed = capsys.readouterr().out
  assert "2 train, 3 test songs, 0 encoded already" in printed
  assert "by FlinkRunner flink_master=flink:8081" in printed
  assert not (tmp_path / "codes").exists()


def test_the_page_is_written_next_to_the_data(codec_path, tmp_path, capsys):
  assert prepare(tmp_path / "codes", *small(codec_path)) == 0
  out = tmp_path / "codes"
  assert prepare(out, f"--codec={codec_path}", "--inspect") == 0
  assert "open it in a browser" in capsys.readouterr().out
  assert "<audio" in (out / "inspect.html").read_text()
  assert prepare(out, "--inspect") == 1
  assert "pass that codec's weights" in capsys.readouterr().err


def of_folder(root, codec_path) -> list[str]:
  flags = ["--source=folder", f"--root={root}", f"--codec={codec_path}"]
  return [*flags, "--pairs=2", "--workers=0"]


def test_segments_are_as_long_as_the_longest_song(codec_path, tmp_path, capsys):
  root, out = tmp_path / "songs", tmp_path / "codes"
  for song, seconds in (("A", 3.0), ("B", 4.2)):
    for name in ("bass.wav", "drums.wav"):
      trees.sound(root / "train" / song / name, seconds=seconds)
  flags = of_folder(root, codec_path)
  assert prepare(out, *flags, "--dry_run") == 0
  assert "segments of 5 s, in which both" in capsys.readouterr().out
  assert prepare(out, *flags) == 0
  assert Manifest.load(out).segment_seconds == 5.0
  assert Manifest.load(out).counts["train"]["songs"] == 2
  # A longer song: the set stays as it is, unless that is asked for.
  for name in ("bass.wav", "drums.wav"):
    trees.sound(root / "train" / "C" / name, seconds=7)
  assert prepare(out, *flags) == 0
  manifest = Manifest.load(out)
  assert manifest.segment_seconds == 5.0
  assert manifest.counts["train"]["songs"] == 3
  assert prepare(out, *flags, "--segment_seconds=7") == 1
  assert "segment_seconds 5.0 there, 7.0 now" in capsys.readouterr().err


def test_empty_splits_are_reported_with_a_remedy(codec_path, tmp_path, capsys):
  root, out = tmp_path / "songs", tmp_path / "codes"
  for name in ("bass.wav", "drums.wav"):
    trees.sound(root / "train" / "A" / name)
  flags = of_folder(root, codec_path)
  for more in (["--dry_run"], []):
    assert prepare(out, *flags, *more) == 0
    warned = capsys.readouterr().err
    for split in ("valid", "test"):
      assert f"warning: nothing in the {split} split" in warned
      assert f"{root}/{split}, or a row SONG,,,,{split}" in warned
    assert "the train split" not in warned
  # One test song, which is too few, in a set that is then finished.
  for name in ("bass.wav", "drums.wav"):
    trees.sound(root / "test" / "B" / name, seconds=1.5)
  for last in (f"wrote {out}", f"{out} is finished: nothing to add"):
    assert prepare(out, *flags) == 0
    printed = capsys.readouterr()
    assert "only 1 test song: evaluate --data needs 2" in printed.err
    assert printed.out.splitlines()[-1] == last
    assert "this is far too little data for such a run" in printed.out
  assert prepare(tmp_path / "band", *small(codec_path)) == 0
  assert "give more --valid_songs" in capsys.readouterr().err


def test_a_dry_run_lists_songs_even_if_all_are_unusable(
  codec_path, tmp_path, capsys
):
  for song in ("A", "B"):
    trees.sound(tmp_path / "songs/train" / song / "bass.wav")
  flags = of_folder(tmp_path / "songs", codec_path)
  assert prepare(tmp_path / "codes", *flags, "--dry_run") == 1
  printed = capsys.readouterr()
  assert "B (train): bass.wav bass" in printed.out
  assert "too few stems      2      -  song left out" in printed.out
  assert "no song can be used" in printed.err


def test_unrecognized_names_are_reported(codec_path, tmp_path, capsys):
  for name in ("bass.wav", "take 7.wav"):
    trees.sound(tmp_path / "songs/train/A" / name)
  flags = of_folder(tmp_path / "songs", codec_path)
  for more in (["--dry_run"], []):
    assert prepare(tmp_path / "codes", *flags, *more) == 0
    printed = capsys.readouterr().out
    assert "unknown name      1      1  used as other" in printed
    assert "A/take 7.wav: states no known instrument" in printed


def test_another_published_codec_is_refused_before_it_is_fetched(
  codec_path, tmp_path, capsys, monkeypatch
):
  monkeypatch.setattr(weight_files, "find", lambda *_: pytest.fail("fetched"))
  out = tmp_path / "codes"
  assert prepare(out, *small(codec_path)) == 0
  given = "--codec=encodec_32khz"
  for more in ([], ["--dry_run"], ["--inspect"]):
    capsys.readouterr()
    assert prepare(out, *small(codec_path), given, *more) == 1
    assert "holds codes of codec 'untrained'" in capsys.readouterr().err


def test_songs_are_listed_once_and_their_codes_opened_once(
  codec_path, tmp_path, monkeypatch
):
  root, out = tmp_path / "songs", tmp_path / "codes"
  trees.folder(root, songs=2)
  flags = of_folder(root, codec_path)
  listed, opened = [], collections.Counter()
  songs, open_npz = Folder.songs, disk.open_npz

  def counted_songs(self):
    listed.append(self)
    return songs(self)

  def counted_open(path):
    opened[pathlib.Path(path).name] += 1
    return open_npz(path)

  monkeypatch.setattr(Folder, "songs", counted_songs)
  monkeypatch.setattr(disk, "open_npz", counted_open)
  # Prepared, planned, found finished.
  for more, opens in (([], 1), (["--dry_run"], 0), ([], 1)):
    listed.clear()
    opened.clear()
    assert prepare(out, *flags, *more) == 0
    assert len(listed) == 1
    names = {path.name for path in (out / "songs").iterdir()}
    wanted = dict.fromkeys(names, opens) if opens else {}
    assert opened == wanted


_LIGHT = """
import sys
from stemgen_jax import __main__ as command
command.main({arguments!r})
heavy = {{"jax", "torch", "scipy", "tensorflow_datasets"}} & set(sys.modules)
assert not heavy, heavy
"""


def test_help_and_mistakes_do_not_wait_for_heavy_packages(tmp_path):
  wrong = [
    ["--help"],
    [f"--out={tmp_path}/codes", "--pairs=0"],
    [f"--out={tmp_path}/codes", "--source=slakh", f"--root={tmp_path}"],
    [f"--out={tmp_path}/codes", "--codec=mp3"],
    [f"--out={tmp_path}/codes", f"--export_heldout={tmp_path}/heldout.npz"],
    [f"--out={tmp_path}/codes", "--inspect"],
  ]
  script = "\n".join(_LIGHT.format(arguments=["prepare", *x]) for x in wrong)
  done = subprocess.run(
    [sys.executable, "-c", script], capture_output=True, text=True, check=False
  )
  assert done.returncode == 0, done.stderr
  assert len(done.stderr.splitlines()) == len(wrong) - 1
