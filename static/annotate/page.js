// The comparison page: show what comes next, take one vote, and let it travel while the next is shown already.

import { Line } from "./line.js";
import { broken, isStyled, up } from "./loaded.js";
import { isServerThere } from "./loading.js";
import { Outbox, newId, patience, post } from "./outbox.js";
import { Panel } from "./panel.js";
import { ImageFailed, Sets } from "./sets.js";
import { Standing } from "./standing.js";
import { fill } from "./words.js";
import { Zoom } from "./zoom.js";

const MOST_SECONDS_BETWEEN_LOOKS = 15;
const KEYS = { 1: "left", 2: "right", 0: "tie" };
const UNDO = "undo";
const SHORTLY_MS = 100;
const LEAST_LOOK_MS = 400; // nobody has judged forty images by then: a second press was meant for the comparison before

const words = JSON.parse(document.getElementById("words").textContent);
const find = (selector) => document.querySelector(selector);
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const urls = document.body.dataset;
const buttons = [...document.querySelectorAll("[data-choice]")];
const undoButton = find("#undo");
const stopForm = find("#stop");
const standing = new Standing({ element: find("#state"), words });
const panel = new Panel(find("#message"));
const sets = new Sets({
  element: find("#sets"),
  words,
  onEnlarge: (side, index) => zoom.open(side, index),
  onFit: showQuestion,
});
const zoom = new Zoom({ dialog: find("#zoom"), sets, onReport: guarded(askWhetherOffensive) });
const outbox = new Outbox({
  url: urls.votes,
  onChange: hear,
  wait: waitForServer,
  onAnswer: acknowledged,
  onRefusal: (reason) => halt(fill(words.refused, { reason })),
});
const drain = guarded(() => outbox.drain());
const line = new Line();

let shown = null; // the comparison on the page, until it is voted on or taken away
let isPainted = false;
let choose = null; // what a choice does right now, where one is awaited
let isUndoing = false; // what is on the page is about to give way: a choice now is meant for what comes back
let takeAway = () => {}; // ends the comparison on the page without a vote
let isHalted = false;
let unanswered = null; // the panel's question while the server does not answer
let undoable = null; // the last vote, while it may be undone: {vote_id, until}

/** A fault of the page itself is said, and never taken for a server that does not answer. */
function fail(error) {
  console.error(error);
  return halt(fill(words.fault, { reason: error.message }));
}

/** The same act; if it fails, the page says so. */
function guarded(act) {
  return (...given) => act(...given).catch(fail);
}

/** What the server's answers, or their absence, say about the connection. */
function hear(facts) {
  standing.set(facts);
  if (!facts.isOffline) panel.end(unanswered);
}

/** Until the next try. If no comparison is on the page, a sentence says why, with a button that tries at once. */
function waitForServer(tries) {
  standing.set({ isOffline: true });
  if (!shown && !panel.isOpen) unanswered = panel.ask(words.noAnswer, ["retry"]);
  return Promise.race(panel.isAsking(unanswered) ? [patience(tries), unanswered] : [patience(tries)]);
}

/** Stop for good and say why; the button beside the sentence reloads the page. */
async function halt(sentence) {
  isHalted = true;
  standing.set({ stopped: true });
  takeAway();
  await panel.ask(sentence, ["reload"]);
  location.reload();
}

/** The server's word on where the annotator stands: what is on the page gives way where it says otherwise. */
function learn(answer) {
  line.update(answer);
  offerUndo(outbox.isEmpty ? answer.undo : null);
  const first = line.first();
  if (shown && first && first.assignment !== shown.assignment) takeAway();
  fetchAhead();
}

function acknowledged({ state, next }) {
  standing.set({ last: { late: words.late, already_voted: words.alreadyVoted }[state] ?? words.saved });
  learn(next);
}

/** Only when the comparison on the page is whole: it comes first. */
function fetchAhead() {
  if (isPainted) sets.prepare(line.ahead());
}

