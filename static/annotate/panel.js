// The panel in front of the sets: a sentence, and buttons for the possible actions.

export class Panel {
  constructor(element) {
    this.element = element;
    this.sentence = element.querySelector("p");
    this.buttons = [...element.querySelectorAll("[data-act]")];
  }

  get isOpen() {
    return !this.element.hidden;
  }

  close() {
    this.element.hidden = true;
  }

  /** Whether the panel shows this question, as `ask` returned it. */
  isAsking(asked) {
    return this.isOpen && asked === this.asked;
  }

  /** Close the panel if it still shows this question. */
  end(asked) {
    if (this.isAsking(asked)) this.close();
  }

  /** Show a sentence; resolve with the chosen one of the offered acts (`data-act`). */
  ask(text, acts) {
    this.sentence.textContent = text;
    for (const button of this.buttons) button.hidden = !acts.includes(button.dataset.act);
    this.element.hidden = false;
    this.asked = new Promise((resolve) => {
      for (const button of this.buttons) {
        button.onclick = () => {
          this.close();
          resolve(button.dataset.act);
        };
      }
    });
    return this.asked;
  }

  /** Choose "cancel" if it is offered. */
  cancel() {
    this.buttons.find((button) => !button.hidden && button.dataset.act === "cancel")?.click();
  }

  focus() {
    this.buttons.find((button) => !button.hidden)?.focus();
  }
}
