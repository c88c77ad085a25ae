/** The server's routes, and its events with reconnection. */

const GONE =
  "The studio's server does not answer: is `stemgen-jax studio` running?";
const RETRY = 2000; // ms between attempts to reconnect

/** Something to report in one line. */
export class Fault extends Error {}

async function answer(method, path, body) {
  const request = { method };
  if (body instanceof FormData) {
    request.body = body;
  } else if (body !== undefined) {
    request.headers = { "Content-Type": "application/json" };
    request.body = JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(path, request);
  } catch {
    throw new Fault(GONE);
  }
  if (response.ok) return response;
  const found = await response.json().catch(() => ({}));
  const text = found.error || `${response.status} ${response.statusText}`;
  throw new Fault(text);
}

/** Call a route and return what it answers as JSON. */
async function call(method, path, body) {
  return (await answer(method, path, body)).json();
}

export const get = (path) => call("GET", path);
export const post = (path, body = {}) => call("POST", path, body);
export const patch = (path, body) => call("PATCH", path, body);
export const remove = (path) => call("DELETE", path);

/** Fetch the bytes of a file. */
export async function bytes(path) {
  return (await answer("GET", path)).arrayBuffer();
}

/** Post a file and fields as a form. */
export function upload(path, file, fields = {}) {
  const form = new FormData();
  form.append("file", file, file.name);
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  return call("POST", path, form);
}

/**
 * Follow the server's events for as long as the page is open.
 * @param {object} on functions: `song` and `jobs` of their data, `gone` when
 *   the connection is lost, `back` when it is there again
 */
export function follow(on) {
  let lost = false;
  const connect = () => {
    const source = new EventSource("/events");
    for (const name of ["song", "jobs"]) {
      source.addEventListener(name, (event) =>
        on[name](JSON.parse(event.data)),
      );
    }
    source.onopen = () => {
      if (lost) on.back();
      lost = false;
    };
    source.onerror = () => {
      source.close(); // a browser gives up after some answers: we do not
      if (!lost) on.gone(GONE);
      lost = true;
      setTimeout(connect, RETRY);
    };
  };
  connect();
}
