"""The page of the studio, used in Chromium."""

import contextlib
import json
import zipfile

import numpy as np
import pytest
from browsing import tab
from serving import serving

from stemgen_jax import audio, sampling

pytestmark = [
  pytest.mark.browser,
  # Random codes have a mean.
  pytest.mark.filterwarnings("ignore:the context has a DC offset"),
]
CTRL = 2
NOTE = "document.querySelector('#panel').innerText"
IDLE = "!document.querySelector('.job')"


def takes(number, lane):
  """A script: a lane has a number of takes."""
  one = f"document.querySelectorAll('.lane:nth-child({lane}) .take')"
  return f"{one}.length === {number}"


def accepted(take, lane):
  return (
    f"document.querySelector('.lane:nth-child({lane}) "
    f".take:nth-child({take}).accepted')"
  )


def layer_of(client, name):
  layers = client.get("/song")["layers"]
  return next(layer for layer in layers if layer["name"] == name)


def start_drums(page):
  page.click("#start button", "Drums")
  page.wait("document.querySelector('.lane')")


def generate(page, instrument, number=1):
  page.click("#panel .chip", instrument)
  page.click("#panel .seg button", str(number))
  page.click("#panel .generate")


def test_a_song_of_three_layers_from_a_loop_to_its_export(
  client, page, tmp_path
):
  start_drums(page)
  page.press(" ")
  page.wait("document.querySelector('header [aria-label^=Pause]')")
  generate(page, "Bass", 2)
  page.wait(f"{takes(2, 2)} && {IDLE}")
  page.press("2")  # hear the second
  page.click(".take-action", "Keep take 3")
  page.wait(accepted(2, 2))
  generate(page, "Piano", 1)
  page.wait(f"{takes(1, 3)} && {IDLE}")
  page.press("k")
  page.wait(accepted(1, 3))
  # Bars 3 and 4: the ends snap to beats.
  page.drag(".lane:nth-child(3) .wave[data-clip]", 0.51, 0.985)
  page.click(".lane:nth-child(3) .tools button", "Redo bars 3\u20134")
  page.wait(f"{takes(2, 3)} && {IDLE}")
  redone = client.get("/jobs")[-1]
  [(start, end)] = redone["request"]["regions"]
  assert (start, end) == (pytest.approx(4.0, abs=0.1), 8.0)
  # The new take is heard at once, and then accepted.
  page.wait(
    "document.querySelector('.lane:nth-child(3) .take:nth-child(2).on')"
  )
  page.press("k")
  page.wait(accepted(2, 3))
  page.press("z", CTRL)
  page.wait(accepted(1, 3))
  page.press("2")
  page.wait(f"{NOTE}.includes('This keeps take 5 of Piano.')")
  page.press("1")
  page.wait(f"!{NOTE}.includes('This keeps')")
  bass, piano = layer_of(client, "bass"), layer_of(client, "piano")
  assert bass["clip"] == bass["clips"][1]["number"]
  assert piano["clip"] == piano["clips"][0]["number"]

  page.download_to(tmp_path)
  page.click("header button", "Export")
  page.wait("document.querySelector('#status').textContent.match(/Exported/)")
  archive = tmp_path / "song.zip"
  page.wait_for_download(archive)
  with zipfile.ZipFile(archive) as files:
    assert {"mix.wav", "song.dawproject", "song.rpp"} < set(files.namelist())
    waves = [name for name in files.namelist() if name.endswith(".wav")]
    assert len(waves) == 4  # three layers and the mix
    files.extractall(tmp_path)
  sounds = {name: audio.read(tmp_path / name) for name in waves}
  mix = sounds.pop("mix.wav")
  assert mix.samples.shape == (8 * mix.sample_rate, 2)
  total = sum(sound.samples for sound in sounds.values())
  np.testing.assert_allclose(total, mix.samples, atol=1e-5)


