/** What the user can do to the song; every one reports its fault. */

import { patch, post, remove, upload } from "./api.js";
import {
  attempt,
  heard,
  state,
  tell,
  undecided,
  update,
  viewOf,
} from "./store.js";

/** Take a song that the server answered. */
export function receive(song) {
  const changes = { song };
  if (song.id !== state.song?.id || !song.started) {
    Object.assign(changes, viewOf(song));
  }
  const names = new Set(song.layers.map((layer) => layer.name));
  const { selection } = { ...state, ...changes };
  if (selection && !names.has(selection.layer)) changes.selection = null;
  update(changes);
}

const change = (work) =>
  attempt(async () => {
    const song = await work();
    receive(song);
    if (song.notices?.length) tell(song.notices.join(" "));
  });

export const start = (how) => change(() => post("/song", how));

/** Start from a file; `loop`: it is one period of a loop. */
export function startFrom(file, loop) {
  tell(`Reading ${file.name}`, "busy");
  return change(async () => {
    const song = await upload("/song", file, { loop: String(loop) });
    tell("");
    return song;
  });
}

export function addAudio(file) {
  tell(`Reading ${file.name}`, "busy");
  return change(async () => {
    const song = await upload("/layers", file);
    tell("");
    return song;
  });
}

export const closeSong = () => change(() => post("/song/close"));
export const undo = () => state.song.can_undo && change(() => post("/undo"));
export const redo = () => state.song.can_redo && change(() => post("/redo"));

/** Compare: hear a take without a change of the song. */
export function listen(layer, number) {
  const shown = { ...state.shown, [layer.name]: number };
  if (number === layer.clip) delete shown[layer.name];
  update({ shown, current: layer.name });
}

/** Accept a take; it is part of the song from now on. */
export async function keep(layer, number) {
  if (number === layer.clip) return true;
  return change(async () => {
    const song = await post(`/clips/${number}/accept`);
    const shown = { ...state.shown };
    delete shown[layer.name];
    update({ shown });
    return song;
  });
}

export const discard = (number) => change(() => remove(`/clips/${number}`));
export const removeLayer = (layer) =>
  change(() => remove(`/layers/${encodeURIComponent(layer.name)}`));

/** Change level, pan, mute or solo: at once here, then on the server. */
export function adjust(layer, changes) {
  preview(layer, changes);
  const path = `/layers/${encodeURIComponent(layer.name)}`;
  return change(() => patch(path, changes));
}

/** Apply a change here alone, such as while a slider moves. */
export function preview(layer, changes) {
  const layers = state.song.layers.map((one) =>
    one.name === layer.name ? { ...one, ...changes } : one,
  );
  update({ song: { ...state.song, layers } });
}

/** Accept what is heard of all layers; returns it, or null after a fault. */
async function keepHeard() {
  const kept = [];
  for (const layer of undecided()) {
    const number = heard(layer);
    if (!(await keep(layer, number))) return null;
    kept.push(`take ${number} of ${layer.title}`);
  }
  return kept;
}

/** Queue a job; its layer shows it. */
export function queue(job) {
  return attempt(async () => {
    const made = await post("/jobs", job);
    update({ jobs: merged(made) });
  });
}

function merged(job) {
  const others = state.jobs.filter((one) => one.id !== job.id);
  return [...others, job].sort((a, b) => order(a) - order(b));
}

// New jobs are last; a known one keeps its place.
function order(job) {
  const place = state.jobs.findIndex((one) => one.id === job.id);
  return place < 0 ? state.jobs.length : place;
}

export function cancel(job) {
  return attempt(async () => {
    const stopped = await remove(`/jobs/${job.id}`);
    update({ jobs: merged(stopped) });
  });
}

/** Generate a layer for all that is heard. */
export async function generate(job) {
  if (await keepHeard()) await queue({ kind: "generate", ...job });
}

export const vary = (layer) =>
  queue({ kind: "vary", clip: heard(layer), share: 0.5, seed: null });

export const refresh = (layer) => queue({ kind: "refresh", layer: layer.name });

export function moreTakes(layer, takes) {
  const { name, category } = layer;
  const job = { kind: "generate", category, layer: name, takes, seed: null };
  return queue({ ...job, preset: state.preset });
}

/** Whether the selection is in a take, which can be regenerated there. */
export function redoable() {
  const layer = state.song?.layers.find(
    (one) => one.name === state.selection?.layer,
  );
  const clip = layer?.clips.find((one) => one.number === heard(layer));
  return clip && !clip.own ? clip : null;
}

/** Regenerate the selected part of a take. */
export function redoSelection() {
  const clip = redoable();
  if (!clip) {
    tell("Select a part of a generated layer first: drag over its waveform.");
    return;
  }
  const { start, end } = state.selection;
  const job = { kind: "regenerate", clip: clip.number, seed: null };
  queue({ ...job, regions: [[start, end]] });
}

export const extend = (seconds) => queue({ kind: "extend", seconds });

/** Export the song and download the zip. */
export function download() {
  return attempt(async () => {
    const kept = await keepHeard();
    if (!kept) return;
    tell("Writing the files of the song", "busy");
    const { url, left_out: without } = await post("/export");
    const link = document.createElement("a");
    link.href = url;
    link.download = "";
    link.click();
    const lines = ["Exported: one wav per layer, the mix, projects for DAWs."];
    if (kept.length) lines.push(`This kept ${kept.join(", ")}.`);
    if (without.length) {
      lines.push(`Not exported: ${without.join(", ")} (no kept take).`);
    }
    tell(lines.join(" "));
  });
}
