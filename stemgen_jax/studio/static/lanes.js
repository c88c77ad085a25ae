/** One lane per layer: head, waveform, takes, jobs. */

import * as actions from "./actions.js";
import { partName } from "./beats.js";
import { h, icon, iconButton, press, setText, show } from "./dom.js";
import { drawJobs, visible } from "./jobs.js";
import { layerMenu } from "./menus.js";
import * as player from "./player.js";
import { gainOf, heard, state, update } from "./store.js";
import { currentLayer, drawTakes } from "./takes.js";
import { Wave } from "./waves.js";

const OWN = "#7fb8dd";
const COLORS = {
  bass: "#f5a55a",
  piano: "#e98fb0",
  synth_lead: "#8fd0c0",
  synth_pad: "#b9a3e3",
  drums: "#e5cf73",
};
const OTHERS = ["#e8896b", "#9fd07f", "#d79be0", "#f0bd8a", "#86b9c9"];

/** Color of a layer: blue for the user's own, else by instrument. */
export function colorOf(category, own = false) {
  if (own) return OWN;
  const sum = [...category].reduce((all, x) => all + x.charCodeAt(0), 0);
  return COLORS[category] ?? OTHERS[sum % OTHERS.length];
}

class Lane {
  #rows = new Map(); // id of a job -> its row

  constructor(name) {
    this.name = name;
    this.dot = h("i", { class: "dot" });
    this.title = h("span", { class: "title" });
    this.stale = h(
      "span",
      {
        class: "badge",
        title: "A layer below has changed since this take was generated",
      },
      "stale",
    );
    this.mute = this.#toggle("M", "mute", "Mute");
    this.solo = this.#toggle("S", "solo", "Solo");
    this.level = h("input", {
      type: "range",
      class: "level",
      min: -36,
      max: 12,
      step: 0.5,
      oninput: () => actions.preview(this.layer, { gain_db: this.gain }),
      onchange: () => actions.adjust(this.layer, { gain_db: this.gain }),
      ondblclick: () => actions.adjust(this.layer, { gain_db: 0 }),
    });
    this.menu = iconButton("more", "More for this layer", () =>
      layerMenu(this.layer, this.menu),
    );
    this.controls = h(
      "div",
      { class: "row" },
      this.mute,
      this.solo,
      this.level,
      this.menu,
    );
    this.head = h(
      "div",
      { class: "head" },
      h("div", { class: "name" }, this.dot, this.title, this.stale),
      this.controls,
    );
    this.wave = h("div", { class: "wave" });
    this.tools = h("div", { class: "tools" });
    this.area = h("div", { class: "wave-area" }, this.wave, this.tools);
    this.takes = h("div", { class: "takes" });
    this.jobs = h("div", { class: "jobs" });
    this.element = h(
      "article",
      {
        class: "lane",
        role: "group",
        tabindex: 0,
        onfocusin: () => this.#choose(),
        onpointerdown: () => this.#choose(),
      },
      this.head,
      h("div", { class: "body" }, this.area, this.takes, this.jobs),
    );
  }

  get gain() {
    return Number(this.level.value);
  }

  update(layer, jobs) {
    this.layer = layer;
    const clip = layer.clips.find((one) => one.number === heard(layer));
    const color = colorOf(layer.category, clip?.own);
    this.dot.style.background = color;
    setText(this.title, layer.title);
    this.title.title = clip ? `${layer.title}: ${clip.name}` : layer.title;
    this.element.setAttribute("aria-label", layer.title);
    this.element.classList.toggle("muted", gainOf(layer) === 0);
    this.element.classList.toggle("current", currentLayer() === layer);
    show(this.stale, layer.stale);
    press(this.mute, layer.mute);
    press(this.solo, layer.solo);
    if (document.activeElement !== this.level || this.gain !== layer.gain_db) {
      this.level.value = layer.gain_db;
    }
    const level = `Level of ${layer.title}`;
    this.level.setAttribute("aria-label", level);
    this.level.title = `${level}: ${layer.gain_db} dB (double click: 0 dB)`;
    drawTakes(this.takes, layer);
    drawJobs(this.jobs, jobs, this.#rows);
    this.#drawTools(clip);
    if (!clip) return;
    this.surface ??= new Wave(this.wave, this.name, player.seek);
    this.surface.update(clip, color);
  }

  destroy() {
    this.surface?.destroy();
    this.element.remove();
  }

  #choose() {
    if (state.current !== this.name) update({ current: this.name });
  }

