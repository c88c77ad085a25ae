"""The interface of studies, and the subject that they share."""

import dataclasses
import sys
import types
from typing import Any

import pytest

from stemgen_jax import model
from stemgen_jax.evaluation import subject as subject_lib
from stemgen_jax.evaluation.options import Options
from stemgen_jax.evaluation.studies import STUDIES
from stemgen_jax.evaluation.study import Study
from stemgen_jax.evaluation.subject import Subject


def test_flags_and_defaults_of_studies_are_options():
  fields = {field.name for field in dataclasses.fields(Options)}
  # Every study takes these.
  flags = set().union(*(study.flags for study in STUDIES.values()))
  assert flags == fields - {"out", "weights", "seed"}
  for study in STUDIES.values():
    assert {*study.defaults, *study.required} <= set(study.flags)


def test_defaults_fill_in_what_is_not_given():
  study = STUDIES["all"]
  assert study.resolve(Options()).examples == 400
  options = study.resolve(Options(examples=40, mirdd=False))
  assert (options.examples, options.mirdd) == (40, False)
  with pytest.raises(ValueError, match="--seconds=61: expected 2 to 60"):
    study.resolve(Options(seconds=61.0))


def test_a_study_is_a_module_and_an_entry(monkeypatch, tmp_path):
  name = "stemgen_jax.evaluation.studies.counting"
  module: Any = types.ModuleType(name)
  module.run = lambda subject: {"examples": subject.options.examples}
  module.table = lambda result: f"{result['examples']} examples"
  monkeypatch.setitem(sys.modules, name, module)
  study = Study(name="counting", flags=("examples",), defaults={"examples": 3})
  subject = study.prepare(study.resolve(Options(out=str(tmp_path))))
  assert isinstance(subject, Subject)
  result = study.load().run(subject)
  assert study.load().table(result) == "3 examples"
  assert not list(tmp_path.iterdir())


def test_weights_load_once(monkeypatch):
  calls = []
  config = model.ModelConfig(levels=1, codes=8)

  def load(*arguments, **options):
    calls.append((arguments, options.get("codec_backend")))
    return types.SimpleNamespace(config=config, params={}, metadata={})

  monkeypatch.setattr(subject_lib.StemGen, "load", load)
  monkeypatch.setattr(model, "load_weights", load)
  with_engine = Subject(Options(codec_backend="transformers"))
  assert with_engine.engine.config == with_engine.weights.config == config
  assert calls == [(("demo",), "transformers")]
  # Without an engine, only the weights are loaded.
  alone = Subject(Options())
  assert alone.weights is alone.weights
  assert len(calls) == 2
