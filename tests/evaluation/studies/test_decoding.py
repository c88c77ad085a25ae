"""The decoding study, with an engine whose quality depends on its settings."""

import dataclasses
import json
import types
from typing import Any

import numpy as np
import pytest

from stemgen_jax import codec as codecs
from stemgen_jax.audio import Audio
from stemgen_jax.data.sources import band
from stemgen_jax.evaluation import measurement, protocol
from stemgen_jax.evaluation.features import Features
from stemgen_jax.evaluation.metrics import embeddings, intervals, mirdd
from stemgen_jax.evaluation.options import Options
from stemgen_jax.evaluation.reporting import (
  decoding_summary,
  decoding_table,
  summary,
)
from stemgen_jax.evaluation.studies import STUDIES, decoding, grid
from stemgen_jax.sampling import PRESETS, Settings, guidance

STYLE = band.Style(
  genres=("techno",), meters=("4/4",), categories=("bass", "synth_pad", "drums")
)
BAND = band.Band(seconds=4.0, style=STYLE)
GRID = {
  "good": Settings(steps=(4, 1, 1, 1)),
  "bad": Settings(steps=(1, 1, 1, 1)),
}


@dataclasses.dataclass
class Engine:
  """Returns the real stem for four steps, else the random one; by the codec."""

  codec: codecs.Codec
  examples: protocol.ExampleList
  config: types.SimpleNamespace = dataclasses.field(
    default_factory=lambda: types.SimpleNamespace(conditions=("category",))
  )
  calls: list = dataclasses.field(default_factory=list)
  settings: list = dataclasses.field(default_factory=list)

  def takes(self, context, stem, seeds, *, settings):
    example = next(
      example
      for example in map(self.examples.example, self.examples)
      if np.array_equal(example.context.samples, context.samples)
    )
    sound = example.real if settings.steps[0] == 4 else example.random_stem
    assert sound is not None
    sound = measurement.round_trip(self.codec, Features(sound))
    for seed in seeds:
      self.calls.append((settings.steps[0], example.number, seed))
      self.settings.append(settings)
      noise = np.random.default_rng(seed).normal(size=sound.samples.shape)
      yield types.SimpleNamespace(
        audio=Audio(
          (sound.samples + 1e-4 * noise).astype(np.float32), sound.sample_rate
        ),
        passes=sum(settings.steps),
        elapsed=0.5,
      )


@pytest.fixture(scope="module")
def engine():
  codec = codecs.load("demo")
  return Engine(codec, protocol.ExampleList(BAND, codec, 3.0, 0))


def run(engine, out, settings=None, describe=None):
  subject: Any = types.SimpleNamespace(
    engine=engine,
    examples=engine.examples,
    out=out,
    options=Options(examples=4, seeds=2),
    # Quality takes APA by the last; by the first all sounds are equal.
    embeddings={
      "constant": lambda sound: np.eye(3),
      "codec": embeddings.codec_latents(engine.codec),
    },
    describe=describe,
  )
  return decoding.evaluate(subject, settings or GRID, {"seed": 0})


@pytest.fixture(scope="module")
def found(engine, tmp_path_factory):
  out = tmp_path_factory.mktemp("decoding")
  return out, run(engine, out)


@pytest.fixture(scope="module")
def plain(found):
  return decoding_summary.summarize(found[1], "good")


def test_the_better_setting_has_the_better_figures(found, monkeypatch):
  monkeypatch.setattr(intervals, "FEWEST_SONGS", 3)
  result = decoding_summary.summarize(found[1], "good")
  good, bad = result["rows"]["good"], result["rows"]["bad"]
  assert (good["passes"], bad["passes"]) == (7, 4)
  assert bad["scores"]["rhythm"]["score"] == pytest.approx(0, abs=0.2)
  assert good["scores"]["rhythm"]["score"] > 0.8
  apa = [row["frechet"]["codec"]["apa_codes"] for row in (good, bad)]
  assert apa[0] > 0.9 > 0.1 > apa[1]
  assert good["quality"] > bad["quality"] + 0.5
  assert good["differences"]["rhythm"] == {"mean": 0, "low": 0, "high": 0}
  assert bad["differences"]["rhythm"]["mean"] < -0.5
  assert result["apa_by"] == "codec"
  table = decoding_table.table(result).splitlines()
  assert (
    "| APA | APA of codes | FAD constant | FAD codec | quality |" in table[0]
  )
  codes = [float(row.split("|")[6]) for row in table[2:8]]
  assert codes == pytest.approx([apa[0], apa[1], 1, 1, 0, 0], abs=0.2)
  assert [row.split("|")[1].strip() for row in table[2:8]] == [
    "good",
    "bad",
    "*real*",
    "*round trip*",
    "*random*",
    "*random codes*",
  ]


