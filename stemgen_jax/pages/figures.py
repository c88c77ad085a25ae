"""Histograms, intervals and audio players for HTML pages."""

import base64
import html
import io
import math
import urllib.parse
from collections.abc import Mapping
from typing import Any

import numpy as np
import soundfile
from jaxtyping import Real
from matplotlib import image

from stemgen_jax import audio
from stemgen_jax.audio import Audio
from stemgen_jax.pages import spectrogram

_MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
_MP3_BLOCK = 1 << 16  # samples written at a time


def histogram(
  values: Real[np.ndarray, " n"], unit: str = "", most: int = 16
) -> str:
  """Return an SVG histogram with labels at the ends of its axis.

  Args:
    values: values to count; integers in a small range get a column each.
    unit: unit of the values, for the labels.
    most: number of columns of other values.
  """
  if not len(values):
    return "<p>none</p>"
  data = values.astype(float)
  low, high = float(data.min()), float(data.max())
  whole = bool((data == np.round(data)).all()) and high - low < most
  if whole:
    # Columns are centered on integers.
    edges = np.arange(low, high + 2) - 0.5
  else:
    edges = np.linspace(low, high if high > low else low + 1, most + 1)
  counts, _ = np.histogram(data, edges)
  width, height, columns = 300.0, 90.0, len(counts)
  step = width / columns
  shapes = []
  for number, count in enumerate(counts):
    # 16 units above the columns are for the label of the largest count.
    tall = height * count / counts.max()
    name = f"{edges[number] + 0.5 if whole else edges[number]:.4g}"
    shapes.append(
      f'<rect x="{number * step + 0.5:.1f}" y="{16 + height - tall:.1f}" '
      f'width="{max(step - 1, 0.5):.1f}" height="{tall:.1f}" rx="1">'
      f"<title>{html.escape(f'{name} {unit}'.strip())}: {count}</title></rect>"
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
  rows: Mapping[str, tuple[float, float, float]], marks: tuple[float, ...] = ()
) -> str:
  """Return an SVG with a dot on an interval for every row.

  Args:
    rows: (value, low, high) by name, all on one axis.
    marks: values of vertical lines.
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
  """Return players side by side."""
  return f'<div class="sounds">{"".join(players)}</div>'


def player(sound: Audio, label: str, loudest_db: float) -> str:
  """Return a spectrogram above an audio player, both embedded in the page.

  Args:
    sound: one or two channels within -1..1, embedded as mp3.
    label: caption.
    loudest_db: level of the brightest color, the same for all sounds compared.
  """
  file, pixels = io.BytesIO(), spectrogram.pixels(sound, loudest_db)
  image.imsave(file, pixels, format="jpg", pil_kwargs={"quality": 80})
  picture = _encoded(file.getvalue(), "image/jpeg")
  return _figure(label, picture, _encoded(mp3(sound), "audio/mpeg"))


def linked_player(path: str, label: str) -> str:
  """Return a player of files next to the page, loaded when they are in view.

  Args:
    path: path of the sound (.wav) and of its spectrogram (.png), relative to
      the page, without suffix.
    label: caption.
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


def mp3(sound: Audio, *, constant: bool = False) -> bytes:
  """Encode as mp3, which every browser plays.

  Args:
    sound: one or two channels within -1..1.
    constant: use a constant bit rate, 160 kbit/s at 32 kHz or more, so that
      sounds of one length have files of one size.
  """
  rate = next(
    (rate for rate in _MP3_RATES if rate >= sound.sample_rate), _MP3_RATES[-1]
  )
  # mp3 has few sample rates: the next higher one loses nothing.
  samples = audio.resample(sound.samples, sound.sample_rate, rate)
  file = io.BytesIO()
  style: dict[str, Any] = {}
  if constant:
    style = {"bitrate_mode": "CONSTANT", "compression_level": 0.5}
  with soundfile.SoundFile(
    file, "w", rate, samples.shape[1], format="MP3", **style
  ) as writer:
    for first in range(0, len(samples), _MP3_BLOCK):
      writer.write(samples[first : first + _MP3_BLOCK].clip(-1, 1))
  return file.getvalue()


def _encoded(content: bytes, kind: str) -> str:
  return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def loudest(*sounds: Audio) -> float:
  """Return the maximum of several spectrograms in dB."""
  return max(float(spectrogram.spectrogram(sound).max()) for sound in sounds)


def duration(seconds: float) -> str:
  """Format seconds as "3 h 20 min", "2 min 5 s" or "7.5 s"."""
  if seconds < 60:
    return f"{seconds:.3g} s"
  minutes, rest = divmod(round(seconds), 60)
  if minutes < 60:
    return f"{minutes} min {rest} s"
  return f"{math.floor(minutes / 60)} h {minutes % 60} min"
