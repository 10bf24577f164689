// The two sets on the page: their images, their grid, and whether every image is painted.

import { arrange } from "./grid.js";
import { NotLoaded, load } from "./image_loading.js";
import { fill } from "./strings.js";

const USUAL_COUNT = 20;
const GRID = 160;
const GRID_2X = 320;
const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));

/** Return the address of an image in a size: `grid`, `grid2x` or `zoom`. */
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

  constructor({ element, strings, onEnlarge, onFit = () => {} }) {
    this.element = element;
    this.strings = strings;
    this.onEnlarge = onEnlarge;
    this.onFit = onFit;
    this.groups = [];
    new ResizeObserver(() => this.fit()).observe(element);
    element.addEventListener("keydown", (event) => this.walk(event));
  }

  /**
   * Show a comparison. Resolve when every image is painted; reject with `ImageFailed` if one cannot be loaded.
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
    // Two frames: the images are painted in the first; the second begins after it.
    await frame();
    await frame();
  }

  /** Fetch the images of these comparisons in the size that the grid will need; drop all others fetched before. */
  prepare(comparisons) {
    const known = this.#prepared;
    this.#prepared = new Map(
      comparisons.map((comparison) => [
        comparison.assignment,
        known.get(comparison.assignment) ?? this.#build(comparison),
      ]),
    );
  }

  /** Resolve when the image is loaded. One that was fetched ahead and failed is loaded again now. */
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

  /** Remove the comparison. */
  clear() {
    this.groups = [];
    this.element.replaceChildren();
  }

  /** Return the size of image that the browser chose for the grid. */
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
    cell.tabIndex = index ? -1 : 0; // one stop for Tab in each set; arrow keys move inside it
    const img = new Image(GRID, GRID);
    img.alt = "";
    img.draggable = false;
    img.sizes = sizes; // set before the addresses, so that the browser fetches one size only
    cell.append(img);
    cell.loaded = load(img, sources(image));
    cell.loaded.catch(() => {}); // handled in `show` if the comparison is shown
    cell.addEventListener("click", () => this.onEnlarge(side, index));
    return cell;
  }

  /** Return the name of a set in the present grid: Left and Right, or Upper and Lower. */
  nameOf(side) {
    return this.strings[this.arrangement.sides][side];
  }

  describe(side, index) {
    return fill(this.strings.image, { set: this.nameOf(side), n: index + 1, of: this.comparison[side].length });
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

  /** Choose the grid for the available space; the same for both sets. */
  fit() {
    // Before the first comparison, the buttons get their labels for sets of the usual size.
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
    group.setAttribute("aria-label", fill(this.strings.set, { set: this.nameOf(side), of: group.children.length }));
    [...group.children].forEach((button, index) => {
      button.setAttribute("aria-label", this.describe(side, index));
      const [img] = button.children;
      if (img.sizes !== `${cell}px`) img.sizes = `${cell}px`; // setting it, even to the same value, makes the browser choose again
    });
  }

  /** Move the focus from image to image with the arrow keys. */
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
