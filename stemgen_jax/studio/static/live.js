/** The Live tab: a loop repeats, and layers change around it. */

import { get, post } from "./api.js";
import { receive } from "./actions.js";
import { h, icon, press, setText, show } from "./dom.js";
import { LiveClient } from "./live-client.js";
import { LiveLanes } from "./live-lanes.js";
import { LivePanel } from "./live-panel.js";
import { readouts } from "./live-readouts.js";
import * as player from "./player.js";
import { attempt, state, tell, update } from "./store.js";

const BEATS = 4; // of a bar, before the server has stated them
const AGAIN = 2000; // milliseconds until the server is asked again
const READY = "Press Start, or Space";

export class Live {
  #client = null;
  #phase = "idle"; // "idle", "preparing", "playing"
  #again = 0; // timer while another page plays
  #asked = null; // id of the song that `#kept` is about

  constructor(element) {
    this.element = element;
    this.button = h("button", {
      type: "button",
      class: "live-start primary",
      onclick: () => this.toggle(),
    });
    this.bar = h("span", { class: "live-bar" }, "\u2013");
    this.beats = h("span", { class: "live-beats", "aria-hidden": "true" });
    this.line = h("span", { class: "live-line", role: "status" }, READY);
    this.readouts = readouts();
    this.lanes = new LiveLanes((change) => this.#change(change));
    this.panel = new LivePanel((what) => this.#keep(what));
    this.panel.onchange = () => this.update();
    const count = h("div", { class: "live-count" }, this.bar, this.beats);
    const title = "Take over the tempo and the beats of what you play";
    const sync = () => this.#client?.send({ kind: "sync" });
    this.sync = h("button", { type: "button", title, onclick: sync }, "Sync");
    element.append(
      h(
        "div",
        { class: "live-main" },
        h(
          "div",
          { class: "live-top" },
          this.button,
          count,
          this.line,
          this.sync,
        ),
        this.readouts.element,
        this.lanes.element,
      ),
      this.panel.element,
    );
    this.#drawBeats(BEATS);
    this.#draw();
  }

  update() {
    const { song, settings, view } = state;
    show(this.element, view === "live");
    document.body.classList.toggle("live", view === "live");
    if (view !== "live" || !settings || !song) return;
    this.panel.update(song, settings);
    if (this.#phase === "idle") this.lanes.preview(this.panel.choice, song);
    if (this.#asked !== song.id) {
      this.#asked = song.id;
      this.#askKept();
    }
  }

  toggle() {
    if (this.#phase === "idle") attempt(() => this.#start());
    else this.#stop();
  }

  /** Mute the layer of a number, or generate it again. */
  key(number, again) {
    const layer = this.lanes.layer(number);
    if (!layer || this.#phase !== "playing") return;
    const how = again ? { again: true } : { mute: !layer.mutes };
    this.#change({ layer: layer.name, ...how });
  }

  async #start() {
    const { message, sound } = this.panel.choice;
    player.current()?.pause();
    this.#phase = "preparing";
    this.underruns = 0;
    this.entered = false;
    this.#draw();
    this.#client = new LiveClient({
      stage: (text) => setText(this.line, text),
      started: (begun) => this.#started(begun),
      news: (news) => this.#news(news),
      heard: (now, underruns) => this.#heard(now, underruns),
      fault: (fault) => tell(fault.message, "fault"),
      ended: (last, fault) => this.#ended(last, fault),
    });
    try {
      await this.#client.start(message, sound);
    } catch (error) {
      this.#ended(null, null);
      throw error;
    }
  }

  #stop() {
    this.#client?.stop();
    if (this.#phase === "preparing") setText(this.line, "Stopping");
  }

  #started(begun) {
    this.#phase = "playing";
    this.lanes.start(begun, state.song, this.panel.choice.message.input);
    this.panel.start(begun);
    this.follows = this.panel.choice.message.input === "line";
    this.#drawBeats(begun.beats_per_bar);
    this.#news({ ...begun.state, events: [] });
    this.#draw();
  }

  #news(news) {
    this.readouts.update(news, this.underruns);
    this.lanes.news(news);
    this.entered ||= news.layers.some((layer) => layer.sounds);
    this.panel.log(news, this.entered);
  }

