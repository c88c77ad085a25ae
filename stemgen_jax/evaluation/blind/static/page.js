const PLAY = "M8 5v14l11-7z";
const PAUSE = "M6 5h4v14H6zM14 5h4v14h-4z";
const BUTTONS = "nav button, #back, #next, #context"; // that Enter presses
const TICK = 0.05; // seconds between updates of the position
const HEARD = 2; // seconds that count as having heard a version

const $ = (id) => document.getElementById(id);
const player = new Player();
let audible = 1; // 0: the context alone; 1: the first version
let row = 0; // that the digits rate
let decoded = new Map(); // trial -> promise of its samples
let listened = {}; // seconds by version

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function show(id) {
  for (const main of document.querySelectorAll("main")) {
    main.hidden = main.id !== id;
  }
}

function showIntro() {
  const { length } = test.trials;
  $("count").textContent = length;
  $("versions").textContent = trial().versions.length;
  // One for three versions of 10 s.
  const minutes = Math.ceil(
    (length * trial().versions.length * trial().seconds) / 30,
  );
  $("minutes").textContent = minutes > 1 ? `${minutes} minutes` : "a minute";
  $("unsaved").hidden = keeps;
  const begun = state.place || state.trials[0].heard.length;
  const piece = `Continue with piece ${state.place + 1}`;
  const resume = complete() ? "Continue" : piece;
  $("start").textContent = begun ? resume : "Start";
  show("intro");
  $("start").focus();
}

function showEnd() {
  player.pause();
  $("file").textContent = fileName();
  $("saved").textContent = state.saved ? "Saved." : "";
  show("end");
  $("save").focus();
}

/** Decode a trial, and forget the samples of all but it and the next one. */
function samples(place) {
  const of = test.trials[place];
  if (!decoded.has(place)) {
    const sounds = [of.context, ...of.versions.map((x) => x.sound)];
    decoded.set(place, Promise.all(sounds.map((x) => player.decode(x))));
  }
  return decoded.get(place);
}

async function openPiece(place) {
  const { playing } = player;
  player.load([], 1);
  state.place = place;
  keep();
  listened = {};
  audible = 1;
  row = 0;
  draw();
  show("trial");
  $("play").disabled = true;
  $("status").textContent = "Loading";
  await player.open();
  let buffers;
  try {
    buffers = await samples(place);
  } catch (error) {
    $("status").textContent = `This browser cannot play the piece: ${error}`;
    return;
  }
  if (state.place !== place) return; // another one was opened meanwhile
  player.load(buffers, trial().seconds);
  $("play").disabled = false;
  $("play").focus();
  select(1);
  if (playing) play();
  for (const other of decoded.keys()) {
    if (other !== place && other !== place + 1) decoded.delete(other);
  }
  if (place + 1 < test.trials.length) samples(place + 1);
}

/** Draw a trial and its answers. */
function draw() {
  const of = trial();
  $("title").textContent = `Piece ${state.place + 1} of ${test.trials.length}`;
  $("instrument").textContent = of.instrument;
  $("context").firstChild.textContent = `Without ${of.instrument} `;
  // Rows of equal length, of at most four.
  const rows = Math.ceil(of.versions.length / 4);
  const columns = Math.ceil(of.versions.length / rows);
  $("trial").style.setProperty("--columns", columns);
  $("pieces").replaceChildren(
    ...test.trials.map((_, place) => {
      const button = element("button", { textContent: place + 1 });
      button.ariaLabel = `Piece ${place + 1}`;
      button.onclick = () => openPiece(place);
      return button;
    }),
  );
  $("cards").replaceChildren(...of.versions.map(card));
  mark();
}

function card({ name }, index) {
  const button = element(
    "button",
    { className: "letter", ariaLabel: `Version ${letter(index)}` },
    letter(index),
  );
  button.onclick = () => listen(index + 1);
  const rows = scales(trial()).map((scale, place) => {
    const group = `${scale} ${name}`;
    const options = [1, 2, 3, 4, 5].map((value) => {
      const chosen = answer().ratings[name]?.[scale] === value;
      const input = radio(group, chosen, () => rate(index, scale, value));
      input.ariaLabel = `${SCALES[scale]} of ${letter(index)}: ${value}`;
      input.value = value;
      return element("label", {}, input, element("span", {}, String(value)));
    });
    const field = element(
      "fieldset",
      { className: "row" },
      element("legend", {}, SCALES[scale]),
      element("div", { className: "scale" }, ...options),
    );
    field.onclick = () => {
      row = place;
      mark();
    };
    return field;
  });
  const input = radio("best", answer().best === name, () => choose(index));
  const best = element(
    "label",
    { className: "best" },
    input,
    element("span", {}, "★ Best"),
  );
  input.ariaLabel = `${letter(index)} is the best`;
  return element("div", { className: "card" }, button, ...rows, best);
}

function radio(name, checked, onchange) {
  return element("input", { type: "radio", name, checked, onchange });
}

function rate(index, scale, value) {
  const { name } = trial().versions[index];
  (answer().ratings[name] ??= {})[scale] = value;
  changed();
}

function choose(index) {
  answer().best = trial().versions[index].name;
  changed();
}

function changed() {
  state.saved = "";
  keep();
  mark();
}

