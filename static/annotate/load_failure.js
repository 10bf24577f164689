// The sentence that a page shows if it does not load completely. It is part of the page; the style sheet shows it after
// a while, so that it needs no script.

const root = document.documentElement;
const panel = document.getElementById("load-failure");

/** Whether both style sheets are loaded: without them two sets do not look equal. */
export const isStyled = () => ["--gap", "--ink"].every((name) => getComputedStyle(root).getPropertyValue(name) !== "");

/** The page runs: remove the sentence. From now on the page reports its own failures. */
export function up() {
  root.classList.add("up");
  panel.remove();
}

/** The page cannot go on: show the sentence at once, or another one if given. */
export function broken(sentence) {
  if (sentence) panel.querySelector(".sentence").textContent = sentence;
  if (!panel.isConnected) document.body.append(panel);
  root.classList.add("broken");
}
