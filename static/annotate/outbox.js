// Votes that the server has not acknowledged yet. They outlive a reload, and go out oldest first, once.

import { json as jsonOf, reach } from "../requests.js";

const PAUSES_MS = [500, 1000, 2000, 4000, 8000];

/** A random id. crypto.randomUUID exists only on secure pages; a study on a local network may not be one. */
export function newId() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/** Wait for the time, or until the browser says that it is online again. */
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

/** Post JSON. A fault that may heal (no connection, 5xx, 408, 429) gives null; any other answer gives {ok, body}. */
export function post(url, json) {
  const options = {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: json,
    keepalive: true, // a closing tab does not take the vote with it
    credentials: "omit", // the link is the identity; a researcher's login has no business here
  };
  return reach(url, options, async (response) => {
    if (response.status >= 500 || response.status === 408 || response.status === 429) return null;
    const body = await jsonOf(response);
    return body && { ok: response.ok, body };
  });
}

/** Where votes wait: localStorage, or memory where the browser refuses it. */
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
 * The waiting votes of one annotator. Each has a key of its own, so that two tabs never overwrite each
 * other; the key starts with the time, so that sorting gives the order.
 */
export class Outbox {
  #kept = storage();

  #isSending = false;

  /**
   * `onChange` hears how many votes wait; `onAnswer` gets every acknowledgement, `onRefusal` the server's
   * sentence about a vote that it will never take; `wait(tries)` resolves when it is time for the next try.
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

  /** Send what waits until nothing waits, oldest first. A second call while it runs changes nothing. */
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
