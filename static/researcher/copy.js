// Buttons that copy a link or a text. Without a script they stay hidden, and the text can be selected.

const SAID_MS = 2000;

/** Copy the text of a field or an element, and say so on the button. */
async function copy(button) {
  const source = document.getElementById(button.dataset.of);
  const words = button.textContent;
  try {
    await navigator.clipboard.writeText(source.value ?? source.textContent);
    button.textContent = "Copied";
  } catch {
    // No permission, or no secure connection: select the text, so that the keyboard copies it.
    if (source.select) source.select();
    else getSelection().selectAllChildren(source);
    button.textContent = "Selected: copy it now";
  }
  setTimeout(() => (button.textContent = words), SAID_MS);
}

for (const button of document.querySelectorAll("button.copy")) {
  button.hidden = false;
  button.addEventListener("click", () => copy(button));
}
