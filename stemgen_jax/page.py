"""Pieces of HTML pages that show data and let one hear it.

A page is one file that needs nothing else: pictures, sounds and script are in
it, it opens from the file system, and it follows the reader's light or dark.
"""

import base64
import html
import io
import math
import urllib.parse
from collections.abc import Mapping, Sequence

import numpy as np
import soundfile
from jaxtyping import Float, Real
from matplotlib import image

from stemgen_jax import audio, picture
from stemgen_jax.audio import Audio

_MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
_MP3_BLOCK = 1 << 16

_STYLE = """
:root { color-scheme: light dark; --paper: #fcfbf9; --ink: #24222a;
  --faint: #75717d; --line: #e3e0dc; --card: #fff; --accent: #b5612a; }
@media (prefers-color-scheme: dark) { :root { --paper: #121116;
  --ink: #e6e3ea; --faint: #96909f; --line: #2c2a33; --card: #1a1920;
  --accent: #f0a05c; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2.5rem 1.5rem 5rem; max-width: 68rem;
  background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.7rem; font-weight: 600; margin: 0; }
h2 { font-size: 1.15rem; font-weight: 600; margin: 2.8rem 0 .9rem; }
h3 { font-size: .95rem; font-weight: 600; margin: 0 0 .5rem; }
p { margin: .3rem 0; color: var(--faint); }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem 1.4rem .3rem 0; text-align: right;
  border-bottom: 1px solid var(--line); }
th { font-weight: 500; color: var(--faint); }
th:first-child, td:first-child { text-align: left; }
td + td { white-space: nowrap; }
td.bar { width: 14rem; padding-right: 0; }
td.bar i { display: block; height: .6rem; border-radius: 2px;
  background: var(--accent); }
.grid { display: grid; gap: 1.2rem;
  grid-template-columns: repeat(auto-fill, minmax(18rem, 1fr)); }
.card { background: var(--card); border: 1px solid var(--line);
  border-radius: 8px; padding: 1rem; min-width: 0; }
svg { display: block; width: 100%; height: auto; }
svg rect { fill: var(--accent); }
svg.intervals { max-width: 40rem; margin: .8rem 0; }
svg circle { fill: var(--accent); }
svg line { stroke: var(--accent); stroke-width: 2; }
svg line.mark { stroke: var(--line); stroke-width: 1; }
.chosen { border-color: var(--accent); }
.chosen h3 { font-style: italic; }
svg text { fill: var(--faint); font: 11px system-ui, sans-serif; }
.sounds { display: grid; gap: .8rem;
  grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); }
figure { margin: 0; min-width: 0; }
figcaption { color: var(--faint); font-size: .85rem; margin-bottom: .2rem; }
.view { position: relative; cursor: pointer; line-height: 0; }
.view img { width: 100%; height: 8rem; border-radius: 4px; }
.view b { position: absolute; top: 0; bottom: 0; left: 0; width: 1px;
  background: #fff; opacity: .8; }
audio { width: 100%; height: 2.2rem; margin-top: .3rem; }
.card + .card { margin-top: 1.2rem; }
.grid .card { margin: 0; }
.grid + .grid, .card + .grid, .grid + .card { margin-top: 1.2rem; }
"""

# One sound at a time; its line runs over the picture, a click there seeks.
_SCRIPT = """
const sounds = [...document.querySelectorAll("audio")];
for (const sound of sounds) {
  const view = sound.parentElement.querySelector(".view");
  const line = view.querySelector("b");
  const draw = () => {
    line.style.left = 100 * sound.currentTime / (sound.duration || 1) + "%";
    if (!sound.paused) requestAnimationFrame(draw);
  };
  sound.onplay = () => {
    for (const other of sounds) if (other !== sound) other.pause();
    draw();
  };
  sound.onseeked = draw;
  view.onclick = (event) => {
    const box = view.getBoundingClientRect();
    const share = (event.clientX - box.left) / box.width;
    const seek = () => { sound.currentTime = share * sound.duration; };
    if (sound.duration) seek();
    else sound.addEventListener("loadedmetadata", seek, { once: true });
    sound.play();
  };
}
"""


