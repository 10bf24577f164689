// The server sends the page's texts translated; their values are filled in here.

/** Return the text with `values` in place of {names}. */
export const fill = (sentence, values) => sentence.replace(/\{(\w+)\}/g, (_, name) => values[name]);
