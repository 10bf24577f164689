// A practice comparison: the two sets as they will be shown, and a form that is sent once they have been painted.

import { broken, isStyled, up } from "./loaded.js";
import { ImageFailed, Sets } from "./sets.js";
import { fill } from "./words.js";
import { Zoom } from "./zoom.js";

const KEYS = { 1: "left", 2: "right" };

const read = (id) => JSON.parse(document.getElementById(id).textContent);
const words = read("words");
const state = document.getElementById("state");
const form = document.querySelector("footer form");
const buttons = [...form.querySelectorAll("[name=choice]")];
const sets = new Sets({ element: document.getElementById("sets"), words, onEnlarge: (side, index) => zoom.open(side, index) });
const zoom = new Zoom({ dialog: document.getElementById("zoom"), sets });

let isPainted = false;

form.addEventListener("submit", (event) => isPainted || event.preventDefault());
addEventListener("keydown", (event) => {
  const isPlain = !event.repeat && !event.altKey && !event.ctrlKey && !event.metaKey;
  const button = buttons.find(({ value }) => value === KEYS[event.key]);
  if (button && isPlain && !zoom.isOpen) button.click();
});
// Coming back with the Back button restores the page as it was left: ask the server where the annotator stands.
addEventListener("pageshow", (event) => event.persisted && location.reload());

async function show() {
  await sets.show(read("pair"));
  isPainted = true;
  state.textContent = words.ready;
  for (const button of buttons) button.setAttribute("aria-disabled", "false");
}

function fail(error) {
  console.error(error);
  broken(error instanceof ImageFailed ? words.practiceFailed : fill(words.fault, { reason: error.message }));
}

if (isStyled()) {
  up();
  show().catch(fail);
} else broken();