/** Post until the server answers; what it refuses ends the page. */
async function insist(url, body) {
  for (let tries = 0; ; tries += 1) {
    const answer = await post(url, JSON.stringify(body));
    if (answer?.ok) {
      hear({ isOffline: false });
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
  const count = fill(words.count, { n: Math.min(done + 1, of), of });
  find("#count").textContent = count;
  document.title = `${count} – ${find("h1").textContent}`;
}

const isVotable = () => choose !== null && !isUndoing && !panel.isOpen;

function showVotable() {
  for (const button of buttons) button.setAttribute("aria-disabled", String(choose === null || isUndoing));
}

/** From here on this is what a choice does; null: nothing. */
function listenForChoice(act) {
  choose = act;
  showVotable();
}

/** What is asked; it may name a side, which has another name on a narrow screen. */
function showQuestion() {
  if (!shown) return;
  const question = shown.question.replace(/\{(left|right)\}/g, (_, side) => sets.nameOf(side));
  if (find("h1").textContent !== question) find("h1").textContent = question;
}

/** The prompt, where the study shows it. */
function showPrompt(prompt) {
  find("#prompt").hidden = !prompt;
  find("#prompt").textContent = prompt ? fill(words.prompt, { prompt }) : "";
}

/** Whole on the page and looked at for as long as the study asks. */
async function looked(comparison) {
  // What was fetched ahead is there before the word could be read.
  const slow = setTimeout(() => shown === comparison && standing.set({ isLoading: true }), SHORTLY_MS);
  for (;;) {
    try {
      await sets.show(comparison);
      break;
    } catch (error) {
      if (!(error instanceof ImageFailed)) throw error;
      if (shown !== comparison) return null;
      if ((await panel.ask(words.imageFailed, ["report", "retry"])) === "report") await report("failed", error.side, error.n);
      if (shown !== comparison) return null;
    }
  }
  clearTimeout(slow);
  if (shown !== comparison) return null;
  const [at, painted] = [new Date().toISOString(), performance.now()];
  performance.mark("painted");
  isPainted = true;
  standing.set({ isLoading: false });
  fetchAhead();
  standing.set({ lookSeconds: Math.ceil(comparison.minimum_viewing_seconds) });
  const least = Math.max(LEAST_LOOK_MS, comparison.minimum_viewing_seconds * 1000);
  for (let left = least; left > 0; left = least - (performance.now() - painted)) await pause(left);
  standing.set({ lookSeconds: 0 });
  return { at, painted };
}

/** Take exactly one choice; null when the comparison was taken away before. */
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
  standing.set({ lookSeconds: 0 });
  zoom.close();
  if (isHalted) return;
  panel.close();
  if (choice) send(comparison, choice, look);
}

function send(comparison, choice, { at, painted }) {
  offerUndo(null);
  line.voted(comparison.assignment);
  outbox.add({
    vote_id: newId(),
    assignment: comparison.assignment,
    choice,
    shown_at: at,
    voted_at: new Date().toISOString(),
    response_ms: Math.round(performance.now() - painted), // a monotonic clock: the two times above may be set in between
    rendition: sets.rendition(),
  });
  drain();
}

/** While the last vote may be undone there is a button, the key U, and the browser's Back. */
function offerUndo(undo) {
  undoable = undo && { vote_id: undo.vote_id, until: Date.now() + undo.seconds * 1000 };
  undoButton.classList.toggle("absent", !undo);
  if (!undo) return;
  undoButton.title = fill(words.undoUntil, { n: Math.round(undo.seconds) });
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
  standing.set({ isLoading: true });
  const answer = await post(urls.undo, JSON.stringify({ vote_id }));
  isUndoing = false;
  showVotable();
  standing.set({ isLoading: !isPainted });
  if (!answer) return offerUndo({ vote_id, seconds: Math.max(0, until - Date.now()) / 1000 });
  if (!answer.ok) return standing.set({ last: words.notUndone });
  standing.set({ last: words.undone });
  line.unvoted(answer.body.assignment);
  learn(answer.body);
});

