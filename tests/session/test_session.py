"""Tests of sessions with random codes in place of a model."""

import dataclasses
import json

import numpy as np
import pytest
from pcm import RATE
from pcm_model import FAST, music

from stemgen_jax import audio
from stemgen_jax.audio import Audio
from stemgen_jax.session import Session, store

# Random codes have a mean.
pytestmark = pytest.mark.filterwarnings("ignore:the context has a DC offset")


@pytest.fixture
def session(tmp_path):
  return Session.create(tmp_path / "song", music(), name="Drum Loop")


def bass(session, sampler, **options):
  clips = session.generate(sampler, "bass", settings=FAST, **options)
  return sorted(clips, key=lambda clip: clip.number)


def same(one, other):
  # Takes are kept as 24-bit flac.
  np.testing.assert_allclose(one.samples, other.samples, atol=3e-7)


def test_takes_are_those_of_the_api_for_the_mix(session, sampler):
  first, second = bass(session, sampler, takes=2, seed=3)
  expected = [*sampler.takes(session.mix()[0], "bass", [3, 4], settings=FAST)]
  same(session.audio(first.number), expected[0].audio)
  same(session.audio(second.number), expected[1].audio)
  # The mix has no take before one is accepted.
  same(session.mix()[0], music())
  session.accept(second.number)
  mix, _ = session.mix()
  same(mix, Audio(music().samples + expected[1].audio.samples, RATE))
  [piano] = session.generate(sampler, "piano", settings=FAST)
  above = sampler.generate(mix, "piano", settings=FAST)
  same(session.audio(piano.number), above.audio)


def test_session_reopens_as_it_was(session, sampler):
  clip, other = bass(session, sampler, takes=2)
  session.accept(clip.number)
  session.change(session.song.adjusted("bass", gain_db=-3, solo=True))
  opened = Session.open(session.folder)
  assert opened.song == session.song
  same(opened.mix()[0], session.mix()[0])
  opened.undo()
  opened.undo()
  assert opened.song.layer("bass").accepted is None
  opened.undo()  # both takes are one operation
  assert [layer.name for layer in opened.song.layers] == ["drum-loop"]
  with pytest.raises(ValueError, match="nothing to undo"):
    opened.undo()
  for _ in range(3):
    opened.redo()
  assert opened.song == session.song
  assert opened.audio(other.number).seconds == session.song.seconds
  with pytest.raises(ValueError, match="nothing to redo"):
    opened.redo()


def test_session_that_another_process_changed_is_not_overwritten(session):
  other = Session.open(session.folder)
  other.change(other.song.adjusted("drum-loop", mute=True))
  with pytest.raises(ValueError, match="another process has changed"):
    session.change(session.song.adjusted("drum-loop", gain_db=-3))
  assert Session.open(session.folder).song.layer("drum-loop").mute


def test_numbers_and_files_are_never_used_again(session, sampler):
  [clip] = bass(session, sampler)
  session.undo()
  [again] = bass(session, sampler)
  assert (again.number, again.seed) == (clip.number + 1, clip.seed)
  # The undone take cannot be reached any more: its files go at the next start.
  Session.open(session.folder)
  names = sorted(path.name for path in (session.folder / "audio").iterdir())
  assert names == ["0001.flac", "0003-bass-seed0.codes.npz", again.file]


