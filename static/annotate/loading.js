// Getting one image onto the page for good: a line that is down is waited for, an image that fails is tried again.

import { patience } from "./outbox.js";

const PAUSES_BEFORE_TRIES_MS = [0, 1000, 3000];

/** Whether the server answers at all. */
export async function isServerThere() {
  try {
    return (await fetch(location.href, { method: "HEAD", cache: "no-store" })).status < 500;
  } catch {
    return false;
  }
}

/** Load and decode, so that showing the image costs no further wait; three tries, then it rejects. */
export async function load(img, { src, srcset }) {
  for (let tries = 0, waits = 0; tries < PAUSES_BEFORE_TRIES_MS.length; ) {
    await new Promise((resolve) => setTimeout(resolve, PAUSES_BEFORE_TRIES_MS[tries]));
    img.srcset = srcset;
    img.src = src;
    try {
      return await img.decode();
    } catch {
      img.removeAttribute("srcset");
      img.removeAttribute("src");
    }
    if (await isServerThere()) tries += 1;
    else await patience((waits += 1));
  }
  throw new Error("image failed");
}
