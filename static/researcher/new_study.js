// The form and the study file in step: what is typed on one side is written into the other by the server, which also
// names the faults and the costs.

import { json, reach } from "../requests.js";

const PAUSE_MS = 400;
const form = document.getElementById("draft");
const file = document.getElementById("file");
const gutter = document.getElementById("gutter");
let timer = 0;
let asked = 0;

/** Ask the server in a moment; a later change replaces an earlier one. */
function askSoon(isFromForm) {
  clearTimeout(timer);
  timer = setTimeout(() => ask(isFromForm), PAUSE_MS);
}

async function ask(isFromForm) {
  const number = ++asked;
  const body = new FormData(form);
  body.delete("upload");
  if (isFromForm) body.set("from_form", "1");
  const answer = await reach(form.dataset.check, { method: "POST", body }, json);
  if (!answer || number !== asked) return; // the server is away, or something was typed meanwhile
  if (isFromForm) file.value = answer.file;
  else showValues(answer.values);
  showFaults(answer);
  showCosts(answer);
  showNeeds(answer);
}

function showNeeds({ needs, prompt_count: count }) {
  for (const [name, words] of Object.entries(needs)) {
    const place = document.getElementById(`need-${name}`);
    if (place) place.textContent = words;
  }
  document.getElementById("prompt-count").textContent = `${count} prompt${count === 1 ? "" : "s"}`;
}

/** Return the prompts of a file: its lines, or the column `prompt` of a CSV file. */
function promptsOf(name, text) {
  const plain = text.replace(/^\uFEFF/, "");
  if (!name.toLowerCase().endsWith(".csv")) return plain.split(/\r?\n/);
  const [head = [], ...rows] = csvRows(plain);
  const column = head.findIndex((cell) => cell.trim().toLowerCase() === "prompt");
  return column < 0 ? null : rows.map((row) => row[column] ?? "");
}

function csvRows(text) {
  const rows = [[]];
  let cell = "";
  const cells = /"((?:[^"]|"")*)"|([^",\r\n]+)|(,)|(\r?\n)/g;
  for (const [, quoted, bare, comma, end] of text.matchAll(cells)) {
    if (quoted !== undefined) cell += quoted.replaceAll('""', '"');
    else if (bare !== undefined) cell += bare;
    else {
      rows.at(-1).push(cell);
      cell = "";
      if (end && !comma) rows.push([]);
    }
  }
  rows.at(-1).push(cell);
  return rows;
}

function showValues(values) {
  for (const [name, value] of Object.entries(values)) {
    const input = document.getElementById(`field-${name}`);
    if (!input) continue;
    if (input.type === "checkbox") input.checked = value !== "";
    else input.value = value;
  }
}

function element(name, text, properties = {}) {
  return Object.assign(document.createElement(name), { textContent: text }, properties);
}

function showFaults({ faults, fields }) {
  const lines = file.value.split("\n").length;
  const faulty = new Set(faults.map((fault) => fault.line));
  file.rows = lines;
  gutter.replaceChildren();
  for (let line = 1; line <= lines; line++) {
    gutter.append(element("span", line, { className: faulty.has(line) ? "faulty" : "" }), "\n");
  }
  document.getElementById("fault-count").textContent =
    faults.length === 0 ? "No faults" : `${faults.length} fault${faults.length === 1 ? "" : "s"}`;
  const items = faults.map((fault) => {
    const item = document.createElement("li");
    const place = [fault.line ? `Line ${fault.line}` : "", fault.key].filter(Boolean).join(" ");
    const button = element("button", place || "The file", { type: "button" });
    button.dataset.line = fault.line;
    item.append(button, ` ${fault.sentence}`);
    return item;
  });
  document.getElementById("faults").replaceChildren(...items);
  for (const place of form.querySelectorAll(".field .fault")) {
    const sentence = fields[place.id.replace("fault-", "")] ?? "";
    if (place.textContent !== sentence) place.textContent = sentence;
    place.parentElement.classList.toggle("bad", sentence !== "");
  }
}

function showCosts({ costs, warnings }) {
  const rows = costs.map((row) => {
    const value = element("dd", `${row.value} `);
    value.append(element("small", row.note));
    const group = document.createElement("div");
    group.append(element("dt", row.label), value);
    return group;
  });
  const shown = document.getElementById("costs");
  if (costs.length > 0) shown.replaceChildren(...rows);
  document.getElementById("old-costs").hidden = costs.length > 0 || shown.children.length === 0;
  document.getElementById("no-costs").hidden = shown.children.length > 0;
  document.getElementById("warnings").replaceChildren(...warnings.map((warning) => element("li", warning)));
}

/** Put the caret into a line of the file. */
function goTo(line) {
  const before = file.value.split("\n").slice(0, Math.max(0, line - 1));
  const start = before.reduce((sum, text) => sum + text.length + 1, 0);
  const end = file.value.indexOf("\n", start);
  file.focus();
  file.setSelectionRange(start, end < 0 ? file.value.length : end);
}

form.addEventListener("input", (event) => {
  if (event.target.type === "file") return;
  askSoon(event.target !== file && event.target.name !== "pay");
});

document.getElementById("upload").addEventListener("change", async (event) => {
  const [chosen] = event.target.files;
  if (!chosen) return;
  file.value = await chosen.text();
  event.target.value = "";
  ask(false);
});

document.getElementById("faults").addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button) goTo(Number(button.dataset.line));
});

document.getElementById("prompts-file").addEventListener("change", async (event) => {
  const [chosen] = event.target.files;
  if (!chosen) return;
  const prompts = promptsOf(chosen.name, await chosen.text());
  event.target.value = "";
  if (prompts === null) {
    document.getElementById("fault-prompts").textContent = `${chosen.name} has no column named “prompt”.`;
    return;
  }
  const lines = prompts.map((prompt) => prompt.replace(/\s+/g, " ").trim()).filter(Boolean);
  document.getElementById("field-prompts").value = lines.join("\n");
  ask(true);
});

for (const button of form.querySelectorAll(".without-script")) button.hidden = true;
for (const part of form.querySelectorAll(".with-script")) part.hidden = false;