def test_edits_are_further_takes_with_the_context_of_the_first(
  session, sampler
):
  [clip] = bass(session, sampler, seed=5)
  session.accept(clip.number)
  varied = session.vary(sampler, clip.number, share=0.5)
  redone = session.regenerate(sampler, clip.number, [(0.1, 0.2)])
  assert [varied.seed, redone.seed] == [6, 7]
  assert varied.context == redone.context == clip.context
  layer = session.song.layer("bass")
  assert [one.number for one in layer.clips] == [2, 3, 4]
  assert layer.accepted == clip.number
  before = session.audio(clip.number).samples
  after = session.audio(redone.number).samples
  np.testing.assert_array_equal(before[: RATE // 20], after[: RATE // 20])
  assert np.abs(before - after).max() > 0.01
  with pytest.raises(ValueError, match="your own audio"):
    session.vary(sampler, 1)


def test_take_is_stale_when_a_layer_of_its_context_changed(session, sampler):
  [clip] = bass(session, sampler, seed=5)
  session.accept(clip.number)
  song = session.song
  assert not song.is_stale(song.layer("bass"))
  session.change(session.song.adjusted("drum-loop", mute=True))
  assert not session.song.is_stale(session.song.layer("bass"))
  session.change(session.song.adjusted("drum-loop", mute=False, gain_db=-6))
  assert session.song.is_stale(session.song.layer("bass"))
  new = session.refresh(sampler, "bass")
  assert new.seed == clip.seed
  layer = session.song.layer("bass")
  assert layer.accepted == new.number
  assert not session.song.is_stale(layer)
  quiet = Audio(music().samples * np.float32(10**-0.3), RATE)
  expected = sampler.generate(quiet, "bass", seed=5, settings=FAST)
  same(session.audio(new.number), expected.audio)
  with pytest.raises(ValueError, match="no generated take to refresh"):
    session.refresh(sampler, "drum-loop")


def test_longer_song_keeps_its_beginning(session, sampler):
  [clip] = bass(session, sampler)
  session.accept(clip.number)
  [piano] = session.generate(sampler, "piano", settings=FAST)
  session.accept(piano.number)
  before = [session.layer_audio(x.name).samples for x in session.song.layers]
  session.extend(sampler, 0.8)
  assert session.song.seconds == 0.8
  for layer, old in zip(session.song.layers, before):
    new = session.layer_audio(layer.name).samples
    assert len(new) == round(0.8 * RATE)
    same(Audio(new[: len(old) - 160], RATE), Audio(old[:-160], RATE))
    assert not session.song.is_stale(layer)
  with pytest.raises(ValueError, match=r"expected more than 0\.80"):
    session.extend(sampler, 0.5)
  session.undo()
  assert session.song.seconds == 0.5


def test_song_from_nothing_and_own_audio_of_another_format(tmp_path, sampler):
  session = Session.create(
    tmp_path / "song", seconds=0.5, sample_rate=RATE, channels=2
  )
  assert session.song.layers == ()
  [clip] = bass(session, sampler)
  assert session.audio(clip.number).samples.shape == (RATE // 2, 2)
  with pytest.warns(UserWarning, match=r"0\.80 s long, the song 0\.50 s: cut"):
    layer = session.add_audio(
      music(0.8, rate=2 * RATE), name="Chords é/", category="e-piano"
    )
  assert (layer.name, layer.category) == ("chords-e", "piano")
  session.change(session.song.adjusted("chords-e", pan=-1))
  right = session.layer_audio("chords-e").samples[:, 1]
  assert not right.any()
  assert session.mix()[0].samples[:, 0].any()


def test_loud_audio_keeps_its_level(tmp_path, sampler):
  loud = Audio(music().samples * np.float32(30), RATE)
  session = Session.create(tmp_path / "song", loud)
  np.testing.assert_allclose(session.audio(1).samples, loud.samples, atol=2e-6)
  mix, gain_db = session.mix()
  assert np.abs(mix.samples).max() <= audio.CEILING
  assert gain_db < -10


@pytest.mark.parametrize(
  ("call", "message"),
  [
    (lambda s: s.accept(9), "no take 9: expected 1"),
    (
      lambda s: s.change(s.song.adjusted("bass", mute=True)),
      "no layer 'bass': expected drum",
    ),
    (
      lambda s: s.change(s.song.adjusted("drum-loop", pan=0.5)),
      "song has 1 channels",
    ),
    (lambda s: s.change(s.song.adjusted("drum-loop", pan=2)), "expected -1"),
    (
      lambda s: s.change(s.song.adjusted("drum-loop", gain_db=90)),
      "expected -60 to 24",
    ),
    (
      lambda s: s.change(s.song.moved("drum-loop", 1)),
      "place 1: expected 0 to 0",
    ),
    (lambda s: Session.create(s.folder, music()), "has a session"),
    (lambda s: Session.create(s.folder / "x"), "give a context"),
    (lambda s: Session.open(s.folder / "audio"), "no session here"),
  ],
)
def test_errors_change_nothing(session, call, message):
  files = {path: path.read_bytes() for path in session.folder.rglob("*.*")}
  with pytest.raises((ValueError, OSError), match=message):
    call(session)
  assert files == {p: p.read_bytes() for p in session.folder.rglob("*.*")}
  assert not (session.folder / "x").exists()


def test_files_outside_of_the_session_are_refused(session):
  path = session.folder / store.FILE
  stored = json.loads(path.read_text())
  for name in ("../secret.flac", "/etc/passwd", ".hidden"):
    stored["song"]["layers"][0]["clips"][0]["file"] = name
    path.write_text(json.dumps(stored))
    with pytest.raises(ValueError, match="not a file of audio"):
      Session.open(session.folder)
  stored["song"]["layers"][0]["clips"] = [{"number": "x"}]
  path.write_text(json.dumps(stored))
  with pytest.raises(ValueError, match=r"session\.json is corrupt"):
    Session.open(session.folder)


def test_layers_are_muted_moved_and_removed(session, sampler):
  [clip] = bass(session, sampler)
  session.accept(clip.number)
  session.change(session.song.moved("bass", 0))
  assert [layer.name for layer in session.song.layers] == ["bass", "drum-loop"]
  session.change(session.song.adjusted("bass", solo=True))
  same(session.mix()[0], session.audio(clip.number))
  session.change(session.song.accepted(None, "bass"))
  same(session.mix()[0], music())
  session.change(session.song.discarded(clip.number))
  assert [layer.name for layer in session.song.layers] == ["drum-loop"]
  session.change(session.song.without_layer("drum-loop"))
  assert not session.mix()[0].samples.any()
  assert dataclasses.replace(session.song, layers=()) == session.song
