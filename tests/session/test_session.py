"""Tests of sessions with random codes in place of a model."""

import concurrent.futures
import dataclasses
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from pcm import RATE
from pcm_model import FAST, music

from stemgen_jax import StemGen, audio
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


def test_a_take_from_elsewhere_becomes_a_layer(session, sampler):
  take = sampler.generate(music(), "bass", seed=4, settings=FAST)
  layer = session.add_take(take, "live")
  assert (layer.name, layer.clip.seed, layer.clip.origin) == ("bass", 4, "live")
  assert session.add_take(take, "live").name == "bass-2"
  same(session.layer_audio("bass"), take.audio)
  assert not session.song.is_stale(layer)
  session.undo()
  session.undo()
  same(session.mix()[0], music())
  other = sampler.generate(music(0.7), "bass", settings=FAST)
  with pytest.raises(ValueError, match=r"bass, seed 0: .* s at 8000 Hz"):
    session.add_take(other, "live")


def test_session_reopens_as_it_was(session, sampler):
  clip, other = bass(session, sampler, takes=2)
  session.accept(clip.number)
  session.change(lambda song: song.adjusted("bass", gain_db=-3, solo=True))
  song, mix = session.song, session.mix()[0]
  session.close()
  opened = Session.open(session.folder)
  assert opened.song == song
  same(opened.mix()[0], mix)
  opened.undo()
  opened.undo()
  assert opened.song.layer("bass").accepted is None
  opened.undo()  # both takes are one operation
  assert [layer.name for layer in opened.song.layers] == ["drum-loop"]
  with pytest.raises(ValueError, match="nothing to undo"):
    opened.undo()
  for _ in range(3):
    opened.redo()
  assert opened.song == song
  assert opened.audio(other.number).seconds == song.seconds
  with pytest.raises(ValueError, match="nothing to redo"):
    opened.redo()


def test_one_process_has_a_session_and_shares_it(session):
  other = Session.open(session.folder)
  other.change(lambda song: song.adjusted("drum-loop", mute=True))
  assert session.song.layer("drum-loop").mute
  session.change(lambda song: song.adjusted("drum-loop", gain_db=-3))
  code = "import sys; from stemgen_jax.session import Session as s; s.open("
  run = [sys.executable, "-c", f"{code}sys.argv[1])", session.folder]
  refused = subprocess.run(run, capture_output=True, text=True, check=False)
  assert f"command (process {os.getpid()} on " in refused.stderr
  session.close()
  assert subprocess.run(run, check=False).returncode == 0
  with pytest.raises(ValueError, match="the session is closed"):
    other.undo()
  layer = Session.open(session.folder).song.layer("drum-loop")
  assert (layer.mute, layer.gain_db) == (True, -3)


def test_threads_lose_no_change(session):
  def add(number):
    session.add_audio(music(seed=number), name=f"layer {number}")
    session.change(
      lambda song: song.adjusted(f"layer-{number}", gain_db=-number)
    )

  with concurrent.futures.ThreadPoolExecutor(4) as pool:
    list(pool.map(add, range(1, 9)))
  gains = {x.name: x.gain_db for x in session.song.layers if x.gain_db}
  assert gains == {f"layer-{number}": -number for number in range(1, 9)}


@pytest.fixture
def meanwhile(monkeypatch, sampler):
  """Call functions while a model runs, one at each run."""
  run, calls = sampler.run, []

  def calling(_, request):
    if calls:
      calls.pop(0)()
    return run(request)

  monkeypatch.setattr(StemGen, "run", calling)
  return calls


def test_song_that_changes_while_it_is_extended_is_kept(
  session, sampler, meanwhile
):
  clip, other = bass(session, sampler, takes=2)
  session.accept(clip.number)
  meanwhile.append(lambda: session.accept(other.number))
  with pytest.raises(ValueError, match="changed meanwhile"):
    session.extend(sampler, 0.8)
  assert session.song.seconds == 0.5
  meanwhile.append(
    lambda: session.change(lambda song: song.adjusted("bass", gain_db=-1))
  )
  session.extend(sampler, 0.8)
  assert session.song.seconds == 0.8
  assert session.song.layer("bass").gain_db == -1


def test_takes_of_another_length_are_refused(session, sampler, meanwhile):
  session.extend(sampler, 0.8)
  meanwhile.append(session.undo)
  with pytest.raises(ValueError, match="changed meanwhile: generate it again"):
    bass(session, sampler)
  assert [layer.name for layer in session.song.layers] == ["drum-loop"]


def test_closed_session_is_not_written(session, sampler, meanwhile):
  files = sorted((session.folder / "audio").iterdir())
  meanwhile.append(session.close)
  with pytest.raises(ValueError, match="the session is closed"):
    bass(session, sampler)
  with pytest.raises(ValueError, match="the session is closed"):
    session.add_audio(music())
  assert sorted((session.folder / "audio").iterdir()) == files


def test_operations_that_change_nothing_are_not_undone(session):
  session.change(lambda song: song.adjusted("drum-loop", gain_db=0.0))
  session.accept(1)
  assert not session.can_undo


def test_takes_from_nothing_have_no_warning(tmp_path, sampler, recwarn):
  session = Session.create(tmp_path / "song", seconds=0.5)
  [clip] = bass(session, sampler)
  session.accept(clip.number)
  session.vary(sampler, clip.number)
  session.extend(sampler, 0.6)
  assert not [x for x in recwarn if "silent" in str(x.message)]


def test_start_that_was_killed_is_repeated(tmp_path):
  (tmp_path / "song" / "audio").mkdir(parents=True)
  (tmp_path / "song" / "audio" / "0001.flac").touch()
  session = Session.create(tmp_path / "song", seconds=0.5)
  assert list((session.folder / "audio").iterdir()) == []


