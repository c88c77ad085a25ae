/** Elements in one call, drawn icons, and words for numbers. */

/**
 * Make an element.
 * @param {string} tag name, such as "button"
 * @param {object} given attributes; "onclick" and the like are listeners;
 *   null and false leave an attribute out
 * @param {...(Node|string|null|false)} children null and false are left out
 */
export function h(tag, given = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (typeof value === "function") {
      element.addEventListener(name.slice(2), value);
    } else if (value !== null && value !== undefined && value !== false) {
      element.setAttribute(name, value === true ? "" : value);
    }
  }
  element.append(...children.filter((child) => child || child === 0));
  return element;
}

/** Set a text only if it differs, so that a selection in it survives. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Show or hide an element. */
export function show(element, visible) {
  element.hidden = !visible;
}

/** Set a button that is on or off. */
export function press(button, on) {
  button.setAttribute("aria-pressed", String(Boolean(on)));
}

// Paths on a grid of 24 x 24.
const PATHS = {
  play: "M7 4v16l13-8z",
  pause: "M6 4h4v16H6zM14 4h4v16h-4z",
  start: "M5 4h3v16H5zM20 4v16L9 12z",
  loop: "M7 7h9V3l6 5-6 5V9H9v4H7zM17 17H8v4l-6-5 6-5v4h7v-4h2z",
  undo: "M9 4v4h5a6 6 0 0 1 0 12H7v-2.5h7a3.5 3.5 0 0 0 0-7H9v4L2 9.2z",
  redo: "M15 4v4h-5a6 6 0 0 0 0 12h7v-2.5h-7a3.5 3.5 0 0 1 0-7h5v4l7-5.3z",
  download: "M10.7 3h2.6v9h4.2L12 17.6 6.5 12h4.2zM4 18.6h16V21H4z",
  upload: "M10.7 17h2.6V8.6h4.2L12 3 6.5 8.6h4.2zM4 18.6h16V21H4z",
  star:
    "M12 2.5l2.9 6.1 6.6.9-4.8 4.6 1.2 6.6L12 17.5l-5.9 3.2 1.2-6.6" +
    "L2.5 9.5l6.6-.9z",
  close:
    "M5.3 3.9L12 10.6l6.7-6.7 1.4 1.4-6.7 6.7 6.7 6.7-1.4 1.4-6.7-6.7" +
    "-6.7 6.7-1.4-1.4 6.7-6.7-6.7-6.7z",
  plus: "M10.8 4h2.4v6.8H20v2.4h-6.8V20h-2.4v-6.8H4v-2.4h6.8z",
  minus: "M4 10.8h16v2.4H4z",
  trash:
    "M9 2.5h6V5h5.5v2.3h-17V5H9zM5 9h14l-1 12.5H6zM9.2 11v8.3h1.7V11z" +
    "M13.1 11v8.3h1.7V11z",
  mic:
    "M12 2.5A3.2 3.2 0 0 1 15.200 5.700V11.500A3.200 3.200 0 0 1 8.800 " +
    "11.500V5.700A3.200 3.200 0 0 1 12 2.500ZM5 11h2.200a4.800 4.800 0 0 0 " +
    "9.600 0H19a7 7 0 0 1-5.900 6.900V21.500h-2.200v-3.600A7 7 0 0 1 5 11z",
  stop: "M5 5h14v14H5z",
  more: "M3 10h4v4H3zM10 10h4v4h-4zM17 10h4v4h-4z",
  magnet:
    "M4 3h5v9a3 3 0 0 0 6 0V3h5v9a8 8 0 0 1-16 0zM4 3h5v4H4zM15 3h5" + "v4h-5z",
  refresh:
    "M12 4a8 8 0 0 1 6.300 3.100L21 4.500V12h-7.500l3-3A5.500 5.500 0 " +
    "1 0 17.200 14h2.600A8 8 0 1 1 12 4z",
  vary:
    "M3 6h4.500l9 10.500H18V13l5 4.700-5 4.800V19h-2.700L6.300 8.500H3z" +
    "M3 16.500h3.300L9 13.300l1.700 2L7.500 19H3zM12.600 9.100 15.300 6H18" +
    "V2.500l5 4.700L18 12V8.500h-1.500L14.300 11z",
  add:
    "M3 4h13v2.400H3zM3 9.500h13v2.400H3zM3 15h8v2.400H3zM16 13h2.400v3.800" +
    "h3.800v2.400h-3.800V23H16v-3.800h-3.800v-2.400H16z",
  check:
    "M9.500 19.500 2.500 12.500l1.900-1.900 5.100 5.100L19.600 5.600l1.900 1.900z",
  wave: "M3 10h2v4H3zM7 6h2v12H7zM11 3h2v18h-2zM15 7h2v10h-2zM19 10h2v4h-2z",
};

/** Return a drawn icon, hidden from screen readers. */
export function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.classList.add("icon");
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

/** Make a button with an icon and, on hover, its full name and key. */
export function iconButton(name, title, onclick, given = {}) {
  const label = { title, "aria-label": title, type: "button", onclick };
  return h("button", { class: "icon-button", ...label, ...given }, icon(name));
}

/** Format seconds as 0:03.04. */
export function clock(seconds) {
  const hundredths = Math.max(0, Math.floor(seconds * 100 + 1e-6));
  const minutes = Math.floor(hundredths / 6000);
  const rest = ((hundredths % 6000) / 100).toFixed(2).padStart(5, "0");
  return `${minutes}:${rest}`;
}

/** Word a duration to wait for: "about 9 s", "about 2 min". */
export function about(seconds) {
  if (seconds < 90) return `about ${Math.max(1, Math.round(seconds))} s`;
  return `about ${Math.round(seconds / 60)} min`;
}

/** Count things: "1 take", "3 takes". */
export function count(number, noun) {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}