def page(title: str, lead: str, sections: Mapping[str, str]) -> str:
  """A whole page: title, a line under it, and headed sections of HTML."""
  parts = [
    f"<h2>{html.escape(heading)}</h2>\n{body}"
    for heading, body in sections.items()
  ]
  return "\n".join(
    [
      "<!doctype html>",
      '<html lang="en"><meta charset="utf-8">',
      '<meta name="viewport" content="width=device-width">',
      f"<title>{html.escape(title)}</title><style>{_STYLE}</style>",
      f"<h1>{html.escape(title)}</h1>\n<p>{html.escape(lead)}</p>",
      *parts,
      f"<script>{_SCRIPT}</script></html>\n",
    ]
  )


def table(
  header: Sequence[str],
  rows: Sequence[Sequence[object]],
  bars: Sequence[float] = (),
) -> str:
  """A table; `bars`, one number of a row, are drawn in a last column."""
  most = max(bars, default=0) or 1
  lines = ["".join(f"<th>{html.escape(name)}</th>" for name in header)]
  if bars:
    lines[0] += "<th></th>"
  for number, row in enumerate(rows):
    cells = "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row)
    if bars:
      width = 100 * bars[number] / most
      cells += f'<td class="bar"><i style="width:{width:.1f}%"></i></td>'
    lines.append(cells)
  return "<table>" + "".join(f"<tr>{line}</tr>" for line in lines) + "</table>"


def card(
  heading: str, body: str, note: str = "", *, chosen: bool = False
) -> str:
  """A framed piece with a small heading; a chosen one stands out."""
  text = f"<p>{html.escape(note)}</p>" if note else ""
  kind = "card chosen" if chosen else "card"
  return (
    f'<div class="{kind}"><h3>{html.escape(heading)}</h3>{text}{body}</div>'
  )


def grid(*parts: str) -> str:
  """Cards side by side."""
  return f'<div class="grid">{"".join(parts)}</div>'


def histogram(
  values: Real[np.ndarray, " n"], unit: str = "", most: int = 16
) -> str:
  """Columns that count the values, over an axis with its ends named.

  Whole numbers of a small range have a column each, others `most` columns of
  equal width.
  """
  if not len(values):
    return "<p>none</p>"
  data = values.astype(float)
  low, high = float(data.min()), float(data.max())
  whole = bool((data == np.round(data)).all()) and high - low < most
  if whole:
    edges = np.arange(low, high + 2) - 0.5
  else:
    edges = np.linspace(low, high if high > low else low + 1, most + 1)
  counts, _ = np.histogram(data, edges)
  width, height, columns = 300.0, 90.0, len(counts)
  step = width / columns
  shapes = []
  for number, count in enumerate(counts):
    tall = height * count / counts.max()
    name = f"{edges[number] + 0.5 if whole else edges[number]:.4g}"
    shapes.append(
      f'<rect x="{number * step + 0.5:.1f}" y="{16 + height - tall:.1f}" '
      f'width="{max(step - 1, 0.5):.1f}" height="{tall:.1f}" rx="1">'
      f"<title>{name}{' ' + unit if unit else ''}: {count}</title></rect>"
    )
  middle = float(np.median(data))
  base = 16 + height + 14
  return (
    f'<svg viewBox="0 0 {width:.0f} {base + 4:.0f}">{"".join(shapes)}'
    f'<text x="0" y="{base}">{low:.3g}</text>'
    f'<text x="{width / 2}" y="{base}" text-anchor="middle">'
    f"median {middle:.3g} {html.escape(unit)}</text>"
    f'<text x="{width}" y="{base}" text-anchor="end">{high:.3g}</text>'
    f'<text x="{width}" y="10" text-anchor="end">most: {counts.max()}</text>'
    "</svg>"
  )


