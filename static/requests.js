// Requests to the server. A failure that means that the connection or the server is down gives null: try again later.

const LONGEST_REQUEST_MS = 15_000;

/** Return null for an error of fetch without an answer or after our deadline. Other errors are faults of the page. */
function nullIfDown(error) {
  if (error instanceof TypeError || error.name === "AbortError") return null;
  throw error;
}

/**
 * Fetch, and read the answer with `read(response)`. Return null if the server does not answer in time.
 *
 * Safari 15 has no `AbortSignal.timeout`. An error before the request is sent is a fault of the page.
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

/** Return the JSON of an answer; null if it is cut off, or if a proxy answered instead of the server. */
export async function json(response) {
  const text = await response.text().catch(nullIfDown);
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
