"""Files of answers, and their summary."""

import copy
import json

import listeners
import pytest

from stemgen_jax import recipes
from stemgen_jax.evaluation.studies import blind

SCORES = {"generated": 3, "real": 4, "random": 2, "silence": 1}


def rate(kind, scale):
  return SCORES[kind] + (scale == "harmony")


def write(path, answers):
  path.write_text(json.dumps(answers))
  return str(path)


@pytest.fixture
def key(made):
  """A key of six trials, three with harmony."""
  trials = [copy.deepcopy(made.key["trials"][n % 2]) for n in range(6)]
  for number, trial in enumerate(trials):
    trial["song"] = f"song {number}"
  return made.key | {"trials": trials}


@pytest.fixture
def out(key, tmp_path):
  (tmp_path / "key.json").write_text(json.dumps(recipes.sealed(key)))
  return tmp_path


def test_answers_are_summarized(out, key):
  first = listeners.answers(key, "a", rate)
  # A listener who likes all alike, and chooses the generated stem.
  second = listeners.answers(key, "b", lambda *_: 3, best="generated")
  files = [write(out / f"{x['listener']}.json", x) for x in (first, second)]
  result = blind.summarize(out, ",".join(files), 0)
  assert (result["listeners"], result["trials"]) == (2, 6)
  assert result["weights"] == "demo"
  ratings = result["ratings"]
  assert ratings["real"]["overall"]["mean"] == 3.5
  assert ratings["real"]["overall"]["answers"] == 12
  # Between both listeners; trials are alike.
  assert ratings["real"]["overall"]["low"] == 3
  assert ratings["real"]["overall"]["high"] == 4
  assert ratings["generated"]["harmony"]["mean"] == 3.5
  assert ratings["generated"]["harmony"]["answers"] == 6
  # Three trials with harmony are too few songs.
  assert ratings["generated"]["harmony"]["low"] is None
  assert result["best"]["real"]["mean"] == 0.5
  # By the ratings of one listener, and the choice of the other.
  assert result["preferred"]["random"]["mean"] == 1
  assert result["preferred"]["real"]["mean"] == 0.5
  text = blind.table(result)
  assert "listeners: 2, trials: 6 (6 synth_lead)" in text
  assert "groove 12, harmony 6, overall 12" in text
  assert "generated preferred to random" in text
  assert "fewer than 5 listeners" in text
  json.dumps(result, allow_nan=False)


def test_equal_stems_are_preferred_by_half(out, key):
  answers = listeners.answers(key, "a", lambda *_: 3, best="real")
  result = blind.summarize(out, write(out / "a.json", answers), 0)
  assert result["preferred"]["random"]["mean"] == 0.5
  assert result["preferred"]["real"]["mean"] == 0


def edited(key, edit):
  answers = listeners.answers(key, "a", rate)
  edit(answers)
  return answers


@pytest.mark.parametrize(
  ("edit", "message"),
  [
    (lambda x: x.update(test="other"), "answers to test other, expected "),
    (lambda x: x.pop("test"), "is not a file of answers: save"),
    (lambda x: x.pop("listener"), "is not a file of answers"),
    (lambda x: x["trials"].pop(), "is not a file of answers"),
    (lambda x: x.update(trials=5), "is not a file of answers"),
    (lambda x: x["trials"].__setitem__(0, 5), "is not a file of answers"),
    (
      lambda x: x["trials"][1].update(best=None),
      "5 of 6 trials are answered, expected all",
    ),
    (
      lambda x: [t["ratings"].popitem() for t in x["trials"][:4]],
      "2 of 6 trials are answered",
    ),
    (
      lambda x: next(iter(x["trials"][2]["ratings"].values())).pop("overall"),
      "5 of 6 trials are answered",
    ),
    (
      lambda x: next(iter(x["trials"][2]["ratings"].values())).update(
        overall=6
      ),
      "the answers to trial 3 are invalid; expected ratings from 1 to 5",
    ),
    (
      lambda x: next(iter(x["trials"][2]["ratings"].values())).update(
        groove=[]
      ),
      "the answers to trial 3 are invalid",
    ),
    (lambda x: x["trials"][0].update(best=["x"]), "trial 1 are invalid"),
    (lambda x: x["trials"][0].update(best="x"), "trial 1 are invalid"),
    (lambda x: x["trials"][0].update(ratings=3), "trial 1 are invalid"),
  ],
)
def test_other_files_are_refused_in_one_line(out, key, edit, message):
  path = write(out / "a.json", edited(key, edit))
  with pytest.raises(ValueError, match=message) as error:
    blind.summarize(out, path, 0)
  assert len(str(error.value).splitlines()) == 1


def test_each_listener_counts_once(out, key):
  path = write(out / "a.json", listeners.answers(key, "a", rate))
  with pytest.raises(ValueError, match="of the same listener"):
    blind.summarize(out, f"{path},{path}", 0)


def test_missing_files_are_reported(out, tmp_path):
  with pytest.raises(ValueError, match="--answers=,: expected files"):
    blind.summarize(out, ",", 0)
  with pytest.raises(FileNotFoundError, match=r"b\.json not found"):
    blind.summarize(out, "b.json", 0)
  with pytest.raises(FileNotFoundError, match="expected the key of the page"):
    blind.summarize(out / "elsewhere", "a.json", 0)
  text = (out / "key.json").read_text()
  (out / "key.json").write_text(text.replace("generated", "real"))
  with pytest.raises(ValueError, match="is corrupt"):
    blind.summarize(out, "a.json", 0)
  (out / "key.json").write_text("{}")
  with pytest.raises(ValueError, match="is not the key of a listening test"):
    blind.summarize(out, "a.json", 0)
