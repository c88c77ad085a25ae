"""The full study with an engine that echoes: all but the model's own work."""

import dataclasses
import itertools
import json
import shutil
import types
from typing import Any

import numpy as np
import pytest
import trees

from stemgen_jax import audio, categories, recipes
from stemgen_jax import codec as codecs
from stemgen_jax.data import songs
from stemgen_jax.data.sources import band, midi, restore
from stemgen_jax.data.sources.folder import Folder
from stemgen_jax.evaluation import (
  measurement,
  protocol,
  reference_annotations,
)
from stemgen_jax.evaluation.baselines import BASELINES
from stemgen_jax.evaluation.metrics import (
  embeddings,
  harmony,
  intervals,
  rhythm,
)
from stemgen_jax.evaluation.options import Options
from stemgen_jax.evaluation.reporting import summary
from stemgen_jax.evaluation.studies import full
from stemgen_jax.sampling import preset

SECONDS = 3.0
STYLE = band.Style(
  genres=("techno",), meters=("4/4",), categories=("bass", "synth_pad", "drums")
)
BAND = band.Band(seconds=4.0, style=STYLE)


@dataclasses.dataclass
class Echo:
  """Returns its context; counts the calls, and can be stopped."""

  codec: codecs.Codec
  config: types.SimpleNamespace = dataclasses.field(
    default_factory=lambda: types.SimpleNamespace(conditions=("category",))
  )
  calls: list = dataclasses.field(default_factory=list)
  most: int = 1000

  def generate(self, context, stem, *, seed, settings, **conditions):
    self.conditions = conditions
    if len(self.calls) == self.most:
      raise KeyboardInterrupt
    self.calls.append((stem, seed))
    return dataclasses.make_dataclass("Take", ["audio"])(context)


@pytest.fixture(scope="module")
def codec():
  return codecs.load("demo")


def examples(codec, seed=0, source: songs.Songs = BAND):
  return protocol.ExampleList(source, codec, SECONDS, seed)


def places(listed, count):
  return list(itertools.islice(listed, count))


def subject(engine, out, count=1) -> Any:
  return types.SimpleNamespace(
    engine=engine,
    examples=examples(engine.codec),
    out=out,
    codec=engine.codec,
    options=Options(examples=count, seed=10, workers=0),
    settings=preset("fast"),
    embeddings={"codec": embeddings.codec_latents(engine.codec)},
    describe=None,
  )


def run(engine, out, count, recipe=None):
  return full.evaluate(subject(engine, out, count), recipe or {"seed": 0})


def stem(engine, out, number):
  return full.stem(subject(engine, out), examples(engine.codec).example(number))


@pytest.fixture(scope="module")
def whole(codec, tmp_path_factory):
  out = tmp_path_factory.mktemp("whole")
  return out, run(Echo(codec), out, 3)


def test_the_list_is_fixed_by_its_seed(codec):
  first, again, other = (examples(codec, seed) for seed in (0, 0, 1))
  for place in places(first, 2):
    one, same = first.example(place), again.example(place)
    np.testing.assert_array_equal(one.context.samples, same.context.samples)
    np.testing.assert_array_equal(one.real.samples, same.real.samples)
    assert (one.song, one.category, one.stems) == (
      same.song,
      same.category,
      same.stems,
    )
    assert one.start != other.example(place).start


def test_an_example_is_a_segment_of_its_song(codec):
  listed = examples(codec)
  for place in places(listed, 3):
    one = listed.example(place)
    number = int(one.song.rpartition("-")[2])
    assert number >= 900_000  # of the test split
    song = BAND.song(number)
    by_name = {stem.name: stem for stem in song.stems}
    first = round(one.start * codec.sample_rate)
    last = first + round(SECONDS * codec.sample_rate)
    mix = sum(by_name[name].read().samples[first:last] for name in one.stems)
    np.testing.assert_allclose(one.context.samples, mix, atol=1e-6)
    assert one.category not in {by_name[name].category for name in one.stems}
    assert one.random_stem is not None
    assert np.abs(one.random_stem.samples - one.real.samples).max() > 0.01
    # The beats of the score, from the start of the segment.
    beats = np.array(BAND.score(number).beats) - one.start
    np.testing.assert_allclose(
      one.annotations.beats, beats[(beats >= 0) & (beats < SECONDS)]
    )
    assert one.annotations.chords[0].start == 0
    assert one.annotations.chords[-1].end == pytest.approx(SECONDS)
    other = listed.other_context(place)
    assert other.samples.shape == one.context.samples.shape
    assert np.abs(other.samples - one.context.samples).max() > 0.01


