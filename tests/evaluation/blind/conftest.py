"""A page of two trials."""

import types

import pytest
from blind_subject import subject

from stemgen_jax.evaluation.blind import answers
from stemgen_jax.evaluation.studies import blind


@pytest.fixture(scope="session")
def made(tmp_path_factory):
  """Return the folder of a page with its key and its result."""
  out = tmp_path_factory.mktemp("blind")
  kinds = ("generated", "real", "random", "silence")
  result = blind.make(subject(out), kinds, {"weights": "w"})
  key = answers.read_key(out / "key.json")
  return types.SimpleNamespace(out=out, result=result, key=key)
