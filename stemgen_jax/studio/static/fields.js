/** Parts of a form: choices and sliders with a preset value. */

import { h, press, setText } from "./dom.js";

/** A row of buttons of which one is chosen: {field, choose}. */
export function segments(label, options, onchoose) {
  const buttons = options.map((option) =>
    h(
      "button",
      { type: "button", onclick: () => onchoose(option) },
      `${option}`,
    ),
  );
  const group = h("div", { class: "seg", role: "group" }, ...buttons);
  group.setAttribute("aria-label", label);
  const choose = (chosen) =>
    options.forEach((option, at) => press(buttons[at], option === chosen));
  return {
    choose,
    field: h("div", { class: "field" }, h("span", {}, label), group),
  };
}

/** A label with an input. */
export function field(label, input) {
  return h("label", { class: "field" }, h("span", {}, label), input);
}

/** A choice of names, or any of them. */
export function select(label, names) {
  const options = names.map((name) =>
    h("option", { value: name }, name.replaceAll("_", " ")),
  );
  const any = h("option", { value: "" }, "any");
  return h("select", { "aria-label": label }, any, ...options);
}

/** A slider that is at the preset's value until it is moved. */
export function slider(label, least, most, step, onchange) {
  let chosen = null;
  let preset = null;
  const shown = h("output");
  const draw = () => {
    const value = chosen ?? number(preset);
    input.value = value ?? (least + most) / 2;
    setText(shown, value === null ? "preset" : String(value));
  };
  const choose = (value) => {
    chosen = value;
    onchange(value);
    draw();
  };
  const input = h("input", {
    type: "range",
    min: least,
    max: most,
    step,
    title: `${label}; double click for the preset's value`,
    oninput: () => choose(Number(input.value)),
    ondblclick: () => choose(null),
  });
  draw();
  return {
    field: h("label", { class: "field" }, h("span", {}, label), input, shown),
    preset: (value) => {
      preset = value;
      draw();
    },
  };
}

// One number, or the first of those per codec level.
function number(value) {
  return Array.isArray(value) ? value[0] : value;
}
