"""Tests of the live command, with a sampler without a model."""

import io
import re
import sys
import types

import fake_card
import fake_link
import numpy as np
import pytest
import soundfile
from pcm_model import sampler

from stemgen_jax import __main__
from stemgen_jax.cli import performance
from stemgen_jax.generation import stemgen as stemgen_lib
from stemgen_jax.live import clock, link
from stemgen_jax.live.clock import SimulatedWorker

__all__ = ["sampler"]
RATE = 16_000
FIGURES = (
  r"chunks: p50 [\d.]+ s, p95 [\d.]+ s, p99 [\d.]+ s, (\d+) late, hit rate "
  r"([\d.]+)%, (\d+)( to \d+)? passes, (float32|bfloat16)"
)


def worker(time, measured=False):
  del measured
  return SimulatedWorker(time, measured=False)


@pytest.fixture
def run(sampler, tmp_path, monkeypatch, capsys):
  """Run the command; return what it printed, or its one line of error."""
  monkeypatch.chdir(tmp_path)
  monkeypatch.setattr(stemgen_lib.StemGen, "load", lambda *_, **__: sampler)
  # A loaded machine must not make chunks late.
  monkeypatch.setattr(clock, "SimulatedWorker", worker)
  monkeypatch.setattr(clock, "ThreadWorker", worker)
  for name, seconds in (("mix.wav", 12), ("loop.wav", 2)):
    soundfile.write(name, beat(seconds), RATE)

  def run(*arguments, expect=0):
    code = __main__.main(["live", *arguments])
    out, err = capsys.readouterr()
    assert code == expect, err
    return err if expect else out

  return run