/** Show what is audible, current and missing. */
function mark() {
  const cards = [...$("cards").children];
  cards.forEach((one, index) => {
    one.classList.toggle("audible", index + 1 === audible);
    const button = one.querySelector(".letter");
    button.ariaPressed = String(index + 1 === audible);
    [...one.querySelectorAll(".row")].forEach((field, place) =>
      field.classList.toggle("current", place === row),
    );
  });
  $("context").ariaPressed = String(audible === 0);
  [...$("pieces").children].forEach((button, place) => {
    button.classList.toggle("done", !missing(place));
    button.ariaCurrent = place === state.place ? "step" : null;
  });
  const lacking = missing(state.place);
  $("status").textContent = lacking;
  $("next").disabled = Boolean(lacking);
  $("next").firstChild.textContent = complete() ? "Finish " : "Next ";
  $("back").disabled = state.place === 0;
  $("play").ariaLabel = player.playing ? "Pause" : "Play";
  const shape = player.playing ? PAUSE : PLAY;
  $("play").querySelector("path").setAttribute("d", shape);
}

/** Make a version audible, or with 0 the context alone. */
function select(index) {
  audible = index;
  player.select(index);
  if (index) {
    row = nextRow(index - 1, -1);
    $("cards").children[index - 1].scrollIntoView({ block: "nearest" });
  }
  mark();
}

/** Return the next row of a version without a rating, or the next one. */
function nextRow(index, from) {
  const given = answer().ratings[trial().versions[index].name] ?? {};
  const names = scales(trial());
  const open = names.findIndex((x, place) => place > from && !given[x]);
  if (open >= 0) return open;
  return Math.min(Math.max(0, from + (from < 0 ? 0 : 1)), names.length - 1);
}

/** Select a version, and play if nothing is playing. */
function listen(index) {
  select(index);
  play();
}

function play() {
  player.open();
  player.play();
  mark();
}

function toggle() {
  if (!player.playing) return play();
  player.pause();
  mark();
}

function next() {
  if (missing(state.place)) return;
  const places = state.trials.map((_, place) => place);
  const later = places.slice(state.place + 1).concat(places);
  const following = later.find((place) => missing(place));
  if (following === undefined) showEnd();
  else openPiece(following);
}

function save() {
  state.saved = new Date().toISOString();
  const blob = new Blob([asText()], { type: "application/json" });
  const url = URL.createObjectURL(blob);
  element("a", { href: url, download: fileName() }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
  keep();
  $("saved").textContent = `Saved as ${fileName()} in the downloads folder.`;
}

function again() {
  const question = state.saved
    ? "Remove these answers from this browser?"
    : "These answers have not been saved. Remove them?";
  if (!confirm(question)) return;
  state = fresh();
  keep();
  showIntro();
}

/** Return whether Enter opens the next piece, and presses no button. */
function leaves(target) {
  return !missing(state.place) && !target.matches(BUTTONS);
}

function press(event) {
  const modified = event.ctrlKey || event.metaKey || event.altKey;
  if ($("trial").hidden || modified) return;
  const { key } = event;
  const count = trial().versions.length;
  const version = key.length === 1 ? key.toUpperCase().charCodeAt(0) - 65 : -1;
  const rows = scales(trial());
  if (key === " ") toggle();
  else if (key === "0") listen(0);
  else if (version >= 0 && version < count) listen(version + 1);
  else if (key === "ArrowUp") row = Math.max(0, row - 1);
  else if (key === "ArrowDown") row = Math.min(rows.length - 1, row + 1);
  else if (/^[1-5]$/.test(key) && audible) {
    check(`.row:nth-of-type(${row + 1}) input[value="${key}"]`);
    row = nextRow(audible - 1, row);
  } else if (key.toLowerCase() === "s" && audible) check(".best input");
  else if (key === "Enter" && leaves(event.target)) next();
  else return;
  event.preventDefault();
  mark();
}

/** Check a radio button of the audible version. */
function check(selector) {
  const input = $("cards").children[audible - 1].querySelector(selector);
  input.checked = true;
  input.onchange();
}

setInterval(() => {
  if (!player.playing) return;
  const slider = $("position");
  if (!slider.matches(":active")) {
    slider.value = (1000 * player.position) / player.seconds;
  }
  const version = trial().versions[audible - 1];
  if (!version || answer().heard.includes(version.name)) return;
  listened[version.name] = (listened[version.name] ?? 0) + TICK;
  if (listened[version.name] < Math.min(HEARD, player.seconds / 2)) return;
  answer().heard.push(version.name);
  keep();
  mark();
}, 1000 * TICK);

$("start").onclick = () => (complete() ? showEnd() : openPiece(state.place));
$("play").onclick = toggle;
$("position").oninput = (event) =>
  player.seek((event.target.value / 1000) * player.seconds);
$("context").onclick = () => listen(0);
$("back").onclick = () => openPiece(state.place - 1);
$("next").onclick = next;
$("save").onclick = save;
$("change").onclick = () => openPiece(state.place);
$("again").onclick = again;
document.addEventListener("keydown", press);
// A focused button would be pressed by the space that plays or pauses.
document.addEventListener("keyup", (event) => {
  if (event.key === " " && !$("trial").hidden) event.preventDefault();
});
addEventListener("beforeunload", (event) => {
  if (!keeps && !state.saved) event.preventDefault();
});
showIntro();