def test_annotations_of_other_music_are_estimated(codec, tmp_path):
  trees.folder(tmp_path / "music" / "test", songs=2)
  listed = examples(codec, source=Folder(str(tmp_path / "music")))
  for place in places(listed, 3):  # songs in turn
    one = listed.example(place)
    assert one.song == f"Song {place % 2}"
    assert one.annotations.estimated
    assert one.random_stem is not None
    assert one.real.sample_rate == codec.sample_rate


def test_annotations_of_a_midi_file_are_those_that_it_states(codec, tmp_path):
  for name in "ab":
    trees.midi_song(tmp_path / "test" / f"{name}.mid", seconds=4)
  listed = examples(codec, source=midi.Midi(str(tmp_path)))
  found = [listed.example(place) for place in places(listed, 2)]
  for one in found:
    assert one.annotations.estimated  # no chords, no key
    beats = 0.5 * np.arange(8) - one.start
    inside = beats[(beats >= 0) & (beats < SECONDS)]
    np.testing.assert_allclose(one.annotations.beats, inside)
  score = dataclasses.replace(
    midi.read(tmp_path / "test" / "a.mid"),
    meters=((0.0, (4, 4)), (1.0, (6, 8))),
    keys=((0.0, "A minor"), (3.0, "C major")),
    chords=(band.Chord(0.0, 2.5, "Am", (9, 0, 4)),),
  )
  guess = found[0].annotations
  known = reference_annotations.of_midi(score, 2.0, SECONDS, guess)
  assert (known.key, known.estimated) == ("A minor", False)
  assert known.grid == rhythm.Grid(6)
  assert known.chords == (harmony.Span(0.0, 0.5, (9, 0, 4)),)
  score = dataclasses.replace(score, beats=(), keys=())
  known = reference_annotations.of_midi(score, 2.0, SECONDS, guess)
  assert (known.key, known.estimated) == (guess.key, True)
  assert known.beats is guess.beats


def test_other_contexts_are_cut_to_the_length_of_the_example(codec, tmp_path):
  for name, seconds in (("Short", 2.5), ("Long", 4.0)):
    samples = round(seconds * codec.sample_rate)
    song = tmp_path / "music" / "test" / name
    song.mkdir(parents=True)
    rng = np.random.default_rng(samples)
    for stem in ("Bass", "Drums"):
      noise = rng.normal(0, 0.1, (samples, 1)).astype(np.float32)
      audio.write(song / f"{stem}.wav", audio.Audio(noise, codec.sample_rate))
  listed = examples(codec, source=Folder(str(tmp_path / "music")))
  lengths = set()
  for place in places(listed, 2):
    own = listed.example(place).context
    other = listed.other_context(place)
    assert len(other.samples) == len(own.samples)
    lengths.add(len(own.samples))
  assert len(lengths) == 2


def test_one_song_alone_has_no_other_context(codec, tmp_path):
  trees.folder(tmp_path / "music" / "test", songs=2)
  stems = sorted((tmp_path / "music" / "test" / "Song 1").iterdir())
  for stem in stems[1:]:
    if stem.is_dir():
      shutil.rmtree(stem)
    else:
      stem.unlink()
  listed = examples(codec, source=Folder(str(tmp_path / "music")))
  (place,) = places(listed, 1)
  with pytest.raises(ValueError, match="another song's context is needed"):
    listed.other_context(place)


