"""Settings compared, with a player whose skill is in its settings."""

import dataclasses
import json
import types

import numpy as np
import pytest

from stemgen_jax import codec as codecs
from stemgen_jax.audio import Audio
from stemgen_jax.data.sources import band
from stemgen_jax.evaluation import protocol
from stemgen_jax.evaluation.metrics import embeddings, intervals, mirdd
from stemgen_jax.evaluation.reporting import decoding_table, summary
from stemgen_jax.evaluation.studies import decoding, full, grid
from stemgen_jax.sampling import Settings

STYLE = band.Style(
  genres=("techno",), meters=("4/4",), categories=("bass", "synth_pad", "drums")
)
BAND = band.Band(seconds=4.0, style=STYLE)
GRID = {
  "good": Settings(steps=(4, 1, 1, 1)),
  "bad": Settings(steps=(1, 1, 1, 1)),
}


@dataclasses.dataclass
class Player:
  """With four steps it plays the real stem's codes, with one the stranger's."""

  codec: codecs.Codec
  examples: protocol.ExampleList
  config: types.SimpleNamespace = dataclasses.field(
    default_factory=lambda: types.SimpleNamespace(conditions=("category",))
  )
  played: list = dataclasses.field(default_factory=list)

  def takes(self, context, stem, seeds, *, settings):
    example = next(
      example
      for example in map(self.examples.example, self.examples)
      if np.array_equal(example.context.samples, context.samples)
    )
    sound = example.real if settings.steps[0] == 4 else example.stranger
    assert sound is not None
    sound = full.round_trip(self.codec, sound)
    for seed in seeds:
      self.played.append((settings.steps[0], example.number, seed))
      noise = np.random.default_rng(seed).normal(size=sound.samples.shape)
      yield types.SimpleNamespace(
        audio=Audio(
          (sound.samples + 1e-4 * noise).astype(np.float32), sound.sample_rate
        ),
        passes=sum(settings.steps),
        elapsed=0.5,
      )


@pytest.fixture(scope="module")
def player():
  codec = codecs.load("demo")
  return Player(codec, protocol.ExampleList(BAND, codec, 3.0, 0))


def run(player, out, settings=None, describe=None):
  return decoding.run(
    player,
    player.examples,
    out,
    settings or GRID,
    count=4,
    seeds=range(2),
    recipe={"seed": 0},
    # The last is what quality takes APA by; the first tells nothing apart.
    embeddings={
      "deaf": lambda samples, rate: np.eye(3),
      "codec": embeddings.codec_latents(player.codec),
    },
    describe=describe,
  )


@pytest.fixture(scope="module")
def found(player, tmp_path_factory):
  out = tmp_path_factory.mktemp("decoding")
  return out, run(player, out)


def test_the_better_setting_comes_out_better(found, monkeypatch):
  monkeypatch.setattr(intervals, "FEWEST_SONGS", 3)
  result = decoding.summarise(found[1], "good")
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
  assert "| APA | APA of codes | FAD deaf | FAD codec | quality |" in table[0]
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


def test_what_is_done_is_kept_and_settings_join(found, player):
  out, _ = found
  player.played.clear()
  more = GRID | {"third": Settings(steps=(4, 2, 1, 1))}
  again = run(player, out, more)
  assert {steps for steps, _, _ in player.played} == {4}
  assert len(player.played) == 8  # four examples of two seeds, of one setting
  assert set(again) == {"anchors", "good", "bad", "third"}
  with pytest.raises(ValueError, match="another --out"):
    run(player, out, {"good": Settings(steps=(2, 1, 1, 1))})


def test_what_cannot_be_compared_is_told_before_it_is_played(
  player, tmp_path, monkeypatch
):
  example = player.examples.example
  monkeypatch.setattr(
    player.examples,
    "example",
    lambda place: dataclasses.replace(example(place), stranger=None),
  )
  player.played.clear()
  with pytest.raises(ValueError, match="take more --examples"):
    run(player, tmp_path)
  assert not player.played


