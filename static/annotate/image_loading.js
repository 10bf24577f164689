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

/** The browser keeps no cookie, so the server shows it no image. That is no fault of the image. */
export class NoCookie extends Error {}

/** Resolve with the status of the server's answer for an image; null without an answer. */
async function statusOf(address) {
  const response = await reach(address, { method: "HEAD", cache: "no-store" });
  return response && response.status;
}

/** Load and decode an image, so that it appears without delay. Reject with `NoCookie`, or `NotLoaded` after three tries. */
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
    const status = (await isServerThere()) ? await statusOf(failed) : 503; // 503: the images' storage is away
    if (status === 403) throw new NoCookie(src);
    if (status === 503) await patience((waits += 1));
    else tries += 1;
  }
  throw new NotLoaded(src);
}
