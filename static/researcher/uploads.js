// Send files in pieces, continue where an earlier try stopped, and show the results.

import { json, reach } from "../requests.js";
import { sha256 } from "./sha256.js";

const TRIES = 5;
const PAUSE_MS = 2000;
const STATES_MS = 3000;
const form = document.getElementById("upload");
const status = document.getElementById("upload-status");
const sending = form.querySelector(".sending");
const bar = sending.querySelector("progress");
const sent = document.getElementById("sent");
const list = document.getElementById("uploads");
const button = form.querySelector("button[type=submit]");
const token = form.querySelector("[name=csrfmiddlewaretoken]").value;
const megabytes = (count) => `${(count / 2 ** 20).toFixed(1)} MB`;
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

const kind = () => form.querySelector("[name=kind]:checked").value;

function showKind() {
  for (const part of form.querySelectorAll("[data-kind]")) part.hidden = !part.dataset.kind.split(" ").includes(kind());
}

/** Return the chosen files of this kind, with the names that they have for the server. */
function chosenFiles() {
  const inputs = kind() === "images" ? ["zip", "folder"] : ["table"];
  const files = inputs.flatMap((id) => [...document.getElementById(id).files]);
  const named = files.map((file) => ({ file, path: (file.webkitRelativePath || file.name).normalize("NFC") }));
  return named.filter(({ path }) => !path.split("/").some((part) => part.startsWith(".")));
}

function description(files) {
  const body = { kind: kind() };
  body.files = files.map(({ file, path }) => ({ path, bytes: file.size, modified: String(file.lastModified) }));
  if (body.kind === "images") body.model = form.elements.model.value;
  if (body.kind === "scores") {
    body.metric = form.elements.metric.value;
    const direction = form.elements.higher_is_more_consistent.value;
    if (direction) body.higher_is_more_consistent = direction === "true";
  }
  if (body.kind === "votes")
    for (const name of ["leave_out_blank_names", "same_people"]) body[name] = form.elements[name].checked;
  return body;
}

/** POST, again if the server does not answer. Throws the server's sentence if it refuses. */
async function post(url, options = {}) {
  const headers = { "X-CSRFToken": token, ...options.headers };
  for (let left = TRIES; left > 0; left--) {
    const response = await fetch(url, { method: "POST", ...options, headers }).catch(() => null);
    if (response?.ok) return response.status === 204 ? null : await response.json();
    if (response && response.status < 500) {
      const problem = await json(response);
      throw new Error(problem?.detail ?? `The server refused it (${response.status}).`);
    }
    status.textContent = "The server does not answer. Trying again.";
    await pause(PAUSE_MS);
  }
  throw new Error("The server does not answer. What it received is kept: choose the same files again to continue.");
}

async function send(files) {
  const headers = { "Content-Type": "application/json" };
  const upload = await post(form.dataset.begin, { headers, body: JSON.stringify(description(files)) });
  const address = form.dataset.begin.replace(/begin$/, upload.id);
  let done = upload.received_bytes;
  const start = upload.missing ?? { file: files.length, piece: 0 };
  for (let place = start.file; place < files.length; place++) {
    const { file, path } = files[place];
    const first = place === start.file ? start.piece : 0;
    for (let piece = first; piece * upload.piece_bytes < file.size; piece++) {
      const bytes = new Uint8Array(await read(file, piece * upload.piece_bytes, upload.piece_bytes, path));
      const hash = await sha256(bytes);
      const piecesHeaders = { "Content-Type": "application/octet-stream", "X-Piece-SHA256": hash };
      await post(`${address}/pieces/${place}/${piece}`, { headers: piecesHeaders, body: bytes });
      done += bytes.length;
      showSent(done, upload.bytes);
    }
  }
  return post(`${address}/import`);
}

async function read(file, start, length, path) {
  try {
    return await file.slice(start, start + length).arrayBuffer();
  } catch {
    throw new Error(`${path} cannot be read any more: it was changed or moved. Choose it again.`);
  }
}

function showSent(done, total) {
  bar.value = done / total;
  sent.textContent = `${megabytes(done)} of ${megabytes(total)} sent`;
}

async function showStates() {
  const html = await reach(form.dataset.states, {}, (response) => (response.ok ? response.text() : null));
  if (html === null) return true;
  list.innerHTML = html; // the server's own page, with every name escaped
  document.getElementById("no-uploads").hidden = list.children.length > 0;
  return list.querySelector('[data-state="queued"], [data-state="running"]') !== null;
}

/** Show the states until no import is at work. */
async function watch() {
  while (await showStates()) await pause(STATES_MS);
}

form.addEventListener("change", showKind);

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const files = chosenFiles();
  if (files.length === 0) {
    status.textContent = "Choose a file first.";
    return;
  }
  let isSent = false;
  button.disabled = true;
  sending.hidden = false;
  status.textContent = "";
  bar.value = 0;
  sent.textContent = "";
  try {
    await send(files);
    status.textContent = "Everything is sent and waits for its import; you may leave this page.";
    isSent = true;
  } catch (error) {
    status.textContent = error.message;
  }
  button.disabled = false;
  sending.hidden = true;
  await watch();
  if (isSent) status.textContent = "The import has ended; the list says how.";
});

list.addEventListener("click", async (event) => {
  const address = event.target.dataset.send;
  if (!address) return;
  status.textContent = "";
  await post(address).catch((error) => (status.textContent = error.message));
  watch();
});

form.addEventListener("dragover", (event) => {
  event.preventDefault();
  form.classList.add("over");
});
form.addEventListener("dragleave", () => form.classList.remove("over"));
form.addEventListener("drop", (event) => {
  event.preventDefault();
  form.classList.remove("over");
  document.getElementById(kind() === "images" ? "zip" : "table").files = event.dataTransfer.files;
});

showKind();
watch();
