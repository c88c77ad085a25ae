/** Sound of the page: fetched clips, and the transport that plays them. */

import { bytes } from "./api.js";
import { attempt, gainOf, heard, state } from "./store.js";
import { Transport } from "./transport.js";

const MOST_SECONDS = 3600; // of decoded clips that are kept

const decoded = new Map(); // url -> promise of an AudioBuffer, newest last
let context = null;
let transport = null;
let opened = ""; // id of the song that the transport plays

/** The present transport, or null before a song starts. */
export function current() {
  return transport;
}

function newContext(sampleRate) {
  try {
    return new AudioContext({ sampleRate });
  } catch {
    return new AudioContext(); // a rate that the browser refuses
  }
}

/** Make a clip's buffer as long as the song, so that all tracks loop alike. */
function padded(buffer, seconds) {
  const length = Math.ceil(seconds * buffer.sampleRate - 1e-6);
  if (buffer.length >= length) return buffer;
  const { numberOfChannels, sampleRate } = buffer;
  const longer = context.createBuffer(numberOfChannels, length, sampleRate);
  for (let channel = 0; channel < numberOfChannels; channel++) {
    longer.copyToChannel(buffer.getChannelData(channel), channel);
  }
  return longer;
}

async function fetchBuffer(url, seconds) {
  const data = await bytes(url);
  return padded(await context.decodeAudioData(data), seconds);
}

function buffer(url, seconds) {
  const key = `${url} ${seconds}`;
  const found = decoded.get(key) ?? fetchBuffer(url, seconds);
  decoded.delete(key);
  decoded.set(key, found);
  found.catch(() => decoded.delete(key));
  const kept = Math.max(16, Math.floor(MOST_SECONDS / seconds));
  while (decoded.size > kept) decoded.delete(decoded.keys().next().value);
  return found;
}

function open(song) {
  close();
  if (!context || context.sampleRate !== song.sample_rate) {
    context?.close();
    context = newContext(song.sample_rate);
  }
  transport = new Transport(context, song.seconds);
  opened = song.id;
}

function close() {
  transport?.pause();
  transport?.setTracks([]);
  transport = null;
  decoded.clear();
}

/** Follow the state: tracks, levels and the loop. */
export async function follow() {
  const { song } = state;
  if (!song?.started) {
    if (transport) close();
    return;
  }
  if (!transport || song.id !== opened) open(song);
  transport.seconds = song.seconds;
  applyLoop();
  applyLevels();
  await attempt(load);
}

function wanted() {
  return state.song.layers.flatMap((layer) => {
    const clip = layer.clips.find((one) => one.number === heard(layer));
    return clip ? [{ id: layer.name, url: clip.url }] : [];
  });
}

async function load() {
  const { seconds } = state.song;
  const before = transport;
  const tracks = wanted();
  const buffers = await Promise.all(
    tracks.map(({ url }) => buffer(url, seconds)),
  );
  // Something else may be wanted by now, which then loads by itself.
  const same = JSON.stringify(tracks) === JSON.stringify(wanted());
  if (before !== transport || !same) return;
  transport.setTracks(
    tracks.map(({ id }, index) => ({ id, buffer: buffers[index] })),
  );
  applyLevels();
}

function applyLevels() {
  for (const layer of state.song.layers) {
    transport.setLevel(layer.name, gainOf(layer), layer.pan);
  }
}

function applyLoop() {
  const { loop, selection, song } = state;
  if (!loop) transport.setLoop(null);
  else if (selection) transport.setLoop(selection.start, selection.end);
  else transport.setLoop(0, song.seconds);
}

/** Play or pause. */
export async function toggle() {
  if (!transport) return;
  if (transport.playing) {
    transport.pause();
    return;
  }
  await attempt(async () => {
    await context.resume();
    await load();
    transport.play();
  });
}

/** Go to a position in seconds. */
export function seek(seconds) {
  transport?.seek(seconds);
}
