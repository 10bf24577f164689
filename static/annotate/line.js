// What the server said comes next, as far as this page still has to show it.

export class Line {
  #answer = null;
  #voted = new Set();
  #heldUntil = 0;
  #arrived = () => {};

  /** The server's latest word: a comparison with what is held ahead, or wait, done, stopped. */
  update(answer) {
    this.#answer = answer;
    this.#heldUntil = Date.now() + (answer.ahead_seconds ?? 0) * 1000;
    this.#arrived();
  }

  /** A vote on this comparison is on its way, so it is not shown again. */
  voted(assignment) {
    this.#voted.add(assignment);
  }

  /** It may be shown again: its vote was undone. */
  unvoted(assignment) {
    this.#voted.delete(assignment);
  }

  /** The first that this page has not voted on; null while the server has not said. */
  first() {
    if (this.#answer?.kind !== "comparison") return this.#answer;
    return this.#open()[0] ?? null;
  }

  /** What follows the first. */
  ahead() {
    return this.#answer?.kind === "comparison" ? this.#open().slice(1) : [];
  }

  /** The first, as soon as it may be shown. */
  async next() {
    while (!this.#mayBeShown(this.first())) await new Promise((resolve) => (this.#arrived = resolve));
    return this.first();
  }

  #open() {
    return [this.#answer, ...this.#answer.ahead].filter((comparison) => !this.#voted.has(comparison.assignment));
  }

  // After the lease somebody else may hold what was fetched ahead; without a line there is nothing better to show.
  #mayBeShown(step) {
    return step && (step === this.#answer || Date.now() < this.#heldUntil || !navigator.onLine);
  }
}