  #toggle(letter, field, word) {
    const title = `${word} this layer (${letter})`;
    const onclick = () =>
      actions.adjust(this.layer, { [field]: !this.layer[field] });
    const given = { type: "button", class: `ms ${field}`, title, onclick };
    return h("button", { ...given, "aria-label": title }, letter);
  }

  /** Buttons on the selected part. */
  #drawTools(clip) {
    const { selection, song, unit, loop } = state;
    const here = selection?.layer === this.name ? selection : null;
    const part = here && partName(song, unit, here.start, here.end);
    const wanted = JSON.stringify([here, part, clip?.own, loop]);
    if (wanted === this.tools.drawn) return;
    this.tools.drawn = wanted;
    this.tools.replaceChildren();
    if (!here) return;
    // The buttons of a late part end where it ends, so as to stay in view.
    const late = here.start + here.end > 1.2 * song.seconds;
    const percent = (time) => `${(100 * time) / song.seconds}%`;
    this.tools.style.left = late ? "auto" : percent(here.start);
    this.tools.style.right = late ? percent(song.seconds - here.end) : "auto";
    const redo = h(
      "button",
      {
        type: "button",
        title: "Generate this part again, as a further take (R)",
        onclick: actions.redoSelection,
      },
      icon("refresh"),
      `Redo ${part}`,
    );
    const repeat = h(
      "button",
      {
        type: "button",
        title: "Repeat this part (L)",
        "aria-pressed": String(loop),
        onclick: () => update({ loop: !loop }),
      },
      icon("loop"),
      clip?.own ? `Loop ${part}` : "Loop",
    );
    const close = iconButton("close", "Remove the selection (Esc)", () =>
      update({ selection: null }),
    );
    if (clip && !clip.own) this.tools.append(redo);
    this.tools.append(repeat, close);
  }
}

/** A lane of jobs that have no layer yet. */
class Placeholder {
  #rows = new Map();

  constructor(job) {
    const name = h(
      "div",
      { class: "name" },
      h("i", { class: "dot" }),
      h("span", { class: "title" }, job.title),
    );
    name.firstChild.style.background = colorOf(
      job.title.toLowerCase().replaceAll(" ", "_"),
    );
    this.jobs = h("div", { class: "jobs" });
    this.element = h(
      "article",
      { class: "lane waiting", role: "group", "aria-label": job.title },
      h("div", { class: "head" }, name),
      h("div", { class: "body" }, this.jobs),
    );
  }

  update(job) {
    drawJobs(this.jobs, [job], this.#rows);
  }

  destroy() {
    this.element.remove();
  }
}

export class Lanes {
  #lanes = new Map();

  constructor(sheet) {
    this.element = h("div", { class: "lanes" });
    this.empty = h(
      "p",
      { class: "note empty" },
      "No layers yet: choose an instrument and generate the first one.",
    );
    sheet.append(this.element, this.empty);
  }

  update() {
    const { song } = state;
    const layers = song?.started ? song.layers : [];
    const jobs = song?.started ? visible() : [];
    const names = new Set(layers.map((layer) => layer.name));
    const waiting = jobs.filter((job) => !names.has(job.layer));
    const keys = [
      ...layers.map((layer) => `layer ${song.id} ${layer.name}`),
      ...waiting.map((job) => `job ${job.id}`),
    ];
    for (const [key, lane] of this.#lanes) {
      if (keys.includes(key)) continue;
      lane.destroy();
      this.#lanes.delete(key);
    }
    keys.forEach((key, place) => {
      const layer = layers[place];
      const job = waiting[place - layers.length];
      let lane = this.#lanes.get(key);
      if (!lane) {
        lane = layer ? new Lane(layer.name) : new Placeholder(job);
        this.#lanes.set(key, lane);
      }
      const there = this.element.children[place];
      if (there !== lane.element) {
        this.element.insertBefore(lane.element, there ?? null);
        // A job that was just asked for, below the lanes in view.
        if (job) lane.element.scrollIntoView({ block: "nearest" });
      }
      const own = layer && jobs.filter((one) => one.layer === layer.name);
      if (layer) lane.update(layer, own);
      else lane.update(job);
    });
    show(this.empty, song?.started && !keys.length);
  }
}
