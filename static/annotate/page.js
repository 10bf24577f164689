// The comparison page: ask for the next comparison, show it, take one vote, send it, begin again.

import { Outbox, newId, patience, post } from "./outbox.js";
import { Sets } from "./sets.js";
import { fill } from "./words.js";
import { Zoom } from "./zoom.js";

const MOST_SECONDS_BETWEEN_LOOKS = 15;
const KEYS = { 1: "left", 2: "right", 0: "tie" };

const words = JSON.parse(document.getElementById("words").textContent);
const find = (selector) => document.querySelector(selector);
const pause = (count) => new Promise((resolve) => setTimeout(resolve, count * 1000));

const urls = document.body.dataset;
const message = find("#message");
const buttons = [...document.querySelectorAll("[data-choice]")];
const sets = new Sets({ element: find("#sets"), words, onEnlarge: (side, index) => zoom.open(side, index) });
const zoom = new Zoom({ dialog: find("#zoom"), sets });
const outbox = new Outbox({ url: urls.votes, onChange: showSending });

let choose = null; // what a choice does right now; null while no vote can be taken

function state(text) {
  const element = find("#state");
  if (element.textContent !== text) element.textContent = text;
}

function showSending({ waiting, isOffline }) {
  if (isOffline) state(fill(words.offline, { n: waiting }));
  else state(waiting ? words.sending : words.saved);
}

/** Stop here and say why; the button beside the sentence reloads the page. */
function halt(sentence) {
  state(words.stopped);
  say(sentence);
}

function say(text) {
  message.querySelector("p").textContent = text;
  message.hidden = !text;
}

function showProgress({ done, of }) {
  const bar = find("#progress");
  bar.max = of;
  bar.value = done;
  const count = fill(words.count, { n: Math.min(done + 1, of), of });
  find("#count").textContent = count;
  document.title = `${count} – ${find("h1").textContent}`;
}

function setVotable(isVotable) {
  for (const button of buttons) button.setAttribute("aria-disabled", String(!isVotable));
}

/** Take exactly one choice. */
function chosen() {
  setVotable(true);
  return new Promise((resolve) => {
    choose = (choice) => {
      choose = null;
      setVotable(false);
      zoom.close();
      resolve(choice);
    };
  });
}

/** The prompt, where the study shows it. */
function showPrompt(prompt) {
  find("#prompt").hidden = !prompt;
  find("#prompt").textContent = prompt ? fill(words.prompt, { prompt }) : "";
}

/** Show a comparison until it is voted on; false when it cannot be shown. */
async function vote(comparison) {
  showProgress(comparison.progress);
  showPrompt(comparison.prompt);
  try {
    await sets.show(comparison);
  } catch {
    halt(words.imageFailed);
    return false;
  }
  const shownAt = new Date().toISOString();
  const painted = performance.now();
  if (comparison.minimum_viewing_seconds > 0) {
    state(fill(words.look, { n: Math.ceil(comparison.minimum_viewing_seconds) }));
    await pause(comparison.minimum_viewing_seconds);
  }
  state(comparison.progress.done ? words.saved : words.ready);
  const choice = await chosen();
  outbox.add({
    vote_id: newId(),
    assignment: comparison.assignment,
    choice,
    shown_at: shownAt,
    voted_at: new Date().toISOString(),
    response_ms: Math.round(performance.now() - painted), // a monotonic clock: the two times above may be set in between
    rendition: sets.rendition(),
  });
  return true;
}

/** What comes next; asked again until there is an answer. */
async function askNext() {
  for (let tries = 0; ; tries += 1) {
    const answer = await post(urls.next, "{}");
    if (answer) return answer;
    state(fill(words.offline, { n: 0 }));
    await patience(tries);
  }
}

/** Nothing to compare right now: say so, and look again soon. */
async function wait({ seconds }) {
  sets.clear();
  showPrompt(null);
  say(words.wait);
  state(words.saved);
  await pause(Math.min(seconds, MOST_SECONDS_BETWEEN_LOOKS));
  say("");
}

async function run() {
  for (;;) {
    const { next: known, refusals } = await outbox.drain();
    if (refusals.length) return halt(fill(words.refused, { reason: refusals.join(" ") }));
    if (!known) state(words.loading);
    const { ok, body } = known ? { ok: true, body: known } : await askNext();
    if (!ok) return halt(body.message);
    if (body.kind === "done") return location.replace(urls.end);
    if (body.kind === "stopped") return location.reload(); // paused or closed: the server has a page that says so
    if (body.kind === "wait") await wait(body);
    else if (!(await vote(body))) return;
  }
}

for (const button of buttons) button.addEventListener("click", () => choose?.(button.dataset.choice));
message.querySelector("button").addEventListener("click", () => location.reload());
addEventListener("keydown", (event) => {
  const choice = KEYS[event.key];
  const isPlain = !event.repeat && !event.altKey && !event.ctrlKey && !event.metaKey;
  if (choice && isPlain && !zoom.isOpen && buttons.some((button) => button.dataset.choice === choice)) choose?.(choice);
});
// Coming back with the Back button restores the page as it was left: ask the server where the annotator stands.
addEventListener("pageshow", (event) => event.persisted && location.reload());

run();
