"""Tests of jobs after another start of the server, and on a full disk."""

import contextlib
import json
import shutil

import pytest
from serving import clips, serving, until

from stemgen_jax import disk
from stemgen_jax.studio.errors import ConflictError

# Random codes have a mean.
pytestmark = pytest.mark.filterwarnings("ignore:the context has a DC offset")
STEPS = 5  # of a take
NOTHING = {"seconds": 0.5, "sample_rate": 8000, "channels": 1}


@pytest.mark.parametrize("killed", [False, True])
def test_jobs_continue_at_the_next_start(
  killed, folder, model, steps, tmp_path
):
  steps.hold()
  with serving(folder, model) as client:
    client.post("/song", NOTHING)
    first = client.generate(takes=3, seed=6)
    second = client.generate(category="piano")
    gone = client.generate(category="drums")
    client.call("DELETE", f"/jobs/{gone}")
    steps.release(STEPS + 2)
    until(lambda: client.get(f"/jobs/{first}")["done"] == 1)
    before = client.get("/jobs")
    # What a process that is killed now leaves.
    shutil.copytree(folder, tmp_path / "killed")
    steps.release(1)
  steps.free()
  with serving(tmp_path / "killed" if killed else folder, model) as client:
    assert client.wait(first)["done"] == 3
    assert client.wait(second)["state"] == "done"
    assert [job["id"] for job in client.get("/jobs")] == [
      job["id"] for job in before
    ]
    assert client.get(f"/jobs/{gone}")["state"] == "cancelled"
    bass, _ = client.get("/song")["layers"]
    assert [clip["seed"] for clip in bass["clips"]] == [6, 7, 8]
    assert client.wait(client.generate(category="organ"))["done"] == 1


def test_the_take_that_a_killed_process_did_not_note_is_found(
  folder, model, steps
):
  with serving(folder, model) as client:
    client.post("/song", NOTHING)
    id = client.generate(takes=2, seed=6)
    client.wait(id)
  noted = (folder / "studio.json").read_text()
  noted = noted.replace('"done"', '"running"')
  noted = noted.replace(
    '"clips": [\n        1,\n        2\n      ]', '"clips": []'
  )
  (folder / "studio.json").write_text(noted.replace('"bass",', '"",', 1))
  with serving(folder, model) as client:
    assert client.wait(id)["clips"] == [1, 2]
    assert clips(client) == [[1, 2]]


def test_a_corrupt_file_of_jobs_is_named(folder, model):
  with serving(folder, model) as client:
    client.post("/song", NOTHING)
  (folder / "studio.json").write_text('{"format": 1, "song_id": "a"}')
  with pytest.raises(ValueError, match=r"studio\.json is corrupt .*delete it"):
    serving(folder, model).__enter__()
  (folder / "studio.json").unlink()
  with serving(folder, model) as client:
    assert client.get("/song")["started"]


@pytest.fixture
def full_disk(monkeypatch):
  """Refuse to write the file of the jobs, within a block."""
  write = disk.write_json

  @contextlib.contextmanager
  def full(passed=0):
    writes = iter(range(passed))

    def failing(path, value):
      if path.name == "studio.json" and next(writes, None) is None:
        raise OSError(28, "No space left on device")
      write(path, value)

    with monkeypatch.context() as patched:
      patched.setattr(disk, "write_json", failing)
      yield

  return full


def test_a_full_disk_ends_one_job_and_not_the_queue(started, full_disk):
  with full_disk(passed=1):
    job = started.wait(started.generate())
  assert (job["state"], "No space left" in job["error"]) == ("failed", True)
  job = {"kind": "generate", "category": "bass"}
  with full_disk():
    assert "No space left" in started.post("/jobs", job, 500)["error"]
  assert len(started.get("/jobs")) == 1
  assert started.wait(started.generate())["state"] == "done"


def test_a_start_on_a_full_disk_is_repeated(client, full_disk):
  with full_disk():
    assert "No space left" in client.post("/song", NOTHING, 500)["error"]
  song = client.post("/song", NOTHING)
  assert (song["started"], song["name"]) == (True, "song")


@pytest.mark.parametrize(
  "jobs",
  [
    [
      {"kind": "vary", "clip": 1},
      {"kind": "regenerate", "clip": 1, "regions": [[0.1, 0.3]]},
      {"kind": "refresh", "layer": "piano"},
    ],
    [{"kind": "extend", "seconds": 0.8}],
  ],
)
def test_a_job_whose_end_was_not_noted_is_not_repeated(jobs, folder, model):
  with serving(folder, model) as client:
    client.post("/song", NOTHING)
    ids = []
    for number, category in enumerate(("bass", "piano"), 1):
      ids.append(client.generate(category=category, seed=1))
      client.wait(ids[-1])
      client.post(f"/clips/{number}/accept")
    client.call("PATCH", "/layers/bass", json={"gain_db": -1.0})
    ids += [client.post("/jobs", job, 202)["id"] for job in jobs]
    clips = [client.wait(id)["clips"] for id in ids]
    song = client.get("/song")
  stored = json.loads((folder / "studio.json").read_text())
  for job in stored["jobs"][2:]:
    job |= {"state": "running", "clips": []}
  disk.write_json(folder / "studio.json", stored)
  with serving(folder, model) as client:
    ended = [client.wait(id) for id in ids]
    assert [(x["state"], x["clips"]) for x in ended] == [
      ("done", numbers) for numbers in clips
    ]
    assert client.get("/song") == song


def test_seeds_of_discarded_takes_are_not_repeated(folder, model, steps):
  steps.hold()
  with serving(folder, model) as client:
    client.post("/song", NOTHING)
    id = client.generate(takes=3, seed=6)
    steps.release(2 * STEPS + 1)
    until(lambda: client.get(f"/jobs/{id}")["done"] == 2)
    client.call("DELETE", "/clips/1")
    steps.release(1)
  steps.free()
  with serving(folder, model) as client:
    assert client.wait(id)["clips"] == [1, 2, 3]
    (bass,) = client.get("/song")["layers"]
    assert [clip["seed"] for clip in bass["clips"]] == [7, 8]


def test_the_queue_of_a_closed_song_takes_no_job(started):
  started.wait(started.generate())
  queue = started.studio.song.queue
  started.post("/song/close")
  with pytest.raises(ConflictError, match="closed meanwhile"):
    queue.add(queue.jobs()[0].request)
