/** The lanes of a live run: eight bars of each layer, and its controls. */

import { h, icon, press, setText, show } from "./dom.js";
import { colorOf } from "./lanes.js";
import { state as page } from "./store.js";

const BARS = 8; // that are shown
const MOST_GUIDANCE = 8;
const LATE = /^bar (\d+): (.+) is late/;

/** Words for a category: "Synth lead". */
export function titleOf(category) {
  const words = category.replaceAll("_", " ").replaceAll("-", " ");
  return words[0].toUpperCase() + words.slice(1);
}

class LiveLane {
  #past = new Map(); // bar -> what sounded there: {seed, stem, muted, entered}
  #late = new Set(); // bars

  constructor(number, send) {
    this.number = number;
    this.send = (change) => send({ layer: this.name, ...change });
    this.cells = Array.from({ length: BARS }, () =>
      h("div", { class: "cell" }),
    );
    this.dot = h("i", { class: "dot" });
    this.stem = h("select", {
      class: "live-stem",
      onchange: () => this.send({ stem: this.stem.value }),
    });
    this.news = h("span", { class: "live-news" });
    this.mute = h(
      "button",
      {
        type: "button",
        class: "ms mute",
        onclick: () => this.send({ mute: !this.mutes }),
      },
      "M",
    );
    this.again = h(
      "button",
      {
        type: "button",
        class: "again",
        onclick: () => this.send({ again: true }),
      },
      icon("refresh"),
      "New",
    );
    this.seed = h("input", {
      type: "number",
      min: 0,
      step: 1,
      onchange: () =>
        this.seed.value !== "" && this.send({ seed: Number(this.seed.value) }),
    });
    this.shown = h("output");
    this.guidance = h("input", {
      type: "range",
      min: 0,
      max: MOST_GUIDANCE,
      step: 0.5,
      title: "How closely it follows the others; double click: as preset",
      oninput: () => setText(this.shown, this.guidance.value),
      onchange: () => this.send({ guidance: Number(this.guidance.value) }),
      ondblclick: () => this.send({ guidance: null }),
    });
    const name = h("div", { class: "name" }, this.dot, this.stem);
    this.element = h(
      "article",
      { class: "live-lane", role: "group" },
      h(
        "div",
        { class: "live-head" },
        name,
        h("div", { class: "row" }, this.mute, this.again, this.news),
      ),
      h("div", { class: "cells" }, ...this.cells),
      h(
        "div",
        { class: "live-knobs" },
        h("label", {}, h("span", {}, "Seed"), this.seed),
        h("label", {}, h("span", {}, "Follows"), this.guidance, this.shown),
      ),
    );
  }

  /** Name the controls after a layer. */
  begin(layer, instruments) {
    const { name, stem } = layer;
    this.name = name;
    const title = titleOf(name);
    this.element.setAttribute("aria-label", title);
    const options = (known) =>
      instruments
        .filter((one) => one.known === known)
        .map((one) => h("option", { value: one.category }, one.title));
    const unknown = { label: "Not trained on: poor results" };
    this.stem.replaceChildren(
      ...options(true),
      h("optgroup", unknown, ...options(false)),
    );
    this.stem.value = stem;
    this.stem.setAttribute("aria-label", `Instrument of ${title}`);
    this.seed.setAttribute("aria-label", `Seed of ${title}`);
    this.guidance.setAttribute("aria-label", `How closely ${title} follows`);
    const key = this.number + 1;
    this.mute.title = `Mute ${title} at the next bar (${key})`;
    this.mute.setAttribute("aria-label", this.mute.title);
    this.again.title = `Generate ${title} again, with the next seed (Shift+${key})`;
    this.again.setAttribute("aria-label", this.again.title);
    this.#past.clear();
    this.#late.clear();
    this.sounding = null;
    this.update(layer);
  }

