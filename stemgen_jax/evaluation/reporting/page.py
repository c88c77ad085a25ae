"""Write the page of an evaluation, in the form of the paper's demo page."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from stemgen_jax import audio, disk, text_tables
from stemgen_jax.audio import Audio
from stemgen_jax.evaluation.baselines import BASELINES
from stemgen_jax.evaluation.figures import FIGURES, title
from stemgen_jax.evaluation.measurement import SYSTEMS
from stemgen_jax.evaluation.metrics import intervals, mirdd
from stemgen_jax.evaluation.protocol import Example
from stemgen_jax.evaluation.reporting import summary
from stemgen_jax.evaluation.reporting.sessions import Step
from stemgen_jax.evaluation.studies import listening
from stemgen_jax.pages import figures as figures_lib
from stemgen_jax.pages import html
from stemgen_jax.pages import tables as tables_lib

_MEANINGS = {
  "beat_f1": "F1 of the stem's estimated beats within 70 ms of the context's, "
  "of every second of these, or of the off-beats",
  "grid_agreement": "1: onsets on the grid of the context's beats; 0: at "
  "random; -1: halfway between grid lines",
  "chord_tone_share": "share of the stem's notes that are tones of the "
  "context's chords",
  "chroma_agreement": "cosine of the pitch classes of stem and context",
  "key_agreement": "1: the context's key; 0.5 a fifth above, 0.3 relative, "
  "0.2 parallel",
  "metrical_phase": "share of stems that fit the real stem's bar best without "
  "any shift by sixteenths",
  "change_timing": "probability that pitch classes change more at a change of "
  "the chord than at another beat; 0.5: chance",
  "coherence": "score of the coherence model, greater is better; without unit",
  "root_on_change": "share of the chord changes at which the first note of a "
  "bass is the root",
}


def write(
  path: pathlib.Path,
  result: Mapping[str, Any],
  shown: Sequence[tuple[Example, Audio]],
  sessions: Mapping[str, Sequence[Step]],
) -> None:
  """Write the page: examples, sessions and tables, in one file.

  Args:
    path: HTML file; replaced if it exists.
    result: result of `summary.summarize`, with `weights`, `data` and, where it
      was measured, `listening`.
    shown: examples, each with the stem generated to it.
    sessions: steps of sessions by their title.
  """
  sections = {
    "Test set examples": "".join(_example(*pair) for pair in shown),
    "Iterative generation": "".join(
      _session(name, steps) for name, steps in sessions.items()
    ),
    "Does it fit?": _scores(result) + _figures(result),
    "Does it use the context?": _listening(result.get("listening")),
    "Does it sound like the real ones?": _frechet(result["frechet"]),
    "Do its mixes have the statistics of real music? (MIRDD)": _mirdd(
      result.get("mirdd")
    ),
    "Do its stems have them? (MIRDD of stems alone)": _mirdd(
      result.get("mirdd_stems")
    ),
  }
  # Omit sections without content.
  sections = {name: body for name, body in sections.items() if body}
  known = SYSTEMS | BASELINES
  systems = "; ".join(f"{name}: {text}" for name, text in known.items())
  lead = (
    f"{result['weights']}: {result['examples']} examples of "
    f"{result['songs']} test songs ({result['data']}), evaluated in "
    f"{figures_lib.duration(result['seconds'])} of work. Systems: {systems}."
  )
  disk.write_text(path, html.page("Evaluation", lead, sections))


def _example(example: Example, stem: Audio) -> str:
  mix, _ = audio.mix(example.context, stem)
  # One scale for all pictures of a card, so that levels compare.
  loudest = figures_lib.loudest(example.context, stem, example.real)
  return html.card(
    f"{example.category} to {', '.join(example.stems)}",
    figures_lib.sounds(
      figures_lib.player(example.context, "context", loudest),
      figures_lib.player(stem, f"generated {example.category}", loudest),
      figures_lib.player(mix, "both", loudest),
      figures_lib.player(example.real, "real stem", loudest),
    ),
    f"{example.song}, from {figures_lib.duration(example.start)}",
  )


def _session(name: str, steps: Sequence[Step]) -> str:
  start = steps[0].context
  loudest = figures_lib.loudest(start)
  parts = [
    html.card(
      name,
      figures_lib.sounds(figures_lib.player(start, "first context", loudest)),
      "Italics: the variation with the best fit, which the next step starts "
      "from. Fit: coherence with the context, a log likelihood; more is "
      "better, among variations of the same step.",
    )
  ]
  for number, step in enumerate(steps, 1):
    # A single variation is not marked as chosen.
    several = len(step.variations) > 1
    cards = []
    for variation, take in enumerate(step.variations, 1):
      loudest = figures_lib.loudest(step.context, take.stem)
      which = f" (variation {variation})" if several else ""
      cards.append(
        html.card(
          f"{number}{which}: {step.instrument}",
          figures_lib.sounds(
            figures_lib.player(take.stem, "generated stem", loudest),
            figures_lib.player(take.mix, "mixed", loudest),
          ),
          f"seed {take.seed}{_fit(take.fit)}",
          chosen=several and take.chosen,
        )
      )
    parts.append(html.grid(*cards))
  return "".join(parts)


def _fit(value: float | None) -> str:
  return "" if value is None else f", fit {value:.2f}"


def _scores(result: Mapping[str, Any]) -> str:
  rows, lines = [], {}
  for group, systems in result["scores"].items():
    for system, found in systems.items():
      name = f"{title(group)}, {system}"
      rows.append((name, summary.score_text(found)))
      if found["low"] is not None:
        # In percent.
        lines[name] = tuple(
          100 * found[end] for end in ("score", "low", "high")
        )
  by_category = [
    (name, *(summary.score_text(found["generated"]) for found in of.values()))
    for name, of in result["of_category"].items()
  ]
  return (
    tables_lib.table(("", "score, 95 % interval"), rows)
    + figures_lib.intervals(lines, (0.0, 100.0))
    + tables_lib.table(
      ("generated", *map(title, result["scores"])), by_category
    )
    + "<p>0 %: random pairing; 100 %: the real stem through the codec. Tempo "
    "and grid is the mean of beat F1 and grid agreement, harmony of chord "
    "tones, chroma and key; pooled harmony weights all figures of pitch by the "
    "distance of these two ends over its standard error. With another song's "
    "context (shuffled) a model that uses its context is near 0 %.</p>"
  )


def _figures(result: Mapping[str, Any]) -> str:
  parts = []
  for name in FIGURES:
    means = {
      system: (found["mean"], found["low"], found["high"])
      for system, found in result["figures"][name].items()
      if found["mean"] is not None
    }
    lines = {x: found for x, found in means.items() if found[1] is not None}
    rows = [(system, intervals.text(*found)) for system, found in means.items()]
    # Systems may differ in the number of their examples.
    examples = (result["figures"][name][system]["examples"] for system in means)
    counts = sorted(set(examples))
    of = " to ".join(str(count) for count in counts[:1] + counts[1:][-1:])
    body = tables_lib.table(("", "mean, 95 % interval"), rows)
    parts.append(
      html.card(
        name.replace("_", " "),
        body + figures_lib.intervals(lines),
        f"{_MEANINGS[name]}; {of or 'no'} examples",
      )
    )
  estimated = int(result["estimated"])
  note = (
    f"Beats, chords and keys of {estimated} contexts are estimated; those of "
    "the others are known."
    if estimated
    else "Beats, chords and keys of the contexts are known, not estimated."
  )
  return html.grid(*parts) + f"<p>{note}</p>"


def _listening(found: Mapping[str, Any] | None) -> str:
  if not found:
    return ""
  header = ("", *listening.CONTEXTS, "gain, 95 % interval")
  header += ("gain over null, 95 % interval",)
  lines = {}
  # The plot has the gain with everything masked.
  for name, of_category in {"all": found, **found["categories"]}.items():
    figures = of_category["masked"]["100"]
    if figures["gain_low"] is not None:
      lines[name] = tuple(figures[x] for x in ("gain", "gain_low", "gain_high"))
  return (
    tables_lib.table(header, listening.rows(found))
    + figures_lib.intervals(lines, (0.0,))
    + "<p>Bits per masked frame, less is better, of "
    f"{found['examples']} examples ({found['data']}), predicted from their "
    "true context, another song's (shuffled), silence, and the learned input "
    "for no context (null): of the coarsest level (0); with all frames masked, "
    "of each level, and of level 0 by instrument. The gain, plotted by "
    "instrument, is the number of bits that the true context saves over "
    "another song's; the gain over null, over no context.</p>"
  )


def _frechet(tables: Mapping[str, Any]) -> str:
  if not tables:
    return (
      "<p>Not measured: fewer than two examples have a stem of their "
      "instrument in another song.</p>"
    )
  parts = []
  for name, table in tables.items():
    rows = [
      (system, *(summary.distance_text(found, x) for x in summary.DISTANCES))
      for system, found in table["systems"].items()
    ]
    # One bar per row, in the order of the rows.
    bars = [found["fad"] for found in table["systems"].values()]
    parts.append(
      html.card(
        f"embedding: {name}",
        tables_lib.table(("", *summary.DISTANCES.values()), rows, bars),
        f"{table['dimensions']} dimensions, {table['windows']} windows of "
        f"{table['examples']} examples; reference: {table['reference']}",
      )
    )
  return "".join(parts) + (
    "<p>FAD: distance of the stems from real ones, less is better; "
    "FAD-infinity: its limit for many examples, given at least 8; sub-FAD: "
    "that of the mixes; KAD: a distance by kernels, about 0 for equal "
    "populations of any size. APA, with its interval: 1 if the mixes are like "
    "the real ones, 0 if they are like the random ones; of codes: with both "
    "through the codec. Bars: FAD.</p>"
  )


def _mirdd(table: Mapping[str, Mapping[str, float | None]] | None) -> str:
  if not table:
    return ""
  rows = [
    (
      label,
      *(text_tables.number(column[name], 3, "") for column in table.values()),
    )
    for name, label in {"mean": "mean (MIRDD)", **mirdd.NAMES}.items()
  ]
  bars = [
    float(table["generated"][name] or 0) for name in ("mean", *mirdd.NAMES)
  ]
  return (
    tables_lib.table(("", *table), rows, bars)
    + "<p>KL divergence from the real ones, in nats; bars: generated. "
    "Floor: one half of the real mixes against the other half. These are "
    "fewer and of other contexts, so a system, whose mixes share the contexts "
    "of the real ones, may be below the floor. Random: real stems of other "
    "songs.</p>"
  )