/** Give the comparison back, with the reason; the answer is what comes instead. */
async function report(kind, side, n) {
  const { assignment } = shown;
  learn(await insist(urls.reports, { assignment, side, n, kind }));
}

async function askWhetherOffensive(side, index) {
  const asked = panel.ask(words.reportOffensive, ["report", "cancel"]);
  panel.focus();
  if ((await asked) === "report" && shown) await report("offensive", side, index);
}

/** Nothing to compare right now: say so, and look again soon. */
async function wait({ seconds }) {
  sets.clear();
  showPrompt(null);
  standing.set({ isLoading: false });
  panel.ask(words.wait, ["reload"]).then(() => location.reload());
  await pause(Math.min(seconds, MOST_SECONDS_BETWEEN_LOOKS) * 1000);
  if (isHalted) return;
  panel.close();
  learn(await insist(urls.next, {}));
}

/** To another page, once the line is there: the browser's own page about a dead line would look like a loss. */
async function leave(go) {
  for (let tries = 0; !(await isServerThere()); tries += 1) await waitForServer(tries);
  go();
}

/** Stop for now, once every vote is saved: what comes next is given back, and a page says so. */
async function stop(event) {
  event.preventDefault();
  if (isHalted) return;
  isHalted = true;
  takeAway();
  if (!outbox.isEmpty) panel.ask(words.stopping, []);
  while (!outbox.isEmpty) await pause(SHORTLY_MS);
  await leave(() => stopForm.submit());
}

async function run() {
  await outbox.drain();
  if (!line.first()) learn(await insist(urls.next, {}));
  standing.set({ last: line.first()?.progress?.done ? words.saved : words.ready });
  while (!isHalted) {
    const step = await line.next();
    if (step.assignment) await vote(step);
    else if (!outbox.isEmpty) {
      await pause(100); // said about an earlier vote: the answers to the others are still to come
    } else if (step.kind === "done") return leave(() => location.replace(urls.end));
    else if (step.kind === "stopped") return leave(() => location.reload()); // the server has a page that says why
    else await wait(step);
  }
}

for (const button of buttons) {
  button.addEventListener("click", ({ detail }) => {
    // The second click of a double click would fall on the next comparison, which nobody has looked at yet.
    if (detail <= 1 && isVotable()) choose(button.dataset.choice);
  });
}
undoButton.addEventListener("click", undo);
stopForm.addEventListener("submit", guarded(stop));
addEventListener("keydown", (event) => {
  // A button that has the focus is pressed again and again while Enter is held.
  if (event.repeat && event.target.closest?.("[data-choice]")) event.preventDefault();
  if (event.key === "Escape" && panel.isOpen) panel.cancel();
  if (event.repeat || event.altKey || event.ctrlKey || event.metaKey || zoom.isOpen || panel.isOpen) return;
  const choice = KEYS[event.key];
  if (isVotable() && buttons.some((button) => button.dataset.choice === choice)) choose(choice);
  if (event.key.toLowerCase() === "u") undo();
});
addEventListener("popstate", undo);
// Votes that wait for the line outlive the page, but go out only when it is opened again.
addEventListener("beforeunload", (event) => standing.isOffline && !outbox.isEmpty && event.preventDefault());
// What was fetched ahead goes back at once; the comparison on the page stays the annotator's.
addEventListener("pagehide", () => {
  if (line.ahead().length && outbox.isEmpty) post(urls.leave, "{}");
});
// Coming back with the Back button restores the page as it was left: ask the server where the annotator stands.
addEventListener("pageshow", (event) => event.persisted && location.reload());

if (isStyled()) {
  up();
  guarded(run)();
} else broken();