def test_results_are_kept_when_settings_are_added(found, engine):
  out, _ = found
  engine.calls.clear()
  third = Settings(steps=(4, 2, 1, 1), guidance={"context": 1, "category": 1})
  drawn = grid.Drawn(settings=third, guidance={"context": (1.0, 4.0)})
  more = GRID | {"third": drawn}
  again = run(engine, out, more)
  assert {steps for steps, _, _ in engine.calls} == {4}
  assert len(engine.calls) == 8  # four examples of two seeds, of one setting
  # Scales are those of the example, whatever its seed.
  scales = [one.guidance["context"] for one in engine.settings[-8:]]
  places = [number for _, number, _ in engine.calls]
  assert scales == [drawn.at(x, 0).guidance["context"] for x in places]
  assert len(set(scales)) == 4
  assert all(1 < x <= 4 for x in scales)
  assert {one.guidance["category"] for one in engine.settings[-8:]} == {1}
  assert set(again) == {"anchors", "good", "bad", "third"}
  with pytest.raises(ValueError, match="another --out"):
    run(engine, out, {"good": Settings(steps=(2, 1, 1, 1))})


def test_too_few_comparable_examples_are_reported_before_any_work(
  engine, tmp_path, monkeypatch
):
  example = engine.examples.example
  monkeypatch.setattr(
    engine.examples,
    "example",
    lambda place: dataclasses.replace(example(place), random_stem=None),
  )
  engine.calls.clear()
  with pytest.raises(
    ValueError, match="expected at least 2: give more --examples"
  ):
    run(engine, tmp_path)
  assert not engine.calls


def test_results_without_their_recipe_are_refused(found, engine):
  out, _ = found
  recipe = (out / "recipe.json").read_bytes()
  (out / "anchors").rename(out / "gone")
  (out / "recipe.json").unlink()
  try:
    with pytest.raises(ValueError, match=r"recipe\.json: not found, but"):
      run(engine, out)
  finally:
    (out / "gone").rename(out / "anchors")
    (out / "recipe.json").write_bytes(recipe)


def test_a_score_counts_for_at_most_1_in_quality(found, monkeypatch):
  monkeypatch.setattr(
    summary,
    "anchor_normalized",
    lambda figures, system, draws, *_: np.full(len(draws), 3.0),
  )
  for row in decoding_summary.summarize(found[1], "good")["rows"].values():
    assert row["scores"]["rhythm"]["score"] == 3
    apa = row["frechet"]["codec"]["apa_codes"]
    assert row["quality"] == pytest.approx((1 + 1 + apa) / 3, abs=1e-3)


def test_labels_do_not_overlap():
  points = [(48, 0.1), (44, 0.1), (48, 0.1), (12, 0.1), (48, 0.11), (48, 0.9)]
  places = decoding_table._label_places(points)
  sides = [side for _, side in places]
  assert sides == [1, -1, 1, 1, 1, 1]
  right = [height for (height, _), (n, _) in zip(places, points) if n == 48]
  line = 0.8 * decoding_table._LABEL
  assert right == pytest.approx([0.1, 0.1 + line, 0.1 + 2 * line, 0.9])


def test_the_plot(plain, tmp_path):
  path = tmp_path / "decoding.png"
  decoding_table.draw(path, plain)
  assert path.read_bytes().startswith(b"\x89PNG")


