// On the page after the last comparison: while the last vote may be undone, the key U and the browser's Back do it, too.

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
    form.classList.add("absent"); // its place is kept: nothing moves
  }, Number(form.dataset.seconds) * 1000);
}
// Coming back with the Back button restores the page as it was left: ask the server where the annotator stands.
addEventListener("pageshow", (event) => event.persisted && location.reload());
