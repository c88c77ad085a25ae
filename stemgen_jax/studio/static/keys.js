/** Keyboard shortcuts. */

import * as actions from "./actions.js";
import * as player from "./player.js";
import { zoomTo } from "./ruler.js";
import { snapped } from "./beats.js";
import { heard, state, update } from "./store.js";
import { currentLayer } from "./takes.js";

const STEP = 1; // s, of the arrow keys without beats

function step(direction) {
  const now = player.current().position;
  const beat = state.song.tempo ? 60 / state.song.tempo.bpm : STEP;
  const target = now + direction * beat;
  player.seek(state.snap ? snapped(state.song, target) : target);
}

function choose(direction) {
  const { layers } = state.song;
  const place = layers.indexOf(currentLayer()) + direction;
  const layer = layers[Math.max(0, Math.min(layers.length - 1, place))];
  if (layer) update({ current: layer.name });
}

/** Set an end of the selection to the playhead. */
function mark(side) {
  const layer = currentLayer();
  if (!layer) return;
  const now = player.current().position;
  const at = state.snap ? snapped(state.song, now) : now;
  const old = state.selection ?? { start: 0, end: state.song.seconds };
  const selection = { ...old, layer: layer.name, [side]: at };
  if (selection.end > selection.start) update({ selection });
}

const KEYS = {
  " ": player.toggle,
  Home: () => player.seek(0),
  ArrowLeft: () => step(-1),
  ArrowRight: () => step(1),
  ArrowUp: () => choose(-1),
  ArrowDown: () => choose(1),
  Escape: () => update({ selection: null }),
  "+": () => zoomTo(state.zoom * 2),
  "=": () => zoomTo(state.zoom * 2),
  "-": () => zoomTo(state.zoom / 2),
  b: () => update({ snap: !state.snap }),
  e: actions.download,
  i: () => mark("start"),
  k: () => actions.keep(currentLayer(), heard(currentLayer())),
  l: () => update({ loop: !state.loop }),
  m: () => actions.adjust(currentLayer(), { mute: !currentLayer().mute }),
  o: () => mark("end"),
  r: actions.redoSelection,
  s: () => actions.adjust(currentLayer(), { solo: !currentLayer().solo }),
  v: () => actions.vary(currentLayer()),
};
const ON_LAYER = new Set(["k", "m", "s", "v"]);

// Elements that have a use for a key themselves.
function taken(target, key) {
  if (target.closest("select, textarea, dialog")) return true;
  if (target.closest("input")) {
    return target.type !== "range" || key.startsWith("Arrow") || key === "Home";
  }
  return target.closest("button, summary, a") && key === " ";
}

function withControl(key, shift) {
  if (key === "y" || (key === "z" && shift)) return actions.redo;
  return key === "z" ? actions.undo : null;
}

/** Keys of the Live tab: Space, and digits for its layers. */
function onLive(live, event) {
  const [, digit] = event.code.match(/^(?:Digit|Numpad)([1-8])$/) ?? [];
  if (event.key === " ") live.toggle();
  else if (digit) live.key(Number(digit) - 1, event.shiftKey);
  else return;
  event.preventDefault();
}

/** Listen to the keys of the page; `live` has those of its tab. */
export function listen(live) {
  // A clicked button does not keep the keys: Space plays again.
  addEventListener("click", (event) => {
    if (event.detail) event.target.closest?.("button")?.blur();
  });
  addEventListener("keydown", (event) => {
    const { key, ctrlKey, metaKey, shiftKey, altKey, target } = event;
    const name = key.length === 1 ? key.toLowerCase() : key;
    if (altKey || taken(target, name)) return;
    if (state.view === "live") {
      if (!ctrlKey && !metaKey) onLive(live, event);
      return;
    }
    if (!state.song?.started) return;
    if (document.querySelector(".menu")) return;
    let action = ctrlKey || metaKey ? withControl(name, shiftKey) : KEYS[name];
    const layer = currentLayer();
    if (/^[1-9]$/.test(name) && !ctrlKey && !metaKey) {
      const clip = layer?.clips[name - 1];
      action = clip && (() => actions.listen(layer, clip.number));
    }
    if (!action || (ON_LAYER.has(name) && !layer && !ctrlKey)) return;
    event.preventDefault();
    action();
  });
}
