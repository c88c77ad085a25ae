"""Tests of the command, of curl, and of equal takes by all of them."""

import json
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import threading
import zipfile

import numpy as np
import pytest
import requests
import soundfile
from pcm_model import music
from serving import serving

from stemgen_jax import StemGen, audio, disk
from stemgen_jax.cli import dispatch
from stemgen_jax.generation import codes_file
from stemgen_jax.sampling import Settings
from stemgen_jax.session import Session
from stemgen_jax.session import takes as takes_lib

README = pathlib.Path(__file__).parents[2] / "stemgen_jax/studio/README.md"
ADDRESS = "http://127.0.0.1:8300"


def curl_commands():
  text = README.read_text(encoding="utf-8").replace("\\\n", " ")
  return re.findall(r"^ {4}(curl .*)$", text, flags=re.MULTILINE)


def test_curl_commands_of_the_readme_run(model, tmp_path):
  lines, answers = curl_commands(), []
  assert len(lines) >= 12
  audio.write(tmp_path / "my_mix.wav", music(1.0))
  with serving(tmp_path / "my_song", model) as client:
    for line in lines:
      assert ADDRESS in line
      line = line.replace("60", "1").replace(ADDRESS, client.url)
      done = subprocess.run(
        [*shlex.split(line), "--fail-with-body", "--silent", "--show-error"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
      )
      endless = line.endswith("/events")
      assert done.returncode == (28 if endless else 0), (line, done)
      answers.append(done.stdout)
      for job in client.get("/jobs"):
        assert client.wait(job["id"])["state"] == "done"
    _, bass = client.get("/song")["layers"]
  assert [clip["seed"] for clip in bass["clips"]] == [3, 4, 5]
  assert (bass["clip"], bass["gain_db"]) == (3, 0)
  assert json.loads(answers[-2]) == {
    "url": "/export/my_song-2.zip",
    "left_out": [],
  }
  assert zipfile.is_zipfile(tmp_path / "my_song.zip")
  assert soundfile.info(tmp_path / "bass.wav").duration == 1.0
  assert any(text.startswith("event: song\ndata: {") for text in answers)


@pytest.mark.processes
def test_the_command_serves_and_ends(tmp_path):
  command = [sys.executable, "-m", "stemgen_jax", "studio", "--port=0"]
  with subprocess.Popen(
    [*command, "--session=my_song"],
    cwd=tmp_path,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  ) as process:
    # A test that fails would wait for it.
    watch = threading.Timer(90, process.kill)
    watch.start()
    assert process.stdout
    (url,) = re.findall(r"studio of my_song: (\S+)", process.stdout.readline())
    found = requests.post(f"{url}/song", json={"loop": "drums"}, timeout=60)
    assert found.json()["loop"]
    settings = requests.get(f"{url}/settings", timeout=60).json()
    known = {x["category"] for x in settings["instruments"] if x["known"]}
    assert "bass" in known
    assert "organ" not in known
    # It waits for no page that is open.
    with requests.get(f"{url}/events", stream=True, timeout=60):
      process.send_signal(signal.SIGTERM)
      _, errors = process.communicate(timeout=60)
  watch.cancel()
  assert process.returncode == 128 + signal.SIGTERM
  assert errors == "stemgen-jax: stopped\n"
  assert Session.open(tmp_path / "my_song").song.loop


def test_flags_are_checked(tmp_path, monkeypatch, capsys):
  monkeypatch.chdir(tmp_path)
  pathlib.Path("novel").mkdir()
  pathlib.Path("novel", "chapter.txt").touch()
  for flag, message in (
    ("port=70000", "--port=70000: expected 0 to 65535"),
    ("port=http", "--port=http"),
    ("session=", "--session is missing"),
    ("session=novel", "novel has files: name a new folder"),
    ("weights=none", "--weights=none: no such file"),
  ):
    assert dispatch.main(["studio", "--port=0", f"--{flag}"]) == 1
    assert message in capsys.readouterr().err
  assert [path.name for path in tmp_path.iterdir()] == ["novel"]


def test_a_port_in_use_is_named(client, folder, capsys):
  port = client.url.rpartition(":")[2]
  other = folder.with_name("other")
  code = dispatch.main(["studio", f"--port={port}", f"--session={other}"])
  assert code == 1
  assert f"--port={port}: Address already in use" in capsys.readouterr().err
  assert not other.exists()


def test_command_python_and_http_give_the_same_takes(
  tmp_path, tiny, monkeypatch
):
  monkeypatch.chdir(tmp_path)
  monkeypatch.setattr(StemGen, "load", lambda *_, **__: tiny)
  monkeypatch.setattr(
    takes_lib, "fit_to", lambda context: lambda take: float(take.seed)
  )
  audio.write("mix.wav", music())
  guidance = {"context": (3.0,), "category": (1.5,)}
  settings = Settings(steps=(3, 2), guidance=guidance)

  few = "--steps=3,2 --settings.guidance.context=3"
  few += " --settings.guidance.category=1.5 --settings.guidance_ramp=1,1"
  for flags in (
    f"--context=mix.wav --add=bass --takes=2 --seed=3 {few} --keep=2",
    f"--add=piano {few}",
    "--vary=4 --share=0.5",
  ):
    words = ["layer", "--session=command", *flags.split()]
    assert dispatch.main(words) == 0

  session = Session.create("python", "mix.wav")
  session.generate(tiny, "bass", takes=2, seed=3, settings=settings)
  session.accept(2)
  session.generate(tiny, "piano", settings=settings)
  session.vary(tiny, 4, share=0.5)

  with serving(tmp_path / "http", tiny) as client:
    client.upload("/song", tmp_path / "mix.wav")
    numbers = {
      "steps": [3, 2],
      "guidance": {"context": [3.0], "category": [1.5]},
      "guidance_ramp": [1.0, 1.0],
    }
    bass = {"takes": 2, "seed": 3, "settings": numbers}
    client.wait(client.generate(**bass))
    client.post("/clips/2/accept")
    client.wait(client.generate(category="piano", settings=numbers))
    job = {"kind": "vary", "clip": 4, "share": 0.5}
    ended = client.wait(client.post("/jobs", job, 202)["id"])
    assert ended["error"] == ""

  words = f"--context=mix.wav --stem=bass --takes=2 --seed=3 {few}"
  assert dispatch.main(["generate", *words.split(), "--out=bass.wav"]) == 0

  expected = stored("python")
  assert len(expected) == 5
  for name in ("command", "http"):
    found = stored(name)
    assert found.keys() == expected.keys()
    for clip, (samples, codes, about) in found.items():
      np.testing.assert_array_equal(samples, expected[clip][0])
      np.testing.assert_array_equal(codes, expected[clip][1])
      assert about == expected[clip][2]
  for seed, clip in ((3, "0002-bass-seed3"), (4, "0003-bass-seed4")):
    path = pathlib.Path(f"bass-seed{seed}.wav")
    codes, about = codes_of(path)
    np.testing.assert_array_equal(codes, expected[clip][1])
    assert about == expected[clip][2][1]
    # Another format of file: rounded once more.
    found = soundfile.read(path, always_2d=True)[0]
    np.testing.assert_allclose(found, expected[clip][0], atol=3e-7)


def stored(folder):
  """Return samples, codes and metadata of the clips of a session."""
  found = {}
  for path in pathlib.Path(folder, "audio").glob("*.flac"):
    codes, about = None, [untimed(audio.read_metadata(path))]
    if codes_file.path_of(path).exists():
      codes, more = codes_of(path)
      about.append(more)
    found[path.stem] = soundfile.read(path, always_2d=True)[0], codes, about
  return found


def codes_of(path):
  """Return the codes of a take and its metadata, without elapsed times."""
  arrays = disk.read_npz(codes_file.path_of(path), "", described=("about",))
  return arrays["codes"], untimed(arrays["about"])


def untimed(about):
  """Return metadata without elapsed times."""
  about.get("encoded_context", {}).pop("encoding_seconds", None)
  for name in [x for x in about.get("cost", ()) if x.startswith("seconds")]:
    del about["cost"][name]
  return about