def test_jobs_survive_the_page_and_one_is_cancelled(
  client, steps, browser, model
):
  model.metadata["categories"] = ["bass", "piano", "synth_lead"]
  steps.hold()
  with tab(browser, client) as page:
    start_drums(page)
    for number, name in enumerate(("Bass", "Piano", "Synth lead"), 2):
      generate(page, name)
      page.wait(f"document.querySelectorAll('.lane').length === {number}")
  with tab(browser, client) as page:
    page.wait("document.querySelectorAll('.lane').length === 4")
    page.wait(
      "document.querySelector('.lane:nth-child(3)').textContent"
      ".includes('Next in line')"
    )
    page.click("#panel .chip", "Drums")
    page.wait(f"{NOTE}.includes('were not trained on drums')")
    page.click(".lane:nth-child(3) .job button", "Cancel")
    page.wait("document.querySelectorAll('.lane').length === 3")
    steps.free()
    page.wait(f"{takes(1, 2)} && {takes(1, 3)} && {IDLE}")
  states = [(job["title"], job["state"]) for job in client.get("/jobs")]
  assert states == [
    ("Bass", "done"),
    ("Piano", "cancelled"),
    ("Synth lead", "done"),
  ]


def test_a_reload_shows_the_same(client, page):
  start_drums(page)
  generate(page, "Bass", 2)
  page.wait(f"{takes(2, 2)} && {IDLE}")
  page.press("1")
  page.drag(".lane:nth-child(2) .wave[data-clip]", 0.26, 0.49)
  page.wait("document.querySelector('.tools button')")
  page.press("l")
  shown = "document.body.innerText"
  pressed = """[...document.querySelectorAll('[aria-pressed=true]')]
    .map((one) => one.className + one.textContent).join()"""
  before = page.evaluate(f"[{shown}, {pressed}]")
  assert "Redo bar 2" in before[0]
  page.go(f"{client.url}/")
  page.wait("document.querySelector('.tools button')")
  page.wait("document.querySelector('.lane:nth-child(2) .wave[data-clip]')")
  after = page.evaluate(f"[{shown}, {pressed}]")
  # The choices for the next layer are new.
  parts = [text.partition("Add a layer")[0] for text, _ in (before, after)]
  assert parts[0] == parts[1]
  lanes = [text.partition("chip")[0] for _, text in (before, after)]
  assert lanes[0] == lanes[1]


def test_a_dropped_file_becomes_a_layer(client, page):
  start_drums(page)
  page.evaluate(
    """(async () => {
      const sound = await (await fetch("/clips/1.wav")).blob();
      const dataTransfer = new DataTransfer();
      dataTransfer.items.add(new File([sound], "My beat.wav"));
      const target = document.querySelector("#tracks");
      const given = {dataTransfer, bubbles: true, cancelable: true};
      target.dispatchEvent(new DragEvent("drop", given));
    })()"""
  )
  page.wait("document.querySelectorAll('.lane .wave[data-clip]').length === 2")
  assert client.get("/song")["layers"][1]["title"] == "My beat"


def test_choices_under_more_are_those_of_the_job(client, page):
  start_drums(page)
  page.click("#panel summary")
  page.evaluate(
    """document.querySelectorAll("#panel details input").forEach((one) => {
      const values = {Seed: 7, Temperature: 1.2, "Follow the mix": 3.5};
      const value = values[one.ariaLabel ?? one.labels[0].firstChild.innerText];
      if (!value) return;
      one.value = value;
      one.dispatchEvent(new Event("input"));
    })"""
  )
  page.click("#panel .seg button", "fast")
  generate(page, "Bass")
  page.wait(f"{takes(1, 2)} && {IDLE}")
  [job] = client.get("/jobs")
  assert job["state"] == "done"
  request = job["request"]
  assert (request["seed"], request["preset"]) == (7, "fast")
  assert request["settings"]["temperature"] == 1.2
  guidance = client.get("/settings")["preset_guidance"]["fast"]
  assert request["settings"]["guidance"] == guidance | {"context": 3.5}
  assert layer_of(client, "bass")["clips"][0]["seed"] == 7


def test_two_pages_show_the_same_song(client, browser, page):
  start_drums(page)
  with tab(browser, client) as other:
    other.wait("document.querySelector('.lane')")
    generate(page, "Bass")
    other.wait(takes(1, 2))
    other.click(".take-action", "Keep take 2")
    page.wait(accepted(1, 2))
    page.click(".lane:nth-child(1) .mute")
    other.wait("document.querySelector('.lane.muted')")
    for part in ("header", "#tracks"):
      shown = f"document.querySelector('{part}').innerText"
      assert other.evaluate(shown) == page.evaluate(shown)