def test_numbers_and_files_are_never_used_again(session, sampler):
  [clip] = bass(session, sampler)
  session.undo()
  [again] = bass(session, sampler)
  assert (again.number, again.seed) == (clip.number + 1, clip.seed)
  # The undone take cannot be reached any more: its files go at the next start.
  session.close()
  (session.folder / "audio" / "notes.txt").touch()
  Session.open(session.folder)
  names = sorted(path.name for path in (session.folder / "audio").iterdir())
  names.remove("notes.txt")  # the user's
  assert names == ["0001.flac", "0003-bass-seed0.codes.npz", again.file]


def test_edits_are_further_takes_with_the_context_of_the_first(
  session, sampler
):
  [clip] = bass(session, sampler, seed=5)
  session.accept(clip.number)
  varied = session.vary(sampler, clip.number, share=0.5)
  redone = session.regenerate(sampler, clip.number, [(0.1, 0.2)])
  assert [varied.seed, redone.seed] == [6, 7]
  assert varied.origin == "50 % of take 2 varied"
  assert redone.origin == "regenerated 0.10-0.20 s of take 2"
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
  session.change(lambda song: song.adjusted("drum-loop", mute=True))
  assert not session.song.is_stale(session.song.layer("bass"))
  session.change(
    lambda song: song.adjusted("drum-loop", mute=False, gain_db=-6)
  )
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
  with pytest.raises(ValueError, match=r"bass is not stale: .* take 3 was"):
    session.refresh(sampler, "bass")


def stale(session):
  song = session.song
  return [layer.name for layer in song.layers if song.is_stale(layer)]


def test_refresh_ends(session, sampler):
  for stem in ("bass", "piano"):
    [clip] = session.generate(sampler, stem, settings=FAST)
    session.accept(clip.number)
  session.change(lambda song: song.adjusted("drum-loop", gain_db=-1))
  assert stale(session) == ["bass", "piano"]
  bass = session.refresh(sampler, "bass")
  assert [part.clip for part in bass.context] == [1]
  session.change(lambda song: song.discarded(2))  # the former bass
  piano = session.refresh(sampler, "piano")
  assert [part.clip for part in piano.context] == [1, bass.number]
  assert stale(session) == []
  # A further bass is generated for the piano: neither makes the other stale.
  [more] = session.generate(sampler, "bass", layer="bass", settings=FAST)
  session.accept(more.number)
  assert stale(session) == []
  session.change(lambda song: song.without_layer("bass"))
  [part] = session.refresh(sampler, "piano").context
  assert part.clip == 1
  assert stale(session) == []


def test_refresh_of_an_edited_take_warns(session, sampler):
  session.accept(bass(session, sampler)[0].number)
  varied = session.vary(sampler, 2, share=0.3)
  session.accept(varied.number)
  session.change(lambda song: song.adjusted("drum-loop", gain_db=-1))
  with pytest.warns(UserWarning, match=r"edit \(30 % of take 2 varied\)"):
    assert session.refresh(sampler, "bass").origin == ""


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
  session.change(lambda song: song.adjusted("chords-e", pan=-1))
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
      lambda s: s.change(lambda song: song.adjusted("bass", mute=True)),
      "no layer 'bass': expected drum",
    ),
    (
      lambda s: s.change(lambda song: song.adjusted("drum-loop", pan=0.5)),
      "song has 1 channels",
    ),
    (
      lambda s: s.change(lambda song: song.adjusted("drum-loop", pan=2)),
      "expected -1",
    ),
    (
      lambda s: s.change(lambda song: song.adjusted("drum-loop", gain_db=90)),
      "expected -60 to 24",
    ),
    (
      lambda s: s.change(lambda song: song.moved("drum-loop", 1)),
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


def test_corrupt_sessions_are_refused(session):
  session.close()
  path = session.folder / store.FILE
  text = path.read_text()

  def refused(message, **fields):
    stored = json.loads(text)
    clip = stored["song"]["layers"][0]["clips"][0]
    for name, value in fields.items():
      for part in (clip, stored["song"]["layers"][0], stored["song"]):
        if name in part:
          part[name] = value
          break
    path.write_text(json.dumps(stored))
    with pytest.raises(ValueError, match=message):
      Session.open(session.folder)

  for name in ("../secret.flac", "/etc/passwd", ".hidden"):
    refused("not a file of audio", file=name)
  refused(r"session\.json is corrupt", clips=[{"number": "x"}])
  refused("gain 1e.09: expected -60 to 24", gain_db=1e9)
  refused("gain nan", file_gain_db=float("nan"))
  refused("sample rate 0", sample_rate=0)
  refused("samples 1e.12", samples=10**12)
  refused("number 7: expected 1 to 1", number=7)
  refused("time reference -1", time_reference=-1)


def test_layers_are_muted_moved_and_removed(session, sampler):
  [clip] = bass(session, sampler)
  session.accept(clip.number)
  session.change(lambda song: song.moved("bass", 0))
  assert [layer.name for layer in session.song.layers] == ["bass", "drum-loop"]
  session.change(lambda song: song.adjusted("bass", solo=True))
  same(session.mix()[0], session.audio(clip.number))
  session.change(lambda song: song.accepted(None, "bass"))
  same(session.mix()[0], music())
  session.change(lambda song: song.discarded(clip.number))
  assert [layer.name for layer in session.song.layers] == ["drum-loop"]
  session.change(lambda song: song.without_layer("drum-loop"))
  assert not session.mix()[0].samples.any()
  assert dataclasses.replace(session.song, layers=()) == session.song
