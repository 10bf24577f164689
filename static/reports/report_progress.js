// A report or download that is being made: show its progress, and load it as soon as it is finished.

import { json, reach } from "../requests.js";

const EVERY_MS = 1000;
const bar = document.getElementById("progress");
const step = document.getElementById("step");

/** Fetch the job's state; null if the server does not answer. */
const fetchJob = () => reach(bar.dataset.progress, { cache: "no-store" }, (answer) => (answer.ok ? json(answer) : null));

async function refresh() {
  const job = await fetchJob();
  if (job && job.state !== "queued" && job.state !== "running") {
    if (step.dataset.done) step.textContent = step.dataset.done; // a download does not replace the page
    location.reload();
    return;
  }
  if (job) bar.value = job.percent;
  if (job?.step) step.textContent = `${step.dataset.label} is being made: ${job.step}.`;
  setTimeout(refresh, EVERY_MS);
}

setTimeout(refresh, EVERY_MS);
