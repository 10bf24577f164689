// The two sets on the page: their images, their grid, and whether every image has been painted.

import { arrange } from "./arrangement.js";
import { NotLoaded, load } from "./loading.js";
import { fill } from "./words.js";

const USUAL_COUNT = 20;
const GRID = 160;
const GRID_2X = 320;
const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));

/** Where an image of this size is: `grid`, `grid2x` or `zoom`. */
export const sized = (image, size) => `${image}.${size}`;
const sources = (image) => {
  const [small, large] = [sized(image, "grid"), sized(image, "grid2x")];
  return { src: small, srcset: `${small} ${GRID}w, ${large} ${GRID_2X}w` };
};

/** An image that could not be loaded: the n-th (from 0) of a side. */
export class ImageFailed extends Error {
  constructor(side, n) {
    super(`image ${n} of the ${side} set could not be loaded`);
    Object.assign(this, { side, n });
  }
}

export class Sets {
  #prepared = new Map(); // assignment -> its two groups, not on the page yet

  constructor({ element, words, onEnlarge, onFit = () => {} }) {
    this.element = element;
    this.words = words;
    this.onEnlarge = onEnlarge;
    this.onFit = onFit;
    this.groups = [];
    new ResizeObserver(() => this.fit()).observe(element);
    element.addEventListener("keydown", (event) => this.walk(event));
  }

  /**
   * Put a comparison on the page. Resolves when every image is painted; rejects with `ImageFailed` when one
   * cannot be loaded.
   */
  async show(comparison) {
    const prepared = this.#prepared.get(comparison.assignment);
    this.#prepared.delete(comparison.assignment);
    this.comparison = comparison;
    this.groups = prepared ?? this.#build(comparison);
    this.fit();
    this.element.replaceChildren(...this.groups);
    this.element.scrollTop = 0;
    await Promise.all(this.#cells().map((cell) => this.#painted(cell, Boolean(prepared))));
    // Two frames: the first is the one that paints them, the second begins after it.
    await frame();
    await frame();
  }

  /** Fetch these comparisons' images in the size that the grid will need; forget all others fetched so far. */
  prepare(comparisons) {
    const known = this.#prepared;
    this.#prepared = new Map(
      comparisons.map((comparison) => [
        comparison.assignment,
        known.get(comparison.assignment) ?? this.#build(comparison),
      ]),
    );
  }

  /** What was fetched ahead and failed gets its tries again now that it is needed. */
  async #painted(cell, isAgain) {
    const [img] = cell.children;
    try {
      await cell.loaded.catch((error) => (isAgain ? load(img, sources(cell.image)) : Promise.reject(error)));
    } catch (error) {
      if (!(error instanceof NotLoaded)) throw error;
      throw new ImageFailed(cell.parentElement.dataset.side, [...cell.parentElement.children].indexOf(cell));
    }
  }

  #build(comparison) {
    const sides = ["left", "right"];
    const { cell } = this.#arrangementOf(Math.max(...sides.map((side) => comparison[side].length)));
    return sides.map((side) => this.#group(side, comparison[side], `${cell}px`));
  }

  /** No comparison on the page. */
  clear() {
    this.groups = [];
    this.element.replaceChildren();
  }

  /** Which size of image the browser chose for the grid. */
  rendition() {
    const isLarge = this.#cells().some((cell) => cell.firstChild.currentSrc.endsWith(sized(cell.image, "grid2x")));
    return isLarge ? "grid2x" : "grid";
  }

  #cells() {
    return this.groups.flatMap((group) => [...group.children]);
  }

  #group(side, images, sizes) {
    const group = document.createElement("div");
    group.className = "set";
    group.dataset.side = side;
    group.setAttribute("role", "group");
    group.append(...images.map((image, index) => this.#cell(side, image, index, sizes)));
    return group;
  }

  #cell(side, image, index, sizes) {
    const cell = document.createElement("button");
    cell.type = "button";
    cell.className = "cell";
    cell.image = image;
    cell.tabIndex = index ? -1 : 0; // one stop for Tab in each set; arrows walk inside it
    const img = new Image(GRID, GRID);
    img.alt = "";
    img.draggable = false;
    img.sizes = sizes; // before its addresses, so that the browser fetches one size only
    cell.append(img);
    cell.loaded = load(img, sources(image));
    cell.loaded.catch(() => {}); // heard in `show`, if it comes to that
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

  #arrangementOf(count) {
    const style = getComputedStyle(this.element);
    const inner = (whole, ...paddings) => whole - paddings.reduce((sum, name) => sum + parseFloat(style[name]), 0);
    return arrange(count, {
      width: inner(this.element.clientWidth, "paddingLeft", "paddingRight"),
      height: inner(this.element.clientHeight, "paddingTop", "paddingBottom"),
      gap: parseFloat(style.getPropertyValue("--gap")),
      gutter: parseFloat(style.getPropertyValue("--gutter")),
    });
  }

  /** Choose the grid for the room there is; the same for both sets. */
  fit() {
    // Before the first comparison the buttons get their words for a set of the usual size.
    const count = Math.max(...this.groups.map((group) => group.children.length), 0) || USUAL_COUNT;
    this.arrangement = this.#arrangementOf(count);
    const { columns, cell, sides, scrolls } = this.arrangement;
    document.body.dataset.sides = sides;
    this.element.dataset.scrolls = scrolls;
    this.element.style.setProperty("--columns", columns);
    this.element.style.setProperty("--cell", `${cell}px`);
    for (const group of this.groups) this.#name(group, cell);
    this.onFit();
  }

  #name(group, cell) {
    const { side } = group.dataset;
    group.setAttribute("aria-label", fill(this.words.set, { set: this.nameOf(side), of: group.children.length }));
    [...group.children].forEach((button, index) => {
      button.setAttribute("aria-label", this.describe(side, index));
      const [img] = button.children;
      if (img.sizes !== `${cell}px`) img.sizes = `${cell}px`; // setting it, even to the same, looks for the image again
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
