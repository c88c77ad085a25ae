/** The panel that adds the next layer. */

import * as actions from "./actions.js";
import { get } from "./api.js";
import { about, count, h, icon, press, setText, show } from "./dom.js";
import { recordButton } from "./recorder.js";
import { heard, state, undecided } from "./store.js";
import { takeName } from "./takes.js";

const FEW_UNKNOWN = 2; // instruments that the weights do not know, at first
const TAKES = [1, 2, 3, 6];
const STRANGE = "These weights were not trained on it: expect poor results";
const KEYS = [
  ["Space", "play"],
  ["1\u20139", "hear a take"],
  ["K", "keep it"],
  ["M S", "mute, solo"],
  ["drag", "select a part"],
  ["R", "redo it"],
  ["L", "loop"],
  ["\u2191 \u2193", "choose a layer"],
  ["Ctrl+Z", "undo"],
];

function segments(label, options, onchoose) {
  const buttons = options.map((option) =>
    h("button", { type: "button", onclick: () => onchoose(option) }, `${option}`),
  );
  const group = h("div", { class: "seg", role: "group" }, ...buttons);
  group.setAttribute("aria-label", label);
  const choose = (chosen) =>
    options.forEach((option, at) => press(buttons[at], option === chosen));
  return { choose, field: h("div", { class: "field" }, h("span", {}, label), group) };
}

export class Panel {
  #choice = { category: "", takes: 2, preset: "" };
  #guidance = {}; // only what the user changed
  #temperature = null;
  #layers = -1; // for which the instrument was suggested
  #estimated = "";

  constructor(element, settings) {
    this.element = element;
    this.settings = settings;
    this.#choice.category = settings.instruments[0].category;
    this.#choice.preset = settings.preset ?? settings.presets[0];
    this.chips = new Map();
    this.takes = segments("Takes", TAKES, (takes) => this.#set({ takes }));
    this.quality = segments("Quality", settings.presets, (preset) =>
      this.#set({ preset }),
    );
    this.seed = h("input", {
      type: "number",
      min: 0,
      step: 1,
      placeholder: "new",
      "aria-label": "Seed",
      title: "The same seed gives the same take; empty for a new one",
    });
    this.button = h("button", {
      type: "button",
      class: "primary generate",
      onclick: () => this.#generate(),
    });
    this.note = h("p", { class: "note" });
    this.undecided = h("p", { class: "note" });
    this.file = h("input", {
      type: "file",
      accept: "audio/*",
      hidden: true,
      onchange: () => this.#add(),
    });
    element.append(...this.#parts());
    this.#set({});
  }

  /** Open or fold the panel; only a phone folds it. */
  unfold(open) {
    document.body.classList.toggle("adding", open);
    this.fold.setAttribute("aria-expanded", String(open));
    this.foldText.textContent = open ? "Close" : "Add a layer";
    this.fold.firstChild.replaceWith(icon(open ? "close" : "plus"));
  }

  update() {
    const { song } = state;
    show(this.element, Boolean(song?.started));
    if (!song?.started) return;
    const none = !song.layers.length;
    const heading = none ? "Add the first layer" : "Add a layer that fits all of this";
    setText(this.heading, heading);
    const waiting = undecided().map(
      (layer) => `${takeName(layer, heard(layer))} of ${layer.title}`,
    );
    setText(this.undecided, `This keeps ${waiting.join(", ")}.`);
    show(this.undecided, waiting.length > 0);
    if (song.layers.length !== this.#layers) this.#suggest(song.layers);
    this.#estimate();
  }

  /** Choose the first instrument that is not in the song. */
  #suggest(layers) {
    this.#layers = layers.length;
    const there = new Set(layers.map((layer) => layer.category));
    const known = this.settings.instruments.filter((one) => one.known);
    const next = known.find((one) => !there.has(one.category)) ?? known[0];
    if (next) this.#set({ category: next.category });
  }

  #parts() {
    this.heading = h("h2", {}, "Add a layer");
    this.foldText = h("span", {}, "Add a layer");
    this.fold = h(
      "button",
      {
        type: "button",
        class: "primary fold-button",
        "aria-expanded": "false",
        onclick: () => this.unfold(!document.body.classList.contains("adding")),
      },
      icon("plus"),
      this.foldText,
    );
    const keys = KEYS.flatMap(([key, word]) => [
      h("kbd", {}, key),
      h("span", {}, word),
    ]);
    const content = h(
      "div",
      { class: "panel-content" },
      h("div", {}, this.heading, this.#instruments()),
      this.takes.field,
      this.quality.field,
      this.#more(),
      h("div", {}, this.button, this.undecided, this.note),
      h(
        "div",
        { class: "own" },
        h("h2", {}, "Or your own sound"),
        this.file,
        h(
          "button",
          { type: "button", onclick: () => this.file.click() },
          icon("upload"),
          "Add a file",
        ),
        recordButton((file) => actions.addAudio(file)),
      ),
      h(
        "div",
        { class: "keys" },
        h("h2", {}, "Keys"),
        h("div", { class: "keys-table" }, ...keys),
      ),
    );
    return [this.fold, content];
  }

  #instruments() {
    const { instruments } = this.settings;
    const known = instruments.filter((one) => one.known);
    const unknown = instruments.filter((one) => !one.known);
    const box = h("div", { class: "chips", role: "group" });
    box.setAttribute("aria-label", "Instrument");
    const add = (one) => {
      const chip = h(
        "button",
        {
          type: "button",
          class: one.known ? "chip" : "chip unknown",
          title: one.known ? one.title : `${one.title}. ${STRANGE}`,
          onclick: () => this.#set({ category: one.category }),
        },
        one.title,
      );
      this.chips.set(one.category, chip);
      box.append(chip);
    };
    [...known, ...unknown.slice(0, FEW_UNKNOWN)].forEach(add);
    const rest = unknown.slice(FEW_UNKNOWN);
    const more = h(
      "button",
      {
        type: "button",
        class: "chip",
        title: "All instruments",
        "aria-label": "All instruments",
        onclick: () => {
          more.remove();
          rest.forEach(add);
          this.#set({});
        },
      },
      icon("more"),
    );
    if (rest.length) box.append(more);
    return box;
  }

  #more() {
    const names = this.settings.guidance;
    const defaults = Array.isArray(names)
      ? Object.fromEntries(names.map((name) => [name, null]))
      : names;
    const sliders = Object.entries(defaults).map(([name, value]) =>
      slider(`Follow the ${word(name)}`, 0, 8, 0.1, value, (chosen) => {
        if (chosen === null) delete this.#guidance[name];
        else this.#guidance[name] = chosen;
      }),
    );
    const temperature = slider(
      "Temperature",
      0.5,
      1.5,
      0.05,
      this.settings.temperature ?? null,
      (chosen) => {
        this.#temperature = chosen;
      },
    );
    return h(
      "details",
      {},
      h("summary", {}, "More: seed, how closely it follows, temperature"),
      h("div", { class: "field" }, h("span", {}, "Seed"), this.seed),
      ...sliders,
      temperature,
    );
  }

