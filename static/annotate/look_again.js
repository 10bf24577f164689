// A page that waits for the researcher looks again by itself.
const { lookAgainSeconds } = document.querySelector("[data-look-again-seconds]").dataset;
// Not reload(): that would send a form again.
setTimeout(() => location.replace(location.href), Number(lookAgainSeconds) * 1000);
