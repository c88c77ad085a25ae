/** The first screen: a file, the microphone, a loop, or nothing. */

import * as actions from "./actions.js";
import { h, icon, show } from "./dom.js";
import { recordButton } from "./recorder.js";
import { state } from "./store.js";

const LENGTHS = [4, 8, 16, 32]; // s
const LOOP_TITLE = "The file repeats: what is generated repeats with it";

function title(name) {
  return name[0].toUpperCase() + name.slice(1).replaceAll("_", " ");
}

export class Start {
  constructor(element, settings) {
    this.element = element;
    this.loop = h("input", { type: "checkbox", title: LOOP_TITLE });
    const file = h("input", {
      type: "file",
      accept: "audio/*",
      id: "first-file",
      class: "unseen",
      onchange: () => file.files[0] && this.from(file.files[0]),
    });
    const length = h(
      "select",
      { "aria-label": "Length in seconds" },
      ...LENGTHS.map((seconds) =>
        h(
          "option",
          { value: seconds, selected: seconds === 8 },
          `${seconds} s`,
        ),
      ),
    );
    element.append(
      h("h1", {}, "Start a song"),
      h(
        "p",
        { class: "note" },
        "Start from some music, then add instruments that fit it, one by one.",
      ),
      h(
        "label",
        { class: "drop", for: "first-file" },
        file,
        icon("upload"),
        h("strong", {}, "Drop an audio file here"),
        h(
          "span",
          { class: "note" },
          "or choose one: wav, flac, mp3, ogg, aiff",
        ),
      ),
      h("label", { class: "check" }, this.loop, "This file is a loop"),
      h(
        "div",
        { class: "ways" },
        h(
          "div",
          {},
          h("h2", {}, "From a loop"),
          ...settings.loops.map((name) =>
            h(
              "button",
              { type: "button", onclick: () => actions.start({ loop: name }) },
              icon("wave"),
              title(name),
            ),
          ),
        ),
        h(
          "div",
          {},
          h("h2", {}, "From the microphone"),
          recordButton((recording) => this.from(recording)),
        ),
        h(
          "div",
          {},
          h("h2", {}, "From nothing"),
          length,
          h(
            "button",
            {
              type: "button",
              onclick: () =>
                actions.start({
                  seconds: Number(length.value),
                  sample_rate: 44100,
                  channels: 2,
                }),
            },
            icon("plus"),
            "Start empty",
          ),
        ),
      ),
    );
  }

  from(file) {
    return actions.startFrom(file, this.loop.checked);
  }

  update() {
    const { song, view } = state;
    show(this.element, song !== null && !song.started && view === "song");
  }
}
