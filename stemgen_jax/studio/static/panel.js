/** The panel that adds the next layer. */

import * as actions from "./actions.js";
import { count, h, icon, press, setText, show } from "./dom.js";
import { field, segments, select, slider } from "./fields.js";
import { recordButton } from "./recorder.js";
import { heard, state, undecided } from "./store.js";
import { takeName } from "./takes.js";

const FEW_UNKNOWN = 2; // instruments that the weights do not know, at first
const TAKES = [1, 2, 3, 6];
// Layers in the order in which most songs are built.
const ORDER = "drums bass piano synth_lead synth_pad guitar strings".split(" ");
const STRANGE = "These weights were not trained on it: expect poor results";
const untrained = (title) =>
  `The weights were not trained on ${title.toLowerCase()}: expect poor results.`;
const FIRST = "Add the first layer";
const NEXT = "Add a layer that fits all of this";
const WORDS = { context: "mix", category: "instrument" };
const KEYS = [
  ["Space", "play"],
  ["1\u20139", "hear a take"],
  ["K", "keep it"],
  ["M S", "mute, solo"],
  ["drag", "select a part"],
  ["I O", "its ends"],
  ["R", "redo it"],
  ["L", "loop"],
  ["\u2191 \u2193", "other layer"],
  ["Ctrl+Z", "undo"],
];

export class Panel {
  #choice = { category: "", takes: 2, preset: "" };
  #guidance = {}; // only what the user changed
  #temperature = null;
  #layers = -1; // for which the instrument was suggested
  #drawn = ""; // settings that are drawn

  constructor(element) {
    this.element = element;
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
    this.content = h("div", { class: "panel-content" });
    this.own = ownSound(); // it may record while the rest is drawn again
    element.append(this.fold, this.content);
  }

  /** Open or fold the panel; only a phone folds it. */
  unfold(open) {
    document.body.classList.toggle("adding", open);
    this.fold.setAttribute("aria-expanded", String(open));
    this.foldText.textContent = open ? "Close" : "Add a layer";
    this.fold.firstChild.replaceWith(icon(open ? "close" : "plus"));
  }

