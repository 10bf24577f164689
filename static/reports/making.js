// A report or a download that is being made: how far it is, and the thing itself as soon as it is there.

import { json, reach } from "../requests.js";

const EVERY_MS = 1000;
const bar = document.getElementById("making");
const step = document.getElementById("step");

/** The job as the server describes it; null if it does not answer: the next look may get through. */
const asked = () => reach(bar.dataset.progress, { cache: "no-store" }, (answer) => (answer.ok ? json(answer) : null));

async function look() {
  const job = await asked();
  if (job && job.state !== "queued" && job.state !== "running") {
    if (step.dataset.done) step.textContent = step.dataset.done; // a download leaves the page as it is
    location.reload();
    return;
  }
  if (job) bar.value = job.percent;
  if (job?.step) step.textContent = `${step.dataset.label} is being made: ${job.step}.`;
  setTimeout(look, EVERY_MS);
}

setTimeout(look, EVERY_MS);
