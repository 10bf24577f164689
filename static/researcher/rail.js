// On a narrow screen the rail is a strip: bring the current tab into it. The page itself does not move.

const tab = document.querySelector(".rail [aria-current]");
if (tab) tab.parentElement.scrollLeft = tab.offsetLeft - tab.parentElement.offsetLeft - 16;
