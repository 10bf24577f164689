// The comparison page: show a comparison, take one vote, and send it while the next comparison is already shown.

import { Upcoming } from "./upcoming.js";
import { broken, isStyled, up } from "./load_failure.js";
import { NoCookie, isServerThere } from "./image_loading.js";
import { Outbox, newId, patience, post } from "./outbox.js";
import { Panel } from "./panel.js";
import { ImageFailed, Sets } from "./sets.js";
import { Status } from "./status.js";
import { fill } from "./strings.js";
import { Zoom } from "./zoom.js";

const MOST_SECONDS_BETWEEN_REQUESTS = 15;
const KEYS = { 1: "left", 2: "right", 0: "tie" };
const UNDO = "undo";
const SHORTLY_MS = 100;
const LEAST_LOOK_MS = 400; // nobody judges forty images in less: such a press was meant for the one before

const strings = JSON.parse(document.getElementById("strings").textContent);
const find = (selector) => document.querySelector(selector);
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const urls = document.body.dataset;
const buttons = [...document.querySelectorAll("[data-choice]")];
const undoButton = find("#undo");
const stopForm = find("#stop");
const status = new Status({ element: find("#state"), strings });
const panel = new Panel(find("#message"));
const sets = new Sets({
  element: find("#sets"),
  strings,
  onEnlarge: (side, index) => zoom.open(side, index),
  onFit: showQuestion,
});
const zoom = new Zoom({ dialog: find("#zoom"), sets, onReport: guarded(askWhetherOffensive) });
const outbox = new Outbox({
  url: urls.votes,
  onChange: showConnection,
  wait: waitForServer,
  onAnswer: acknowledged,
  onRefusal: (reason) => halt(fill(strings.refused, { reason })),
});
const drain = guarded(() => outbox.drain());
const upcoming = new Upcoming();

let shown = null; // the comparison on the page, until it is voted on or taken away
let isPainted = false;
let choose = null; // called with the next choice; null if none is awaited
let isUndoing = false; // the comparison is about to be replaced: a choice now would be meant for the undone one
let takeAway = () => {}; // ends the comparison on the page without a vote
let isHalted = false;
let unanswered = null; // the panel's question while the server does not answer
let undoable = null; // the last vote, while it may be undone: {vote_id, until}

/** Show a fault of the page. It must not look like a server that does not answer. */
function fail(error) {
  console.error(error);
  return halt(error instanceof NoCookie ? strings.noCookie : fill(strings.fault, { reason: error.message }));
}

/** Return the same function; if it fails, the page shows the fault. */
function guarded(act) {
  return (...given) => act(...given).catch(fail);
}

/** Show what answers, or missing answers, say about the connection. */
function showConnection(facts) {
  status.set(facts);
  if (!facts.isOffline) panel.end(unanswered);
}

/** Wait for the next try. If no comparison is on the page, show the reason, with a button that tries at once. */
function waitForServer(tries) {
  status.set({ isOffline: true });
  if (!shown && !panel.isOpen) unanswered = panel.ask(strings.noAnswer, ["retry"]);
  return Promise.race(panel.isAsking(unanswered) ? [patience(tries), unanswered] : [patience(tries)]);
}

/** Stop for good and show why, with a button that reloads the page. */
async function halt(sentence) {
  isHalted = true;
  status.set({ stopped: true });
  takeAway();
  await panel.ask(sentence, ["reload"]);
  location.reload();
}

/** Take the server's answer. If it names another comparison than the one on the page, remove that one. */
function update(answer) {
  upcoming.update(answer);
  offerUndo(outbox.isEmpty ? answer.undo : null);
  const first = upcoming.first();
  if (shown && first && first.assignment !== shown.assignment) takeAway();
  fetchAhead();
}

function acknowledged({ state, next }) {
  status.set({ last: { late: strings.late, already_voted: strings.alreadyVoted }[state] ?? strings.saved });
  update(next);
}

/** Fetch the next images, but only after the comparison on the page is complete. */
function fetchAhead() {
  if (isPainted) sets.prepare(upcoming.ahead());
}

/** Post until the server answers. A refusal stops the page. */
async function postUntilAnswered(url, body) {
  for (let tries = 0; ; tries += 1) {
    const answer = await post(url, JSON.stringify(body));
    if (answer?.ok) {
      showConnection({ isOffline: false });
      return answer.body;
    }
    if (answer) {
      await halt(answer.body.message);
      return { kind: "stopped" };
    }
    await waitForServer(tries);
  }
}

