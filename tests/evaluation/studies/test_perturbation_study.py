"""The perturbation study on two short songs, and its tables."""

import json
import types
from typing import Any

import numpy as np
import pytest

from stemgen_jax import codec as codecs
from stemgen_jax.data.sources import band
from stemgen_jax.data.sources.folder import Folder
from stemgen_jax.evaluation import perturbations, protocol
from stemgen_jax.evaluation.baselines import BASELINES
from stemgen_jax.evaluation.figures import FIGURES
from stemgen_jax.evaluation.measurement import Measurements
from stemgen_jax.evaluation.options import Options
from stemgen_jax.evaluation.studies import perturbation

BAND = band.Band(
  seconds=5.0,
  test=2,
  style=band.Style(
    genres=("techno",), meters=("4/4",), categories=("bass", "synth_pad")
  ),
)


def subject(out, source: Any = BAND, songs=2) -> Any:
  codec = codecs.load("demo")
  return types.SimpleNamespace(
    source=source,
    codec=codec,
    examples=protocol.ExampleList(BAND, codec, 4.0, 0),
    identity={"seed": 0},
    options=Options(songs=songs),
    out=out,
    check_weights=lambda: None,
  )


def test_a_real_stem_falls_and_results_are_kept(tmp_path, monkeypatch):
  few = ["unchanged", "transposed +1", "late by 1/8"]
  monkeypatch.setattr(perturbations, "names", lambda *, pitched: few)
  result = perturbation.run(subject(tmp_path))
  assert (result["examples"], result["songs"]) == (2, 2)
  changes = result["changes"]
  for figure in ("chord_tone_share", "chroma_agreement"):
    assert changes[figure]["transposed +1"]["mean"] < -0.2
    assert changes[figure]["transposed +1, codec"]["mean"] < -0.2
  assert changes["metrical_phase"]["late by 1/8"]["mean"] <= 0
  assert changes["beat_f1"]["transposed +1"]["mean"] > -0.2
  assert changes["coherence"]["transposed +1"]["mean"] < -1
  assert set(BASELINES) < set(result["figures"]["beat_f1"])
  json.dumps(result, allow_nan=False)
  # A second run measures nothing.
  monkeypatch.setattr(perturbation, "measure", None)
  assert perturbation.run(subject(tmp_path)) == result


def test_other_songs_are_refused(tmp_path):
  other: Any = types.SimpleNamespace(name=Folder.__name__)
  with pytest.raises(ValueError, match="cannot be rendered again"):
    perturbation.run(subject(tmp_path, other))
  with pytest.raises(ValueError, match="--songs=3: band-0 has 2 test songs"):
    perturbation.run(subject(tmp_path, songs=3))
  assert not list(tmp_path.iterdir())


def test_figures_that_do_not_fall_are_named(tmp_path):
  names = perturbations.names(pitched=True)
  stems = [*names, *(name + perturbation.CODED for name in names)]

  def values(name):
    found = dict.fromkeys(FIGURES, 0.5 if "transposed" in name else 0.9)
    found |= {"beat_f1": 0.7, "key_agreement": float(name[0] == "u")}
    return found | {"root_on_change": float("nan")}  # no basses

  measured = [
    Measurements(
      about={"song": str(number)},
      figures={name: values(name) for name in stems},
      embeddings={},
      descriptors={},
    )
    for number in range(6)
  ]
  result = perturbation.summarize(measured)
  assert result["unmoved"]["beat_f1"] == names[1:]
  assert result["unmoved"]["key_agreement"] == []
  table = perturbation.table(result)
  assert "**beat_f1 does not fall under any perturbation.**" in table
  assert "root_on_change was not measured" in table
  assert (
    "- grid_agreement does not fall: late (all), stretched (all), chords a bar "
    "late, level (all)." in table
  )
  assert "| transposed +1 | 0.70 (0.70) | 0.50 * (0.50) |" in table
  perturbation.write(types.SimpleNamespace(out=tmp_path), result)  # pyright: ignore[reportArgumentType]
  assert (tmp_path / "perturbation.md").read_text() == table + "\n"
  assert (tmp_path / "perturbation.png").read_bytes().startswith(b"\x89PNG")
  assert np.isfinite(result["changes"]["beat_f1"]["late by 1/8"]["mean"])
