"""Write a page that shows a prepared data set and plays some of its pairs."""

import collections
import pathlib
from typing import Any

import numpy as np

from stemgen_jax import categories, disk, progress
from stemgen_jax.audio import Audio
from stemgen_jax.codec import Codec, check_made_by, decode
from stemgen_jax.data.crops import active_shares, both_active
from stemgen_jax.data.manifest import Manifest
from stemgen_jax.data.records import Records
from stemgen_jax.pages import figures, html, tables

_SECONDS = 10.0  # length of the pairs that the page plays


def write(
  data_dir: disk.Path,
  codec: Codec,
  path: pathlib.Path,
  *,
  pairs: int = 12,
) -> None:
  """Write the page of a data set as one HTML file.

  Args:
    data_dir: prepared folder.
    codec: codec that made its codes.
    path: file of the page; replaced if it exists.
    pairs: number of training pairs to play, of as many instruments as
      possible.

  Raises:
    FileNotFoundError: no finished data set in `data_dir`.
    ValueError: the data set was made by another codec.
  """
  manifest = Manifest.load(data_dir)
  check_made_by(codec, manifest.codec, manifest.checksum)
  splits = {
    split: Records(data_dir, split)
    for split, count in manifest.counts.items()
    if count["pairs"]
  }
  facts = {split: _facts(split, records) for split, records in splits.items()}
  split = "train" if "train" in splits else next(iter(splits))
  chosen = _choose(splits[split], facts[split], pairs)
  sections = {
    "Splits": _splits(manifest, facts),
    "Instruments of targets": _instruments(facts),
    f"Pairs of {split}": _histograms(facts[split]),
    "Listen": "".join(
      _pair(splits[split][i], manifest, codec)
      for i in progress.bar(chosen, desc="decoding", unit="pair")
    ),
  }
  lead = (
    f"{manifest.codec} ({manifest.checksum[:12]}), "
    f"{manifest.sample_rate / 1000:g} kHz, {manifest.channels} channel"
    f"{'s' if manifest.channels > 1 else ''}, {manifest.levels} x "
    f"{manifest.codes} codes at {manifest.frame_rate:g} frames/s; segments of "
    f"{manifest.segment_seconds:g} s"
  )
  disk.write_text(path, html.page(manifest.name, lead, sections))


def _facts(split: str, records: Records) -> dict[str, np.ndarray]:
  """Return figures of the records of a split, arrays [records] by name."""
  rows = collections.defaultdict(list)
  for record in progress.bar(
    records, total=len(records), desc=f"reading {split}", unit="pair"
  ):
    context = record["context_active"]
    both = both_active(context, record["target_active"])
    rows["category"].append(record["category"])
    rows["song"].append(record["song_id"].decode())
    rows["active"].append(float(both.mean()))
    rows["stems"].append(int((record["gains"] > 0).sum()))
    rows["level"].append(record["context_rms_db"])
    # End of the segment's music in the song, in seconds.
    sounding = np.flatnonzero(record["target_active"] | context)
    rows["end"].append(record["start"] + (sounding.max(initial=-1) + 1))
  return {name: np.array(values) for name, values in rows.items()}


def _splits(manifest: Manifest, facts: dict[str, dict[str, np.ndarray]]) -> str:
  rows = []
  for split, fact in facts.items():
    count = manifest.counts[split]
    length = figures.duration(count["pairs"] * manifest.segment_seconds)
    active = f"{100 * fact['active'].mean():.0f} %"
    counts = (count[name] for name in ("songs", "pairs", "empty"))
    rows.append((split, *counts, length, active))
  header = ("", "songs", "pairs", "from silence", "length of pairs", "active")
  return tables.table(header, rows) + (
    "<p>Active: seconds in which context and target both sound.</p>"
  )


def _instruments(facts: dict[str, dict[str, np.ndarray]]) -> str:
  counts = {
    split: np.bincount(fact["category"], minlength=len(categories.CATEGORIES))
    for split, fact in facts.items()
  }
  total = np.sum(list(counts.values()), axis=0)
  order = [int(i) for i in np.argsort(-total, kind="stable") if total[i]]
  rows = [
    (categories.CATEGORIES[i], *(int(count[i]) for count in counts.values()))
    for i in order
  ]
  return tables.table(("", *counts), rows, [float(total[i]) for i in order])


def _histograms(fact: dict[str, np.ndarray]) -> str:
  # The length of a song is the latest end of its segments.
  _, song = np.unique(fact["song"], return_inverse=True)
  ends = np.zeros(song.max() + 1)
  np.maximum.at(ends, song, fact["end"])
  has_context = fact["stems"] > 0
  return html.grid(
    html.card("Length of songs", figures.histogram(ends, "s")),
    html.card("Pairs per song", figures.histogram(np.bincount(song))),
    html.card("Stems in the context", figures.histogram(fact["stems"])),
    html.card("Active share", figures.histogram(100 * fact["active"], "%")),
    html.card(
      "Level of contexts", figures.histogram(fact["level"][has_context], "dB")
    ),
  )


def _choose(
  records: Records, fact: dict[str, np.ndarray], count: int
) -> list[int]:
  """Choose pairs with a context, one instrument after another."""
  # Shuffled once, with a fixed seed: the page is the same at every call.
  shuffled = np.random.default_rng(0).permutation(len(records))
  queues = collections.defaultdict(list)
  for number in shuffled.tolist():
    if fact["stems"][number]:
      queues[int(fact["category"][number])].append(number)
  chosen: list[int] = []
  while len(chosen) < count and any(queues.values()):
    for category in sorted(queues):
      if queues[category] and len(chosen) < count:
        chosen.append(queues[category].pop())
  return chosen


def _pair(record: dict[str, Any], manifest: Manifest, codec: Codec) -> str:
  window = min(round(_SECONDS * manifest.frame_rate), manifest.frames)
  active = both_active(record["context_active"], record["target_active"])
  shares = active_shares(active, window, manifest.frames, manifest.frame_rate)
  step = manifest.segment_frames or 1  # decoding begins with a segment
  first = step * int(shares[::step].argmax())  # the most active crop
  codes = np.stack([record["context"], record["target"]])  # [2, t, q]
  scales = None
  if manifest.segment_frames:
    scales = np.stack([record["context_scales"], record["target_scales"]])
    scales = scales[:, first // step : -(-(first + window) // step)]
  context, target = (
    Audio(samples.astype(np.float32), manifest.sample_rate)
    for samples in decode(
      codec, codes[:, first : first + window].astype(np.int32), scales
    )
  )
  both = context.samples + target.samples  # [n, c], may exceed full scale
  both = Audio(both / max(1.0, np.abs(both).max()), manifest.sample_rate)
  begin = record["start"] + first / manifest.frame_rate
  stems = int((record["gains"] > 0).sum())
  name = categories.CATEGORIES[record["category"]]
  loudest = figures.loudest(context, target)
  return html.card(
    f"{name} to {stems} other stem{'s' if stems > 1 else ''}",
    figures.sounds(
      figures.player(context, "context", loudest),
      figures.player(target, f"target: {name}", loudest),
      figures.player(both, "both", loudest),
    ),
    f"{record['song_id'].decode()}, from {figures.duration(begin)}, "
    f"{categories.GENRES[record['genre']]}",
  )
