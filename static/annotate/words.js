// The page's sentences come from the server, translated; what changes in them is filled in here.

/** Put `values` into the places of a sentence that are written {like} this. */
export const fill = (sentence, values) => sentence.replace(/\{(\w+)\}/g, (_, name) => values[name]);
