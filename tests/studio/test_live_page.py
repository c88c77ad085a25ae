"""The Live tab of the page, used in Chromium."""

import re

import numpy as np
import pytest
from pcm_model import music
from serving import until
from test_studio_page import check_readable

from stemgen_jax.session import Session

pytestmark = [
  pytest.mark.browser,
  # Random codes have a mean.
  pytest.mark.filterwarnings("ignore:the context has a DC offset"),
]
LOG = "document.querySelector('.live-log').innerText"
BASS = ".live-lane:not(.own)"
PLAYING = "document.querySelector('#live').dataset.phase === 'playing'"
IDLE = "document.querySelector('#live').dataset.phase === 'idle'"


def choose(page, label, value):
  """Fill in a field of the panel."""
  page.wait(
    f"""(() => {{
      const one = document.querySelector('[aria-label="{label}"]');
      if (one) one.value = {value};
      return one;
    }})()"""
  )


def bar_in(page, text):
  """Wait for a line of what happened; return its bar."""
  lines = page.wait(f"{LOG}.match(/bar \\d+: {text}/)")
  return int(re.findall(r"\d+", lines[0])[0])


# Note all that the cells of the first layer show, by the numbers of their bars.
WATCH = f"""(() => {{
  window.seen = new Set();
  const all = (query) => [...document.querySelectorAll(query)];
  new MutationObserver(() => {{
    const bars = all(".live-ruler .cells span");
    const lane = document.querySelector("{BASS}");
    lane.querySelectorAll(".cell").forEach((cell, place) => seen.add(
      `${{bars[place].innerText}} ${{cell.className}}, ${{cell.innerText}}`));
  }}).observe(document.querySelector(".live-rows"),
    {{subtree: true, childList: true, attributes: true}});
}})()"""


def shown(page, bar, pattern):
  """Wait until the cell of a bar has been as described."""
  page.wait(f"[...seen].some((one) => one.match(/^{bar} {pattern}/))")


def test_layers_play_around_a_loop_and_are_kept(client, page):
  client.studio.start(
    lambda folder: Session.create(folder, music(0.75), name="beat", loop=True)
  )
  page.click(".tabs button", "Live")
  chosen = "document.querySelector('.live-panel .seg [aria-pressed=true]')"
  page.wait(f"{chosen}?.innerText === 'The loop'")
  for name in ("Drums", "Piano", "Synth lead"):
    page.click(".live-panel .chip[aria-pressed=true]", name)
  page.wait(f"document.querySelectorAll('{BASS}').length === 1")
  choose(page, "Beats per minute", 320)
  page.evaluate(WATCH)
  page.press(" ")
  page.wait("document.querySelector('.live-bar.counting')")
  # Bars where chunks enter are those of the machine's speed.
  shown(page, r"\d+", "cell on now, seed 0")
  page.press("1")
  shown(page, bar_in(page, "bass muted"), "cell on muted now, ")
  page.click(f"{BASS} .mute")
  shown(page, bar_in(page, "bass unmuted"), "cell on now, ")
  page.click(f"{BASS} .again")
  again = bar_in(page, "bass: seed 1")
  shown(page, again, "cell on future (ready|making), (seed 1|making)")
  shown(page, r"\d+", "cell on now, seed 1")
  figures = page.evaluate("document.querySelector('.readouts').innerText")
  found = figures.split("\n")
  assert found[found.index("Slack") - 1] == "0.75 s"
  assert {"p50", "p95", "p99", "In time", "Late", "Passes", "Gaps"} < set(found)
  assert client.get("/live")["playing"]
  check_readable(page)
  page.click(".live-start", "Stop")
  page.wait(IDLE)
  page.click(".live-keep button", "Keep the layers")
  page.wait("document.querySelector('#status').innerText.includes('bass')")
  [layer] = client.get("/song")["layers"][1:]
  assert (layer["name"], layer["clips"][0]["seed"]) == ("bass", 1)
  page.click(".tabs button", "Song")
  page.wait("document.querySelector('.lane:nth-child(2) .take.accepted')")


