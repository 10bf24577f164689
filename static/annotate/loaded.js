// The sentence that a page shows until its scripts run. It is in the page itself, and a style sheet shows it after a while.

const root = document.documentElement;
const lost = document.getElementById("lost");

/** Whether the style sheet is there: without it no two sets look equal. */
export const isStyled = () => getComputedStyle(root).getPropertyValue("--gap") !== "";

/** The page runs: the sentence goes, and what fails from now on is the page's own to say. */
export function up() {
  root.classList.add("up");
  lost.remove();
}

/** The page cannot go on: show it at once, with another sentence where there is one. */
export function broken(sentence) {
  if (sentence) lost.querySelector(".sentence").textContent = sentence;
  if (!lost.isConnected) document.body.append(lost);
  root.classList.add("broken");
}