def test_figures_and_anchors_of_every_system(whole):
  _, measured = whole
  assert len(measured) == 3
  for one in measured:
    assert set(one.figures) == {*measurement.SYSTEMS, *BASELINES}
    assert one.figures["silence"]["beat_f1"] == 0
    for sides in one.embeddings["codec"].values():
      assert set(sides) == set(measurement.SYSTEMS)
      assert {vectors.shape for vectors in sides.values()} == {(3, 128)}
    # The context agrees with itself best.
    if one.about["pitched"]:
      agreement = {x: one.figures[x]["chroma_agreement"] for x in one.figures}
      assert agreement["generated"] == pytest.approx(1)
      assert agreement["real"] < 1


def test_a_stopped_run_resumes(codec, whole, tmp_path):
  _, measured = whole
  stopped = Echo(codec, most=3)  # in the middle of the second example
  with pytest.raises(KeyboardInterrupt):
    run(stopped, tmp_path, 3)
  resumed = Echo(codec)
  again = run(resumed, tmp_path, 3)
  assert len(resumed.calls) == 4  # two of the second, two of the third
  idle = Echo(codec)
  run(idle, tmp_path, 2)  # a shorter list is the beginning of a longer one
  assert not idle.calls
  for one, same in zip(measured, again):
    assert one.about | {"seconds": 0} == same.about | {"seconds": 0}
    assert json.dumps(one.figures) == json.dumps(same.figures)
    number = one.about["number"]
    take = audio.read(full.stem_path(tmp_path, number))
    assert take.seconds == pytest.approx(SECONDS)


def test_a_run_killed_between_its_phases_resumes(codec, whole, tmp_path):
  _, measured = whole
  engine = Echo(codec)
  full.check_or_create(tmp_path, {"seed": 0})
  places = full.generate(subject(engine, tmp_path, 3))
  assert len(engine.calls) == 6
  assert not list((tmp_path / "examples").glob("*.npz"))
  stems = sorted((tmp_path / "stems").iterdir())
  stems[1].write_bytes(stems[1].read_bytes()[:1000])  # half a file
  resumed = Echo(codec)
  again = run(resumed, tmp_path, 3)
  assert resumed.calls == engine.calls[2:4]
  # Stems are kept, and measured again give the same figures.
  for path in (tmp_path / "examples").glob("*.npz"):
    path.unlink()
  twice = full.measure(subject(resumed, tmp_path, 3), places)
  for found in (again, twice):
    assert [one.about["number"] for one in found] == places
    for one, same in zip(measured, found):
      assert json.dumps(one.figures) == json.dumps(same.figures)
      assert one.embeddings.keys() == same.embeddings.keys()
      for system, vectors in one.embeddings["codec"]["mix"].items():
        np.testing.assert_array_equal(
          vectors, same.embeddings["codec"]["mix"][system]
        )


def test_a_lost_stem_is_generated_again_and_no_figure_is(codec, tmp_path):
  engine = Echo(codec)
  (one,) = run(engine, tmp_path, 1)
  number = one.about["number"]
  path = full.stem_path(tmp_path, number)
  engine.calls.clear()

  there = stem(engine, tmp_path, number)
  assert not engine.calls
  path.unlink()
  again = stem(engine, tmp_path, number)
  assert len(engine.calls) == 1
  np.testing.assert_array_equal(there.samples, again.samples)
  path.write_bytes(b"no sound")
  with pytest.raises(
    ValueError, match=r"delete .* and evaluate again, which regenerates it"
  ):
    stem(engine, tmp_path, number)


def test_a_model_gets_the_conditions_that_it_has(codec, tmp_path):
  engine = Echo(codec)
  engine.config.conditions = ("category", "genre", "role")
  run(engine, tmp_path, 1)
  assert engine.conditions["genre"] == "techno"
  assert engine.conditions["role"] in categories.ROLES


def test_results_of_another_recipe_are_refused(codec, whole):
  out, _ = whole
  with pytest.raises(ValueError, match="seed 0 there, 1 now"):
    run(Echo(codec), out, 3, recipe={"seed": 1})


def test_results_without_a_recipe_are_refused(codec, tmp_path):
  (tmp_path / "examples").mkdir()
  (tmp_path / "examples" / "00000.npz").touch()
  with pytest.raises(ValueError, match=r"evaluation\.json: not found, but"):
    run(Echo(codec), tmp_path, 3)


