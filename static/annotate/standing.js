// The page's one word of state. Several things are true at once; the one that matters most is said.

import { fill } from "./words.js";

export class Standing {
  #facts = { waiting: 0, isOffline: false, isLoading: true, lookSeconds: 0, stopped: false, last: "" };

  constructor({ element, words }) {
    this.element = element;
    this.words = words;
  }

  /** Whether votes wait for the line. */
  get isOffline() {
    return this.#facts.isOffline;
  }

  /** Some of: waiting, isOffline, isLoading, lookSeconds, stopped, last (what became of the last vote). */
  set(facts) {
    Object.assign(this.#facts, facts);
    const text = this.#text();
    if (this.element.textContent !== text) this.element.textContent = text;
  }

  #text() {
    const { waiting, isOffline, isLoading, lookSeconds, stopped, last } = this.#facts;
    if (stopped) return this.words.stopped;
    if (isOffline) return waiting ? fill(this.words.offlineWaiting, { n: waiting }) : this.words.offline;
    if (lookSeconds) return fill(this.words.look, { n: lookSeconds });
    if (isLoading) return this.words.loading;
    if (waiting) return this.words.sending;
    return last;
  }
}
