/** The bar above all: facts of the song, transport, undo, export. */

import * as actions from "./actions.js";
import { bars } from "./beats.js";
import {
  clock,
  count,
  h,
  icon,
  iconButton,
  press,
  setText,
  show,
} from "./dom.js";
import { tabs } from "./live.js";
import { songMenu } from "./menus.js";
import * as player from "./player.js";
import { state, update } from "./store.js";

const NEAR = 0.2; // bpm; a detected tempo this close to a whole one is it

export class Top {
  #facts = "";

  constructor(element) {
    this.name = h("h1", {}, "stemgen-jax studio");
    this.facts = h("div", { class: "facts" });
    this.play = iconButton("play", "Play (Space)", player.toggle, {
      class: "icon-button primary",
    });
    this.loop = iconButton("loop", "Loop (L)", () =>
      update({ loop: !state.loop }),
    );
    this.time = h("span", { class: "time" });
    this.undo = iconButton("undo", "Undo (Ctrl+Z)", actions.undo);
    this.redo = iconButton("redo", "Redo (Ctrl+Shift+Z)", actions.redo);
    this.menu = iconButton("more", "Length, another song", () =>
      songMenu(this.menu),
    );
    this.transport = h(
      "div",
      { class: "transport", role: "group", "aria-label": "Transport" },
      iconButton("start", "Back to start (Home)", () => player.seek(0)),
      this.play,
      this.loop,
      this.time,
    );
    this.song = h(
      "div",
      { class: "song-actions" },
      this.undo,
      this.redo,
      h(
        "button",
        {
          type: "button",
          class: "export",
          title: "Download every layer, the mix and projects for DAWs (E)",
          onclick: actions.download,
        },
        icon("download"),
        h("span", {}, "Export"),
      ),
      this.menu,
    );
    this.tabs = tabs();
    element.append(
      this.name,
      this.tabs.element,
      this.facts,
      this.transport,
      this.song,
    );
  }

  update() {
    const { song, loop, view } = state;
    const started = Boolean(song?.started);
    this.tabs.update();
    show(this.facts, started);
    for (const part of [this.transport, this.song]) {
      show(part, started && view === "song");
    }
    setText(this.name, started ? song.name : "stemgen-jax studio");
    document.title = started ? `${song.name} \u2013 studio` : "studio";
    if (!started) return;
    this.undo.disabled = !song.can_undo;
    this.redo.disabled = !song.can_redo;
    press(this.loop, loop);
    const facts = JSON.stringify(factsOf(song));
    if (facts === this.#facts) return;
    this.#facts = facts;
    this.facts.replaceChildren(
      ...factsOf(song).flatMap(([text, strong, title], index) => [
        index ? " \u00b7 " : "",
        h(strong ? "b" : "span", { title }, text),
      ]),
    );
  }

  /** Show position and state of the transport. */
  place(seconds, playing) {
    setText(this.time, `${clock(seconds)} / ${clock(state.song.seconds)}`);
    const shown = playing ? "pause" : "play";
    if (this.shown === shown) return;
    this.shown = shown;
    this.play.replaceChildren(icon(shown));
    const label = playing ? "Pause (Space)" : "Play (Space)";
    this.play.title = label;
    this.play.setAttribute("aria-label", label);
  }
}

/** Facts as [text, whether it is detected clearly, title]. */
function factsOf(song) {
  const { tempo, key, channels, sample_rate: rate } = song;
  const facts = [];
  if (tempo) {
    const whole = Math.round(tempo.bpm);
    const near = Math.abs(tempo.bpm - whole) < NEAR;
    const bpm = `${near ? whole : tempo.bpm.toFixed(1)} bpm`;
    facts.push(clearly(bpm, tempo.clear, "tempo"));
  }
  if (key?.clear) facts.push(clearly(key.name, true, "key")); // drums: none
  if (bars(song).length) facts.push([count(bars(song).length, "bar"), false]);
  const sides = { 1: "mono", 2: "stereo" }[channels] ?? `${channels} channels`;
  facts.push([`${+(rate / 1000).toFixed(2)} kHz ${sides}`, false]);
  if (song.loop) facts.push(["loop", false]);
  return facts;
}

function clearly(text, clear, what) {
  if (clear) return [text, true, `Detected ${what}`];
  return [`${text}?`, false, `The ${what} is not clear: this is a guess`];
}
