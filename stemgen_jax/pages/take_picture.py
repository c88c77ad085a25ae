"""A picture of a take: context, stem and mix."""

import pathlib
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib import ticker
from matplotlib.figure import Figure

from stemgen_jax import audio, disk
from stemgen_jax.audio import Audio
from stemgen_jax.pages import spectrogram

_FLOOR_DB = -45.0  # brightest level of quieter audio
_TICKS = (50, 100, 200, 500, 1000, 2000, 5000, 10000)

_PAPER, _INK, _FAINT = "#07050d", "#e8e4ee", "#8d869c"
_COLOURS = {"context": "#7fb4d9", "stem": "#f6a35c", "mix": "#b9a3e3"}


def draw(
  path: disk.Path,
  context: Audio | None,
  stem: Audio,
  mix: Audio | None,
  *,
  title: str,
) -> None:
  """Draw waveforms and log-frequency spectrograms as a PNG.

  All spectrograms share one scale in dB, relative to the loudest bin of all,
  so that a quiet stem looks quiet.

  Args:
    path: PNG file; an existing one is replaced.
    context, stem, mix: audio of a lane each; None for no lane.
    title: title of the picture.
  """
  # Each lane is a waveform above a spectrogram.
  lanes = {"context": context, "stem": stem, "mix": mix}
  lanes = {name: sound for name, sound in lanes.items() if sound is not None}
  images = {
    name: spectrogram.spectrogram(sound) for name, sound in lanes.items()
  }
  loudest = max(_FLOOR_DB, *(float(image.max()) for image in images.values()))
  top = max(0.95, max(np.abs(a.samples).max() for a in lanes.values()))

  left, height = 0.075, 0.9 + 2.4 * len(lanes)
  figure = Figure(figsize=(12, height), dpi=120, facecolor=_PAPER)
  grid = figure.add_gridspec(
    2 * len(lanes),
    1,
    height_ratios=[1, 2.6] * len(lanes),
    left=left,
    right=0.9,
    top=1 - 0.6 / height,
    bottom=0.5 / height,
    hspace=0.08,
  )
  pairs = [
    (figure.add_subplot(grid[2 * lane]), figure.add_subplot(grid[2 * lane + 1]))
    for lane in range(len(lanes))
  ]
  for (wave, axes), (name, sound) in zip(pairs, lanes.items()):
    _draw_waveform(wave, sound, _COLOURS[name], top)
    wave.text(
      -0.008,
      0.5,
      name,
      color=_COLOURS[name],
      fontsize=11,
      ha="right",
      va="center",
      transform=wave.transAxes,
    )
    drawn = _draw_spectrogram(axes, images[name], sound, loudest)
    last = axes is pairs[-1][1]
    axes.tick_params(labelbottom=last)
    if last:
      axes.set_xlabel("seconds", color=_FAINT)
      box = axes.get_position()
      bar = figure.colorbar(
        drawn, cax=figure.add_axes((0.915, box.y0, 0.01, box.height))
      )
      bar.set_label("dB", color=_FAINT, fontsize=8)
      bar.outline.set_visible(False)
      bar.ax.tick_params(colors=_FAINT, length=0, labelsize=8)
  figure.text(
    left, 1 - 0.25 / height, title, color=_INK, fontsize=15, va="center"
  )
  with disk.replacing(pathlib.Path(path)) as file:
    figure.savefig(file, format="png", facecolor=_PAPER)


def _draw_waveform(axes: Any, sound: Audio, colour: str, top: float) -> None:
  mono = audio.mono(sound)
  # Minimum and maximum per pixel: a plain line would skip peaks.
  edges = np.linspace(
    0, len(mono), min(spectrogram.COLUMNS, len(mono)) + 1
  ).astype(int)
  high = np.maximum.reduceat(mono, edges[:-1])
  low = np.minimum.reduceat(mono, edges[:-1])
  times = edges[:-1] / sound.sample_rate
  axes.fill_between(times, low, high, color=colour, linewidth=0.6)
  axes.set(xlim=(0, sound.seconds), ylim=(-top, top), facecolor=_PAPER)
  axes.set_axis_off()


def _draw_spectrogram(
  axes: Any, image: Float[np.ndarray, "r c"], sound: Audio, loudest: float
) -> Any:
  shown_hz = spectrogram.frequencies(sound.sample_rate)
  # Rows are equally spaced in octaves: an image with other tick labels is drawn
  # far faster than a mesh with a logarithmic axis.
  octaves = np.log2(shown_hz)
  drawn = axes.imshow(
    image - loudest,
    origin="lower",
    aspect="auto",
    cmap="magma",
    vmin=-spectrogram.RANGE_DB,
    vmax=0,
    interpolation="bilinear",
    extent=(0, sound.seconds, octaves[0], octaves[-1]),
  )
  shown = [f for f in _TICKS if shown_hz[0] <= f <= shown_hz[-1]]
  axes.yaxis.set_major_locator(ticker.FixedLocator(list(np.log2(shown))))
  labels = [f"{f // 1000} kHz" if f >= 1000 else f"{f} Hz" for f in shown]
  axes.yaxis.set_major_formatter(ticker.FixedFormatter(labels))
  axes.tick_params(colors=_FAINT, length=0, labelsize=8)
  for spine in axes.spines.values():
    spine.set_visible(False)
  return drawn
