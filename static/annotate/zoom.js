// One image, large. Arrows walk through its set; Escape closes and the focus returns to the image last seen.

export class Zoom {
  constructor({ dialog, sets }) {
    this.dialog = dialog;
    this.sets = sets;
    this.title = dialog.querySelector("h2");
    this.img = dialog.querySelector("img");
    dialog.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
      if (step) this.step(step);
      if (step) event.preventDefault();
    });
    for (const button of dialog.querySelectorAll("[data-step]")) {
      button.addEventListener("click", () => this.step(Number(button.dataset.step)));
    }
    dialog.addEventListener("close", () => this.sets.focus(this.side, this.index));
    // A click beside the picture closes, as everywhere.
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

  step(by) {
    const count = this.sets.comparison[this.side].length;
    this.show((this.index + by + count) % count);
  }

  show(index) {
    this.index = index;
    const image = this.sets.comparison[this.side][index];
    const name = this.sets.describe(this.side, index);
    this.title.textContent = name;
    this.img.alt = name;
    // The small one stands in, enlarged, until the large one is there: the place never changes.
    this.img.src = image.grid2x;
    const large = new Image();
    large.src = image.zoom;
    large.decode().then(
      () => this.index === index && (this.img.src = image.zoom),
      () => {}, // the enlarged small one stays
    );
  }
}
