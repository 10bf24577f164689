// The page's status in one word. Several facts are true at once; the most important one is shown.

import { fill } from "./strings.js";

export class Status {
  #facts = { waiting: 0, isOffline: false, isLoading: true, lookSeconds: 0, stopped: false, last: "" };

  constructor({ element, strings }) {
    this.element = element;
    this.strings = strings;
  }

  /** Whether votes wait for the connection. */
  get isOffline() {
    return this.#facts.isOffline;
  }

  /** Set some of: waiting, isOffline, isLoading, lookSeconds, stopped, last (the result of the last vote). */
  set(facts) {
    Object.assign(this.#facts, facts);
    const text = this.#text();
    if (this.element.textContent !== text) this.element.textContent = text;
  }

  #text() {
    const { waiting, isOffline, isLoading, lookSeconds, stopped, last } = this.#facts;
    if (stopped) return this.strings.stopped;
    if (isOffline) return waiting ? fill(this.strings.offlineWaiting, { n: waiting }) : this.strings.offline;
    if (lookSeconds) return fill(this.strings.look, { n: lookSeconds });
    if (isLoading) return this.strings.loading;
    if (waiting) return this.strings.sending;
    return last;
  }
}
