// A script for any browser, however old: it says when the browser cannot do what the comparisons need, and when a
// part of the page did not load. It is no module, and it uses nothing that is newer than 2011.

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

  // A script or a style sheet that did not arrive, or a script that this browser cannot read or run. What a browser
  // extension does wrong has another address.
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
