"""The transport of the page, rendered to samples in Chromium."""

import json
import pathlib

import numpy as np
import pytest

from stemgen_jax import studio

pytestmark = pytest.mark.browser
TRANSPORT = pathlib.Path(studio.__path__[0], "static", "transport.js")
BLOCK = 128  # samples of Web Audio

# Four tracks of clicks at every eighth of a second, of 0.01, 0.02, 0.04 and
# 0.08: their sum is 0.15 where, and only where, all of them click.
RENDER = """(async () => {
  const file = new Blob([TEXT], {type: "text/javascript"});
  const {Transport} = await import(URL.createObjectURL(file));
  const rate = RATE, seconds = 4;
  const context = new OfflineAudioContext(2, 12 * rate, rate);
  const transport = new Transport(context, seconds);
  const clicks = (weight) => {
    const buffer = context.createBuffer(1, seconds * rate, rate);
    const samples = buffer.getChannelData(0);
    for (let at = 0; at < samples.length; at += rate / 8) {
      samples[at] = weight / 100;
    }
    return buffer;
  };
  const tracks = [1, 2, 4, 8].map((weight) =>
    ({id: String(weight), buffer: clicks(weight)}));
  transport.setTracks(tracks);
  for (const {id} of tracks) transport.setLevel(id, 1);
  const at = (time, work) => context.suspend(time).then(() => {
    work();
    context.resume();
  });
  SCRIPT
  const rendered = await context.startRendering();
  const [left, right] = [0, 1].map((side) => rendered.getChannelData(side));
  const found = [];
  left.forEach((sample, index) => {
    if (Math.abs(sample) > 1e-6 || Math.abs(right[index]) > 1e-6) {
      found.push([index, sample, right[index]]);
    }
  });
  return found;
})()"""


@pytest.fixture
def render(first_tab):
  def render(script, rate=44_100):
    text = json.dumps(TRANSPORT.read_text(encoding="utf-8"))
    text = RENDER.replace("SCRIPT", script).replace("TEXT", text)
    text = text.replace("RATE", str(rate))
    return np.array(first_tab.evaluate(text))  # [clicks, (sample, left, right)]

  return render


@pytest.mark.parametrize("rate", [48_000, 96_000])
def test_tracks_stay_in_sync_to_the_sample_after_20_seeks(render, rate):
  rng = np.random.default_rng(0)
  times = 0.3 + 0.55 * np.arange(20) + rng.uniform(0, 0.2, 20)
  places = rng.uniform(0, 3, 20)
  seeks = "".join(
    f"at({time}, () => transport.seek({place}));"
    for time, place in zip(times.tolist(), places.tolist())
  )
  found = render("transport.play();" + seeks, rate)
  np.testing.assert_allclose(found[:, 1:], 0.15, atol=1e-6)
  # Where the clicks have to be: the sources start 50 ms after each call.
  lead, step = round(0.05 * rate), rate // 8
  calls = np.ceil(times * rate / BLOCK).astype(int) * BLOCK
  starts = [lead, *(calls + lead), 12 * rate]
  offsets = [0, *np.round(places * rate).astype(int)]
  expected = []
  for start, end, offset in zip(starts, starts[1:], offsets):
    first = start + (-offset) % step
    last = min(end, start + 4 * rate - offset)
    expected += range(first, last, step)
  assert found[:, 0].tolist() == expected


def test_a_loop_repeats_without_a_gap(render):
  found = render("transport.setLoop(0.5, 1.25); transport.play();", 48_000)
  np.testing.assert_allclose(found[:, 1:], 0.15, atol=1e-6)
  assert np.diff(found[:, 0]).tolist() == [6000] * (len(found) - 1)
  assert len(found) == 12 * 8  # to the end


def test_a_take_is_replaced_while_it_plays(render):
  found = render(
    """transport.setLoop(0, seconds);
    transport.play();
    at(3.03, () => transport.setTracks([
      ...tracks.slice(0, 3), {id: "8", buffer: clicks(1)}
    ]));""",
    48_000,
  )
  before = found[:, 0] < (3.03 + 0.05) * 48_000
  np.testing.assert_allclose(found[before, 1:], 0.15, atol=1e-6)
  np.testing.assert_allclose(found[~before, 1:], 0.08, atol=1e-6)
  assert np.diff(found[:, 0]).tolist() == [6000] * (len(found) - 1)


def test_level_and_pan_change_while_it_plays(render):
  found = render(
    """transport.setLoop(0, seconds);
    transport.play();
    at(2, () => transport.setLevel("8", 0));
    at(4, () => transport.setLevel("4", 0.5, 1));""",
    48_000,
  )
  seconds = found[:, 0] / 48_000
  np.testing.assert_allclose(found[seconds < 2, 1:], 0.15, atol=1e-6)
  muted = found[(seconds > 2.2) & (seconds < 4)]
  np.testing.assert_allclose(muted[:, 1:], 0.07, atol=1e-6)
  np.testing.assert_allclose(found[seconds > 4.2, 1], 0.03, atol=1e-6)
  np.testing.assert_allclose(found[seconds > 4.2, 2], 0.05, atol=1e-6)


def test_only_loud_sounds_are_rounded_off(render):
  found = render("transport.setLevel('8', 20); transport.play();", 48_000)
  assert found[:, 1:].min() > 0.95  # of 1.67
  assert found[:, 1:].max() <= 1
  found = render("transport.setLevel('8', 9); transport.play();", 48_000)
  # The first click is during the change of the level.
  np.testing.assert_allclose(found[1:, 1:], 0.79, atol=1e-5)
