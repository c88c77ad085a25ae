import dataclasses
import functools
import json
import math
from typing import Any

import jax
import numpy as np
import pytest

from stemgen_jax import __main__ as command
from stemgen_jax import model
from stemgen_jax.categories import CATEGORIES
from stemgen_jax.data.examples import Examples
from stemgen_jax.evaluation.metrics import intervals
from stemgen_jax.evaluation.studies import listening as lib

V, T, Q = 5, 12, 2
CODEC: dict[str, Any] = {"codec": "tiny", "checksum": "c" * 64}


def examples(songs=8, per_song=2, seed=0) -> Examples:
  """Contexts that determine level 0 of the target: song s has code s % 4."""
  song = np.repeat(np.arange(songs), per_song)
  rng = np.random.default_rng(seed)
  target = rng.integers(0, V, (len(song), T, Q))
  target[:, :, 0] = song[:, None] % 4
  return Examples(
    context=target.copy(),
    target=target,
    category=(song % 3).astype(np.int32),
    genre=np.zeros(len(song), np.int32),
    song=np.array([f"song {number}" for number in song]),
    silence=np.full((T, Q), 4),
    **CODEC,
  )


@functools.cache
def tiny_weights(**changes) -> model.Weights:
  shape = {
    "levels": Q,
    "codes": V,
    "width": 16,
    "depth": 1,
    "heads": 2,
    "mlp": 16,
    "window": T,
    "codec": CODEC["codec"],
    "codec_checksum": CODEC["checksum"],
  }
  config = model.ModelConfig(**shape | changes)
  # Random, as an initialized model predicts uniformly; and faster.
  shapes = jax.eval_shape(lambda: model.init_params(config, jax.random.key(0)))
  rng = np.random.default_rng(0)
  params = jax.tree.map(
    lambda x: rng.normal(0, 0.3, x.shape).astype(np.float32), shapes
  )
  return model.Weights(config, params, {})


def copying(config, params, context, target, conditions, level, **kwargs):
  """Half of the probability on the context's code; uniform without one."""
  del config, params, target, conditions, level
  known = jax.nn.one_hot(context[:, :, 0], V) * math.log(V - 1)
  return known * ~kwargs["drop_context"][:, None, None]


def test_figures_of_a_model_that_copies_its_context(monkeypatch):
  # The context's code gets 1/2 and each of the 4 others 1/8: 1 bit under the
  # true context, 3 under another song's and under silence, whose codes are all
  # different; without a context log2 5.
  monkeypatch.setattr(model, "apply", copying)
  monkeypatch.setattr(intervals, "FEWEST_SONGS", 3)
  found = lib.listening(tiny_weights(), examples(songs=4), batch=3)
  for percent in ("70", "100"):
    figures = found["masked"][percent]
    assert figures["true"] == pytest.approx(1, abs=1e-3)
    assert figures["shuffled"] == pytest.approx(3, abs=1e-3)
    assert figures["silent"] == pytest.approx(3, abs=1e-3)
    assert figures["null"] == pytest.approx(math.log2(5), abs=1e-3)
    for name in ("gain", "gain_low", "gain_high"):
      assert figures[name] == pytest.approx(2, abs=1e-3)
  assert (found["examples"], found["songs"], found["window"]) == (8, 4, T)
  assert sum(c["examples"] for c in found["categories"].values()) == 8
  for name in ("null_gain", "null_gain_low", "null_gain_high"):
    found_gain = found["masked"]["100"][name]
    assert found_gain == pytest.approx(math.log2(5) - 1, abs=1e-3)
  # Both levels are predicted from the same context here.
  for part in (found, found["categories"]["piano"]):
    for name in ("true", "null_gain"):
      levels = [found["levels"][level][name] for level in "01"]
      if part is found:
        assert part["summed"][name] == pytest.approx(sum(levels), abs=1e-3)
    assert part["summed"]["null_gain"] < 2 * part["masked"]["100"]["null_gain"]
  # Two songs are too few for an interval.
  assert found["categories"]["piano"]["songs"] == 2
  piano = found["categories"]["piano"]["masked"]["100"]
  assert piano["gain"] == pytest.approx(2, abs=1e-3)
  assert piano["null_gain"] == pytest.approx(math.log2(5) - 1, abs=1e-3)
  assert piano["gain_low"] is piano["null_gain_high"] is None
  assert lib.interval(piano, "gain") == "2.00 (too few songs)"
  everything = found["masked"]["100"]
  assert lib.interval(everything, "gain") == "2.00 (2.00 to 2.00)"
  assert lib.interval(everything, "null_gain") == "1.32 (1.32 to 1.32)"


