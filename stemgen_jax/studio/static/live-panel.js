/** What is played live, how, what happened, and keeping it. */

import { clock, h, icon, press, setText, show } from "./dom.js";
import { field, segments, select } from "./fields.js";
import { inOrder } from "./panel.js";

const FIRST = ["drums", "bass", "piano", "synth_lead"];
const MOST_LAYERS = 8;
const FEW = 2; // layers that are suggested without a loop
const LINES = 60; // that are kept of what happened
const AHEAD = 0.25; // s
const BARS = 2; // of a chunk
const SLACK = 4; // beats
const KEYS = [
  ["Space", "start, stop"],
  ["1\u20138", "mute, unmute"],
  ["Shift+1\u20138", "new seed"],
];

export class LivePanel {
  #stems = [];
  #touched = false; // the user has chosen among the instruments
  #chosen = "song"; // input, where there is a song
  #input = "song";
  #preset = "fast";
  #drawn = "";
  #keeping = false;

  constructor(onkeep) {
    this.onkeep = onkeep;
    this.setup = h("div", { class: "live-setup" });
    this.lines = h("ol", { class: "live-log", "aria-label": "What happened" });
    this.busy = h(
      "p",
      { class: "note" },
      "A live run is on in another page: stop it there first.",
    );
    this.notes = h("div", { class: "note live-notes" });
    this.keepLayers = this.#keepButton("layers", "Keep the layers", {
      title: "What sounds, or sounded last, becomes layers of the open song",
    });
    this.keepAll = this.#keepButton("performance", "Keep the performance", {
      title: "All that was played becomes a song of its own, with its input",
    });
    this.keepTitle = h("h2", {}, "Keep what was played");
    this.kept = h(
      "div",
      { class: "own live-keep" },
      this.keepTitle,
      this.keepLayers,
      this.keepAll,
    );
    this.happened = h(
      "div",
      { class: "live-happened" },
      h("h2", {}, "What happened"),
      this.lines,
    );
    const keys = KEYS.flatMap(([key, word]) => [
      h("kbd", {}, key),
      h("span", {}, word),
    ]);
    this.element = h(
      "div",
      { class: "live-panel" },
      this.busy,
      this.setup,
      this.notes,
      this.kept,
      this.happened,
      h(
        "div",
        { class: "keys" },
        h("h2", {}, "Keys"),
        h("div", { class: "keys-table live-keys" }, ...keys),
      ),
    );
    for (const part of [this.busy, this.kept, this.happened]) show(part, false);
  }

  update(song, settings) {
    const audible = song.layers.some((layer) => layer.audible);
    const wanted = JSON.stringify([
      audible,
      song.loop,
      song.tempo?.bpm,
      song.name,
      settings,
      song.layers.map((layer) => layer.category),
    ]);
    if (wanted === this.#drawn) return;
    this.#drawn = wanted;
    this.song = song;
    this.settings = settings;
    this.#draw(audible);
  }

  /** The first message of the run, and how its sound is played. */
  get choice() {
    const line = this.#input === "line";
    const number = (input) => (input.value === "" ? null : Number(input.value));
    const bpm = number(this.bpm);
    const layers = this.#stems.map((stem) => ({
      stem,
      seed: number(this.seed) ?? 0,
      genre: this.genre.value,
    }));
    const message = {
      kind: "start",
      input: this.#input,
      layers,
      bpm: line || bpm !== this.known ? bpm : null,
      count_in: this.counted,
      preset: this.#preset,
    };
    if (!this.loops) {
      message.bars = number(this.bars) ?? BARS;
      message.slack = number(this.slack) ?? SLACK;
      message.future = this.future.checked ? "repeat" : "auto";
    }
    const latency = number(this.latency);
    const sound = {
      rate: line ? null : this.song.sample_rate,
      ahead: (number(this.ahead) ?? 1000 * AHEAD) / 1000,
      latency: latency === null ? null : latency / 1000,
    };
    return { message, sound };
  }

  start({ notes, loop }) {
    this.notes.replaceChildren(...notes.map((text) => h("p", {}, text)));
    this.lines.replaceChildren();
    show(this.happened, true);
    show(this.setup, false);
    show(this.kept, true);
    show(this.keepLayers, loop);
  }

  end() {
    show(this.setup, true);
    this.notes.replaceChildren();
  }

  /** Add what happened; `entered`: there is something to keep. */
  log({ events, recorded, recording }, entered) {
    this.keepLayers.disabled = this.keepAll.disabled =
      !entered || this.#keeping;
    const time = `${clock(recorded).slice(0, -3)}${recording ? "" : ", no more"}`;
    setText(this.keepTitle, `Keep what was played (${time})`);
    for (const text of events) {
      this.lines.prepend(h("li", {}, text.replaceAll("_", " ")));
      while (this.lines.childElementCount > LINES) {
        this.lines.lastChild.remove();
      }
    }
  }

  /** Show what can be kept; `elsewhere`: another page plays. */
  keepable(kept, elsewhere) {
    this.keep(this.#keeping);
    show(this.kept, kept.length > 0);
    show(this.keepLayers, kept.includes("layers"));
    show(this.busy, elsewhere);
  }

  /** Disable the buttons while something is being kept. */
  keep(keeping) {
    this.#keeping = keeping;
    this.keepLayers.disabled = this.keepAll.disabled = keeping;
  }

  #keepButton(what, text, given) {
    const onclick = () => this.onkeep(what);
    const name = what === "layers" ? "add" : "star";
    return h("button", { type: "button", ...given, onclick }, icon(name), text);
  }

  /** Suggest instruments that the song does not have. */
  #suggest() {
    if (this.#touched) return;
    const there = new Set(this.song.layers.map((layer) => layer.category));
    const known = this.settings.instruments.filter((one) => one.known);
    const names = new Set(known.map((one) => one.category));
    const free = FIRST.filter((name) => names.has(name) && !there.has(name));
    this.#stems = free.length ? free : known.slice(0, 1).map((x) => x.category);
    // Those of a loop enter one by one; others share the time of a chunk.
    if (!this.loops) this.#stems = this.#stems.slice(0, FEW);
  }

  #draw(audible) {
    const { song, settings } = this;
    this.#input = audible ? this.#chosen : "line";
    const name = song.loop ? "The loop" : "The song";
    const inputs = { song: name, line: "Microphone" };
    this.input = segments("Play to", Object.values(inputs), (text) => {
      this.#chosen = text === name ? "song" : "line";
      this.#draw(audible);
      this.onchange?.();
    });
    this.input.choose(inputs[this.#input]);
    this.input.field.querySelector("button").disabled = !audible;
    this.loops = this.#input === "song" && song.loop;
    this.#suggest();
    const quality = segments("Quality", settings.presets, (preset) => {
      this.#preset = preset;
      quality.choose(preset);
    });
    if (!settings.presets.includes(this.#preset)) {
      [this.#preset] = settings.presets;
    }
    quality.choose(this.#preset);
    const counts = segments("Count-in bars", [0, 1, 2], (bars) => {
      this.counted = bars;
      counts.choose(bars);
    });
    this.counted ??= 1;
    counts.choose(this.counted);
    const tempo = this.#input === "song" ? song.tempo?.bpm : null;
    this.known = tempo ? +tempo.toFixed(1) : null;
    this.bpm = input("Beats per minute", this.known, "detect", 20, 400, 0.1);
    this.seed = input("First seed", null, "0", 0, 2 ** 32 - 1, 1);
    this.genre = select("Genre", settings.genres ?? []);
    this.bars = input("Bars of a chunk", null, String(BARS), 1, 64, 1);
    this.slack = input(
      "Beats from request to entry",
      null,
      String(SLACK),
      0.5,
      64,
      0.5,
    );
    this.ahead = input(
      "Milliseconds",
      null,
      String(1000 * AHEAD),
      50,
      2000,
      10,
    );
    this.latency = input("Milliseconds", null, "measured", 0, 1000, 1);
    // The window of a small model is mostly context that is not known yet.
    this.future = h("input", {
      type: "checkbox",
      checked: true,
      title: "What is not known yet is taken to be the latest bars again",
    });
    const line = this.#input === "line";
    this.setup.replaceChildren(
      h("div", {}, h("h2", {}, "Layers"), this.#chips()),
      this.input.field,
      field("Tempo", this.bpm),
      counts.field,
      quality.field,
      h(
        "details",
        {},
        h("summary", {}, "More: seed, chunks, delay"),
        field("First seed", this.seed),
        this.genre.options.length > 1 && field("Genre", this.genre),
        !this.loops && field("Bars of a chunk", this.bars),
        !this.loops && field("Slack in beats", this.slack),
        !this.loops && field("The music repeats", this.future),
        field("Buffer in ms", this.ahead),
        line && field("Latency in ms", this.latency),
      ),
      h("p", { class: "note" }, noteOf(this.loops, line)),
    );
  }

  #chips() {
    const box = h("div", { class: "chips", role: "group" });
    box.setAttribute("aria-label", "Instruments of the layers");
    const known = inOrder(this.settings.instruments.filter((one) => one.known));
    for (const { category, title } of known) {
      const chip = h(
        "button",
        {
          type: "button",
          class: "chip",
          onclick: () => this.#toggle(category),
        },
        title,
      );
      press(chip, this.#stems.includes(category));
      box.append(chip);
    }
    return box;
  }

  #toggle(category) {
    this.#touched = true;
    const on = this.#stems.includes(category);
    const others = this.#stems.filter((one) => one !== category);
    if (on && others.length) this.#stems = others;
    else if (!on && others.length < MOST_LAYERS) {
      this.#stems = [...others, category];
    }
    const chips = this.setup.querySelector(".chips");
    chips.replaceWith(this.#chips());
    this.onchange?.();
  }
}

function input(label, value, placeholder, min, max, step) {
  const given = { type: "number", min, max, step, placeholder };
  return h("input", { ...given, value, "aria-label": label });
}

function noteOf(loops, line) {
  if (loops) {
    return (
      "The loop repeats. Layers enter one after the other; change any of them " +
      "at the next bar. Jobs wait until you stop."
    );
  }
  const wait = "Jobs wait until you stop.";
  return line
    ? `Play after the count-in; use headphones. The layers follow you. ${wait}`
    : `Layers are generated while the song plays, to its end. ${wait}`;
}
