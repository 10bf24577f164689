// A page that waits for the researcher loads itself again from time to time.
const { reloadSeconds } = document.querySelector("[data-reload-seconds]").dataset;
// Not reload(): after a form was sent, that would send it again.
setTimeout(() => location.replace(location.href), Number(reloadSeconds) * 1000);