def test_a_table_of_them(monkeypatch):
  monkeypatch.setattr(model, "apply", copying)
  lines = lib.table(lib.listening(tiny_weights(), examples())).splitlines()
  names = ["70 % masked", "100 % masked", "level 1", "all, all levels"]
  names += [f"{name}, all levels" for name in CATEGORIES[:3]]
  names += [f"{name}, level 0" for name in CATEGORIES[:3]]
  width = max(map(len, names))
  assert [line[:width].strip() for line in lines[2:-1]] == names
  assert lines[-1] == "The model uses its context."
  assert lines[3].split()[-4:] == ["1.32", "(1.32", "to", "1.32)"]
  # All of the masked shares may be smaller.
  some = lib.table(lib.listening(tiny_weights(), examples(), masked=(70,)))
  assert "level 0" in some
  assert "its context" not in some


def test_masked_codes_are_not_visible(monkeypatch):
  def peeking(config, params, context, target, conditions, level, **kwargs):
    del params, context, conditions, level, kwargs
    assert config.codes == V
    return 30 * jax.nn.one_hot(target, V).sum(2)  # MASK gives a row of zeros

  monkeypatch.setattr(model, "apply", peeking)
  found = lib.listening(tiny_weights(), examples())
  for figures in found["masked"].values():
    assert figures["true"] == pytest.approx(math.log2(V), abs=1e-3)


def test_coarser_levels_are_visible(monkeypatch):
  # Half of the probability on the code of the level before, plus one.
  def following(config, params, context, target, conditions, level, **kwargs):
    del config, params, context, conditions, kwargs
    if not level:
      return jax.numpy.zeros((*target.shape[:2], V))
    before = target[:, :, level - 1]
    return jax.nn.one_hot((before + 1) % V, V) * math.log(V - 1)

  monkeypatch.setattr(model, "apply", following)
  mine = examples()
  target = (mine.target[:, :, :1] + np.arange(Q)) % V
  mine = dataclasses.replace(mine, target=target)
  levels = lib.listening(tiny_weights(), mine)["levels"]
  assert list(levels) == [str(level) for level in range(Q)]
  assert levels["0"]["true"] == pytest.approx(math.log2(V), abs=1e-3)
  for level in range(1, Q):
    assert levels[str(level)]["true"] == pytest.approx(1, abs=1e-3)


def test_all_contexts_have_the_same_share_of_masked_frames(monkeypatch):
  # Visible codes increase the bits of masked ones, which so count them.
  def counting(config, params, context, target, conditions, level, **kwargs):
    del config, params, context, conditions, level, kwargs
    shown = (target[:, :, :1] < V).sum(1, keepdims=True)  # [b, 1, 1]
    return jax.nn.one_hot(target[:, :, 0] * 0 + 4, V) * shown

  monkeypatch.setattr(model, "apply", counting)
  found = lib.listening(tiny_weights(), examples(), masked=(25, 100))
  # 9 of 12 frames are visible: code 4, which no song has, has e^9 to 1.
  assert found["masked"]["25"]["true"] == pytest.approx(
    math.log2(4 + math.exp(9)), abs=1e-3
  )
  assert found["masked"]["100"]["true"] == pytest.approx(math.log2(5), abs=1e-3)
  for figures in found["masked"].values():
    assert figures["true"] == figures["silent"] == figures["null"]


def test_a_model_that_learned_nothing_gains_nothing():
  codes = np.random.default_rng(2).integers(0, V, (80, T, Q))
  random = dataclasses.replace(examples(songs=40), target=codes)
  found = lib.listening(tiny_weights(), random)
  figures = found["masked"]["100"]
  assert figures["gain_low"] < 0 < figures["gain_high"]
  assert abs(figures["gain"]) < 0.5
  assert figures["true"] != figures["shuffled"]


def test_null_does_not_depend_on_the_context():
  mine = examples()
  other = dataclasses.replace(mine, context=mine.context[::-1])
  first, second = (
    lib.listening(tiny_weights(), e)["masked"]["100"] for e in (mine, other)
  )
  assert first["null"] == second["null"]
  assert first["null"] != first["silent"]
  assert first["true"] != second["true"]


def test_the_batch_size_does_not_matter():
  first, second = (
    lib.listening(tiny_weights(), examples(), batch=batch)["masked"]["100"]
    for batch in (5, 16)
  )
  for name, value in first.items():
    assert value == pytest.approx(second[name], abs=2e-4)


