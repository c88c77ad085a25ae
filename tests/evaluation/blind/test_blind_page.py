"""The page of the listening test, in Chromium."""

import pathlib
import time

import chromium
import numpy as np
import pytest

from stemgen_jax.evaluation.blind import answers, page

pytestmark = pytest.mark.browser
PLAYER = pathlib.Path(page.__file__).parent / "static" / "player.js"
RATE = 8000

# Sounds of one ramp: what is heard is the ramp while they play in step and the
# fades keep the level.
RENDER = """(async () => {
  PLAYER
  const offline = new OfflineAudioContext(1, 2 * RATE, RATE);
  globalThis.AudioContext = class { constructor() { return offline; } };
  const ramp = offline.createBuffer(1, RATE, RATE);
  ramp.getChannelData(0).set(Array.from({length: RATE}, (_, i) => i / RATE));
  const player = new Player();
  player.open().catch(() => {});  // it is not suspended
  player.load([ramp, ramp, ramp], 1);
  player.play();
  const at = (time, work) => offline.suspend(time).then(() => {
    work();
    offline.resume();
  });
  at(0.384, () => player.select(1));
  at(0.64, () => player.select(2));
  at(1.28, () => player.pause());
  at(1.408, () => player.seek(0.5));
  at(1.536, () => player.play());
  const rendered = await offline.startRendering();
  return [...rendered.getChannelData(0)];
})()"""


def test_versions_switch_in_step(first_tab):
  first_tab.go("about:blank")
  text = RENDER.replace("PLAYER", PLAYER.read_text())
  heard = np.array(first_tab.evaluate(text.replace("RATE", str(RATE))))
  time = np.arange(2 * RATE) / RATE
  playing = (time > 0.08) & (time < 1.28)  # after the fade at the start
  expected = (time - 0.05) % 1
  # The loop's jump may be a sample early.
  playing &= np.abs(time - 1.05) > 0.001
  np.testing.assert_allclose(heard[playing], expected[playing], atol=1e-3)
  paused = (time > 1.32) & (time < 1.58)
  assert not heard[paused].any()
  later = time > 1.62
  ramp = 0.5 + time - 1.586
  np.testing.assert_allclose(heard[later], ramp[later], atol=1e-3)


def text_of(id):
  return f"document.getElementById('{id}').textContent"


def answer(tab, digits):
  """Rate all versions of a trial alike, and the last one as the best."""
  for letter in "abcd":
    tab.press(letter)
    for digit in digits:
      tab.press(digit)
    # Until it has been heard for a while.
    tab.wait(f"{text_of('status')} !== 'Listen to {letter.upper()}'")
  assert tab.evaluate(text_of("status")) == "Choose the best one"
  tab.press("Enter")  # too early
  tab.press("s")
  tab.wait(f"{text_of('status')} === ''")


def test_a_listener_answers_and_saves(first_tab, made, tmp_path):
  tab = first_tab
  tab.errors.clear()
  url = (made.out / "listening_test.html").as_uri()
  tab.go(url)
  assert tab.evaluate(text_of("count")) == "2"
  tab.click("#start")
  ready = "!document.getElementById('play').disabled"
  tab.wait(ready)
  assert tab.evaluate(text_of("status")) == "Listen to A"
  answer(tab, "234")
  # A reload loses nothing; a busy browser may show what the page has stored
  # to a later page only.
  deadline = time.monotonic() + chromium.PATIENCE
  resume = "Continue with piece 1"
  while time.monotonic() < deadline and tab.wait(text_of("start")) != resume:
    tab.reload()
    time.sleep(0.5)
  tab.click("#start", resume)
  tab.wait(ready)
  assert tab.evaluate(text_of("status")) == ""
  tab.press("Enter")
  tab.wait(f"{text_of('title')} === 'Piece 2 of 2'")
  tab.wait(ready)
  answer(tab, "15")  # without harmony
  tab.press(" ")
  assert tab.evaluate("document.getElementById('play').ariaLabel") == "Play"
  tab.press("Enter")
  tab.download_to(tmp_path)
  tab.click("#save")
  tab.wait(f"{text_of('saved')}.includes('Saved')")
  saved = tmp_path / tab.evaluate(text_of("file"))
  tab.wait_for_download(saved)
  (trials,) = answers.read([saved], made.key)
  digits = (
    {"groove": 2, "harmony": 3, "overall": 4},
    {"groove": 1, "overall": 5},
  )
  for trial, key, given in zip(trials, made.key["trials"], digits):
    names = list(key["versions"])
    assert trial == {"ratings": dict.fromkeys(names, given), "best": names[-1]}
  assert tab.errors == []