  update() {
    const { song, settings, view } = state;
    show(this.element, Boolean(song?.started) && view === "song");
    if (!song?.started) return;
    const drawn = JSON.stringify(settings);
    if (drawn !== this.#drawn) this.#draw(settings);
    this.#drawn = drawn;
    const none = !song.layers.length;
    setText(this.heading, none ? FIRST : NEXT);
    const waiting = undecided().map(
      (layer) => `${takeName(heard(layer))} of ${layer.title}`,
    );
    setText(this.undecided, `This keeps ${waiting.join(", ")}.`);
    show(this.undecided, waiting.length > 0);
    if (song.layers.length !== this.#layers) this.#suggest(song.layers);
  }

  /** Choose the first instrument that is not in the song. */
  #suggest(layers) {
    this.#layers = layers.length;
    const there = new Set(layers.map((layer) => layer.category));
    const known = this.instruments.filter((one) => one.known);
    const next = known.find((one) => !there.has(one.category)) ?? known[0];
    if (next) this.#set({ category: next.category });
  }

  #draw(settings) {
    this.instruments = inOrder(settings.instruments);
    this.settings = settings;
    const { presets } = settings;
    if (!presets.includes(this.#choice.preset)) {
      [this.#choice.preset] = presets;
    }
    this.takes = segments("Takes", TAKES, (takes) => this.#set({ takes }));
    this.quality = segments("Quality", presets, (preset) =>
      this.#set({ preset }),
    );
    this.heading = h("h2", {}, NEXT);
    this.button = h("button", {
      type: "button",
      class: "primary generate",
      onclick: () => this.#generate(),
    });
    this.undecided = h("p", { class: "note" });
    this.reason = h("p", { class: "note" });
    const note =
      settings.model === "loading"
        ? "The model is loading. Nothing leaves this computer."
        : "Nothing leaves this computer.";
    this.content.replaceChildren(
      h("div", {}, this.heading, this.#chips()),
      this.takes.field,
      this.quality.field,
      this.#more(),
      h(
        "div",
        {},
        this.button,
        this.reason,
        this.undecided,
        h("p", { class: "note" }, note),
      ),
      this.own,
      keysHelp(),
    );
    this.#layers = -1; // suggest among the instruments that are known now
    const known = this.instruments.map((one) => one.category);
    const { category } = this.#choice;
    this.#set({ category: known.includes(category) ? category : known[0] });
  }

  #chips() {
    this.chips = new Map();
    const known = this.instruments.filter((one) => one.known);
    const unknown = this.instruments.filter((one) => !one.known);
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
    const { guidance, genres, roles } = this.settings;
    this.seed = h("input", {
      type: "number",
      min: 0,
      step: 1,
      placeholder: "new",
      "aria-label": "Seed",
      title: "The same seed gives the same take; empty for a new one",
    });
    this.genre = select("Genre", genres ?? []);
    this.role = select("Role", roles ?? []);
    this.sliders = guidance.map((name) =>
      slider(`Follow the ${WORDS[name] ?? name}`, 0, 8, 0.1, (chosen) => {
        if (chosen === null) delete this.#guidance[name];
        else this.#guidance[name] = chosen;
      }),
    );
    const temperature = slider("Temperature", 0.5, 1.5, 0.05, (chosen) => {
      this.#temperature = chosen;
    });
    temperature.preset(1);
    return h(
      "details",
      {},
      h("summary", {}, "More: seed, how closely it follows, temperature"),
      h("div", { class: "field" }, h("span", {}, "Seed"), this.seed),
      this.genre.options.length > 1 && field("Genre", this.genre),
      this.role.options.length > 1 && field("Role", this.role),
      ...this.sliders.map((one) => one.field),
      temperature.field,
    );
  }

  #set(changes) {
    Object.assign(this.#choice, changes);
    const { category, takes, preset } = this.#choice;
    for (const [name, chip] of this.chips) press(chip, name === category);
    this.takes.choose(takes);
    this.quality.choose(preset);
    state.preset = preset;
    const { title, known } = this.instruments.find(
      (one) => one.category === category,
    );
    setText(this.button, `Generate ${count(takes, "take")} of ${title}`);
    this.button.title = known ? "" : STRANGE;
    setText(this.reason, untrained(title));
    show(this.reason, !known);
    const { guidance, preset_guidance: scales } = this.settings;
    guidance.forEach((name, at) => {
      this.sliders[at].preset(scales?.[preset]?.[name] ?? null);
    });
  }

  #generate() {
    const { category, takes, preset } = this.#choice;
    const settings = {};
    if (Object.keys(this.#guidance).length) {
      const scales = this.settings.preset_guidance?.[preset];
      settings.guidance = { ...scales, ...this.#guidance };
      for (const name of ["genre", "role"]) {
        const { options, value } = this[name]; // no choice: an instrument
        if (options.length > 1 && !value) delete settings.guidance[name];
      }
    }
    if (this.#temperature !== null) settings.temperature = this.#temperature;
    const seed = this.seed.value === "" ? null : Number(this.seed.value);
    const job = { category, layer: "", takes, seed, preset, settings };
    if (this.genre.value) job.genre = this.genre.value;
    if (this.role.value) job.role = this.role.value;
    this.unfold(false);
    actions.generate(job);
  }
}

function ownSound() {
  const file = h("input", {
    type: "file",
    accept: "audio/*",
    hidden: true,
    onchange: () => {
      const [chosen] = file.files;
      file.value = "";
      if (chosen) actions.addAudio(chosen);
    },
  });
  const choose = h(
    "button",
    { type: "button", onclick: () => file.click() },
    icon("upload"),
    "Add a file",
  );
  const heading = h("h2", {}, "Or your own sound");
  const record = recordButton(actions.addAudio);
  return h("div", { class: "own" }, heading, file, choose, record);
}

/** Sort instruments as most songs are built. */
export function inOrder(instruments) {
  const place = ({ category }) => {
    const found = ORDER.indexOf(category);
    return found < 0 ? ORDER.length : found;
  };
  return instruments.toSorted((a, b) => place(a) - place(b));
}

function keysHelp() {
  const keys = KEYS.flatMap(([key, word]) => [
    h("kbd", {}, key),
    h("span", {}, word),
  ]);
  const table = h("div", { class: "keys-table" }, ...keys);
  return h("div", { class: "keys" }, h("h2", {}, "Keys"), table);
}
