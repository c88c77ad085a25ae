/** What a musician has to know of a live run: is it in time, and how safely? */

import { h, setText } from "./dom.js";

const TILES = [
  ["time", "p50", "Half of the chunks are ready in this time"],
  ["p95", "p95", "95 of 100 chunks are ready in this time"],
  ["p99", "p99", "99 of 100 chunks are ready in this time"],
  ["slack", "Slack", "Time from a request to the bar where its chunk enters"],
  ["hits", "In time", "Share of the chunks that entered at their bar"],
  ["late", "Late", "Chunks that came too late; the one before was repeated"],
  ["passes", "Passes", "Passes of the model for the latest chunk"],
  ["dtype", "dtype", "Type of the numbers of the model"],
  ["gaps", "Gaps", "Times that the browser had no samples to play"],
];

const seconds = (value) => (value ? `${value.toFixed(2)} s` : "\u2013");

export function readouts() {
  const values = {};
  const tiles = TILES.map(([name, label, title]) => {
    values[name] = h("b", {}, "\u2013");
    return h(
      "div",
      { class: "tile", title },
      values[name],
      h("span", {}, label),
    );
  });
  const fill = h("i", { style: "width:0" });
  const gauge = h(
    "div",
    {
      class: "gauge",
      title: "p95 as a share of the slack: below 80 % is safe",
    },
    fill,
  );
  const element = h(
    "div",
    { class: "readouts", role: "group", "aria-label": "Figures" },
    ...tiles,
    gauge,
  );
  const mark = (name, bad) => values[name].classList.toggle("bad", bad);
  return {
    element,
    update: (state, underruns) => {
      setText(values.gaps, String(underruns));
      mark("gaps", underruns > 0);
      if (!state) return;
      const { p50, p95, p99, slack, late, passes, dtype } = state;
      setText(values.time, seconds(p50));
      setText(values.p95, seconds(p95));
      setText(values.p99, seconds(p99));
      setText(values.slack, seconds(slack));
      setText(values.hits, `${+(100 * state.hit_rate).toFixed(1)} %`);
      setText(values.late, String(late));
      setText(values.passes, passes ? String(passes) : "\u2013");
      setText(values.dtype, dtype);
      mark("late", late > 0);
      mark("p95", Boolean(slack) && p95 > slack);
      const share = slack ? Math.min(1, p95 / slack) : 0;
      fill.style.width = `${100 * share}%`;
      fill.className = share > 0.8 ? "bad" : "";
    },
  };
}
