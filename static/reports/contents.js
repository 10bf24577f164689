// Mark the chapter that is being read in the contents, and open the fold that holds the target of a link.
// Without this module the links work, and a reader opens the folds.

const links = new Map();
for (const link of document.querySelectorAll(".contents a")) {
  const chapter = document.getElementById(link.hash.slice(1));
  if (chapter) links.set(chapter, link);
}
const chapters = [...links.keys()];
const last = chapters[chapters.length - 1];
const seen = new Set();
let isAtEnd = false; // the last chapter is whole on the screen: it may be too short to reach the upper part

function mark() {
  const current = isAtEnd ? last : chapters.find((chapter) => seen.has(chapter));
  if (!current) return;
  for (const [chapter, link] of links) {
    if (chapter === current) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}

const watcher = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) seen.add(target);
      else seen.delete(target);
    }
    mark();
  },
  { rootMargin: "-10% 0px -60% 0px" },
);
for (const chapter of chapters) watcher.observe(chapter);

const end = new IntersectionObserver(
  (entries) => {
    isAtEnd = entries[entries.length - 1].intersectionRatio >= 0.99;
    mark();
  },
  { threshold: [0, 0.99] },
);
if (last) end.observe(last);

function unfold() {
  const target = document.getElementById(location.hash.slice(1));
  if (!target) return;
  for (let fold = target.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
  target.scrollIntoView();
}
addEventListener("hashchange", unfold);
unfold();
