// On a page after the comparisons: while the last vote may be undone, the key U and the browser's Back undo it, too.

const form = document.getElementById("undo");

if (form) {
  let isOver = false;
  const undo = () => isOver || form.querySelector("button").click(); // Safari 15 has no requestSubmit
  addEventListener("keydown", (event) => {
    const isPlain = !event.repeat && !event.altKey && !event.ctrlKey && !event.metaKey;
    const isTyping = event.target.matches?.("input, textarea, select");
    if (event.key.toLowerCase() === "u" && isPlain && !isTyping) undo();
  });
  history.pushState("undo", "");
  addEventListener("popstate", undo);
  setTimeout(() => {
    isOver = true;
    form.classList.add("absent"); // it keeps its space: nothing moves
  }, Number(form.dataset.seconds) * 1000);
}
// The Back button restores an old state of the page: reload it.
addEventListener("pageshow", (event) => event.persisted && location.reload());
