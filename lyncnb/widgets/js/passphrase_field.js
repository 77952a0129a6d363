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
