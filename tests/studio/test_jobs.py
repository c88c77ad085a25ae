"""Tests of the queue: order, progress, cancelling, and errors."""

import threading

import pytest
from serving import PATIENCE, clips, serving, until

from stemgen_jax import StemGen

# Random codes have a mean.
pytestmark = pytest.mark.filterwarnings("ignore:the context has a DC offset")
STEPS = 5  # of a take
NOTHING = {"seconds": 0.5, "sample_rate": 8000, "channels": 1}


def test_takes_appear_as_they_are_finished(started, steps):
  steps.hold()
  id = started.generate(takes=2)
  steps.release(STEPS + 2)
  until(lambda: steps.taken == STEPS + 2)
  until(lambda: started.get(f"/jobs/{id}")["progress"] == 0.7)
  job = started.get(f"/jobs/{id}")
  assert (job["state"], job["stage"]) == ("running", "sampling")
  assert (job["done"], job["takes"], job["layer"]) == (1, 2, "bass")
  assert job["seconds_left"] >= 0
  assert clips(started) == [[1], [2]]
  # The song can be changed meanwhile.
  assert started.post("/clips/2/accept")["layers"][1]["clip"] == 2
  steps.free()
  job = started.wait(id)
  assert (job["state"], job["progress"], job["clips"]) == ("done", 1, [2, 3])
  assert job["seconds_left"] is None


def test_a_running_job_stops_at_its_next_step(started, steps):
  steps.hold()
  first, second, third = (
    started.generate(category=name) for name in ("bass", "piano", "drums")
  )
  steps.release(2)
  until(lambda: steps.taken == 2)
  states = {job["id"]: job["state"] for job in started.get("/jobs")}
  assert states == {first: "running", second: "queued", third: "queued"}
  # That which waits, and then that which runs.
  for id in (second, first):
    job = started.call("DELETE", f"/jobs/{id}").json()
    assert (job["state"], job["done"]) == ("cancelled", 0)
  steps.release(1)  # it waits in this one
  until(lambda: started.get(f"/jobs/{third}")["state"] == "running")
  assert steps.taken == 3
  steps.free()
  assert started.wait(third)["clips"] == [2]
  assert [layer["name"] for layer in started.get("/song")["layers"]] == [
    "mix",
    "drums",
  ]
  assert started.wait(first)["state"] == "cancelled"
  # The end of another one changes nothing.
  assert started.call("DELETE", f"/jobs/{third}").json()["state"] == "done"
  started.call("DELETE", "/jobs/another", 404)


def test_finished_takes_of_a_cancelled_job_stay(started, steps):
  steps.hold()
  id = started.generate(takes=3)
  steps.release(STEPS + 1)
  until(lambda: steps.taken == STEPS + 1)
  started.call("DELETE", f"/jobs/{id}")
  steps.free()
  assert started.wait(started.generate(category="piano"))["clips"] == [3]
  assert clips(started) == [[1], [2], [3]]
  assert started.wait(id)["clips"] == [2]


def test_takes_are_varied_redone_refreshed_and_extended(started):
  started.wait(started.generate(seed=1))
  started.post("/clips/2/accept")
  refresh = {"kind": "refresh", "layer": "bass"}
  error = started.post("/jobs", refresh, 400)["error"]
  assert error.startswith("bass is not stale")
  started.call("PATCH", "/layers/mix", json={"gain_db": -1.0})
  jobs = [
    {"kind": "vary", "clip": 2, "share": 0.4},
    {"kind": "regenerate", "clip": 2, "regions": [[0.1, 0.3]], "seed": 9},
    refresh,
    {"kind": "extend", "seconds": 0.8},
  ]
  ended = [started.wait(started.post("/jobs", job, 202)["id"]) for job in jobs]
  assert [job["error"] for job in ended] == [""] * 4
  assert [job["clips"] for job in ended] == [[3], [4], [5], []]
  assert [job["title"] for job in ended] == [
    "Variation of take 2",
    "0.1-0.3 s of take 2",
    "Bass again",
    "Song of 0.8 s",
  ]
  song = started.get("/song")
  assert song["seconds"] == 0.8
  assert song["layers"][1]["clip"] == 7
  song = started.post("/undo")
  origins = [clip["origin"] for clip in song["layers"][1]["clips"]]
  assert origins == [
    "",
    "40 % of take 2 varied",
    "regenerated 0.10-0.30 s of take 2",
    "",
  ]
  assert song["layers"][1]["clips"][2]["seed"] == 9
  assert song["layers"][1]["clip"] == 5


@pytest.mark.parametrize(
  ("job", "status", "message"),
  [
    ({}, 422, "Unable to extract tag using discriminator 'kind'"),
    ({"kind": "sing"}, 422, "'sing' found using 'kind'"),
    ({"kind": "generate", "category": "basz"}, 400, "did you mean bass"),
    ({"kind": "generate", "category": "bass", "takes": 21}, 422, "takes"),
    ({"kind": "generate", "category": "bass", "seed": 2**32}, 422, "seed"),
    ({"kind": "generate", "category": "bass", "more": 1}, 422, "more"),
    ({"kind": "generate", "category": "bass", "layer": "x"}, 404, "no layer"),
    ({"kind": "generate", "category": "bass", "layer": "mix"}, 400, "'mix'"),
    ({"kind": "generate", "category": "bass", "preset": "x"}, 400, "paper"),
    ({"kind": "vary", "clip": 1}, 400, "your own audio"),
    ({"kind": "vary", "clip": 7}, 404, "no take 7"),
    ({"kind": "regenerate", "clip": 2, "regions": [[0.3, 0.2]]}, 400, "region"),
    ({"kind": "regenerate", "clip": 2, "regions": []}, 422, "regions"),
    ({"kind": "refresh", "layer": "bass"}, 400, "no generated take"),
    ({"kind": "extend", "seconds": 0.5}, 400, "expected more than 0.50"),
    ({"kind": "extend", "seconds": 601}, 422, "less than or equal to 600"),
  ],
)
def test_jobs_that_would_fail_are_refused(started, job, status, message):
  if job.get("clip") == 2 or job.get("layer") == "bass":
    started.wait(started.generate())
  before = len(started.get("/jobs"))
  assert message in started.post("/jobs", job, status)["error"]
  assert len(started.get("/jobs")) == before


