/** The test, and the answers to it, which the browser keeps. */
const test = JSON.parse(document.getElementById("test").textContent);
const STORE = `stemgen-jax listening test ${test.test}`;
const SCALES = {
  groove: "Groove and tempo",
  harmony: "Harmony",
  overall: "Overall",
};

const hexadecimal = (x) => x.toString(16).padStart(2, "0");

function fresh() {
  const bytes = crypto.getRandomValues(new Uint8Array(6));
  return {
    test: test.test,
    listener: Array.from(bytes, hexadecimal).join(""),
    place: 0,
    saved: "",
    trials: test.trials.map(() => ({ ratings: {}, best: null, heard: [] })),
  };
}

function load() {
  try {
    localStorage.setItem(`${STORE} probe`, "");
    localStorage.removeItem(`${STORE} probe`);
    return JSON.parse(localStorage.getItem(STORE)) ?? fresh();
  } catch {
    keeps = false;
    return fresh();
  }
}

function keep() {
  try {
    if (keeps) localStorage.setItem(STORE, JSON.stringify(state));
  } catch {
    keeps = false;
  }
}

let keeps = true; // whether the browser does
let state = load();

const trial = () => test.trials[state.place];
const answer = () => state.trials[state.place];
const letter = (index) => String.fromCharCode(65 + index);
const scales = (of) =>
  Object.keys(SCALES).filter((x) => of.harmony || x !== "harmony");

/** Return what is missing in a trial, or "" if it is complete. */
function missing(place) {
  const of = test.trials[place];
  const given = state.trials[place];
  for (const [index, { name }] of of.versions.entries()) {
    if (!given.heard.includes(name)) return `Listen to ${letter(index)}`;
  }
  for (const [index, { name }] of of.versions.entries()) {
    const open = scales(of).filter((x) => !given.ratings[name]?.[x]);
    const names = open.map((x) => SCALES[x].toLowerCase());
    if (open.length) return `Rate ${letter(index)}: ${names.join(", ")}`;
  }
  return given.best ? "" : "Choose the best one";
}

const complete = () => state.trials.every((_, place) => !missing(place));

function fileName() {
  return `answers-${state.listener}.json`;
}

/** Return the content of the file of answers. */
function asText() {
  const trials = state.trials.map(({ ratings, best }) => ({ ratings, best }));
  return JSON.stringify({ ...state, place: undefined, trials }, null, 2);
}