def test_a_stale_take_is_regenerated_for_the_new_mix(client, page):
  start_drums(page)
  generate(page, "Bass", 2)
  page.wait(f"{takes(2, 2)} && {IDLE}")
  generate(page, "Piano")  # which keeps the bass that is heard
  page.wait(f"{takes(1, 3)} && {IDLE}")
  page.click(".lane:nth-child(3) .take-star")
  page.wait(accepted(1, 3))
  [other] = {clip["number"] for clip in layer_of(client, "bass")["clips"]} - {
    layer_of(client, "bass")["clip"]
  }
  page.click(f"[data-key='star {other}']")
  page.click(".lane:nth-child(3) .take-action", "Regenerate for the new mix")
  page.wait(f"{accepted(2, 3)} && {IDLE}")
  page.wait(
    "![...document.querySelectorAll('.badge')]"
    ".some((one) => one.checkVisibility())"
  )
  assert layer_of(client, "bass")["clip"] == other
  assert not layer_of(client, "piano")["stale"]


def test_menus_change_a_layer_and_undo_takes_it_back(client, page):
  start_drums(page)
  generate(page, "Bass", 2)
  page.wait(f"{takes(2, 2)} && {IDLE}")
  more = ".lane:nth-child(2) [aria-label^=More]"
  page.click(more)
  page.click(".menu .item", "Discard take")
  page.wait(takes(1, 2))
  page.click(more)
  page.click(".menu .item", "Remove Bass")
  page.wait("document.querySelectorAll('.lane').length === 1")
  page.click("header [aria-label^=Undo]")
  page.wait(takes(1, 2))
  page.click("header [aria-label^=Undo]")
  page.wait(takes(2, 2))


def test_a_song_gets_longer_and_another_one_starts(client, page, mix):
  page.choose_file("#first-file", mix)
  page.wait("document.querySelector('.lane .wave[data-clip]')")
  generate(page, "Bass")
  page.wait(f"{takes(1, 2)} && {IDLE}")
  page.press("k")
  page.wait(accepted(1, 2))
  before = client.get("/song")["seconds"]
  menu = "header [aria-label^=Length]"
  page.click(menu)
  page.click(".menu .item", "Add 8 s")
  page.wait(
    f"{IDLE} && document.querySelector('.time').innerText.includes('8.5')"
  )
  assert client.get("/song")["seconds"] == before + 8
  page.click(menu)
  page.click(".menu .item", "Start another song")
  page.wait("document.querySelector('#start h1').checkVisibility()")
  start_drums(page)
  assert client.get("/song")["name"] == "song-2"


def test_faults_are_one_line_and_pass(browser, folder, model, tmp_path):
  text = tmp_path / "notes.wav"
  text.write_text("not a sound")
  line = "document.querySelector('#status.on')?.innerText"
  with contextlib.ExitStack() as stack:
    with serving(folder, model) as client:
      page = stack.enter_context(tab(browser, client))
      page.choose_file("#first-file", text)
      page.wait(f"{line}?.includes('notes is not audio that can be read')")
      start_drums(page)
    page.wait(f"{line}?.includes('does not answer')")
    assert "\n" not in page.evaluate(line).strip()
    port = int(client.url.rpartition(":")[2])
    client = stack.enter_context(serving(folder, model, port))
    page.wait(f"!{line}")
    page.click(".lane .solo")
    page.wait("document.querySelector('.solo[aria-pressed=true]')")
    page.wait("!document.querySelector('header [aria-label^=Undo]').disabled")
    assert layer_of(client, "drums")["solo"]


def test_a_failed_job_is_one_line_in_its_lane(client, page, monkeypatch):
  def fail(*_, **__):
    raise ValueError("bass: no samples; expected some")

  monkeypatch.setattr(sampling, "decode_codes", fail)
  start_drums(page)
  generate(page, "Bass")
  page.wait(
    "document.querySelector('.lane:nth-child(2) .job.failed').innerText"
    ".includes('no samples')"
  )
  page.click(".job button", "Dismiss")
  page.wait("document.querySelectorAll('.lane').length === 1")


