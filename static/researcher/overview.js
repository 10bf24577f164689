// The overview of a study: asks the server every few seconds what has changed, and replaces the cards that did.

import { json, reach } from "../requests.js";

const EVERY_MS = 5000;
const live = document.getElementById("live");
const state = document.getElementById("live-state");
const cards = new Map([...live.querySelectorAll("[data-card]")].map((card) => [card.dataset.card, card]));
const shown = new Map();
let etag = live.dataset.etag;
let timer = 0;

/** Return the status of the answer, and what it says if something has changed; null if the server is away. */
const ask = () =>
  reach(live.dataset.address, { cache: "no-store", headers: { "If-None-Match": etag } }, async (answer) => ({
    status: answer.status,
    etag: answer.headers.get("ETag"),
    changed: answer.status === 200 ? await json(answer) : null,
  }));

function show(changed) {
  if (changed.version !== live.dataset.version) {
    location.reload(); // other buttons
    return;
  }
  for (const [name, html] of Object.entries(changed.cards)) {
    const card = cards.get(name);
    if (!card || shown.get(name) === html) continue;
    shown.set(name, html);
    card.innerHTML = html;
  }
}

/** Say whether the numbers are those of now; a sentence that stays the same is not read aloud again. */
function say(sentence) {
  if (state.textContent !== sentence) state.textContent = sentence;
}

async function refresh() {
  const answer = await ask();
  if (answer?.changed) {
    etag = answer.etag;
    show(answer.changed);
  }
  const isThere = answer && [200, 304].includes(answer.status);
  say(isThere ? "Live" : "The server does not answer. The numbers are from its last answer. Trying again.");
  wait();
}

function wait() {
  clearTimeout(timer);
  if (!document.hidden) timer = setTimeout(refresh, EVERY_MS);
}

document.addEventListener("visibilitychange", () => {
  clearTimeout(timer);
  if (document.hidden) say("Paused");
  else refresh();
});

say("Live");
wait();
