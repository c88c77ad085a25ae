/** The takes of a layer as chips, and what can be done with them. */

import * as actions from "./actions.js";
import { h, icon } from "./dom.js";
import { best, heard, state } from "./store.js";

/** Words for a take: "take 3", by its number in the song. */
export function takeName(number) {
  return `take ${number}`;
}

const FIT = "fit: how well it fits the layers below, higher is better";

function fitOf({ fit }, isBest) {
  const text = `${isBest ? "best fit" : "fit"} ${Math.round(fit)}`;
  return h("span", { class: isBest ? "fit best" : "fit" }, text);
}

function chip(layer, clip) {
  const { number } = clip;
  const accepted = number === layer.clip;
  const on = number === heard(layer);
  const isBest = number === best(layer) && layer.clips.length > 1;
  const name = takeName(number);
  const place = layer.clips.indexOf(clip) + 1;
  const key = place <= 9 ? ` (${place})` : "";
  const main = h(
    "button",
    {
      type: "button",
      class: "take-main",
      "aria-pressed": String(on),
      "data-key": `take ${number}`,
      title: `Hear ${clip.name}${key}; ${FIT}`,
      onclick: () => actions.listen(layer, number),
    },
    h("span", {}, name),
    h("span", { class: "seed" }, originOf(clip)),
    clip.fit !== null && fitOf(clip, isBest),
  );
  const star = h(
    "button",
    {
      type: "button",
      class: "take-star",
      "aria-pressed": String(accepted),
      "aria-label": accepted ? `${name} is in the song` : `Keep ${name}`,
      title: accepted ? "In the song" : "Keep this take in the song (K)",
      "data-key": `star ${number}`,
      onclick: () => actions.keep(layer, number),
    },
    icon("star"),
  );
  const classes = ["take", on && "on", accepted && "accepted"];
  return h("span", { class: classes.filter(Boolean).join(" ") }, star, main);
}

// As "varied · seed 3"; the origin is "50 % of take 3 varied".
function originOf(clip) {
  const edits = { varied: "varied", regenerated: "redone", extended: "longer" };
  edits.live = "live";
  const names = /varied|regenerated|extended|live/;
  const words = (clip.origin ?? "").match(names) ?? [];
  const edit = edits[words[0]];
  return edit ? `${edit} \u00b7 seed ${clip.seed}` : `seed ${clip.seed}`;
}

function action(name, text, title, onclick, kind = "") {
  const given = { type: "button", class: `take-action ${kind}`, title };
  given["data-key"] = text;
  return h("button", { ...given, onclick }, icon(name), text);
}

/** Draw the takes of a layer into a row, unless they are there already. */
export function drawTakes(row, layer) {
  const takes = layer.clips.filter((clip) => !clip.own);
  const shown = heard(layer);
  const wanted = JSON.stringify([layer, shown]);
  if (row.drawn === wanted) return;
  row.drawn = wanted;
  const focused = row.contains(document.activeElement)
    ? document.activeElement.dataset.key
    : null;
  row.replaceChildren(...(takes.length ? parts(layer, takes, shown) : []));
  if (focused) row.querySelector(`[data-key="${focused}"]`)?.focus();
}

function parts(layer, takes, shown) {
  const name = takeName(shown);
  const undecided = shown !== layer.clip;
  return [
    ...takes.map((clip) => chip(layer, clip)),
    undecided &&
      action(
        "check",
        `Keep ${name}`,
        "Make it part of the song (K)",
        () => actions.keep(layer, shown),
        "strong",
      ),
    layer.stale &&
      action(
        "refresh",
        "Regenerate for the new mix",
        "Layers below have changed: generate this take again for them",
        () => actions.refresh(layer),
        "stale",
      ),
    action("vary", "Vary", `Change half of ${name} (V)`, () =>
      actions.vary(layer),
    ),
    action("plus", "More takes", "Generate two more takes of it", () =>
      actions.moreTakes(layer, 2),
    ),
  ].filter(Boolean);
}

/** Layer that the keys act on: the chosen one, or the last. */
export function currentLayer() {
  const { song, current } = state;
  const layers = song?.layers ?? [];
  return layers.find((layer) => layer.name === current) ?? layers.at(-1);
}