def test_a_model_gets_its_conditions_and_its_window(monkeypatch):
  def checking(config, params, context, target, conditions, level, **kwargs):
    assert set(conditions) == {"category", "genre"}
    assert context.shape == target.shape == (8, 7, Q)
    return copying(config, params, context, target, {}, level, **kwargs)

  monkeypatch.setattr(model, "apply", checking)
  weights = tiny_weights(conditions=("category", "genre"), window=7)
  assert lib.listening(weights, examples())["window"] == 7


@pytest.mark.parametrize("counts", [(1, 1), (3, 3), (2, 1, 1), (1, 5, 2, 2)])
def test_every_context_goes_to_another_song_once(counts):
  songs = np.repeat(np.arange(len(counts)), counts)
  songs = np.random.default_rng(0).permutation(songs)
  others = lib.other_songs(songs, np.random.default_rng(1))
  assert sorted(others) == list(range(len(songs)))
  assert (songs[others] != songs).all()


@pytest.mark.parametrize("counts", [(4,), (3, 1), (1,)])
def test_too_few_songs_are_refused(counts):
  songs = np.repeat(np.arange(len(counts)), counts)
  with pytest.raises(ValueError, match="give more --examples"):
    lib.other_songs(songs, np.random.default_rng(0))


def test_weights_that_are_not_finite_are_reported():
  weights = tiny_weights()
  params = jax.tree.map(lambda x: x * np.nan, weights.params)
  with pytest.raises(ValueError, match="take an earlier checkpoint"):
    lib.listening(dataclasses.replace(weights, params=params), examples())


def test_fewer_examples():
  mine = examples()
  few = mine.select(slice(3))
  assert len(few) == 3
  np.testing.assert_array_equal(few.target, mine.target[:3])
  np.testing.assert_array_equal(few.silence, mine.silence)
  assert len(mine.select(slice(1000))) == len(mine)


def test_another_codec_is_refused():
  other = dataclasses.replace(examples(), checksum="d" * 64)
  with pytest.raises(ValueError, match="codec"):
    lib.listening(tiny_weights(), other)


def test_the_command_writes_the_figures(tmp_path, capsys):
  weights = tiny_weights()
  path = tmp_path / "model.safetensors"
  model.save_weights(path, weights.config, weights.params, {"steps": 3})
  examples().save(tmp_path / "heldout.npz")
  arguments = [
    "evaluate",
    "--what=listening",
    f"--out={tmp_path / 'out'}",
    f"--weights={path}",
    f"--data={tmp_path / 'heldout.npz'}",
  ]
  (tmp_path / "out").mkdir()
  (tmp_path / "out/listening.json").write_text("of an earlier run")
  assert command.main(arguments) == 0
  found = json.loads((tmp_path / "out/listening.json").read_text())
  assert found["examples"] == 16
  assert found["steps"] == 3
  assert set(found["masked"]) == {"70", "100"}
  keys = {"true", "shuffled", "silent", "null"}
  for gain in ("gain", "null_gain"):
    keys |= {gain, f"{gain}_low", f"{gain}_high"}
  assert set(found["masked"]["100"]) == keys
  assert [p.name for p in (tmp_path / "out").iterdir()] == ["listening.json"]
  assert "16 examples of 8 songs" in capsys.readouterr().out


LISTENING = (
  "--what=listening",
  "--out={}/o",
  "--weights={}/w.safetensors",
)


@pytest.mark.parametrize(
  ("arguments", "message"),
  [
    (["--what=singing", "--out={}"], "--what=singing: expected one of all"),
    ([], "--out is missing"),
    (["--out={}/file"], "is a file"),
    (["--out={}/o", "--weights={}/none.safetensors"], "no weights at"),
    ([*LISTENING, "--data={}/no"], "no file"),
    ([*LISTENING, "--data={}"], "no finished"),
    (["--out={}/o", "--examples=1"], "--examples=1: expected at least 2"),
    (["--out={}/o", "--seconds=1"], "--seconds=1: expected 2 to 60"),
    (["--out={}/o", "--data={}/no"], "no folder"),
    (["--out={}/o", "--vggish={}/no.pth"], "no weights of VGGish"),
    (["--out={}/o", "--clap={}"], "no config.json; expected a folder"),
  ],
)
def test_mistakes_are_one_line(tmp_path, capsys, arguments, message):
  weights = tiny_weights()
  model.save_weights(
    tmp_path / "w.safetensors", weights.config, weights.params, {}
  )
  (tmp_path / "file").write_text("")
  given = [argument.format(tmp_path) for argument in arguments]
  assert command.main(["evaluate", *given]) == 1
  error = capsys.readouterr().err
  assert message in error
  assert len(error.splitlines()) == 1
