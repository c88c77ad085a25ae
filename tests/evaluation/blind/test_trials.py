"""Trials do not reveal the kinds of their stems."""

import base64
import html.parser
import io
import json

import numpy as np
import pytest
import soundfile
from blind_subject import Engine, Examples, subject

from stemgen_jax import audio
from stemgen_jax.evaluation.blind import answers, trials
from stemgen_jax.evaluation.studies import blind


class Data(html.parser.HTMLParser):
  """The data of the page, and its links to other files."""

  text, links, _inside = "", (), False

  def handle_starttag(self, tag, attrs):
    self._inside = ("id", "test") in attrs
    self.links += tuple(x for x, _ in attrs if x in ("src", "href"))

  def handle_endtag(self, tag):
    self._inside = False

  def handle_data(self, data):
    self.text += data if self._inside else ""


def page_of(out):
  data = Data()
  data.feed((out / "listening_test.html").read_text())
  return data.links, json.loads(data.text)


def test_the_page_has_no_kinds_and_no_songs(made):
  links, page = page_of(made.out)
  assert not links
  assert page["test"] == made.key["test"] == made.result["test"]
  for trial, key in zip(page["trials"], made.key["trials"]):
    assert trial.keys() == (
      {"instrument", "harmony", "seconds", "context", "versions"}
    )
    names = [x["name"] for x in trial["versions"]]
    assert names == list(key["versions"])
    assert len({len(x["sound"]) for x in trial["versions"]}) == 1
    assert all(x.keys() == {"name", "sound"} for x in trial["versions"])
  assert [x["song"] for x in made.key["trials"]] == ["secret 1", "secret 2"]
  assert [x["harmony"] for x in page["trials"]] == [True, False]
  assert page["trials"][0]["instrument"] == "synth lead"


def test_every_kind_is_at_every_position(tmp_path, monkeypatch):
  monkeypatch.setattr(Examples, "__iter__", lambda self: iter(range(1, 7)))
  kinds = ("generated", "real", "random")
  orders = {}
  for seed in range(2):
    of_seed = subject(tmp_path / str(seed), count=6, seed=seed)
    blind.make(of_seed, kinds, {"weights": "w"})
    key = answers.read_key(of_seed.out / "key.json")
    orders[seed] = [list(x["versions"].values()) for x in key["trials"]]
    for block in (orders[seed][:3], orders[seed][3:]):
      assert all(sorted(position) == sorted(kinds) for position in zip(*block))
  assert orders[0] != orders[1]


def test_versions_have_one_length_and_loudness(made):
  _, page = page_of(made.out)
  for trial, key in zip(page["trials"], made.key["trials"]):
    decoded, rate = {}, 0
    for version in trial["versions"]:
      samples, rate = soundfile.read(
        io.BytesIO(base64.b64decode(version["sound"])), always_2d=True
      )
      decoded[key["versions"][version["name"]]] = samples
    assert len({len(x) for x in decoded.values()}) == 1
    levels = {kind: audio.loudness_db(x, rate) for kind, x in decoded.items()}
    silent = levels.pop("silence")
    assert all(abs(x - audio.REFERENCE_DB) < 3 for x in levels.values())
    assert silent < min(levels.values()) - 2


def test_stems_get_the_loudness_of_the_real_one():
  example = Examples().example(1)
  stems = {"real": example.real, "random": example.random_stem}
  context, mixes = trials.leveled(example, stems)
  middle = slice(1000, 3000)
  levels = [
    audio.rms_db((mix.samples - context.samples)[middle])
    for mix in mixes.values()
  ]
  assert levels[0] == pytest.approx(levels[1], abs=0.3)
  assert not context.samples[[0, -1]].any()  # no click where it repeats


def test_loud_mixes_do_not_clip():
  example = Examples().example(1)
  example.context.samples[2000] = 20.0
  _, mixes = trials.leveled(example, {"real": example.real})
  assert np.abs(mixes["real"].samples).max() <= audio.CEILING + 1e-6


def test_it_resumes_and_refuses_another_test(made):
  engine = Engine()
  before = (made.out / "listening_test.html").read_bytes()
  again = subject(made.out, engine=engine)
  kinds = tuple(made.result["kinds"])
  assert blind.make(again, kinds, {"weights": "w"}) == made.result
  assert engine.calls == 0
  assert (made.out / "listening_test.html").read_bytes() == before
  with pytest.raises(ValueError, match="kinds"):
    blind.make(again, kinds[:3], {"weights": "w"})


def test_a_silent_stem_is_not_mistaken_for_the_anchor(tmp_path):
  silent = subject(tmp_path, count=1, engine=Engine(gain=0.0))
  kinds = ("generated", "real", "random", "silence")
  blind.make(silent, kinds, {"weights": "w"})
  _, page = page_of(tmp_path)
  sounds = [x["sound"] for x in page["trials"][0]["versions"]]
  assert len(set(sounds)) == 3  # two are the context
  (trial,) = answers.read_key(tmp_path / "key.json")["trials"]
  assert sorted(trial["versions"].values()) == sorted(kinds)


def test_examples_without_a_random_stem_do_not_suffice(tmp_path, monkeypatch):
  monkeypatch.setattr(Examples, "__iter__", lambda self: iter([0] * 300))
  with pytest.raises(ValueError, match="--examples=2: 0 examples have a stem"):
    blind.make(subject(tmp_path), ("generated", "real", "random"), {})


def test_anchors(tmp_path):
  assert trials.kinds("") == trials.kinds(None) == tuple(trials.KINDS)
  kinds = trials.kinds("original, drone,metronome")
  assert kinds[3:] == ("original", "drone", "metronome")
  example = Examples().example(1)
  stems = trials.stems(subject(tmp_path), example, kinds)
  assert tuple(stems) == kinds
  assert stems["original"] is example.real