def test_a_recording_starts_a_song(client, page):
  page.click("#start button", "Record")
  page.wait(
    "document.querySelector('#start .record').textContent === 'Stop (0:01)'"
  )
  page.click("#start button", "Stop")
  page.wait("document.querySelector('.lane .wave div')")
  [layer] = client.get("/song")["layers"]
  assert layer["clips"][0]["own"]
  assert 0.5 < client.get("/song")["seconds"] < 10
  assert (
    client.get(f"/clips/{layer['clip']}/peaks?count=50")["peaks"] != [0] * 50
  )


def test_text_is_readable_and_controls_have_names(page):
  start_drums(page)
  generate(page, "Bass", 2)
  page.wait(f"{takes(2, 2)} && {IDLE}")
  page.drag(".lane:nth-child(2) .wave[data-clip]", 0.1, 0.4)
  page.click("#panel summary")
  check_readable(page)


def check_readable(page):
  """All that is visible has contrast and a name."""
  assert page.evaluate(CONTRAST) == []
  unnamed = page.evaluate(
    """[...document.querySelectorAll('button, input, select')]
      .filter((one) => one.checkVisibility() && !(one.getAttribute('aria-label')
        || one.textContent.trim() || one.labels?.length))
      .map((one) => one.outerHTML)"""
  )
  assert unnamed == []


# Visible texts whose contrast with the colors behind them is below 4.5.
CONTRAST = """(() => {
  const numbers = (color) => {
    const all = color.match(/[\\d.]+/g).map(Number);
    const unit = color.startsWith("color(");  // as of color-mix
    return all.map((x, i) => unit && i < 3 ? 255 * x : x);
  };
  const over = ([r, g, b, a = 1], below) =>
    [r, g, b].map((x, i) => a * x + (1 - a) * below[i]);
  const behind = (one) => {
    if (!one) return [0, 0, 0];
    return over(
      numbers(getComputedStyle(one).backgroundColor), behind(one.parentElement)
    );
  };
  const light = (color) => {
    const [r, g, b] = color.map((x) => x / 255).map((x) =>
      x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
  };
  const faint = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const one = texts.currentNode.parentElement;
    const text = texts.currentNode.textContent.trim();
    if (!text || !one.checkVisibility() || one.closest(":disabled")) continue;
    const back = behind(one);
    const front = over(numbers(getComputedStyle(one).color), back);
    const [low, high] = [light(back), light(front)].sort((a, b) => a - b);
    if (high / low < 4.5) faint.push([text, high / low]);
  }
  return faint;
})()"""


def test_at_phone_width_the_panel_folds_to_one_button(page):
  start_drums(page)
  page.resize(390, 844)
  wide = "document.documentElement.scrollWidth"
  page.wait("document.querySelector('.fold-button').checkVisibility()")
  buttons = "[...document.querySelectorAll('#panel button')]"
  visible = f"{buttons}.filter((one) => one.checkVisibility()).length"
  assert page.evaluate(visible) == 1
  assert page.evaluate(wide) == 390
  page.click(".fold-button")
  generate(page, "Bass")
  page.wait(f"{takes(1, 2)} && {IDLE}")
  assert page.evaluate(visible) == 1  # folded again
  assert page.evaluate(wide) == 390


def test_a_song_at_96_khz_plays_in_real_time(page):
  page.wait("document.querySelector('#start h1')?.checkVisibility()")
  body = {"seconds": 2.0, "sample_rate": 96_000, "channels": 2}
  script = f"""fetch("/song", {{method: "POST",
    headers: {{"Content-Type": "application/json"}},
    body: {json.dumps(json.dumps(body))}}}).then((answer) => answer.ok)"""
  assert page.evaluate(script)
  generate(page, "Bass")
  page.wait(takes(1, 1))
  page.press(" ")
  rate, before, after = page.evaluate(
    """(async () => {
      const player = await import("/static/player.js");
      while (!player.current().position) {
        await new Promise((done) => setTimeout(done, 20));
      }
      const transport = player.current();
      const began = [transport.context.currentTime, transport.position];
      await new Promise((done) => setTimeout(done, 300));
      const ended = [transport.context.currentTime, transport.position];
      return [transport.context.sampleRate, began, ended];
    })()"""
  )
  assert rate == 96_000
  passed = [end - start for start, end in zip(before, after)]
  assert passed[0] > 0.1
  assert passed[1] == pytest.approx(passed[0], abs=0.01)
