"""Tests of plans: sessions as tables of steps."""

import dataclasses

import pytest
import soundfile
from pcm import RATE
from pcm_model import FAST, music

from stemgen_jax import paths
from stemgen_jax.session import Session, plan

# Random codes have a mean.
pytestmark = pytest.mark.filterwarnings("ignore:the context has a DC offset")


@pytest.fixture
def chords(tmp_path):
  path = tmp_path / "chords.wav"
  soundfile.write(path, music().samples, RATE)
  return path


def written(tmp_path, text):
  path = tmp_path / "plan.yaml"
  path.write_text(text)
  return path


def test_plan_keeps_its_choices_and_resumes(tmp_path, chords, sampler):
  file = written(
    tmp_path,
    f"""
    context: {chords}
    seed: 4
    steps:
      - {{add: bass, takes: 2, keep: 2}}
      - {{add: e-piano}}
    """,
  )
  table = plan.read(file)
  session = plan.start(table, tmp_path / "song")

  def stop(number):
    if number == 1:
      raise KeyboardInterrupt

  with pytest.raises(KeyboardInterrupt):
    plan.run(table, session, sampler, settings=FAST, on_step=stop)
  # As if the process had been killed within the second step.
  session.generate(sampler, "piano", seed=4, settings=FAST)
  session.close()
  steps = []
  session = plan.start(table, tmp_path / "song")
  plan.run(table, session, sampler, settings=FAST, on_step=steps.append)
  assert steps == [1]
  _, bass, piano = session.song.layers
  assert bass.clip is not None
  assert piano.clip is not None
  assert (bass.clip.seed, len(bass.clips)) == (5, 2)
  assert (piano.category, piano.clip.seed) == ("piano", 4)
  # Every step is generated for the mix with those before it.
  assert [part.clip for part in piano.clip.context] == [1, bass.accepted]
  other = dataclasses.replace(table, seed=5)
  with pytest.raises(ValueError, match=r"other settings .seed 4 there, 5 now"):
    plan.start(other, tmp_path / "song")


def test_shipped_plans_are_valid():
  names = sorted(path.stem for path in paths.PLANS.glob("*.yaml"))
  assert names == ["chords", "drums", "melody"]
  for name in names:
    assert (plan.read(name).first or "").endswith(".flac")


@pytest.mark.parametrize(
  ("text", "message"),
  [
    ("steps: []", "no steps"),
    ("steps: [{add: kazoo}]", "step 1: .*kazoo"),
    ("steps: [{add: bass, takes: 0}]", "step 1: takes 0: expected 1 to 100"),
    ("steps: [{add: bass, takes: 2, keep: 3}]", "keep 3: expected 1 to 2"),
    ("steps: [{add: bass, take: 2}]", "no take in Step"),
    ("steps: bass", "steps is 'bass'"),
    ("[1, 2]", "expected an object"),
    ("steps: [", "plan.yaml is corrupt"),
    ("steps: [!!python/name:os.system {}]", "is corrupt"),
  ],
)
def test_invalid_plans_name_the_step(tmp_path, text, message):
  with pytest.raises(ValueError, match=message):
    plan.read(written(tmp_path, text))
  with pytest.raises(FileNotFoundError, match="one of chords, drums, melody"):
    plan.read(tmp_path / "missing.yaml")


def test_plan_from_nothing(tmp_path, sampler):
  table = plan.read(written(tmp_path, "{seconds: 0.5, steps: [{add: drums}]}"))
  session = plan.start(table, tmp_path / "song")
  plan.run(table, session, sampler, settings=FAST)
  assert Session.open(session.folder).song.layer("drums").accepted == 1
