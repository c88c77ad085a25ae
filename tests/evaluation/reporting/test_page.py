"""The page of an evaluation, read as text and opened in a browser."""

import html
import http.server
import json
import pathlib
import re
import shutil
import subprocess

import numpy as np
import pytest

from stemgen_jax.audio import Audio
from stemgen_jax.evaluation import reference_annotations
from stemgen_jax.evaluation.metrics import mirdd, rhythm
from stemgen_jax.evaluation.protocol import Example
from stemgen_jax.evaluation.reporting import page as page_lib
from stemgen_jax.evaluation.reporting import sessions, summary
from stemgen_jax.evaluation.studies.full import FIGURES, SYSTEMS, Judged
from stemgen_jax.sampling import preset

RATE, SECONDS = 16000, 2.0
# Debian calls it chromium; what other systems call it is looked for, too.
BROWSER = next(
  filter(
    None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))
  ),
  "",
)
# Appended to a copy of the page: plays every sound, and tells what came of it.
LISTENER = """<script>
addEventListener("load", async () => {
  const said = {errors: window.errors, sounds: [], pictures: 0};
  for (const sound of document.querySelectorAll("audio")) {
    sound.muted = true;
    try {
      await sound.play();
      const sought = new Promise((done) => {
        sound.addEventListener("seeked", done);
      });
      const view = sound.parentElement.querySelector(".view");
      const box = view.getBoundingClientRect();
      view.onclick({clientX: box.left + box.width / 2});
      await sought;
      const others = [...document.querySelectorAll("audio")];
      const playing = others.filter((other) => !other.paused).length;
      said.sounds.push([sound.duration, sound.currentTime, playing]);
    } catch (error) { said.errors.push(String(error)); }
  }
  for (const image of document.images) {
    image.scrollIntoView();  // pictures are fetched when they are looked at
    for (let tries = 0; tries < 100 && !image.naturalWidth; tries++) {
      await new Promise((done) => setTimeout(done, 100));
    }
    said.pictures += image.naturalWidth > 0;
  }
  fetch("http://127.0.0.1:PORT/", {
    method: "POST", mode: "no-cors", body: JSON.stringify(said),
  });
});
</script>"""
CATCHER = (
  "<script>window.errors = [];"
  "addEventListener('error', (e) => errors.push(e.message));</script>"
)


def tone(pitch: float) -> Audio:
  time = np.arange(round(SECONDS * RATE)) / RATE
  samples = 0.3 * np.sin(2 * np.pi * pitch * time) * (time % 0.5 < 0.3)
  return Audio(samples.astype(np.float32)[:, None], RATE)


class Player:
  """Every seed plays another tone."""

  def generate(self, context, stem, *, seed, settings):
    return type("Take", (), {"audio": tone(220 + 55 * seed), "seed": seed})


def judged(number: int) -> Judged:
  rng = np.random.default_rng(number)
  return Judged(
    about={
      "number": number,
      "song": f"song {number}",
      "start": 0.0,
      "category": "bass",
      "stems": ["drums"],
      "pitched": True,
      "estimated": False,
      "seconds": 2.0,
    },
    figures={
      system: dict(zip(FIGURES, rng.uniform(size=len(FIGURES))))
      for system in SYSTEMS
    },
    embeddings={
      "codec": {
        side: {system: rng.normal(size=(2, 3)) for system in SYSTEMS}
        for side in ("stem", "mix")
      }
    },
    descriptors={
      system: {name: [1.0] for name in mirdd.BINS}
      for system in ("real", "generated", "random")
    },
  )


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> pathlib.Path:
  example = Example(
    number=0,
    song="song <0>",
    start=1.0,
    category="bass",
    genre="techno",
    role="bass",
    stems=("drums", "comp"),
    context=tone(440),
    real=tone(110),
    stranger=None,
    pitched=True,
    truth=reference_annotations.Truth(
      np.arange(4) / 2, rhythm.Grid(4), (), "A minor", False
    ),
  )
  steps = sessions.play(
    Player(),  # pyright: ignore[reportArgumentType]
    tone(440),
    ("bass", "drums"),
    variations=2,
    settings=preset("fast"),
    seed=3,
  )
  figures = dict.fromkeys(("true", "shuffled", "silent", "null", "gain"), 1.0)
  figures |= {"gain_low": 0.5, "gain_high": 1.5, "null_gain": 0.25}
  figures |= {"null_gain_low": 0.125, "null_gain_high": 0.375}
  masked = {"masked": {"100": figures}}
  result = summary.summarise([judged(number) for number in range(6)]) | {
    "weights": "mine",
    "data": "band-0",
    "listening": {
      "data": "the examples in the package",
      "examples": 4,
      **masked,
      "categories": {"drums": masked},
      "levels": {"0": figures},
    },
  }
  path = tmp_path_factory.mktemp("page") / "report.html"
  page_lib.write(
    path,
    json.loads(json.dumps(result)),
    [(example, tone(220))],
    {"Starting from a tone": steps},
  )
  return path