def test_mixes_are_described_on_request(plain, engine, tmp_path):
  def describe(sound):
    loud = float(np.abs(sound.samples).mean()) > 0
    return {name: [float(loud)] for name in mirdd.BINS}

  again = run(engine, tmp_path, describe=describe)
  result = decoding_summary.summarize(again, "good")
  assert result["anchors"]["real"]["mirdd"] == 0
  assert result["rows"]["bad"]["mirdd"] == pytest.approx(0)
  assert result["mirdd_floor"] == pytest.approx(0)
  table = decoding_table.table(result)
  assert "| MIRDD |" in table
  (floor,) = (x for x in table.splitlines() if x.startswith("| *other real"))
  assert floor.count("|") == table.splitlines()[0].count("|")
  # Without descriptors.
  assert plain["rows"]["good"]["mirdd"] is None
  assert "MIRDD" not in decoding_table.table(plain)


@pytest.mark.parametrize(
  ("text", "complaint"),
  [
    ("", r"has no get_settings\(\): expected decoding settings"),
    ("def get_settings(): return {}", "expected a dict"),
    ("def get_settings(): return {", "fails: SyntaxError"),
    ("def get_settings(): return lost", "NameError: name 'lost'"),
    ("def get_settings(): return {'a': 1}", "'a' is 1; expected Settings"),
    (
      "from stemgen_jax.sampling import Settings\n"
      "def get_settings(): return {'../a': Settings()}",
      "'../a' is not a valid name",
    ),
    (
      "from stemgen_jax.sampling import Settings\n"
      "def get_settings(): return {8: Settings()}",
      "8 is not a valid name",
    ),
  ],
)
def test_an_invalid_grid_is_named(tmp_path, text, complaint):
  path = tmp_path / "grid.py"
  path.write_text(text)
  with pytest.raises(ValueError, match=complaint):
    grid.load(str(path))


def test_settings_are_selected_and_get_other_steps():
  path = "configs/paper_slakh.py"
  found = grid.load(path, "both drawn, naive", "2,1")
  assert list(found) == ["both drawn", "naive"]
  drawn, naive = found.values()
  assert isinstance(drawn, grid.Drawn)
  assert isinstance(naive, Settings)
  assert drawn.settings.steps == naive.steps == (2, 1)
  with pytest.raises(ValueError, match="--only=best: 'best' is not in configs"):
    grid.load(path, "best")
  for steps in ("4,x", "0"):
    with pytest.raises(ValueError, match=f"--steps={steps}: expected whole"):
      grid.load(path, steps=steps)


def test_a_grid_has_values_of_flags(tmp_path):
  assert grid.options("configs/decoding.py") == {}
  path = tmp_path / "grid.py"
  path.write_text("def get_options(): return {'out': 'x'}")
  with pytest.raises(ValueError, match=r"returned {'out': 'x'}; expected a"):
    grid.options(str(path))


@pytest.mark.parametrize(
  ("name", "most"), [("decoding", 48), ("paper_slakh", 720)]
)
def test_the_grids_in_configs(name, most):
  from stemgen_jax import model
  from stemgen_jax.sampling import cost

  config = model.load_weights("demo").config
  settings = grid.load(f"configs/{name}.py").values()
  plain = [x.at(0, 0) if isinstance(x, grid.Drawn) else x for x in settings]
  assert max(cost.passes(one, config) for one in plain) == most
  # All settings are different.
  fields = [json.dumps(dataclasses.asdict(one)) for one in settings]
  assert len(set(fields)) == len(fields)


def test_the_protocol_of_the_paper():
  settings = grid.load("configs/paper_slakh.py")
  assert settings["both"] == PRESETS["paper"]
  for one in settings.values():
    plain = one.settings if isinstance(one, grid.Drawn) else one
    assert plain.steps == (128, 64, 32, 32)
    assert plain.rank == "paper"
  # Both readings of no guidance: eq. 3 at (1, 1), and the joint prediction.
  none, joint = settings["none"], settings["none joint"]
  assert isinstance(none, Settings)
  assert isinstance(joint, Settings)
  three = guidance.branches(none, ("category",))
  np.testing.assert_array_equal(three.keep, [[0, 0], [1, 0], [0, 1]])
  np.testing.assert_array_equal(three.weights, [-1, 1, 1])
  one = guidance.branches(joint, ("category",))
  np.testing.assert_array_equal(one.keep, [[1, 1]])
  options = grid.options("configs/paper_slakh.py")
  resolved = STUDIES["decoding"].resolve(Options(**options))
  assert (resolved.examples, resolved.seconds) == (400, 20)
  assert (resolved.seeds, resolved.mirdd) == (1, True)
