// The comparisons that the server assigned and that this page has not shown yet.

export class Upcoming {
  #answer = null;
  #voted = new Set();
  #heldUntil = 0;
  #arrived = () => {};

  /** Take the latest answer of the server: a comparison with those held ahead, or wait, done, stopped. */
  update(answer) {
    this.#answer = answer;
    this.#heldUntil = Date.now() + (answer.ahead_seconds ?? 0) * 1000;
    this.#arrived();
  }

  /** Record that a vote on this comparison is being sent: it is not shown again. */
  voted(assignment) {
    this.#voted.add(assignment);
  }

  /** Record that its vote was undone: it may be shown again. */
  unvoted(assignment) {
    this.#voted.delete(assignment);
  }

  /** Return the first comparison without a vote, or the other answer; null until the server answers. */
  first() {
    if (this.#answer?.kind !== "comparison") return this.#answer;
    return this.#open()[0] ?? null;
  }

  /** Return the comparisons after the first. */
  ahead() {
    return this.#answer?.kind === "comparison" ? this.#open().slice(1) : [];
  }

  /** Resolve with the first as soon as it may be shown. */
  async next() {
    while (!this.#mayBeShown(this.first())) await new Promise((resolve) => (this.#arrived = resolve));
    return this.first();
  }

  #open() {
    return [this.#answer, ...this.#answer.ahead].filter((comparison) => !this.#voted.has(comparison.assignment));
  }

  // After its lease ends, another annotator may hold a comparison that was fetched ahead. Without a connection there is
  // nothing better to show.
  #mayBeShown(step) {
    return step && (step === this.#answer || Date.now() < this.#heldUntil || !navigator.onLine);
  }
}
