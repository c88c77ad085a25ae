/** Small menus: of a layer, of the song, and of its length. */

import * as actions from "./actions.js";
import { bars } from "./beats.js";
import { h, icon } from "./dom.js";
import { heard, state } from "./store.js";
import { takeName } from "./takes.js";

function open(anchor, ...children) {
  document.querySelector(".menu")?.remove();
  const menu = h("div", { class: "menu", popover: "auto" }, ...children);
  document.body.append(menu);
  menu.showPopover();
  const box = anchor.getBoundingClientRect();
  const left = Math.min(box.left, innerWidth - menu.offsetWidth - 8);
  const below = box.bottom + 6 + menu.offsetHeight < innerHeight;
  const top = below ? box.bottom + 6 : box.top - 6 - menu.offsetHeight;
  menu.style.left = `${Math.max(8, left)}px`;
  menu.style.top = `${Math.max(8, top)}px`;
  menu.addEventListener("toggle", (event) => {
    if (event.newState === "closed") menu.remove();
  });
  menu.querySelector("button, input")?.focus();
  return menu;
}

function item(name, text, work) {
  const onclick = () => {
    document.querySelector(".menu")?.hidePopover();
    work();
  };
  return h(
    "button",
    { type: "button", class: "item", onclick },
    icon(name),
    text,
  );
}

/** Pan, and what is needed less often. */
export function layerMenu(layer, anchor) {
  const number = heard(layer);
  const clip = layer.clips.find((one) => one.number === number);
  const others = layer.clips.length > 1;
  const name = takeName(number);
  const pan = h("input", {
    type: "range",
    min: -1,
    max: 1,
    step: 0.05,
    value: layer.pan,
    "aria-label": `Pan of ${layer.title}`,
    oninput: () => actions.preview(layer, { pan: Number(pan.value) }),
    onchange: () => actions.adjust(layer, { pan: Number(pan.value) }),
    ondblclick: () => {
      pan.value = 0;
      actions.adjust(layer, { pan: 0 });
    },
  });
  open(
    anchor,
    state.song.channels === 2 &&
      h("label", { class: "field" }, "Left", pan, "Right"),
    clip &&
      !clip.own &&
      item("vary", `Vary ${name}`, () => actions.vary(layer)),
    clip &&
      !clip.own &&
      item("plus", "More takes", () => actions.moreTakes(layer, 2)),
    clip &&
      !clip.own &&
      others &&
      item("close", `Discard ${name}`, () => actions.discard(number)),
    item("trash", `Remove ${layer.title}`, () => actions.removeLayer(layer)),
  );
}

/** Another song, or a longer one. */
export function songMenu(anchor) {
  const { song } = state;
  const longer = [4, 8, 16].map((number) => {
    const bar = bars(song).length ? song.tempo.bar_seconds : 2;
    const seconds = song.seconds + number * bar;
    const text = bars(song).length
      ? `Add ${number} bars at the end`
      : `Add ${number * bar} s at the end`;
    return item("plus", text, () => actions.extend(seconds));
  });
  open(
    anchor,
    h("p", { class: "note" }, `Kept in ${song.folder}`),
    song.loop
      ? h("p", { class: "note" }, "A loop: it keeps its length.")
      : h("div", {}, ...longer),
    item("add", "Start another song", actions.closeSong),
  );
}