def test_what_cannot_be_compared_is_said():
  assert "Nothing to compare" in page_lib._frechet({})


def test_scores_of_each_instrument(page):
  result = summary.summarise([judged(number) for number in range(6)])
  assert set(result["of_category"]) == {"bass"}
  for group, whole in result["scores"].items():
    found = result["of_category"]["bass"][group]["generated"]
    assert found["score"] == whole["generated"]["score"]  # all are of a bass
    text = summary.said_score(found)
    assert f"<td>{text}</td>" in page.read_text("utf-8")


def test_the_page_has_examples_sessions_and_tables(page):
  text = page.read_text("utf-8")
  # Four of the example; one that is heard first, and two of each of four.
  assert text.count("<audio") == text.count("data:audio/mpeg") == 4 + 1 + 8
  assert text.count('class="card chosen"') == 2
  assert "song &lt;0&gt;" in text
  assert "bass to drums, comp" in text
  for name in (*SYSTEMS, *mirdd.NAMES.values(), "APA", "FAD-infinity"):
    assert html.escape(name) in text
  for name in FIGURES:
    assert name.replace("_", " ") in text
  assert text.count("0.25 (0.12 to 0.38)") == 2  # all, and drums
  assert not re.findall(r'(?:src|href)="(?!data:)', text)  # nothing from afar
  assert text.count('<svg class="intervals"') >= 1 + len(FIGURES) + 1


def test_the_step_that_fits_best_is_gone_on_from():
  steps = sessions.play(
    Player(),  # pyright: ignore[reportArgumentType]
    tone(440),
    ("synth_lead", "bass"),
    variations=3,
    settings=preset("fast"),
    seed=0,
  )
  for step in steps:
    (chosen,) = (take for take in step.variations if take.chosen)
    assert chosen.fit == max(take.fit for take in step.variations)
  (chosen,) = (take for take in steps[0].variations if take.chosen)
  np.testing.assert_array_equal(steps[1].context.samples, chosen.mix.samples)


@pytest.mark.browser
def test_its_players_play_in_a_browser_from_the_file_system(page, tmp_path):
  told: list[dict] = []

  class Ear(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
      length = int(self.headers["Content-Length"])
      told.append(json.loads(self.rfile.read(length)))
      self.send_response(200)
      self.end_headers()

    def log_message(self, format, *args):
      pass

  with http.server.HTTPServer(("127.0.0.1", 0), Ear) as server:
    server.timeout = 120
    copy = tmp_path / "report.html"
    text = page.read_text("utf-8").replace("<style>", f"{CATCHER}<style>", 1)
    listener = LISTENER.replace("PORT", str(server.server_port))
    copy.write_text(text.replace("</html>", f"{listener}</html>"), "utf-8")
    browser = subprocess.Popen(
      [
        BROWSER,
        "--headless=new",
        "--no-sandbox",  # where tests run as root there is none
        "--disable-gpu",
        "--autoplay-policy=no-user-gesture-required",
        f"--user-data-dir={tmp_path / 'profile'}",
        copy.as_uri(),
      ],
      stdout=subprocess.DEVNULL,
      stderr=subprocess.DEVNULL,
    )
    try:
      server.handle_request()
    finally:
      browser.terminate()
      browser.wait(30)
  (said,) = told
  assert said["errors"] == []
  assert len(said["sounds"]) == said["pictures"] == 13
  for duration, position, playing in said["sounds"]:
    assert duration == pytest.approx(SECONDS, abs=0.1)
    # A click in the middle of the picture went there, and one sound plays.
    assert position == pytest.approx(SECONDS / 2, abs=0.3)
    assert playing == 1
