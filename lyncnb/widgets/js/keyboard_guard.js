// @ts-check
// The keys of a panel, which must not run the notebook's shortcuts.

/**
 * Jupyter's shortcuts act on the keys that a panel does not handle: "d d" on a focused list deletes
 * the cell, "b" adds one, and Shift+Enter runs the cell again and drops every edit. The notebook still
 * gets Escape, function keys, and Ctrl or Command with a letter that the panel does not use, such as S.
 * @param {HTMLElement} root
 */
function guardKeys(root) {
  const ours = new Set(["a", "c", "d", "v", "x", "y", "z", "enter", " ", "delete", "backspace"]);
  /** @param {KeyboardEvent} event */
  const passes = (event) => {
    const key = event.key.toLowerCase();
    const command = event.ctrlKey || event.metaKey || event.altKey;
    return key === "escape" || /^f\d+$/.test(key)
      || (command && !ours.has(key) && !key.startsWith("arrow"));
  };
  /**
   * Notebook 7 takes keys on their way down, before a panel sees them ("y", "i i", "l" …). The
   * attribute is Lumino's, which looks for it from the target upwards; the window comes before the
   * document that it listens on.
   * @param {KeyboardEvent} event
   */
  const mark = (event) => {
    if (!(event.target instanceof Element)) return;
    event.target.toggleAttribute("data-lm-suppress-shortcuts", !passes(event));
  };
  root.addEventListener("focusin", () => window.addEventListener("keydown", mark, true));
  root.addEventListener("focusout", () => window.removeEventListener("keydown", mark, true));
  root.addEventListener("keydown", (event) => { if (!passes(event)) event.stopPropagation(); });
  // After a key that JupyterLab gets, it waits for the field's input, and drops a line end in a cell.
  // The panel handles the key before the field, in the capture phase.
  root.addEventListener("beforeinput", (event) => event.stopPropagation(), true);
  // The notebook must not get copy and paste events of the panel.
  for (const kind of ["copy", "cut", "paste"]) {
    root.addEventListener(kind, (event) => event.stopPropagation());
  }
}
