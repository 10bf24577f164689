// Requests to the server, and which failures mean that the connection or the server is down: those heal by waiting.

const LONGEST_REQUEST_MS = 15_000;

/** Null for what fetch says when no answer arrives, or our own deadline passes. Any other error is a fault of the page. */
function nullIfDown(error) {
  if (error instanceof TypeError || error.name === "AbortError") return null;
  throw error;
}

/**
 * Fetch, and read the answer by `read(response)`. Null if the server does not answer in time.
 *
 * Safari 15 has no `AbortSignal.timeout`. Whatever throws before the request is sent is a fault of the page.
 */
export async function reach(url, options, read = (response) => response) {
  const deadline = new AbortController();
  const request = new Request(url, { ...options, signal: deadline.signal });
  const timer = setTimeout(() => deadline.abort(), LONGEST_REQUEST_MS);
  try {
    const response = await fetch(request).catch(nullIfDown);
    return response && (await read(response));
  } finally {
    clearTimeout(timer);
  }
}

/** The JSON of an answer. Null if it breaks off, or if something between here and the server answered instead. */
export async function json(response) {
  const text = await response.text().catch(nullIfDown);
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
