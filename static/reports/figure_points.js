// Lay links over the marks of a drawing: each opens its comparison, and shows its prompt and an image of each set.
// The page lists the comparisons; the drawing names each mark "…-comparison-NUMBER". Without this module the list of the
// disagreements below the figure has the same links.

// Not parsed as a document: the page's policy on styles would then refuse the drawing's own.
const MARK = /-comparison-(\d+)"[^]*?<use [^>]*x="([\d.]+)" y="([\d.]+)"/g;
const SVG = "http://www.w3.org/2000/svg";

function element(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
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

async function addLinks(list) {
  const frame = list.closest("figure");
  const drawing = frame.querySelector("img");
  const answer = await fetch(drawing.getAttribute("src"));
  if (!answer.ok) return;
  const source = await answer.text();
  const layer = element("svg", { viewBox: source.match(/viewBox="([^"]+)"/)[1], class: "points" });
  const marks = new Map([...source.matchAll(MARK)].map(([, number, x, y]) => [number, { x, y }]));
  for (const entry of list.children) {
    const mark = marks.get(entry.dataset.number);
    if (!mark) continue;
    const link = element("a", { href: entry.dataset.address });
    const title = link.appendChild(element("title", {}));
    title.textContent = entry.textContent;
    link.append(element("circle", { cx: mark.x, cy: mark.y, r: 6 }));
    for (const event of ["pointerenter", "focus"]) link.addEventListener(event, () => preview(frame, entry));
    layer.append(link);
  }
  const picture = drawing.closest("picture");
  const box = document.createElement("div");
  box.className = "pointed";
  picture.replaceWith(box);
  box.append(picture, layer);
}

for (const list of document.querySelectorAll("figure .points-list")) addLinks(list);
