// One image, large. Arrow keys move through its set, F flickers between it and the next. Escape closes, and the focus
// returns to the last image.

import { sized } from "./sets.js";

const FLICKER_MS = 500; // one flash a second: below the three that can harm

export class Zoom {
  #timer = null;
  #isAway = false; // shows the next image
  #large = new Set(); // addresses of large images that are loaded

  /** `onReport(side, index)` gets the reported image, if the dialog has a button for reports. */
  constructor({ dialog, sets, onReport }) {
    this.dialog = dialog;
    this.sets = sets;
    this.title = dialog.querySelector("h2");
    this.img = dialog.querySelector("img");
    // On the window: after a click on the image the focus is outside the dialog, but the keys must still work.
    addEventListener("keydown", (event) => this.isOpen && this.#press(event));
    this.flickering = dialog.querySelector("[data-flicker]");
    this.flickering?.addEventListener("click", () => this.flicker());
    dialog.querySelector("[data-report]")?.addEventListener("click", () => {
      this.close();
      onReport(this.side, this.index);
    });
    for (const button of dialog.querySelectorAll("[data-step]")) {
      button.addEventListener("click", () => this.step(Number(button.dataset.step)));
    }
    dialog.addEventListener("close", () => {
      this.#still();
      this.sets.focus(this.side, this.index);
    });
    // A click beside the image closes the dialog.
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  }

  get isOpen() {
    return this.dialog.open;
  }

  open(side, index) {
    this.side = side;
    this.show(index);
    this.dialog.showModal();
  }

  close() {
    if (this.isOpen) this.dialog.close();
  }

  #press(event) {
    const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
    const isPlain = !event.altKey && !event.ctrlKey && !event.metaKey;
    if (step && isPlain) {
      event.preventDefault();
      this.step(step);
    }
    if (event.key.toLowerCase() === "f" && isPlain && !event.repeat) this.flicker();
    if (event.key === "Escape") this.close();
  }

  step(by) {
    this.#still();
    this.#move(by);
  }

  /** Alternate between this image and the next, to show what differs; one step per press if motion is reduced. */
  flicker() {
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return this.#alternate();
    if (this.#timer) return this.#still();
    this.flickering?.setAttribute("aria-pressed", "true");
    this.#timer = setInterval(() => this.#alternate(), FLICKER_MS);
  }

  #alternate() {
    this.#move(this.#isAway ? -1 : 1);
    this.#isAway = !this.#isAway;
  }

  #still() {
    clearInterval(this.#timer);
    this.#timer = null;
    this.#isAway = false;
    this.flickering?.setAttribute("aria-pressed", "false");
  }

  #move(by) {
    const count = this.sets.comparison[this.side].length;
    this.show((this.index + by + count) % count);
  }

  show(index) {
    this.index = index;
    const image = this.sets.comparison[this.side][index];
    const zoomed = sized(image, "zoom");
    const name = this.sets.describe(this.side, index);
    this.title.textContent = name;
    this.img.alt = name;
    // The small image, enlarged, until the large one is loaded: nothing moves.
    this.img.src = this.#large.has(zoomed) ? zoomed : sized(image, "grid2x");
    const large = new Image();
    large.src = zoomed;
    large.decode().then(
      () => {
        this.#large.add(zoomed);
        if (this.index === index) this.img.src = zoomed;
      },
      () => {}, // the small image stays
    );
  }
}
