// Votes that the server has not acknowledged yet. They survive a reload, and are sent oldest first, once.

import { json as jsonOf, reach } from "../requests.js";

const PAUSES_MS = [500, 1000, 2000, 4000, 8000];

/** Return a random id. crypto.randomUUID exists only on secure pages; a study on a local network may have none. */
export function newId() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/** Resolve after a pause, or as soon as the browser is online again. */
export function patience(tries) {
  const ms = PAUSES_MS[Math.min(tries, PAUSES_MS.length - 1)];
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      removeEventListener("online", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    addEventListener("online", done);
  });
}

/** Post JSON. Resolve with null after a temporary failure (no connection, 5xx, 408, 429), else with {ok, body}. */
export function post(url, json) {
  const options = {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: json,
    keepalive: true, // so that closing the tab does not lose the vote
    credentials: "omit", // the link identifies the annotator; a researcher's login must not be sent
  };
  return reach(url, options, async (response) => {
    if (response.status >= 500 || response.status === 408 || response.status === 429) return null;
    const body = await jsonOf(response);
    return body && { ok: response.ok, body };
  });
}

/** Return the storage of waiting votes: localStorage, or memory if the browser refuses it. */
function storage() {
  try {
    localStorage.setItem("semblance", "");
    localStorage.removeItem("semblance");
    return localStorage;
  } catch {
    const kept = new Map();
    return {
      getItem: (key) => kept.get(key) ?? null,
      setItem: (key, value) => kept.set(key, value),
      removeItem: (key) => kept.delete(key),
      key: (index) => [...kept.keys()][index] ?? null,
      get length() {
        return kept.size;
      },
    };
  }
}

/**
 * The waiting votes of one annotator. Each has its own key, so that two tabs never overwrite each other. The key starts
 * with the time, so that sorting gives the order.
 */
export class Outbox {
  #kept = storage();

  #isSending = false;

  /**
   * `onChange` gets the number of waiting votes, `onAnswer` each acknowledgement, `onRefusal` the server's reason for
   * refusing a vote for good; `wait(tries)` resolves when the next try is due.
   */
  constructor({ url, onChange, onAnswer, onRefusal, wait = patience }) {
    this.url = url;
    this.prefix = `semblance vote ${url} `;
    Object.assign(this, { onChange, onAnswer, onRefusal, wait });
  }

  get isEmpty() {
    return this.keys().length === 0;
  }

  keys() {
    const all = Array.from({ length: this.#kept.length }, (_, index) => this.#kept.key(index));
    return all.filter((key) => key?.startsWith(this.prefix)).sort();
  }

  add(vote) {
    const time = String(Date.now()).padStart(15, "0");
    this.#kept.setItem(`${this.prefix}${time} ${vote.vote_id}`, JSON.stringify(vote));
  }

  /** Send the waiting votes, oldest first, until none is left. A second call while it runs does nothing. */
  async drain() {
    if (this.#isSending) return;
    this.#isSending = true;
    let tries = 0;
    for (let [key] = this.keys(); key; [key] = this.keys()) {
      this.onChange({ waiting: this.keys().length, isOffline: tries > 0 });
      const vote = this.#kept.getItem(key);
      if (!vote) continue; // another tab has sent it
      const answer = await post(this.url, vote);
      if (answer) {
        this.#kept.removeItem(key);
        if (answer.ok) this.onAnswer(answer.body);
        else this.onRefusal(answer.body.message);
        tries = 0;
      } else {
        this.onChange({ waiting: this.keys().length, isOffline: true });
        await this.wait(tries);
        tries += 1;
      }
    }
    this.#isSending = false;
    this.onChange({ waiting: 0, isOffline: false });
  }
}