function showProgress({ done, of }) {
  const bar = find("#progress");
  bar.max = of;
  bar.value = done;
  const count = fill(strings.count, { n: Math.min(done + 1, of), of });
  find("#count").textContent = count;
  document.title = `${count} – ${find("h1").textContent}`;
}

const isVotable = () => choose !== null && !isUndoing && !panel.isOpen;

function showVotable() {
  for (const button of buttons) button.setAttribute("aria-disabled", String(choose === null || isUndoing));
}

/** Set the function that the next choice calls; null for none. */
function listenForChoice(act) {
  choose = act;
  showVotable();
}

/** Show the question. It may name a side, which has another name on a narrow screen. */
function showQuestion() {
  if (!shown) return;
  const question = shown.question.replace(/\{(left|right)\}/g, (_, side) => sets.nameOf(side));
  if (find("h1").textContent !== question) find("h1").textContent = question;
}

/** Show the prompt if the study shows prompts. */
function showPrompt(prompt) {
  find("#prompt").hidden = !prompt;
  find("#prompt").textContent = prompt ? fill(strings.prompt, { prompt }) : "";
}

/** Resolve when the comparison is painted and was on the screen for the minimum viewing time. */
async function looked(comparison) {
  // Images that were fetched ahead appear before the word could be read.
  const slow = setTimeout(() => shown === comparison && status.set({ isLoading: true }), SHORTLY_MS);
  for (;;) {
    try {
      await sets.show(comparison);
      break;
    } catch (error) {
      if (!(error instanceof ImageFailed)) throw error;
      if (shown !== comparison) return null;
      if ((await panel.ask(strings.imageFailed, ["report", "retry"])) === "report") await report("failed", error.side, error.n);
      if (shown !== comparison) return null;
    }
  }
  clearTimeout(slow);
  if (shown !== comparison) return null;
  const [at, painted] = [new Date().toISOString(), performance.now()];
  performance.mark("painted");
  isPainted = true;
  status.set({ isLoading: false });
  fetchAhead();
  status.set({ lookSeconds: Math.ceil(comparison.minimum_viewing_seconds) });
  const least = Math.max(LEAST_LOOK_MS, comparison.minimum_viewing_seconds * 1000);
  for (let left = least; left > 0; left = least - (performance.now() - painted)) await pause(left);
  status.set({ lookSeconds: 0 });
  return { at, painted };
}

/** Resolve with exactly one choice. */
function chosen() {
  return new Promise((resolve) => listenForChoice(resolve));
}

/** Show a comparison until it is voted on, or taken away. */
async function vote(comparison) {
  const away = new Promise((resolve) => (takeAway = () => resolve(null)));
  shown = comparison;
  panel.end(unanswered);
  isPainted = false;
  showProgress(comparison.progress);
  showPrompt(comparison.prompt);
  const look = await Promise.race([looked(comparison), away]);
  const choice = look && (await Promise.race([chosen(), away]));
  listenForChoice(null);
  shown = null;
  status.set({ lookSeconds: 0 });
  zoom.close();
  if (isHalted) return;
  panel.close();
  if (choice) send(comparison, choice, look);
}

function send(comparison, choice, { at, painted }) {
  offerUndo(null);
  upcoming.voted(comparison.assignment);
  outbox.add({
    vote_id: newId(),
    assignment: comparison.assignment,
    choice,
    shown_at: at,
    voted_at: new Date().toISOString(),
    response_ms: Math.round(performance.now() - painted), // a monotonic clock: the system clock may be set in between
    rendition: sets.rendition(),
  });
  drain();
}

/** Offer undo while the last vote may be undone: a button, the key U, and the browser's Back. */
function offerUndo(undo) {
  undoable = undo && { vote_id: undo.vote_id, until: Date.now() + undo.seconds * 1000 };
  undoButton.classList.toggle("absent", !undo);
  if (!undo) return;
  undoButton.title = fill(strings.undoUntil, { n: Math.round(undo.seconds) });
  if (history.state !== UNDO) history.pushState(UNDO, "");
  const mine = undoable;
  setTimeout(() => undoable === mine && offerUndo(null), undo.seconds * 1000);
}