def test_results_without_their_recipe_are_refused(found, player):
  out, _ = found
  recipe = (out / "recipe.json").read_bytes()
  (out / "anchors").rename(out / "gone")
  (out / "recipe.json").unlink()
  try:
    with pytest.raises(ValueError, match=r"recipe\.json is not there"):
      run(player, out)
  finally:
    (out / "gone").rename(out / "anchors")
    (out / "recipe.json").write_bytes(recipe)


def test_no_score_counts_for_more_than_the_real_stem(found, monkeypatch):
  monkeypatch.setattr(
    summary, "standing", lambda figures, system, draws: np.full(len(draws), 3.0)
  )
  for row in decoding.summarise(found[1], "good")["rows"].values():
    assert row["scores"]["rhythm"]["score"] == 3
    apa = row["frechet"]["codec"]["apa_codes"]
    assert row["quality"] == pytest.approx((1 + 1 + apa) / 3, abs=1e-3)


def test_labels_lie_beside_each_other():
  points = [(48, 0.1), (44, 0.1), (48, 0.1), (12, 0.1), (48, 0.11), (48, 0.9)]
  places = decoding_table._label_places(points)
  sides = [side for _, side in places]
  assert sides == [1, -1, 1, 1, 1, 1]
  right = [height for (height, _), (n, _) in zip(places, points) if n == 48]
  line = 0.8 * decoding_table._LABEL
  assert right == pytest.approx([0.1, 0.1 + line, 0.1 + 2 * line, 0.9])


def test_a_picture_of_it(found, tmp_path):
  path = tmp_path / "decoding.png"
  decoding_table.draw(path, decoding.summarise(found[1], "bad"))
  assert path.read_bytes().startswith(b"\x89PNG")


def test_mixes_are_described_where_it_is_asked_for(found, player, tmp_path):
  def describe(samples, rate):
    loud = float(np.abs(samples).mean()) > 0
    return {name: [float(loud)] for name in mirdd.BINS}

  again = run(player, tmp_path, describe=describe)
  result = decoding.summarise(again, "good")
  assert result["anchors"]["real"]["mirdd"] == 0
  assert result["rows"]["bad"]["mirdd"] == pytest.approx(0)
  assert result["mirdd_floor"] == pytest.approx(0)
  table = decoding_table.table(result)
  assert "| MIRDD |" in table
  (floor,) = (x for x in table.splitlines() if x.startswith("| *other real"))
  assert floor.count("|") == table.splitlines()[0].count("|")
  # Not where it was not.
  plain = decoding.summarise(found[1], "good")
  assert plain["rows"]["good"]["mirdd"] is None
  assert "MIRDD" not in decoding_table.table(plain)


@pytest.mark.parametrize(
  ("text", "complaint"),
  [
    ("", "no get_settings"),
    ("def get_settings(): return {}", "no dict"),
    ("def get_settings(): return {", "does not run: SyntaxError"),
    ("def get_settings(): return lost", "NameError: name 'lost'"),
    ("def get_settings(): return {'a': 1}", "'a' is no Settings"),
    (
      "from stemgen_jax.sampling import Settings\n"
      "def get_settings(): return {'../a': Settings()}",
      "'../a' is no name",
    ),
    (
      "from stemgen_jax.sampling import Settings\n"
      "def get_settings(): return {8: Settings()}",
      "8 is no name",
    ),
  ],
)
def test_a_grid_that_is_none_is_named(tmp_path, text, complaint):
  path = tmp_path / "grid.py"
  path.write_text(text)
  with pytest.raises(ValueError, match=complaint):
    grid.load(str(path))


@pytest.mark.parametrize(
  ("name", "most"),
  [("decoding", 48), ("paper_decoding", 192), ("paper_decoding_whole", 768)],
)
def test_the_projects_own_grids(name, most):
  from stemgen_jax import model
  from stemgen_jax.sampling import cost

  config = model.load_weights("demo").config
  settings = grid.load(f"configs/{name}.py")
  assert max(cost.passes(one, config) for one in settings.values()) == most
  # A name of its own for each, and none of them twice.
  fields = [json.dumps(dataclasses.asdict(one)) for one in settings.values()]
  assert len(set(fields)) == len(fields)
