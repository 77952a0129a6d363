// Fields for a passphrase: it stays in its field until it is sent, goes as a message, and is in no
// model and no trait. Nothing of it is saved, whatever the notebook saves.

function secretField(label, help, onEnter) {
  const input = h("input", { type: "password", class: "lc-control", autocomplete: "new-password",
    spellcheck: false });
  input.onkeydown = (event) => {
    if (event.key === "Enter") onEnter();
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
