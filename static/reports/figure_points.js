// Lay links over the marks of a drawing: each opens its comparison, and shows its prompt and an image of each set.
// The page lists the comparisons; a drawing names a mark "…-comparison-NUMBER", or several marks of one look by all their
// numbers in order. A mark "…-mark-NUMBER" has a text of its own. Without this module the tables say the same.

// Not parsed as a document: the page's policy on styles would then refuse the drawing's own.
const MARKS = /-comparison-([\d-]+)"([^]*?)<\/g>/g;
const SPEAKING = /-mark-\d+"[^>]*aria-label="([^"]*)"([^]*?)<\/g>/g;
const PLACE = /<use [^>]*x="([\d.]+)" y="([\d.]+)"/g;
const SVG = "http://www.w3.org/2000/svg";
const STEPS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };

function element(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function places(source) {
  const found = new Map();
  for (const [, numbers, marks] of source.matchAll(MARKS)) {
    const drawn = [...marks.matchAll(PLACE)];
    numbers.split("-").forEach((number, at) => drawn[at] && found.set(number, { cx: drawn[at][1], cy: drawn[at][2] }));
  }
  return found;
}

function preview(frame, entry) {
  const shown = frame.querySelector(".preview") || frame.appendChild(document.createElement("div"));
  shown.className = "preview";
  shown.replaceChildren(document.createElement("p"));
  shown.firstChild.textContent = entry.textContent;
  for (const address of [entry.dataset.a, entry.dataset.b].filter(Boolean)) {
    const image = shown.appendChild(new Image(120, 120));
    image.alt = "";
    image.src = address;
  }
}

// An entry without an address is a text alone, which the keyboard reaches as well.
function link(frame, entry, place) {
  const { address } = entry.dataset;
  const made = address ? element("a", { href: address }) : element("g", { role: "img", "aria-label": entry.textContent });
  made.setAttribute("tabindex", -1);
  made.appendChild(element("title", {})).textContent = entry.textContent;
  made.append(element("circle", { ...place, r: 6 }));
  for (const event of ["pointerenter", "focus"]) made.addEventListener(event, () => preview(frame, entry));
  return made;
}

function speaking(source) {
  return [...source.matchAll(SPEAKING)].map(([, label, mark]) => {
    const entry = document.createElement("span");
    entry.textContent = new DOMParser().parseFromString(label, "text/html").body.textContent;
    const [[, cx, cy]] = mark.matchAll(PLACE);
    return [entry, { cx, cy }];
  });
}

// One stop of the tab key for a drawing: the arrow keys lead from mark to mark.
function step(event) {
  const by = STEPS[event.key];
  const links = [...event.currentTarget.children];
  const at = links.indexOf(document.activeElement);
  if (!by || at < 0) return;
  event.preventDefault();
  const next = links[(at + by + links.length) % links.length];
  links[at].setAttribute("tabindex", -1);
  next.setAttribute("tabindex", 0);
  next.focus();
}

async function addLinks(frame, entries) {
  const drawing = frame.querySelector("img");
  const answer = await fetch(drawing.getAttribute("src"));
  if (!answer.ok) return;
  const source = await answer.text();
  const marks = places(source);
  const layer = element("svg", { viewBox: source.match(/viewBox="([^"]+)"/)[1], class: "points" });
  const pointed = entries.filter((entry) => marks.has(entry.dataset.number));
  const targets = [...pointed.map((entry) => [entry, marks.get(entry.dataset.number)]), ...speaking(source)];
  if (!targets.length) return;
  layer.append(...targets.map(([entry, place]) => link(frame, entry, place)));
  layer.firstChild?.setAttribute("tabindex", 0);
  layer.addEventListener("keydown", step);
  const picture = drawing.closest("picture");
  const box = document.createElement("div");
  box.className = "pointed";
  picture.replaceWith(box);
  box.append(picture, layer);
}

const list = document.querySelector(".points-list");
for (const frame of document.querySelectorAll("figure[data-points]")) addLinks(frame, list ? [...list.children] : []);
