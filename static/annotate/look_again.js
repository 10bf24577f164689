// A page that waits for the researcher looks again by itself.
const { lookAgainSeconds } = document.querySelector("[data-look-again-seconds]").dataset;
setTimeout(() => location.reload(), Number(lookAgainSeconds) * 1000);