  #set(changes) {
    Object.assign(this.#choice, changes);
    const { category, takes, preset } = this.#choice;
    for (const [name, chip] of this.chips) press(chip, name === category);
    this.takes.choose(takes);
    this.quality.choose(preset);
    const { title, known } = this.settings.instruments.find(
      (one) => one.category === category,
    );
    setText(this.button, `Generate ${count(takes, "take")} of ${title}`);
    this.button.title = known ? "" : STRANGE;
    this.#estimate();
  }

  async #estimate() {
    const { takes, preset } = this.#choice;
    const { song } = state;
    if (!song?.started) return;
    const path = `/estimate?takes=${takes}&preset=${preset}`;
    const key = `${path} ${song.folder} ${song.seconds}`;
    if (key === this.#estimated) return;
    this.#estimated = key;
    setText(this.note, "Nothing leaves this computer.");
    const found = await get(path).catch(() => null);
    if (key !== this.#estimated || !found?.seconds) return;
    const time = about(found.seconds);
    const text = `${time} on this computer. Nothing leaves it.`;
    setText(this.note, text[0].toUpperCase() + text.slice(1));
  }

  #generate() {
    const { category, takes, preset } = this.#choice;
    const settings = {};
    if (Object.keys(this.#guidance).length) settings.guidance = this.#guidance;
    if (this.#temperature !== null) settings.temperature = this.#temperature;
    const seed = this.seed.value === "" ? null : Number(this.seed.value);
    this.unfold(false);
    actions.generate({ category, layer: "", takes, seed, preset, settings });
  }

  #add() {
    const [file] = this.file.files;
    this.file.value = "";
    if (file) actions.addAudio(file);
  }
}

function word(condition) {
  return { context: "mix", audio: "mix", category: "instrument" }[condition] ??
    condition;
}

/** A slider that may be left at the preset's value. */
function slider(label, least, most, step, preset, onchange) {
  const shown = h("output", {}, preset ?? "preset");
  const input = h("input", {
    type: "range",
    min: least,
    max: most,
    step,
    value: preset ?? (least + most) / 2,
    title: `${label}; double click for the preset's value`,
    oninput: () => {
      setText(shown, input.value);
      onchange(Number(input.value));
    },
    ondblclick: () => {
      input.value = preset ?? (least + most) / 2;
      setText(shown, `${preset ?? "preset"}`);
      onchange(null);
    },
  });
  return h("label", { class: "field" }, h("span", {}, label), input, shown);
}
