// Getting one image onto the page for good: a line that is down is waited for, an image that fails is tried again.

import { reach } from "../requests.js";
import { patience } from "./outbox.js";

const PAUSES_BEFORE_TRIES_MS = [0, 1000, 3000];

/** An image that could not be loaded or decoded although the server answers. */
export class NotLoaded extends Error {}

/** Whether the server answers at all. */
export async function isServerThere() {
  const response = await reach(location.href, { method: "HEAD", cache: "no-store" });
  return response !== null && response.status < 500;
}

/** Load and decode, so that showing the image costs no further wait; three tries, then it rejects with `NotLoaded`. */
export async function load(img, { src, srcset }) {
  for (let tries = 0, waits = 0; tries < PAUSES_BEFORE_TRIES_MS.length; ) {
    await new Promise((resolve) => setTimeout(resolve, PAUSES_BEFORE_TRIES_MS[tries]));
    img.srcset = srcset;
    img.src = src;
    try {
      return await img.decode();
    } catch (error) {
      if (!(error instanceof DOMException)) throw error; // a fault of the page, not of the image
      img.removeAttribute("srcset");
      img.removeAttribute("src");
    }
    if (await isServerThere()) tries += 1;
    else await patience((waits += 1));
  }
  throw new NotLoaded(src);
}
