// @ts-check
// Fields for a passphrase. The passphrase stays in its field until it is sent as a message. It is never
// in a model or a trait, so no notebook saves it.

/** @param {string} label @param {string} help @param {() => unknown} onEnter */
function secretField(label, help, onEnter) {
  const input = h("input", { type: "password", class: "lc-control", autocomplete: "new-password",
    spellcheck: false });
  input.onkeydown = (event) => {
    if (event.key === "Enter") {
      event.preventDefault(); // without this, Enter also presses the button that gets the focus
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
    // Returns the typed text and clears the field.
    take() {
      const typed = input.value;
      input.value = "";
      return typed;
    },
  };
}
