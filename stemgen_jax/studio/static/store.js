/** What the page shows: the server's song and jobs, and the user's view. */

import { Fault } from "./api.js";

export const state = {
  song: null,
  jobs: [],
  settings: null,
  connected: true,
  view: location.hash === "#live" ? "live" : "song",
  shown: {}, // layer name -> number of the take to hear, if not the accepted
  current: "", // layer that the keys act on
  selection: null, // {layer, start, end} in seconds
  loop: false,
  snap: true,
  unit: "bars", // of the ruler: "bars" or "seconds"
  zoom: 1,
  preset: null, // chosen in the panel, also for more takes
};

// Of the user's view, what a reload keeps.
const KEPT = ["shown", "current", "selection", "loop", "snap", "unit"];
const listeners = [];
let pending = false;

function save() {
  if (!state.song?.id) return;
  const view = KEPT.map((name) => [name, state[name]]);
  sessionStorage.view = JSON.stringify([state.song.id, view]);
}

/** The user's view of a song: as it was before a reload, or a new one. */
export function viewOf(song) {
  const [id, view] = JSON.parse(sessionStorage.view ?? "[]");
  if (song.id && id === song.id) return Object.fromEntries(view);
  const { loop } = song;
  return { shown: {}, current: "", selection: null, loop, zoom: 1 };
}

/** Call a function after every change, at most once a frame. */
export function subscribe(listener) {
  listeners.push(listener);
}

/** Change the state; the page follows before the next frame. */
export function update(changes) {
  Object.assign(state, changes);
  if (pending) return;
  pending = true;
  queueMicrotask(() => {
    pending = false;
    save();
    for (const listener of listeners) listener(state);
  });
}

/** The take of a layer that is heard: one to compare, or the accepted one. */
export function heard(layer) {
  const numbers = new Set(layer.clips.map((clip) => clip.number));
  const wanted = state.shown[layer.name];
  if (numbers.has(wanted)) return wanted;
  if (numbers.has(layer.clip)) return layer.clip;
  return best(layer);
}

/** The take of a layer that fits best; the newest if none has a fit. */
export function best(layer) {
  const fit = (clip) => clip.fit ?? -Infinity;
  return layer.clips.reduce(
    (found, clip) => (found && fit(found) > fit(clip) ? found : clip),
    null,
  )?.number;
}

/** Layers of which another take is heard than the accepted one, if any. */
export function undecided() {
  return state.song.layers.filter((layer) => heard(layer) !== layer.clip);
}

/** Factors of a layer's level: 0 if it is not in the mix. */
export function gainOf(layer, song = state.song) {
  const solo = song.layers.some((one) => one.solo);
  if (layer.mute || (solo && !layer.solo)) return 0;
  return 10 ** (layer.gain_db / 20);
}

/** Jobs that wait or run. */
export function active(jobs = state.jobs) {
  return jobs.filter((job) => ["queued", "running"].includes(job.state));
}

let report = () => {};

/** Set the function that shows one line, see `attempt`. */
export function onReport(listener) {
  report = listener;
}

/** Show one line; an empty one removes it. */
export function tell(text, kind = "note") {
  report(text, kind);
}

/** Run a function; show its fault as one line. Returns whether it worked. */
export async function attempt(work) {
  try {
    await work();
    return true;
  } catch (error) {
    if (!(error instanceof Fault)) console.error(error);
    tell(error.message, "fault");
    return false;
  }
}