const undo = guarded(async () => {
  if (!undoable || isHalted || panel.isOpen || zoom.isOpen) return;
  const { vote_id, until } = undoable;
  offerUndo(null);
  isUndoing = true;
  showVotable();
  status.set({ isLoading: true });
  const answer = await post(urls.undo, JSON.stringify({ vote_id }));
  isUndoing = false;
  showVotable();
  status.set({ isLoading: !isPainted });
  if (!answer) return offerUndo({ vote_id, seconds: Math.max(0, until - Date.now()) / 1000 });
  if (!answer.ok) return status.set({ last: strings.notUndone });
  status.set({ last: strings.undone });
  upcoming.unvoted(answer.body.assignment);
  update(answer.body);
});

/** Release the comparison with the reason; the answer is the next comparison. */
async function report(kind, side, n) {
  const { assignment } = shown;
  update(await postUntilAnswered(urls.reports, { assignment, side, n, kind }));
}

async function askWhetherOffensive(side, index) {
  const asked = panel.ask(strings.reportOffensive, ["report", "cancel"]);
  panel.focus();
  if ((await asked) === "report" && shown) await report("offensive", side, index);
}

/** Show that no comparison is free, and ask again soon. */
async function wait({ seconds }) {
  sets.clear();
  showPrompt(null);
  status.set({ isLoading: false });
  panel.ask(strings.wait, ["reload"]).then(() => location.reload());
  await pause(Math.min(seconds, MOST_SECONDS_BETWEEN_REQUESTS) * 1000);
  if (isHalted) return;
  panel.close();
  update(await postUntilAnswered(urls.next, {}));
}

/** Go to another page once the server answers: the browser's own error page would look like a loss. */
async function leave(go) {
  for (let tries = 0; !(await isServerThere()); tries += 1) await waitForServer(tries);
  go();
}

/** Stop for now, once every vote is saved. The server releases the comparisons, and a page says so. */
async function stop(event) {
  event.preventDefault();
  if (isHalted) return;
  isHalted = true;
  takeAway();
  if (!outbox.isEmpty) panel.ask(strings.stopping, []);
  while (!outbox.isEmpty) await pause(SHORTLY_MS);
  await leave(() => stopForm.submit());
}

async function run() {
  await outbox.drain();
  if (!upcoming.first()) update(await postUntilAnswered(urls.next, {}));
  status.set({ last: upcoming.first()?.progress?.done ? strings.saved : strings.ready });
  while (!isHalted) {
    const step = await upcoming.next();
    if (step.assignment) await vote(step);
    else if (!outbox.isEmpty) {
      await pause(100); // this answer belongs to an earlier vote: the answers to the others are still to come
    } else if (step.kind === "done") return leave(() => location.replace(urls.end));
    else if (step.kind === "stopped") return leave(() => location.reload()); // the server shows the reason
    else await wait(step);
  }
}

for (const button of buttons) {
  button.addEventListener("click", ({ detail }) => {
    // The second click of a double click would vote on the next comparison, which nobody has seen yet.
    if (detail <= 1 && isVotable()) choose(button.dataset.choice);
  });
}
undoButton.addEventListener("click", undo);
stopForm.addEventListener("submit", guarded(stop));
addEventListener("keydown", (event) => {
  // While Enter is held, the focused button is pressed again and again.
  if (event.repeat && event.target.closest?.("[data-choice]")) event.preventDefault();
  if (event.key === "Escape" && panel.isOpen) panel.cancel();
  if (event.repeat || event.altKey || event.ctrlKey || event.metaKey || zoom.isOpen || panel.isOpen) return;
  const choice = KEYS[event.key];
  if (isVotable() && buttons.some((button) => button.dataset.choice === choice)) choose(choice);
  if (event.key.toLowerCase() === "u") undo();
});
addEventListener("popstate", undo);
// Waiting votes survive the page, but are sent only when it is opened again.
addEventListener("beforeunload", (event) => status.isOffline && !outbox.isEmpty && event.preventDefault());
// Release what was fetched ahead at once; the comparison on the page stays the annotator's.
addEventListener("pagehide", () => {
  if (upcoming.ahead().length && outbox.isEmpty) post(urls.leave, "{}");
});
// The Back button restores an old state of the page: reload it.
addEventListener("pageshow", (event) => event.persisted && location.reload());

if (isStyled()) {
  up();
  guarded(run)();
} else broken();
