// The panel in front of the sets: a sentence, and buttons for what can be done about it.

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

  /** Whether this question, as `ask` returned it, is on the panel. */
  isAsking(asked) {
    return this.isOpen && asked === this.asked;
  }

  /** Close it if this question is still on it. */
  end(asked) {
    if (this.isAsking(asked)) this.close();
  }

  /** Say it; resolves with the act (`data-act`) that was chosen among those offered. */
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

  /** As if "cancel" had been chosen, where it is offered. */
  cancel() {
    this.buttons.find((button) => !button.hidden && button.dataset.act === "cancel")?.click();
  }

  focus() {
    this.buttons.find((button) => !button.hidden)?.focus();
  }
}
