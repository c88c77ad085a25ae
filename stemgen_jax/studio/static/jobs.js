/** A job inside the lane that it fills: progress, time left, Cancel. */

import * as actions from "./actions.js";
import { about, h, setText, show } from "./dom.js";
import { active, state, update } from "./store.js";

const dismissed = new Set(JSON.parse(sessionStorage.dismissed ?? "[]"));

const VERBS = {
  generate: "Generating",
  vary: "Varying a take",
  regenerate: "Regenerating a part",
  refresh: "Regenerating for the new mix",
  extend: "Lengthening the song",
};

/** Jobs to show: those that wait, run, or failed and were not dismissed. */
export function visible() {
  return state.jobs.filter(
    (job) =>
      ["queued", "running"].includes(job.state) ||
      (job.state === "failed" && !dismissed.has(job.id)),
  );
}

function headline(job) {
  if (job.state === "failed") return `${VERBS[job.kind]} failed: ${job.error}`;
  if (job.state === "queued") {
    const before = active().findIndex((one) => one.id === job.id);
    if (before === 1) return "Next in line";
    return before ? `Waiting for ${before} jobs before it` : "Starting";
  }
  if (job.kind === "generate" && job.takes > 1) {
    const number = Math.min(job.done + 1, job.takes);
    return `Generating take ${number} of ${job.takes}`;
  }
  if (job.kind === "generate") return "Generating a take";
  return VERBS[job.kind];
}

function detail(job) {
  const left = job.seconds_left;
  const time = left === null ? job.stage : `${about(left)} left`;
  return [time, "you can keep playing"].filter(Boolean).join(" \u00b7 ");
}

export class JobRow {
  constructor(job) {
    this.text = h("span", { class: "job-text" });
    this.note = h("span", { class: "note" });
    this.fill = h("i");
    this.bar = h("div", { class: "bar", role: "progressbar" }, this.fill);
    this.bar.setAttribute("aria-valuemin", 0);
    this.bar.setAttribute("aria-valuemax", 100);
    this.button = h("button", { type: "button", onclick: () => this.stop() });
    this.element = h(
      "div",
      { class: "job", "data-job": job.id },
      this.text,
      this.button,
      this.bar,
      this.note,
    );
    this.update(job);
  }

  stop() {
    if (this.job.state === "failed") {
      dismissed.add(this.job.id);
      sessionStorage.dismissed = JSON.stringify([...dismissed]);
      update({});
      return;
    }
    this.button.disabled = true;
    actions.cancel(this.job).then(() => {
      this.button.disabled = false;
    });
  }

  update(job) {
    this.job = job;
    const failed = job.state === "failed";
    const percent = Math.round(100 * job.progress);
    this.element.classList.toggle("failed", failed);
    setText(this.text, headline(job));
    setText(this.note, detail(job));
    setText(this.button, failed ? "Dismiss" : "Cancel");
    this.button.setAttribute(
      "aria-label",
      `${this.button.textContent}: ${job.title}`,
    );
    show(this.bar, !failed);
    show(this.note, !failed && job.state === "running");
    this.bar.setAttribute("aria-label", headline(job));
    this.bar.setAttribute("aria-valuenow", percent);
    this.fill.style.width = `${percent}%`;
  }
}

/** Draw jobs into an element, keeping the rows that are there. */
export function drawJobs(element, jobs, rows) {
  const ids = new Set(jobs.map((job) => job.id));
  for (const [id, row] of rows) {
    if (ids.has(id)) continue;
    row.element.remove();
    rows.delete(id);
  }
  for (const job of jobs) {
    const row = rows.get(job.id) ?? new JobRow(job);
    row.update(job);
    if (!rows.has(job.id)) element.append(row.element);
    rows.set(job.id, row);
  }
}