def intervals(
  rows: Mapping[str, tuple[float, float, float]],
  marks: tuple[float, ...] = (),
) -> str:
  """A line for every row: its value as a dot on its interval.

  Args:
    rows: by name, (value, low, high), all on one axis.
    marks: values at which a line stands upright.
  """
  if not rows:
    return "<p>none</p>"
  every = [x for row in rows.values() for x in row] + list(marks)
  least, most = min(every), max(every)
  span = most - least or 1.0
  left, width, line = 130.0, 440.0, 20.0

  def place(x: float) -> str:
    return f"{left + width * (x - least) / span:.1f}"

  height = line * len(rows)
  shapes = [
    f'<line class="mark" x1="{place(x)}" x2="{place(x)}" y1="0" '
    f'y2="{height}"/>'
    f'<text x="{place(x)}" y="{height + 14}" text-anchor="middle">{x:g}</text>'
    for x in marks
  ]
  for number, (name, (value, low, high)) in enumerate(rows.items()):
    y = line * (number + 0.5)
    shapes.append(
      f'<text x="{left - 12}" y="{y + 4}" text-anchor="end">'
      f"{html.escape(name)}</text>"
      f'<line x1="{place(low)}" x2="{place(high)}" y1="{y}" y2="{y}"/>'
      f'<circle cx="{place(value)}" cy="{y}" r="4">'
      f"<title>{value:.3g} ({low:.3g} to {high:.3g})</title></circle>"
    )
  if not marks:
    shapes += [
      f'<text x="{place(x)}" y="{height + 14}" text-anchor="{anchor}">'
      f"{x:.3g}</text>"
      for x, anchor in ((least, "start"), (most, "end"))
    ]
  return (
    f'<svg class="intervals" viewBox="0 0 {left + width + 20:.0f} '
    f'{height + 20:.0f}">{"".join(shapes)}</svg>'
  )


def sounds(*players: str) -> str:
  """Players side by side."""
  return f'<div class="sounds">{"".join(players)}</div>'


def player(sound: Audio, label: str, loudest_db: float) -> str:
  """A spectrogram over a player.

  Args:
    sound: within -1..1; as mp3 in the page, so of one or two channels.
    label: what it is.
    loudest_db: what is drawn brightest, the same for all that are compared.
  """
  pixels = _encoded(_spectrogram(sound, loudest_db), "image/jpeg")
  return _figure(label, pixels, _encoded(_mp3(sound), "audio/mpeg"))


def linked_player(path: str, label: str) -> str:
  """The same for files beside the page, loaded when they come into view.

  Args:
    path: of the sound, a .wav, and of its spectrogram, a .png; relative to
      the page, without suffix.
    label: what it is.
  """
  path = urllib.parse.quote(path)
  return _figure(label, f"{path}.png", f"{path}.wav", preload="none")


def _figure(
  label: str, pixels: str, tune: str, preload: str = "metadata"
) -> str:
  return (
    f"<figure><figcaption>{html.escape(label)}</figcaption>"
    f'<div class="view"><img src="{pixels}" loading="lazy" alt=""><b></b></div>'
    f'<audio controls preload="{preload}" src="{tune}"></audio></figure>'
  )


def _spectrogram(sound: Audio, loudest_db: float) -> bytes:
  file = io.BytesIO()
  pixels = picture.pixels(sound, loudest_db)
  image.imsave(file, pixels, format="jpg", pil_kwargs={"quality": 80})
  return file.getvalue()


def _mp3(sound: Audio) -> bytes:
  """As mp3, which every browser plays."""
  rate = next(
    (rate for rate in _MP3_RATES if rate >= sound.sample_rate), _MP3_RATES[-1]
  )
  samples = audio.resample(sound.samples, sound.sample_rate, rate)
  file = io.BytesIO()
  with soundfile.SoundFile(
    file, "w", rate, samples.shape[1], format="MP3"
  ) as writer:
    for first in range(0, len(samples), _MP3_BLOCK):
      writer.write(samples[first : first + _MP3_BLOCK].clip(-1, 1))
  return file.getvalue()


def _encoded(content: bytes, kind: str) -> str:
  return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def loudest(*sounds: Audio) -> float:
  """Level of the loudest place of their spectrograms, in dB."""
  return max(float(picture.spectrogram(sound).max()) for sound in sounds)


def duration(seconds: float) -> str:
  """Seconds as "3 h 20 min", "2 min 5 s" or "7.5 s"."""
  if seconds < 60:
    return f"{seconds:.3g} s"
  minutes, rest = divmod(round(seconds), 60)
  if minutes < 60:
    return f"{minutes} min {rest} s"
  return f"{math.floor(minutes / 60)} h {minutes % 60} min"


def peak(samples: Float[np.ndarray, "samples channels"]) -> float:
  """The largest magnitude."""
  return float(np.abs(samples).max(initial=0.0))