  #heard(now, underruns) {
    if (underruns !== this.underruns) {
      this.underruns = underruns;
      this.readouts.update(null, underruns);
    }
    // The end of a song sounds after its last state.
    if (now && this.#phase === "playing") this.#show(now);
  }

  /** Show the bar and beat that sound. */
  #show(now) {
    const { bar, beat, counting } = now;
    setText(this.bar, counting ? String(beat) : String(bar ?? "\u2013"));
    this.bar.classList.toggle("counting", Boolean(counting));
    [...this.beats.children].forEach((dot, place) => {
      dot.className = place + 1 === beat ? "on" : "";
    });
    setText(this.line, lineOf(now, this.lanes.period));
    this.lanes.heard(now);
  }

  #ended(last, fault) {
    this.#phase = "idle";
    this.#client = null;
    if (last) this.readouts.update(last, this.underruns);
    if (fault) tell(fault.message, "fault");
    this.lanes.end();
    this.panel.end();
    this.#draw();
    this.#askKept();
  }

  #askKept() {
    return attempt(async () => {
      const { can_keep: kept, playing } = await get("/live");
      const elsewhere = playing && this.#phase === "idle";
      this.panel.keepable(kept, elsewhere);
      clearTimeout(this.#again);
      if (elsewhere) this.#again = setTimeout(() => this.#askKept(), AGAIN);
    });
  }

  #change(change) {
    this.#client?.send({ kind: "change", ...change });
  }

  #keep(what) {
    return attempt(async () => {
      tell("Keeping what was played", "busy");
      this.panel.keep(true); // a second click would add all layers twice
      const song = await post("/live/keep", { what }).finally(() =>
        this.panel.keep(false),
      );
      receive(song);
      const where = what === "layers" ? "this song" : `the song ${song.name}`;
      const names = song.kept.map((name) => name.replaceAll("_", " "));
      tell(`Kept in ${where}: ${names.join(", ")}.`);
      await this.#askKept();
    });
  }

  #drawBeats(length) {
    this.beats.replaceChildren(...Array.from({ length }, () => h("i")));
  }

  #draw() {
    const idle = this.#phase === "idle";
    const text = { idle: "Start", preparing: "Cancel", playing: "Stop" };
    const label = text[this.#phase];
    this.button.replaceChildren(icon(idle ? "play" : "stop"), label);
    this.button.title = `${label} (Space)`;
    this.element.dataset.phase = this.#phase;
    show(this.sync, this.#phase === "playing" && this.follows);
    if (!idle) return;
    setText(this.line, READY);
    setText(this.bar, "\u2013");
    this.bar.classList.remove("counting");
    for (const dot of this.beats.children) dot.className = "";
  }
}

function lineOf({ bar, counting, bpm }, period) {
  if (counting) return "Count-in";
  if (bar === null) return "Listening for the tempo: play";
  const tempo = `${+bpm.toFixed(1)} bpm`;
  if (!period) return `Bar ${bar} \u00b7 ${tempo}`;
  return `Bar ${1 + ((bar - 1) % period)} of ${period} in the loop \u00b7 ${tempo}`;
}

/** The two tabs, in the header. */
export function tabs() {
  const buttons = ["song", "live"].map((view) =>
    h(
      "button",
      { type: "button", role: "tab", onclick: () => choose(view) },
      view === "song" ? "Song" : "Live",
    ),
  );
  const names = { class: "seg tabs", role: "tablist", "aria-label": "View" };
  const element = h("div", names, ...buttons);
  return {
    element,
    update: () =>
      buttons.forEach((button, place) => {
        const on = state.view === ["song", "live"][place];
        button.setAttribute("aria-selected", String(on));
        press(button, on);
      }),
  };
}

function choose(view) {
  history.replaceState(null, "", view === "live" ? "#live" : "#");
  update({ view });
}