def beat(seconds, channels=2):
  """Noise at 120 bpm."""
  noise = np.random.default_rng(0).normal(0, 0.2, (RATE // 40, channels))
  sound = np.zeros((round(seconds * RATE), channels))
  for at in range(0, len(sound), RATE // 2):
    sound[at : at + len(noise)] = noise
  return sound


def test_a_file_gets_a_stem_of_its_samples(run):
  out = run("--context=mix.wav", "--stem=bass", "--bpm=120", "--out=bass.wav")
  stem, rate = soundfile.read("bass.wav")
  assert (stem.shape, rate) == ((12 * RATE, 2), RATE)
  assert not stem[: 4 * RATE].any()  # a bar of context, a bar of slack
  assert stem[4 * RATE + 100 :].any()
  found = re.fullmatch(FIGURES, out.splitlines()[-1])
  assert found
  assert found[2] == "100.0"
  assert "wrote bass.wav" in out
  assert "rehearsing chunks of 4.0 s\n" in out


def test_untimed_work_takes_all_passes(run, monkeypatch):
  # As on a machine that needs a minute for a chunk.
  def slow(time, measured):
    worker = SimulatedWorker(time, measured=False)
    if measured:
      submit = worker.submit
      worker.submit = lambda job: submit(lambda: time.spend(60) or job())
    return worker

  monkeypatch.setattr(clock, "SimulatedWorker", slow)
  arguments = ("--context=mix.wav", "--bpm=120", "--out=a.wav", "--overwrite")
  late = run(*arguments).splitlines()[-1]
  assert "hit rate 0.0%" in late
  last = run(*arguments, "--untimed").splitlines()[-1]
  passes = re.search(r"up to (\d+)", run(*arguments, "--untimed"))
  assert passes
  assert last == f"chunks: 2, untimed, 0 late, {passes[1]} passes, float32"


def test_the_tempo_of_a_file_is_detected(run):
  out = run(
    *("--context=mix.wav", "--out=bass.flac", "--monitor", "--bits=16"),
    *("--slack=2", "--bars=1"),
  )
  assert re.search(r"tempo (120.0|119.9|120.1) bpm, as detected", out)
  mix, _ = soundfile.read("bass.flac")
  np.testing.assert_allclose(mix[: 8 * RATE], beat(8), atol=1e-4)
  assert np.abs(mix[10 * RATE :] - beat(2)).max() > 1e-3


def test_a_gain_and_a_warning_if_the_output_is_clipped(run, capsys):
  arguments = ("--context=mix.wav", "--bpm=120", "--monitor", "--overwrite")
  run(*arguments, "--out=a.wav", "--gain_db=-12", "--bits=float")
  mix, _ = soundfile.read("a.wav")
  np.testing.assert_allclose(mix[: 4 * RATE], 0.2512 * beat(4), atol=1e-4)
  code = __main__.main(["live", *arguments, "--out=a.wav", "--gain_db=12"])
  err = capsys.readouterr().err
  assert code == 0
  least = float(re.findall(r"clipped: expected --gain_db=(.*) or less", err)[0])
  run(*arguments, "--out=a.wav", f"--gain_db={least}")
  assert 0.95 < np.abs(soundfile.read("a.wav")[0]).max() < 1


def test_music_that_is_too_short_is_reported(run, tmp_path, capsys):
  soundfile.write("short.wav", beat(8), RATE)
  (tmp_path / "song.txt").write_text("2 bass mute\n4 bass mute\n5 bass mute\n")
  code = __main__.main(["live", "--context=short.wav", "--out=a.wav"])
  assert code == 0
  err = capsys.readouterr().err
  assert "no chunk entered in 8.0 s: expected longer music, or --bpm" in err
  known = ("--bpm=120", "--script=song.txt")
  code = __main__.main(["live", "--context=short.wav", "--out=b.wav", *known])
  assert code == 0
  err = capsys.readouterr().err
  assert "no chunk entered" not in err
  assert "1 changes of --script, from bar 5, are after the end, bar 4" in err


def test_layers_change_around_a_loop(run, tmp_path):
  (tmp_path / "song.txt").write_text(
    "# bar, change\n5 bass mute\n\n6 bass unmute  # again\n"
  )
  out = run(
    *("--context=loop.wav", "--loop", "--stem=drums,bass", "--bpm=120"),
    *("--repeats=8", "--change_every=2", "--out=song.wav"),
    *("--script=song.txt", "--slack=1"),
  )
  song, _ = soundfile.read("song.wav")
  assert len(song) == 8 * 2 * RATE
  bars = song.reshape(8, 2 * RATE, 2)[:, 100:]
  assert not bars[0].any()
  assert bars[1].any()
  # Without changes a bar is the one before it.
  same = [bool(np.abs(bars[i] - bars[i - 1]).max() < 1e-6) for i in range(2, 8)]
  # Bass enters, nothing, is muted and drums change, bass is back, ...
  assert same == [False, True, False, False, False, True]
  assert "bar 5: bass muted" in out
  assert "bar 5: drums: seed 1" in out
  assert "bar 7: bass: seed 1" in out
  assert re.fullmatch(FIGURES, out.splitlines()[-1])


@pytest.mark.parametrize("bits", ["16", "float"])
def test_samples_from_a_pipe_to_a_pipe(run, monkeypatch, bits):
  monkeypatch.setattr(clock, "WallClock", clock.SimulatedClock)
  sound = beat(8, channels=1)
  full, dtype = (1, "<f4") if bits == "float" else (32768, "<i2")
  data = (sound * full).astype(dtype).tobytes() + b"\0"  # an incomplete sample
  pipe = io.BytesIO()
  monkeypatch.setattr(
    "sys.stdin", types.SimpleNamespace(buffer=io.BytesIO(data))
  )
  monkeypatch.setattr("sys.__stdout__", types.SimpleNamespace(buffer=pipe))
  out = run(
    *("--context=-", "--out=-", f"--sample_rate={RATE}", "--channels=1"),
    *("--bpm=120", f"--bits={bits}"),
  )
  assert out == ""  # standard output has samples alone
  stem = np.frombuffer(pipe.getvalue(), dtype)
  assert len(stem) == 8 * RATE
  assert not stem[: 4 * RATE].any()
  assert stem[4 * RATE + 100 :].any()


def test_a_sound_card_until_it_is_gone(run, monkeypatch):
  card = fake_card.Card()
  card.gone = [(13.0, 99.0)]
  monkeypatch.setattr(performance, "sound_cards", lambda: card)
  monkeypatch.setattr(clock, "WallClock", lambda: card)
  error = run(
    *("--device=1,2", "--bpm=120", "--out=played.wav"),
    f"--sample_rate={fake_card.RATE}",
    expect=1,
  )
  assert error.splitlines()[-1].endswith("the sound card was gone for 10 s")
  assert card.given["device"] == (1, 2)
  stem, rate = soundfile.read("played.wav")
  assert rate == fake_card.RATE
  assert len(stem) / rate == pytest.approx(11, abs=0.2)  # 2 s of count-in
  assert not stem[: 4 * rate].any()
  assert stem[4 * rate + 100 :].any()


def test_an_interrupted_performance_is_written(run, monkeypatch):
  card = fake_card.Card()
  monkeypatch.setattr(performance, "sound_cards", lambda: card)
  monkeypatch.setattr(clock, "WallClock", lambda: card)
  wait = card.wait

  def interrupt(until):
    wait(until)
    if card.seconds > 9:
      raise KeyboardInterrupt

  monkeypatch.setattr(card, "wait", interrupt)
  out = run(
    *("--device=default", "--bpm=120", "--out=played.wav", "--count_in=0"),
    f"--sample_rate={fake_card.RATE}",
  )
  assert card.given["device"] is None
  assert re.fullmatch(FIGURES, out.splitlines()[-1])
  assert len(soundfile.read("played.wav")[0]) > 8.5 * fake_card.RATE


def test_tempo_and_bars_of_a_link_session(run, monkeypatch):
  card = fake_card.Card()
  card.gone = [(19.0, 99.0)]
  monkeypatch.setattr(performance, "sound_cards", lambda: card)
  monkeypatch.setattr(clock, "WallClock", lambda: card)
  session = fake_link.Session(card, 150.0)
  asked = []

  def opened(*given):
    asked.append(given)
    return session

  monkeypatch.setattr(link, "open_session", opened)
  error = run(
    *("--device=default", "--link", "--out=played.wav", "--bpm=100"),
    f"--sample_rate={fake_card.RATE}",
    expect=1,
  )
  assert error.endswith("the sound card was gone for 10 s\n")
  assert asked == [(100.0, 4)]
  stem, rate = soundfile.read("played.wav")
  assert stem[: 13 * rate].any()
  assert len(stem) / rate == pytest.approx(19, abs=0.2)  # no count-in


def test_link_without_its_package_is_one_line(run, monkeypatch):
  monkeypatch.setitem(sys.modules, "aalink", None)
  error = run("--context=-", "--out=x.wav", "--link", expect=1)
  assert "pip install -e '.[link]'" in error
  assert len(error.splitlines()) == 1


FILE = ("--context=mix.wav", "--out=x.wav", "--bpm=120")
LOOP = ("--context=loop.wav", "--out=x.wav", "--loop")


@pytest.mark.parametrize(
  ("arguments", "message"),
  [
    (["--out=x.wav"], "give either --context=FILE, or --device"),
    (["--context=no.wav", "--out=x.wav"], "no such file: no.wav"),
    (["--context=mix.wav"], "--out is missing"),
    (["--context=mix.wav", "--out=mix.wav"], "mix.wav exists"),
    (
      ["--context=mix.wav", "--out=mix.wav", "--overwrite", "--bpm=120"],
      "--out=mix.wav: it is the context",
    ),
    ([*FILE, "--stem=bass,bass"], "--stem=bass,bass: expected instruments"),
    ([*FILE, "--stem=kazoo"], "unknown instrument category 'kazoo'"),
    ([*FILE, "--bpm=1000"], "tempo 1000 bpm: expected 20 to 400"),
    ([*FILE, "--slack=9"], "--slack=9: expected above 0, at most the 8"),
    ([*FILE, "--bars=0"], "--bars=0: expected 1 or more"),
    ([*FILE, "--bars=64", "--bpm=20"], "--bars=64: chunks of 768 s; expected"),
    ([*FILE, "--sample_rate=16000"], "--sample_rate: expected with --con"),
    ([*FILE, "--beats_per_bar=0"], "--beats_per_bar=0: expected 1 or more"),
    ([*FILE, "--gain_db=nan"], "--gain_db=nan: expected -120 to 120"),
    ([*LOOP, "--bars=1"], "--bars: expected without --loop"),
    ([*FILE, "--genre=techno"], "--genre=techno: the weights demo have no"),
    ([*FILE, "--repeats=2"], "--repeats: expected with --loop"),
    ([*FILE, "--device=0"], "give either --context=FILE, or --device"),
    ([*FILE, "--count_in=2"], "--count_in: expected with --device"),
    ([*FILE, "--script=no.txt"], "no such file: no.txt"),
    ([*FILE, "--script=."], ". is a folder: expected a script"),
    ([*FILE, "--script=mix.wav"], "mix.wav: not text in UTF-8"),
    ([*FILE, "--script=bad.txt"], "bad.txt, line 2: 'bass loud': unknown"),
    ([*FILE, "--script=bar.txt"], "bar.txt, line 1: bar '0'"),
    ([*LOOP, "--bpm=100"], "loop.wav: 3.3 beats at 100 bpm; expected whole"),
    ([*LOOP, "--bpm=120", "--repeats=0"], "--repeats=0"),
    ([*FILE, "--untimed", "--realtime"], "--untimed: expected with --context="),
    ([*FILE, "--link"], "--link: expected with --device, --context=- or"),
    ([*LOOP, "--link", "--realtime"], "without --loop, which has its own"),
    (["--context=hum.wav", "--out=x.wav"], "hum.wav: the tempo of its first"),
    (
      ["--context=-", "--out=-", "--channels=0"],
      "--sample_rate=48000 --channels=0: expected 1000 to",
    ),
  ],
)
def test_bad_input_is_one_line(run, tmp_path, arguments, message):
  (tmp_path / "bad.txt").write_text("3 bass mute\n4 bass loud\n")
  (tmp_path / "bar.txt").write_text("0 bass mute\n")
  soundfile.write("hum.wav", np.ones((12 * RATE, 1)) * 0.1, RATE)
  error = run(*arguments, expect=1)
  assert message in error
  assert len(error.splitlines()) == 1
  assert not (tmp_path / "x.wav").exists()
