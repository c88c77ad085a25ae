"""The page of an evaluation, in the form of the paper's demo page."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from stemgen_jax import audio, disk
from stemgen_jax.audio import Audio
from stemgen_jax.evaluation.metrics import intervals, mirdd
from stemgen_jax.evaluation.protocol import Example
from stemgen_jax.evaluation.reporting import summary
from stemgen_jax.evaluation.reporting.sessions import Step
from stemgen_jax.evaluation.studies import listening
from stemgen_jax.evaluation.studies.full import FIGURES, SYSTEMS
from stemgen_jax.pages import figures as figures_lib
from stemgen_jax.pages import html
from stemgen_jax.pages import tables as tables_lib

_MEANINGS = {
  "beat_f1": "F1 of the stem's beats, as they are heard, within 70 ms of the "
  "context's, of every second of these, or of those between them",
  "grid_agreement": "1: onsets on the grid of the context's beats; 0: at "
  "random; -1: in between",
  "chord_tone_share": "share of the stem's notes that are tones of the "
  "context's chords",
  "chroma_agreement": "cosine of the pitch classes that stem and context play",
  "key_agreement": "1: the context's key; 0.5 a fifth above, 0.3 relative, "
  "0.2 parallel",
}


def write(
  path: pathlib.Path,
  result: Mapping[str, Any],
  shown: Sequence[tuple[Example, Audio]],
  sessions: Mapping[str, Sequence[Step]],
) -> None:
  """Writes the page: examples, sessions and tables, in one file.

  Args:
    path: of the page; replaced if it is there.
    result: what `summary.summarise` returns, with `weights`, `data` and, where
      it was judged, `listening`.
    shown: examples and the stems that were played to them.
    sessions: by name, as `layers.play` returns them.
  """
  sections = {
    "Test set examples": "".join(_example(*pair) for pair in shown),
    "Iterative generation": "".join(
      _session(name, steps) for name, steps in sessions.items()
    ),
    "Does it fit?": _scores(result) + _figures(result),
    "Does it listen?": _listening(result.get("listening")),
    "Does it sound like the real ones?": _frechet(result["frechet"]),
    "Does it have the statistics of real music? (MIRDD)": _mirdd(
      result.get("mirdd")
    ),
  }
  sections = {name: body for name, body in sections.items() if body}
  lead = (
    f"{result['weights']}: {result['examples']} examples of "
    f"{result['songs']} test songs ({result['data']}), judged in "
    f"{figures_lib.duration(result['seconds'])} of work. "
    + "Systems: "
    + "; ".join(f"{name}: {text}" for name, text in SYSTEMS.items())
    + "."
  )
  with disk.replacing(path) as partial:
    partial.write_text(html.page("What it plays", lead, sections), "utf-8")


def _example(example: Example, stem: Audio) -> str:
  mix, _ = audio.mix(example.context, stem)
  loudest = figures_lib.loudest(example.context, stem, example.real)
  return html.card(
    f"{example.category} to {', '.join(example.stems)}",
    figures_lib.sounds(
      figures_lib.player(example.context, "context", loudest),
      figures_lib.player(stem, f"generated {example.category}", loudest),
      figures_lib.player(mix, "both", loudest),
      figures_lib.player(example.real, "what was really played", loudest),
    ),
    f"{example.song}, from {figures_lib.duration(example.start)}",
  )


def _session(name: str, steps: Sequence[Step]) -> str:
  parts = [
    html.card(
      name,
      figures_lib.sounds(
        figures_lib.player(
          steps[0].context, "heard first", figures_lib.loudest(steps[0].context)
        )
      ),
      "Italics: the variation that the next step goes on from, which is the "
      "one that fits best. Fit: how well it keeps to the beat and the tones of "
      "what it heard, 1 at most, 0 by chance for the beat.",
    )
  ]
  for number, step in enumerate(steps, 1):
    several = len(step.variations) > 1
    tries = []
    for variation, take in enumerate(step.variations, 1):
      loudest = figures_lib.loudest(step.context, take.stem)
      which = f" (variation {variation})" if several else ""
      tries.append(
        html.card(
          f"{number}{which}: {step.instrument}",
          figures_lib.sounds(
            figures_lib.player(take.stem, "generated stem", loudest),
            figures_lib.player(take.mix, "mixed", loudest),
          ),
          f"seed {take.seed}, fit {take.fit:.2f}",
          chosen=several and take.chosen,
        )
      )
    parts.append(html.grid(*tries))
  return "".join(parts)


def _scores(result: Mapping[str, Any]) -> str:
  rows, lines = [], {}
  for group, systems in result["scores"].items():
    for system, found in systems.items():
      rows.append((f"{group}, {system}", summary.said_score(found)))
      if found["low"] is not None:
        lines[f"{group}, {system}"] = tuple(
          100 * found[name] for name in ("score", "low", "high")
        )
  by_category = [
    (name, *(summary.said_score(found["generated"]) for found in of.values()))
    for name, of in result["of_category"].items()
  ]
  return (
    tables_lib.table(("", "score, 95 % interval"), rows)
    + figures_lib.intervals(lines, (0.0, 100.0))
    + tables_lib.table(("generated", *result["scores"]), by_category)
    + "<p>0 %: random pairing; 100 %: the real stem through the codec; of "
    "rhythm beat F1 and grid agreement, of harmony the other three figures "
    "below, in the mean. Under another song's context (shuffled) a model that "
    "listens is near 0 %.</p>"
  )


def _figures(result: Mapping[str, Any]) -> str:
  parts = []
  for name in FIGURES:
    means = {
      system: found
      for system, found in result["figures"][name].items()
      if found["mean"] is not None
    }
    lines = {
      system: (found["mean"], found["low"], found["high"])
      for system, found in means.items()
      if found["low"] is not None
    }
    rows = [
      (system, intervals.said(found["mean"], found["low"], found["high"]))
      for system, found in means.items()
    ]
    counts = sorted({found["examples"] for found in means.values()})
    of = " to ".join(str(count) for count in counts[:1] + counts[1:][-1:])
    body = tables_lib.table(("", "mean, 95 % interval"), rows)
    parts.append(
      html.card(
        name.replace("_", " "),
        body + figures_lib.intervals(lines),
        f"{_MEANINGS[name]}; {of or 'no'} examples",
      )
    )
  heard = result["estimated"]
  note = (
    f"Beats, chords and keys of {heard} contexts are those heard in them; "
    "of the others they are known."
    if heard
    else "Beats, chords and keys of the contexts are known, not heard."
  )
  return html.grid(*parts) + f"<p>{note}</p>"


def _listening(found: Mapping[str, Any] | None) -> str:
  if not found:
    return ""
  names = listening.CONTEXTS
  rows = [
    (
      label,
      *(f"{figures[name]:.2f}" for name in names),
      listening.said(figures, "gain"),
      listening.said(figures, "null_gain"),
    )
    for label, figures in listening.rows(found).items()
  ]
  lines = {}
  for name, of_category in {"all": found, **found["categories"]}.items():
    figures = of_category["masked"]["100"]
    if figures["gain_low"] is not None:
      lines[name] = tuple(figures[x] for x in ("gain", "gain_low", "gain_high"))
  return (
    tables_lib.table(
      ("", *names, "gain, 95 % interval", "gain over null, 95 % interval"), rows
    )
    + figures_lib.intervals(lines, (0.0,))
    + "<p>Bits per frame, less is better, of "
    f"{found['examples']} examples ({found['data']}), predicted from their "
    "true context, another song's (shuffled), silence, and what the model has "
    "learned to hear where there is none (null): of the coarsest level "
    "(0); with all masked of each level, and of level 0 by instrument. The "
    "gain, which the plot has by instrument, is what the true context is worth "
    "against another song's; the gain over null, against none at all.</p>"
  )


def _frechet(tables: Mapping[str, Any]) -> str:
  if not tables:
    return (
      "<p>Nothing to compare: fewer than two examples have a stem of their "
      "instrument in another song.</p>"
    )
  parts = []
  for name, table in tables.items():
    rows = [
      (
        system,
        *(
          "" if value is None else f"{value:.3f}"
          for value in (found[x] for x in summary.DISTANCES)
        ),
      )
      for system, found in table["systems"].items()
    ]
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
    "FAD-infinity: what it would be with ever more examples, from 8 on; "
    "sub-FAD: of the mixes. APA: 1 where mixes are as near to the real ones, 0 "
    "where they are as near to the random ones, as these are to themselves; of "
    "codes: where both went through the codec, too. Bars: FAD.</p>"
  )


def _mirdd(table: Mapping[str, Mapping[str, float | None]] | None) -> str:
  if not table:
    return ""
  rows = [
    (
      label,
      *(
        "" if column[name] is None else f"{column[name]:.3f}"
        for column in table.values()
      ),
    )
    for name, label in {"mean": "mean (MIRDD)", **mirdd.NAMES}.items()
  ]
  bars = [
    float(table["generated"][name] or 0) for name in ("mean", *mirdd.NAMES)
  ]
  return (
    tables_lib.table(("", *table), rows, bars)
    + "<p>KL divergence from real mixes, in nats; bars: generated. "
    "Floor: half of the real mixes against the other half, which are half as "
    "many, of other contexts; so a system, whose mixes have the contexts of "
    "the real ones, may come out below it. Random: real stems of other "
    "songs.</p>"
  )
