// @ts-check
// Fields for a passphrase: it stays in its field until it is sent, goes as a message, and is in no
// model and no trait. Nothing of it is saved, whatever the notebook saves.

/** @param {string} label @param {string} help @param {() => unknown} onEnter */
function secretField(label, help, onEnter) {
  const input = h("input", { type: "password", class: "lc-control", autocomplete: "new-password",
    spellcheck: false });
  input.onkeydown = (event) => {
    if (event.key === "Enter") {
      event.preventDefault(); // or the button that gets the focus meanwhile is pressed by it
      onEnter();
    }
    if (event.key === "Escape" && input.value) {
      input.value = "";
      event.stopPropagation();
    }
  };
  return {
    input,
    field: labelled(label, input, help),
    // Gives what was typed and forgets it.
    take() {
      const typed = input.value;
      input.value = "";
      return typed;
    },
  };
}

// Random bytes that cover an answer on its way, so that no log of messages shows it.
/** @param {Uint8Array} bytes */
const hex = (bytes) => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
const newPad = () => crypto.getRandomValues(new Uint8Array(64));
/** @param {string} text @param {Uint8Array} pad */
function uncovered(text, pad) {
  const bytes = Uint8Array.from(text.match(/../g) || [], (pair, n) => parseInt(pair, 16) ^ pad[n]);
  return new TextDecoder().decode(bytes);
}
