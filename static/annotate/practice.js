// A practice comparison: two sets as on the comparison page, and a form that can be sent once both are painted.

import { broken, isStyled, up } from "./load_failure.js";
import { NoCookie } from "./image_loading.js";
import { ImageFailed, Sets } from "./sets.js";
import { fill } from "./strings.js";
import { Zoom } from "./zoom.js";

const KEYS = { 1: "left", 2: "right" };

const read = (id) => JSON.parse(document.getElementById(id).textContent);
const strings = read("strings");
const state = document.getElementById("state");
const form = document.querySelector("footer form");
const buttons = [...form.querySelectorAll("[name=choice]")];
const sets = new Sets({ element: document.getElementById("sets"), strings, onEnlarge: (side, index) => zoom.open(side, index) });
const zoom = new Zoom({ dialog: document.getElementById("zoom"), sets });

let isPainted = false;

form.addEventListener("submit", (event) => isPainted || event.preventDefault());
addEventListener("keydown", (event) => {
  const isPlain = !event.repeat && !event.altKey && !event.ctrlKey && !event.metaKey;
  const button = buttons.find(({ value }) => value === KEYS[event.key]);
  if (button && isPlain && !zoom.isOpen) button.click();
});
// The Back button restores an old state of the page: reload it.
addEventListener("pageshow", (event) => event.persisted && location.reload());

async function show() {
  await sets.show(read("pair"));
  isPainted = true;
  state.textContent = strings.ready;
  for (const button of buttons) button.setAttribute("aria-disabled", "false");
}

function fail(error) {
  console.error(error);
  if (error instanceof NoCookie) broken(strings.noCookie);
  else broken(error instanceof ImageFailed ? strings.practiceFailed : fill(strings.fault, { reason: error.message }));
}

if (isStyled()) {
  up();
  show().catch(fail);
} else broken();