def test_a_corrupt_file_is_named(codec, whole, tmp_path):
  _, measured = whole
  path = tmp_path / "one.npz"
  measured[0].save(path)
  assert measurement.Measurements.load(path).about == measured[0].about
  whole_file = path.read_bytes()
  encrypted = bytearray(whole_file)
  encrypted[6] |= 1  # in the header of the first array, and in the directory
  encrypted[whole_file.index(b"PK\1\2") + 8] |= 1
  for corrupt in (whole_file[:100], b"", bytes(encrypted)):
    path.write_bytes(corrupt)
    with pytest.raises(ValueError, match=r"one\.npz is corrupt"):
      measurement.Measurements.load(path)
  for about in ("{}", "[]"):
    np.savez(path, about=np.array(about))
    with pytest.raises(ValueError, match=r"one\.npz is of another version"):
      measurement.Measurements.load(path)


def test_the_songs_of_a_recipe_are_found_again(tmp_path):
  recipe = {
    "source": BAND.name,
    "source_config": json.loads(json.dumps(dataclasses.asdict(BAND))),
  }
  assert restore.restore(recipe) == BAND
  keyed = {"source_key": "slakh", "source_config": {"root": str(tmp_path)}}
  with pytest.raises(ValueError, match="holds no Slakh2100"):
    restore.restore(keyed)
  with pytest.raises(ValueError, match="give --data"):
    restore.restore({})
  gone = {"source": "x", "source_config": {"root": str(tmp_path / "gone")}}
  with pytest.raises(FileNotFoundError, match="gone"):
    restore.restore(gone)


def test_a_summary_of_everything(whole, monkeypatch):
  monkeypatch.setattr(intervals, "FEWEST_SONGS", 3)
  _, measured = whole
  result = json.loads(json.dumps(summary.summarize(measured)))
  assert (result["examples"], result["songs"]) == (3, 3)
  assert result["estimated"] == 0
  real = result["figures"]["beat_f1"]["real"]
  assert real["low"] <= real["mean"] <= real["high"]
  table = result["frechet"]["codec"]
  assert table["dimensions"] == 128
  assert table["systems"]["random"]["apa"] == 0
  assert table["systems"]["random_codes"]["apa_codes"] == 0
  assert table["systems"]["round_trip"]["apa_codes"] == 1
  # Decoded stems are far from both anchors that were not decoded.
  assert 0 < table["systems"]["generated"]["apa_codes"] < 1
  assert table["systems"]["generated"]["fad"] > 0
  fads = {x: y["fad"] for x, y in table["systems"].items()}
  assert fads["round_trip"] < fads["silence"]
  text = summary.table(result)
  assert "3 examples of 3 songs" in text
  assert "beat_f1" in text


def test_a_folder_belongs_to_one_evaluation(tmp_path):
  path = tmp_path / "evaluation.json"
  recipes.check_or_create(path, {"seed": 0, "paths": (1, 2)})
  recipes.check_or_create(path, {"seed": 0, "paths": (1, 2)})
  with pytest.raises(ValueError, match="seed 0 there, 1 now"):
    recipes.check_or_create(path, {"seed": 1, "paths": (1, 2)})
  (tmp_path / "00000.npz").touch()
  for corrupt in ("{", "null", "[]"):
    path.write_text(corrupt)
    with pytest.raises(ValueError, match=r"evaluation\.json is corrupt"):
      recipes.check_or_create(path, {"seed": 0})
  path.unlink()
  with pytest.raises(ValueError, match=r"evaluation\.json: not found, but"):
    recipes.check_or_create(path, {"seed": 0}, "anchors/*.npz", "*.npz")
  # The fix of the message: the recipe of another folder of the same call.
  other = tmp_path / "other" / "evaluation.json"
  other.parent.mkdir()
  recipes.check_or_create(other, {"seed": 0})
  other.rename(path)
  recipes.check_or_create(path, {"seed": 0}, "anchors/*.npz", "*.npz")
