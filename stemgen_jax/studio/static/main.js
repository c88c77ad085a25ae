/** Opens the page: follows the server, draws the state, moves the playhead. */

import * as actions from "./actions.js";
import { follow, get } from "./api.js";
import { h, iconButton } from "./dom.js";
import * as keys from "./keys.js";
import { Lanes } from "./lanes.js";
import { Live } from "./live.js";
import { Panel } from "./panel.js";
import * as player from "./player.js";
import { Ruler } from "./ruler.js";
import { Start } from "./start.js";
import { attempt, onReport, state, subscribe, tell, update } from "./store.js";
import { Top } from "./top.js";

const SHOWN = 8000; // ms that a line stays
const LOADING = 1000; // ms between questions whether the model is loaded
const IDLE = 50; // ms between drawings of a playhead that rests
const $ = (selector) => document.querySelector(selector);

/** One line at the bottom, until it is closed or old. */
function reporter() {
  const text = h("span", { class: "text" });
  const close = iconButton("close", "Close", () => tell(""));
  const line = $("#status");
  line.append(text, close);
  let timer = 0;
  onReport((message, kind) => {
    clearTimeout(timer);
    text.textContent = message;
    line.className = `${kind} ${message ? "on" : ""}`;
    const stays = kind === "gone" || kind === "busy";
    if (message && !stays) timer = setTimeout(() => tell(""), SHOWN);
  });
}

/** Jobs as the server has them; hear what an edit has made. */
function receiveJobs(jobs) {
  const before = new Map(state.jobs.map((job) => [job.id, job]));
  const shown = { ...state.shown };
  let { current } = state;
  for (const job of jobs) {
    const old = before.get(job.id);
    const edited = ["vary", "regenerate"].includes(job.kind);
    if (edited && old && job.clips.length > old.clips.length) {
      shown[job.layer] = job.clips.at(-1);
    }
    // The keys act on a new layer, unless another one is in use.
    if (old && !old.layer && !document.activeElement.closest(".lane")) {
      current = job.layer || current;
    }
    if (old && job.notices.length > old.notices.length) {
      tell(job.notices.at(-1));
    }
  }
  update({ jobs, shown, current });
}

function dropFiles(start) {
  addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("dropping");
  });
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) document.body.classList.remove("dropping");
  });
  addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dropping");
    const [file] = event.dataTransfer.files;
    if (!file) return;
    if (state.song?.started) actions.addAudio(file);
    else start.from(file);
  });
}

/** Load what the server offers, again when it has loaded the model. */
async function loadSettings() {
  const settings = await get("/settings");
  update({ settings });
  if (settings.model === "loading") {
    setTimeout(() => attempt(loadSettings), LOADING);
  } else if (settings.model !== "ready") {
    tell(`The model could not be loaded: ${settings.model}`, "fault");
  }
  return settings;
}

async function refresh() {
  actions.receive(await get("/song"));
  update({ jobs: await get("/jobs") });
}

async function open() {
  reporter();
  const settings = await loadSettings();
  const sheet = $(".sheet");
  const ruler = new Ruler(sheet);
  const top = new Top($("header"));
  const start = new Start($("#start"), settings);
  const live = new Live($("#live"));
  const panel = new Panel($("#panel"));
  const parts = [top, start, new Lanes(sheet), ruler, panel, live];
  subscribe(() => {
    document.body.classList.toggle("started", Boolean(state.song?.started));
    for (const part of parts) part.update();
    player.follow();
  });
  keys.listen(live);
  dropFiles(start);
  await refresh();
  follow({
    song: actions.receive,
    jobs: receiveJobs,
    gone: (text) => tell(`${text} Trying again.`, "gone"),
    back: () => {
      tell("");
      attempt(async () => {
        await loadSettings();
        await refresh();
      });
    },
  });
  const frame = () => {
    const transport = player.current();
    const playing = Boolean(transport?.playing);
    if (transport) {
      ruler.place(transport.position, playing);
      top.place(transport.position, playing);
    }
    if (playing) requestAnimationFrame(frame);
    else setTimeout(frame, IDLE);
  };
  frame();
}

attempt(open).then((worked) => {
  if (!worked) setTimeout(() => location.reload(), 3000);
});