def test_a_run_is_cancelled_while_it_is_prepared(browser, client, page, steps):
  client.studio.start(
    lambda folder: Session.create(folder, music(0.75), name="beat", loop=True)
  )
  page.click(".tabs button", "Live")
  choose(page, "Beats per minute", 320)
  steps.hold()
  page.click(".live-start", "Start")
  page.wait("document.querySelector('.live-line').innerText.match(/preparing/)")
  other = browser.open(f"{client.url}/#live")
  elsewhere = "document.querySelector('.live-panel > .note').checkVisibility()"
  other.wait(elsewhere)
  page.click(".live-start", "Cancel")
  steps.free()
  page.wait(IDLE)
  other.wait(f"!{elsewhere}")
  assert other.errors == []
  other.close()
  assert "lost" not in page.evaluate(
    "document.querySelector('#status').innerText"
  )
  until(lambda: not client.live.playing)


# Sample n of the stream is 1 + n, of both channels. The rest comes after a gap.
WORKLET = """(async () => {
  const context = new OfflineAudioContext(2, 8000, 8000);
  await context.audioWorklet.addModule("/static/live-worklet.js");
  const given = {channels: 2, block: 256, ahead: 512, line: false};
  const node = new AudioWorkletNode(context, "live-player", {
    numberOfInputs: 0, outputChannelCount: [2], processorOptions: given});
  node.connect(context.destination);
  const reports = [];
  node.port.onmessage = ({data}) => reports.push(data);
  const send = (start, count) => {
    const samples = new Float32Array(2 * count)
      .map((_, at) => 1 + start + Math.floor(at / 2));
    node.port.postMessage({start, samples});
  };
  const heard = () => new Promise((done) => setTimeout(done, 100));
  const at = (quantum, work) => context.suspend(quantum * 128 / 8000)
    .then(async () => {
      work();
      await heard();
      context.resume();
    });
  at(1, () => { send(-100, 300); send(200, 212); });  // 512: it begins
  at(10, () => { send(412, 700); node.port.postMessage({end: 1112}); });
  const rendered = await context.startRendering();
  await heard();
  const [left, right] = [0, 1].map(
    (side) => [...rendered.getChannelData(side)]);
  return {left, right, reports};
})()"""


def test_the_page_plays_every_sample_once(page):
  found = page.evaluate(WORKLET)
  left = np.array(found["left"])
  np.testing.assert_array_equal(left, found["right"])
  stream = np.arange(-100, 1112) + 1.0
  first, gap, last = left[128:640], left[640:1280], left[1280:1980]
  np.testing.assert_array_equal(first, stream[:512])
  assert not gap.any()
  np.testing.assert_array_equal(last, stream[512:])
  assert not left[1980:].any()
  # As many samples are asked for as were played; the gap is reported once.
  requests = [x for x in found["reports"] if "input" in x]
  assert [x["position"] for x in requests] == [156, 412, 668, 924]
  assert [x["underruns"] for x in found["reports"]] == [0, 0, 1, 1, 1]


def test_layers_follow_the_microphone_until_the_page_is_left(client, page):
  page.click(".tabs button", "Live")
  choose(page, "Beats per minute", 240)
  page.click(".live-panel summary")
  choose(page, "Bars of a chunk", 1)
  choose(page, "Beats from request to entry", 2)
  page.evaluate(WATCH)
  page.click(".live-start", "Start")
  shown(page, r"\d+", "cell on now, seed 0")
  run = client.live.run
  assert run.plan.options.lag > 0
  heard = run.engine._input.read(0, run.engine._input.end)
  assert np.abs(heard).max() > 0.01  # Chromium's beeps
  page.go("about:blank")
  until(lambda: not client.live.playing)
  page.go(f"{client.url}/#live")
  page.click(".live-keep button", "Keep the performance")
  page.wait("document.querySelector('header h1').innerText === 'song'")
  layers = client.get("/song")["layers"]
  assert layers[0]["title"] == "Input"
  assert layers[1]["title"] == "Drums, live"
