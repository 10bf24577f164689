// A report or a download that is being made: how far it is, and the thing itself as soon as it is there.

const EVERY_MS = 1000;
const bar = document.getElementById("making");
const step = document.getElementById("step");

async function look() {
  try {
    const answer = await fetch(bar.dataset.progress, { cache: "no-store" });
    if (answer.ok) {
      const job = await answer.json();
      if (job.state !== "queued" && job.state !== "running") {
        if (step.dataset.done) step.textContent = step.dataset.done; // a download leaves the page as it is
        location.reload();
        return;
      }
      bar.value = job.percent;
      if (job.step) step.textContent = `${step.dataset.label} is being made: ${job.step}.`;
    }
  } catch {
    // The line is down: the next look may get through.
  }
  setTimeout(look, EVERY_MS);
}

setTimeout(look, EVERY_MS);
