"""Parts of HTML pages that show data and play audio.

A page is one self-contained file with its pictures, sounds and script. It opens
from the file system, and follows the reader's light or dark mode.
"""

import html
from collections.abc import Mapping

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

# One sound plays at a time. Its position is a line over the picture; a click on
# the picture seeks, after the metadata has loaded.
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
  """Return a page with a title, a line under it, and sections of HTML."""
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


def card(
  heading: str, body: str, note: str = "", *, chosen: bool = False
) -> str:
  """Return a frame with a small heading; a chosen one is highlighted."""
  text = f"<p>{html.escape(note)}</p>" if note else ""
  kind = "card chosen" if chosen else "card"
  return (
    f'<div class="{kind}"><h3>{html.escape(heading)}</h3>{text}{body}</div>'
  )


def grid(*parts: str) -> str:
  """Return cards side by side."""
  return f'<div class="grid">{"".join(parts)}</div>'