  /** Take the latest state: what will change, and at which bar. */
  update(layer) {
    this.layer = layer;
    const { stem, seed, guidance, coming, mutes, muted, next } = layer;
    // Where it will be, so that a second press takes the first one back.
    this.mutes = mutes.at(-1)?.muted ?? muted;
    press(this.mute, this.mutes);
    const free = (input) => document.activeElement !== input;
    if (free(this.stem)) this.stem.value = stem;
    if (free(this.seed)) this.seed.value = seed;
    const preset = this.preset ?? MOST_GUIDANCE / 2;
    if (!this.guidance.matches(":active")) {
      this.guidance.value = guidance ?? preset; // not while it is dragged
      setText(this.shown, guidance === null ? "preset" : String(guidance));
    }
    this.color = colorOf(stem);
    this.dot.style.background = this.color;
    this.element.style.setProperty("--color", this.color);
    const texts = [
      ...mutes.map(
        (one) => `${one.muted ? "mutes" : "plays"} at bar ${one.bar}`,
      ),
      ...coming.map((one) =>
        one.ready ? `new at bar ${one.bar}` : `making bar ${one.bar}`,
      ),
    ];
    if (!layer.sounds && !coming.length && next) {
      texts.push(`enters at bar ${next}`);
    }
    setText(this.news, texts.join(", "));
  }

  late(bar) {
    this.#late.add(bar);
  }

  /** Note what sounds in a bar. */
  heard(bar, { sounds, muted }) {
    this.sounding = sounds;
    this.muted = muted;
    const entered = sounds?.bar === bar;
    this.#past.set(bar, { ...sounds, on: sounds !== null, muted, entered });
    this.#past.delete(bar - 4 * BARS);
  }

