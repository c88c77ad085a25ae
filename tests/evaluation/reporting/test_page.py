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
from stemgen_jax.evaluation.figures import FIGURES
from stemgen_jax.evaluation.measurement import SYSTEMS, Measurements
from stemgen_jax.evaluation.metrics import mirdd, rhythm
from stemgen_jax.evaluation.protocol import Example
from stemgen_jax.evaluation.reporting import page as page_lib
from stemgen_jax.evaluation.reporting import sessions, summary

RATE, SECONDS = 16000, 2.0
# Debian's name is chromium; other systems have other names.
BROWSER = next(
  filter(
    None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))
  ),
  "",
)
# Appended to a copy of the page: plays every sound and reports the outcome.
LISTENER = """<script>
addEventListener("load", async () => {
  const report = {errors: window.errors, sounds: [], pictures: 0};
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
      report.sounds.push([sound.duration, sound.currentTime, playing]);
    } catch (error) { report.errors.push(String(error)); }
  }
  for (const image of document.images) {
    image.scrollIntoView();  // pictures are fetched when they are looked at
    for (let tries = 0; tries < 100 && !image.naturalWidth; tries++) {
      await new Promise((done) => setTimeout(done, 100));
    }
    report.pictures += image.naturalWidth > 0;
  }
  fetch("http://127.0.0.1:PORT/", {
    method: "POST", mode: "no-cors", body: JSON.stringify(report),
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


def variation(seed: int, chosen: bool) -> sessions.Variation:
  stem, fit = tone(220 + 55 * seed), 0.5 if chosen else None
  return sessions.Variation(seed, stem, stem, fit, chosen)


def measurements(number: int) -> Measurements:
  rng = np.random.default_rng(number)
  return Measurements(
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
    random_stem=None,
    pitched=True,
    annotations=reference_annotations.ReferenceAnnotations(
      np.arange(4) / 2, rhythm.Grid(4), (), "A minor", False
    ),
  )
  takes = (variation(3, True), variation(4, False))
  steps = [sessions.Step(name, tone(440), takes) for name in ("bass", "drums")]
  figures = dict.fromkeys(("true", "shuffled", "silent", "null", "gain"), 1.0)
  figures |= {"gain_low": 0.5, "gain_high": 1.5, "null_gain": 0.25}
  figures |= {"null_gain_low": 0.125, "null_gain_high": 0.375}
  masked = {"masked": {"100": figures}}
  result = summary.summarize([measurements(number) for number in range(6)]) | {
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


def test_a_missing_comparison_is_reported():
  assert "Not measured" in page_lib._frechet({})


def test_scores_of_each_instrument(page):
  result = summary.summarize([measurements(number) for number in range(6)])
  assert set(result["of_category"]) == {"bass"}
  for group, whole in result["scores"].items():
    found = result["of_category"]["bass"][group]["generated"]
    assert found["score"] == whole["generated"]["score"]  # all are bass
    text = summary.score_text(found)
    assert f"<td>{text}</td>" in page.read_text("utf-8")


def test_the_page_has_examples_sessions_and_tables(page):
  text = page.read_text("utf-8")
  # Four of the example; the first context, and two of each of four takes.
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


@pytest.mark.browser
def test_its_players_work_in_a_browser_from_the_file_system(page, tmp_path):
  reports: list[dict] = []

  class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
      length = int(self.headers["Content-Length"])
      reports.append(json.loads(self.rfile.read(length)))
      self.send_response(200)
      self.end_headers()

    def log_message(self, format, *args):
      pass

  with http.server.HTTPServer(("127.0.0.1", 0), Receiver) as server:
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
  (report,) = reports
  assert report["errors"] == []
  assert len(report["sounds"]) == report["pictures"] == 13
  for duration, position, playing in report["sounds"]:
    assert duration == pytest.approx(SECONDS, abs=0.1)
    # A click in the middle of the picture seeks there, and one sound plays.
    assert position == pytest.approx(SECONDS / 2, abs=0.3)
    assert playing == 1
