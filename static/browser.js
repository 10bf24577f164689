// A script for any browser, however old: it reports a browser that is too old for the comparisons, and parts of the page
// that did not load. It is not a module, and it uses nothing newer than 2011.

(function () {
  var root = document.documentElement;

  function isNewEnough() {
    return Boolean(
      "noModule" in document.createElement("script") &&
        window.AbortController &&
        window.ResizeObserver &&
        window.HTMLDialogElement &&
        root.replaceChildren &&
        window.CSS &&
        CSS.supports("height", "100dvh") // with it come Safari 15.4, Firefox 101 and Chrome 108
    );
  }

  // True for a script or style sheet that did not load, and for a script that this browser cannot parse or run. Faults
  // of a browser extension have another address.
  function isOurs(event) {
    if (event.target !== window) return event.target.nodeName === "SCRIPT" || event.target.rel === "stylesheet";
    return Boolean(event.filename) && event.filename.indexOf(location.protocol + "//" + location.host + "/") === 0;
  }

  window.addEventListener(
    "error",
    function (event) {
      if (isOurs(event) && (" " + root.className + " ").indexOf(" up ") < 0) root.className += " broken";
    },
    true
  );

  document.addEventListener("DOMContentLoaded", function () {
    var sentence = document.getElementById("too-old");
    if (!sentence || isNewEnough()) return;
    sentence.removeAttribute("hidden");
    root.className += " too-old";
  });
})();