  /** Draw the bars from `first` on; `now` sounds. */
  draw(first, now, holds) {
    this.cells.forEach((cell, place) => {
      const bar = first + place;
      const coming = this.layer.coming.find((one) => one.bar === bar);
      const past = bar <= now ? this.#past.get(bar) : this.#future(bar, holds);
      const classes = ["cell"];
      if (past?.on) classes.push("on");
      if (past?.muted) classes.push("muted");
      if (bar === now) classes.push("now");
      if (bar > now) classes.push("future");
      if (coming && bar > now) classes.push(coming.ready ? "ready" : "making");
      if (bar === this.#entry) classes.push("planned");
      if (this.#late.has(bar)) classes.push("late");
      cell.className = classes.join(" ");
      setText(cell, this.#label(bar, now, past, coming));
    });
  }

  #label(bar, now, past, coming) {
    if (this.#late.has(bar)) return "late";
    if (coming && bar > now) {
      return coming.ready ? `seed ${coming.seed}` : "making";
    }
    if (bar === this.#entry) return "enters";
    if (past?.muted && past.on) return "";
    return past?.entered && past.on ? `seed ${past.seed}` : "";
  }

  // Bar where it will enter, before it is requested.
  get #entry() {
    const { sounds, coming, next } = this.layer;
    return sounds || coming.length ? null : next;
  }

  // What a bar will be if nothing else is asked for.
  #future(bar, holds) {
    const { coming, mutes } = this.layer;
    const change = mutes.findLast((one) => one.bar <= bar);
    const muted = change?.muted ?? this.layer.muted;
    const entered = coming.some((one) => one.bar <= bar);
    const entry = this.#entry !== null && this.#entry <= bar;
    const on = entered || entry || (holds && this.sounding !== null);
    return { on, muted };
  }
}

export class LiveLanes {
  #lanes = [];
  #now = 0;
  #first = 1;
  #holds = false;

  constructor(send) {
    this.send = send;
    this.numbers = Array.from({ length: BARS }, () => h("span"));
    this.ruler = h(
      "div",
      { class: "live-ruler", "aria-hidden": "true" },
      h("span"),
      h("div", { class: "cells" }, ...this.numbers),
      h("span"),
    );
    this.title = h("span", { class: "title" });
    this.own = Array.from({ length: BARS }, () => h("div", { class: "cell" }));
    const dot = h("i", { class: "dot" });
    dot.style.background = "var(--context)";
    this.input = h(
      "article",
      { class: "live-lane own", role: "group", "aria-label": "Input" },
      h(
        "div",
        { class: "live-head" },
        h("div", { class: "name" }, dot, this.title),
      ),
      h("div", { class: "cells" }, ...this.own),
      h("div", { class: "live-knobs note" }),
    );
    this.rows = h("div", { class: "live-rows" });
    this.element = h(
      "div",
      { class: "live-lanes" },
      this.ruler,
      this.input,
      this.rows,
    );
    this.#draw();
  }

  /** The state of a layer by its place. */
  layer(number) {
    const lane = this.#lanes[number];
    return lane && { name: lane.name, mutes: lane.mutes };
  }

  /** Show the layers that would be played. */
  preview({ message }, song) {
    const names = new Map();
    const layers = message.layers.map(({ stem, seed }) => {
      const count = (names.get(stem) ?? 0) + 1;
      names.set(stem, count);
      const name = count > 1 ? `${stem}-${count}` : stem;
      const given = { stem, seed, guidance: null, muted: false };
      return {
        name,
        ...given,
        sounds: null,
        coming: [],
        mutes: [],
        next: null,
      };
    });
    this.preset = message.preset;
    this.#holds = message.input === "song" && song.loop;
    const bars = song.tempo ? song.seconds / song.tempo.bar_seconds : 0;
    this.period = this.#holds ? Math.round(bars) : 0;
    layers.forEach((layer, place) => {
      if (this.period) layer.next = 1 + this.period * (place + 1);
    });
    this.#set(layers, song, message.input);
  }

  start(begun, song, input) {
    this.#holds = begun.loop;
    this.period = begun.loop ? begun.bars : 0;
    this.#drawn = "";
    this.#set(begun.state.layers, song, input);
    this.element.classList.add("running");
  }

  news({ layers, events }) {
    layers.forEach((layer, place) => this.#lanes[place]?.update(layer));
    for (const event of events) {
      const [, bar, name] = event.match(LATE) ?? [];
      this.#lanes.find((lane) => lane.name === name)?.late(Number(bar));
    }
    this.#draw();
  }

  heard({ bar, layers }) {
    this.#now = bar ?? 0;
    const page = Math.floor((Math.max(1, this.#now) - 1) / BARS);
    this.#first = 1 + page * BARS;
    if (bar) {
      layers.forEach((layer, place) => this.#lanes[place]?.heard(bar, layer));
    }
    this.#draw();
  }

  end() {
    this.element.classList.remove("running");
    this.#now = 0;
    this.#first = 1;
    this.#drawn = "";
  }

  #drawn = "";

  #set(layers, song, input) {
    const names = layers.map((one) => [one.name, one.seed, one.next]);
    const wanted = JSON.stringify([names, song.id, input, this.#holds]);
    if (wanted === this.#drawn) return;
    this.#drawn = wanted;
    const { instruments, preset_guidance: scales } = page.settings;
    while (this.#lanes.length < layers.length) {
      this.#lanes.push(new LiveLane(this.#lanes.length, this.send));
    }
    this.#lanes.length = layers.length;
    const preset = scales?.[this.preset]?.context;
    layers.forEach((layer, place) => {
      const lane = this.#lanes[place];
      lane.preset = Array.isArray(preset) ? preset[0] : preset;
      lane.begin(layer, instruments);
    });
    this.rows.replaceChildren(...this.#lanes.map((lane) => lane.element));
    const line = input === "line";
    setText(this.title, line ? "Your input" : song.name || "No song");
    this.#draw();
  }

  #draw() {
    const { period = 0 } = this;
    this.numbers.forEach((number, place) => {
      const bar = this.#first + place;
      setText(number, String(bar));
      number.className = bar === this.#now ? "now" : "";
    });
    this.own.forEach((cell, place) => {
      const bar = this.#first + place;
      const begins = period && (bar - 1) % period === 0;
      const past = bar <= this.#now || this.#holds;
      const classes = ["cell", past && "on", bar === this.#now && "now"];
      if (bar > this.#now) classes.push("future");
      cell.className = classes.filter(Boolean).join(" ");
      setText(cell, begins && past ? "\u21bb" : "");
    });
    for (const lane of this.#lanes) {
      lane.draw(this.#first, this.#now, this.#holds);
    }
    show(this.input, true);
  }
}
