// Loading one image: if the connection or the images' storage is down, wait for it; if the image fails, try again.

import { reach } from "../requests.js";
import { patience } from "./outbox.js";

const PAUSES_BEFORE_TRIES_MS = [0, 1000, 3000];

/** An image that could not be loaded or decoded although the server answers. */
export class NotLoaded extends Error {}

/** Resolve with true if the server answers. */
export async function isServerThere() {
  const response = await reach(location.href, { method: "HEAD", cache: "no-store" });
  return response !== null && response.status < 500;
}

/** Resolve with true if the storage of the images is away: the server answers 503 for this one, and no other fault. */
async function isStorageAway(address) {
  const response = await reach(address, { method: "HEAD", cache: "no-store" });
  return response !== null && response.status === 503;
}

/** Load and decode an image, so that it appears without delay. Reject with `NotLoaded` after three tries. */
export async function load(img, { src, srcset }) {
  for (let tries = 0, waits = 0; tries < PAUSES_BEFORE_TRIES_MS.length; ) {
    await new Promise((resolve) => setTimeout(resolve, PAUSES_BEFORE_TRIES_MS[tries]));
    let failed;
    img.srcset = srcset;
    img.src = src;
    try {
      return await img.decode();
    } catch (error) {
      if (!(error instanceof DOMException)) throw error; // a fault of the page, not of the image
      failed = img.currentSrc || src;
      img.removeAttribute("srcset");
      img.removeAttribute("src");
    }
    if ((await isServerThere()) && !(await isStorageAway(failed))) tries += 1;
    else await patience((waits += 1));
  }
  throw new NotLoaded(src);
}
