/** Bars or seconds above the lanes, lines through them, and the playhead. */

import { marks } from "./beats.js";
import { h, iconButton, press } from "./dom.js";
import * as player from "./player.js";
import { state, update } from "./store.js";

const APART = 34; // px between two labels
const MOST_ZOOM = 32;

/** Set the zoom, keeping the middle of the view in place. */
export function zoomTo(zoom) {
  const view = document.querySelector("#tracks");
  const before = view.scrollWidth;
  const middle = view.scrollLeft + view.clientWidth / 2;
  const kept = Math.min(MOST_ZOOM, Math.max(1, zoom));
  document.querySelector(".sheet").style.setProperty("--zoom", kept);
  view.scrollLeft = (middle * view.scrollWidth) / before - view.clientWidth / 2;
  update({ zoom: kept });
}

export class Ruler {
  #drawn = "";

  constructor(sheet) {
    this.bars = h("div", { class: "bars", title: "Click to play from here" });
    this.lines = h("div", { class: "lines", "aria-hidden": "true" });
    this.playhead = h("div", { class: "playhead", "aria-hidden": "true" });
    this.unit = h(
      "button",
      {
        type: "button",
        class: "small",
        title: "Count in bars or in seconds",
        onclick: () =>
          update({ unit: state.unit === "bars" ? "seconds" : "bars" }),
      },
      "bars",
    );
    this.snap = iconButton("magnet", "Snap selections to beats (B)", () =>
      update({ snap: !state.snap }),
    );
    const tools = h(
      "div",
      { class: "head ruler-tools" },
      this.unit,
      this.snap,
      iconButton("minus", "Show more of the song (-)", () =>
        zoomTo(state.zoom / 2),
      ),
      iconButton("plus", "Zoom in (+)", () => zoomTo(state.zoom * 2)),
    );
    sheet.append(
      h("div", { class: "ruler" }, tools, this.bars),
      this.lines,
      this.playhead,
    );
    this.bars.addEventListener("click", (event) => {
      const box = this.bars.getBoundingClientRect();
      const share = (event.clientX - box.left) / box.width;
      player.seek(share * state.song.seconds);
    });
    new ResizeObserver(() => this.update()).observe(this.bars);
  }

  update() {
    const { song, unit, snap, zoom } = state;
    if (!song?.started) return;
    document.querySelector(".sheet").style.setProperty("--zoom", zoom);
    const width = this.bars.clientWidth;
    press(this.snap, snap);
    this.snap.disabled = !song.tempo;
    this.unit.textContent = song.tempo ? unit : "seconds";
    this.unit.disabled = !song.tempo;
    const wanted = JSON.stringify([song.tempo, song.seconds, unit, width]);
    if (wanted === this.#drawn || !width) return;
    this.#drawn = wanted;
    const gap = (APART * song.seconds) / width;
    const all = marks(song, unit, gap);
    const left = ({ time }) => `left:${(100 * time) / song.seconds}%`;
    this.bars.replaceChildren(
      ...all
        .filter((mark) => mark.label && mark.time < song.seconds - gap / 2)
        .map((mark) => h("span", { style: left(mark) }, mark.label)),
    );
    this.lines.replaceChildren(
      ...all.map((mark) =>
        h("i", { style: left(mark), class: mark.strong ? "strong" : "" }),
      ),
    );
  }

  /** Move the playhead; while it plays, keep it in view. */
  place(seconds, playing) {
    const share = Math.min(1, seconds / state.song.seconds);
    const width = this.bars.clientWidth;
    const x = share * width;
    this.playhead.style.transform = `translateX(${x}px)`;
    if (!playing || state.zoom === 1) return;
    const view = document.querySelector("#tracks");
    const seen = view.clientWidth - (view.scrollWidth - width);
    if (x < view.scrollLeft || x > view.scrollLeft + seen) {
      view.scrollLeft = x - seen / 10;
    }
  }
}