@pytest.mark.parametrize(
  ("settings", "message"),
  [
    ({"loudness": 3}, "unknown setting 'loudness'"),
    ({"steps": "x"}, "steps"),
    ({"steps": [0]}, "steps"),
    ({"steps": [1001]}, "steps (1001,): expected at most 1000"),
    ({"steps": [[3]]}, "setting [[3]]"),
    ({"steps": [3] * 17}, "at most 16 numbers"),
    ({"temperature": 10**400}, "temperature"),
    ({"temperature": {"a": 1}}, "setting {'a': 1}"),
    ({"temperature": True}, "setting True"),
    ({"guidance": 3}, "guidance: expected scales"),
    ({"guidance": {"audio": 3}}, "guidance of 'audio'"),
    ({"guidance": {"role": 3}}, "guidance of 'role'"),
    ({"guidance": {"context": "x"}}, "context"),
  ],
)
def test_settings_are_checked(started, settings, message):
  job = {"kind": "generate", "category": "bass", "settings": settings}
  assert message in started.post("/jobs", job, 400)["error"]


def test_a_job_that_fails_ends_no_other(started, monkeypatch):
  run = StemGen.run

  def failing(self, request):
    if request.stem == "piano":
      raise ValueError("no piano\nhere")
    if request.stem == "organ":
      raise KeyError("a bug")
    return run(self, request)

  monkeypatch.setattr(StemGen, "run", failing)
  ids = [started.generate(category=x) for x in ("piano", "organ", "bass")]
  failed, bug, done = map(started.wait, ids)
  assert (failed["state"], failed["error"]) == ("failed", "no piano here")
  assert "this is a bug in stemgen-jax (KeyError" in bug["error"]
  assert done["state"] == "done"


def test_jobs_wait_for_the_model_and_name_its_errors(folder, monkeypatch):
  def load():
    raise FileNotFoundError("weights: no such file")

  with serving(folder, None) as client:
    client.studio.loading._load = load
    client.studio.loading._model = None
    client.studio.loading._run()
    assert client.get("/settings")["model"] == "weights: no such file"
    client.post("/song", NOTHING)
    job = client.wait(client.generate())
  assert job["error"] == (
    "the model could not be loaded: weights: no such file"
  )


def test_jobs_wait_while_the_model_is_prepared(folder, model):
  warmed = threading.Event()

  def warm(_):
    warmed.wait(PATIENCE)

  with serving(folder, model, warm=warm) as client:
    client.post("/song", NOTHING)
    first, second = client.generate(), client.generate(category="piano")
    stages = ("preparing", "compiling, once per machine")
    until(lambda: client.get(f"/jobs/{first}")["stage"] in stages)
    client.call("DELETE", f"/jobs/{first}")
    assert client.wait(second, "running")["state"] == "running"
    warmed.set()
    assert client.wait(second)["state"] == "done"


def test_events_show_progress_and_a_heartbeat(started, steps, monkeypatch):
  from stemgen_jax.studio import events

  monkeypatch.setattr(events, "_HEARTBEAT", 0.05)
  steps.hold()
  with started.events() as stream:
    assert [next(stream)[0] for _ in range(2)] == ["song", "jobs"]
    assert next(value for name, value in stream if not name) == ": heartbeat"
    started.generate()
    steps.release(1)
    states = [value for name, value in stream_until(stream, 0.2)]
    assert states[-1][0]["stage"] == "sampling"
  steps.free()


def stream_until(stream, progress):
  """Yield the events of jobs until one has some progress."""
  for name, value in stream:
    if name == "jobs" and value:
      yield name, value
      if value[0]["progress"] >= progress:
        return


def test_too_many_jobs_are_refused(started, steps, monkeypatch):
  from stemgen_jax.studio import jobs

  monkeypatch.setattr(jobs, "_MOST_WAITING", 2)
  monkeypatch.setattr(jobs, "_MOST_ENDED", 1)
  steps.hold()
  ids = [started.generate(), started.generate()]
  started.wait(ids[0], "running")
  job = {"kind": "generate", "category": "bass"}
  assert "2 jobs wait" in started.post("/jobs", job, 409)["error"]
  for id in ids:
    started.call("DELETE", f"/jobs/{id}")
  ids.append(started.generate())
  # The first one has not stopped yet.
  assert [job["id"] for job in started.get("/jobs")] == ids
  steps.free()
  started.wait(ids[2])
  ids.append(started.generate())
  assert [job["id"] for job in started.get("/jobs")] == ids[2:]


def test_settings_of_an_edit_differ_from_those_of_the_take(started):
  started.wait(started.generate(settings={"steps": [3, 2], "top_p": 0.7}))
  job = {"kind": "vary", "clip": 2, "settings": {"steps": [2]}}
  assert started.wait(started.post("/jobs", job, 202)["id"])["clips"] == [3]
  settings = started.studio.song.session.take(3).settings
  assert (settings.steps, settings.top_p) == ((2,), 0.7)
