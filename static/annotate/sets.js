// The two sets on the page: their images, their grid, and whether every image has been painted.

import { arrange } from "./arrangement.js";
import { fill } from "./words.js";

const USUAL_COUNT = 20;
const GRID = 160;
const GRID_2X = 320;
const PAUSES_BEFORE_TRIES_MS = [0, 1000, 3000];

const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));

/** Load one image for good: decoded, so that showing it costs no further wait. Tried three times. */
async function painted(img, image) {
  for (const ms of PAUSES_BEFORE_TRIES_MS) {
    await new Promise((resolve) => setTimeout(resolve, ms));
    img.srcset = `${image.grid} ${GRID}w, ${image.grid2x} ${GRID_2X}w`;
    img.src = image.grid;
    try {
      return await img.decode();
    } catch {
      img.removeAttribute("srcset");
      img.removeAttribute("src");
    }
  }
  throw new Error("image failed");
}

export class Sets {
  constructor({ element, words, onEnlarge }) {
    this.element = element;
    this.words = words;
    this.onEnlarge = onEnlarge;
    this.groups = [];
    new ResizeObserver(() => this.fit()).observe(element);
    element.addEventListener("keydown", (event) => this.walk(event));
  }

  /** Put a comparison on the page. Resolves when every image is painted; rejects when one cannot be loaded. */
  async show(comparison) {
    this.comparison = comparison;
    this.groups = ["left", "right"].map((side) => this.#group(side, comparison[side]));
    this.fit();
    this.element.replaceChildren(...this.groups);
    this.element.scrollTop = 0;
    await Promise.all(this.#cells().map((cell) => painted(cell.firstChild, cell.image)));
    // Two frames: the first is the one that paints them, the second begins after it.
    await frame();
    await frame();
  }

  /** No comparison on the page. */
  clear() {
    this.groups = [];
    this.element.replaceChildren();
  }

  /** Which size of image the browser chose for the grid. */
  rendition() {
    const isLarge = this.#cells().some((cell) => cell.firstChild.currentSrc.endsWith(cell.image.grid2x));
    return isLarge ? "grid2x" : "grid";
  }

  #cells() {
    return this.groups.flatMap((group) => [...group.children]);
  }

  #group(side, images) {
    const group = document.createElement("div");
    group.className = "set";
    group.dataset.side = side;
    group.setAttribute("role", "group");
    group.append(...images.map((image, index) => this.#cell(side, image, index)));
    return group;
  }

  #cell(side, image, index) {
    const cell = document.createElement("button");
    cell.type = "button";
    cell.className = "cell";
    cell.image = image;
    cell.tabIndex = index ? -1 : 0; // one stop for Tab in each set; arrows walk inside it
    const img = new Image(GRID, GRID);
    img.alt = "";
    img.draggable = false;
    cell.append(img);
    cell.addEventListener("click", () => this.onEnlarge(side, index));
    return cell;
  }

  /** The name of a set as it stands now: Left and Right, or Upper and Lower. */
  nameOf(side) {
    return this.words[this.arrangement.sides][side];
  }

  describe(side, index) {
    return fill(this.words.image, { set: this.nameOf(side), n: index + 1, of: this.comparison[side].length });
  }

  focus(side, index) {
    this.#cellAt(side, index)?.focus();
  }

  #cellAt(side, index) {
    return this.groups[side === "left" ? 0 : 1]?.children[index];
  }

  /** Choose the grid for the room there is; the same for both sets. */
  fit() {
    const style = getComputedStyle(this.element);
    const inner = (whole, ...paddings) => whole - paddings.reduce((sum, name) => sum + parseFloat(style[name]), 0);
    // Before the first comparison the buttons get their words for a set of the usual size.
    const count = Math.max(...this.groups.map((group) => group.children.length), 0) || USUAL_COUNT;
    this.arrangement = arrange(count, {
      width: inner(this.element.clientWidth, "paddingLeft", "paddingRight"),
      height: inner(this.element.clientHeight, "paddingTop", "paddingBottom"),
      gap: parseFloat(style.getPropertyValue("--gap")),
      gutter: parseFloat(style.getPropertyValue("--gutter")),
    });
    const { columns, cell, sides, scrolls } = this.arrangement;
    document.body.dataset.sides = sides;
    this.element.dataset.scrolls = scrolls;
    this.element.style.setProperty("--columns", columns);
    this.element.style.setProperty("--cell", `${cell}px`);
    for (const group of this.groups) this.#name(group, cell);
  }

  #name(group, cell) {
    const { side } = group.dataset;
    group.setAttribute("aria-label", fill(this.words.set, { set: this.nameOf(side), of: group.children.length }));
    [...group.children].forEach((button, index) => {
      button.setAttribute("aria-label", this.describe(side, index));
      button.firstChild.sizes = `${cell}px`;
    });
  }

  /** Arrow keys inside a set move the focus from image to image. */
  walk(event) {
    const cell = event.target.closest(".cell");
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this.arrangement?.columns, ArrowDown: this.arrangement?.columns };
    if (!cell || !(event.key in steps) || event.altKey || event.ctrlKey || event.metaKey) return;
    const cells = [...cell.parentElement.children];
    const next = cells[cells.indexOf(cell) + steps[event.key]];
    event.preventDefault();
    if (!next) return;
    cell.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  }
}
