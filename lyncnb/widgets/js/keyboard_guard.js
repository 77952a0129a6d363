// @ts-check
// Prevents keys that are pressed in a panel from running the notebook's shortcuts.

/**
 * Jupyter's shortcuts act on the keys that a panel does not handle: "d d" on a focused list deletes
 * the cell, "b" adds one, and Shift+Enter runs the cell again and drops every edit. The notebook still
 * gets Escape, function keys, and Ctrl or Command with a letter that the panel does not use, such as S.
 * @param {HTMLElement} root
 */
function guardKeys(root) {
  const ours = new Set(["a", "c", "d", "v", "x", "y", "z", "enter", " ", "delete", "backspace"]);
  const ofTable = new Set(["f", "+", "=", "-"]); // Ctrl+F finds, and the others add and remove rows
  /** @param {KeyboardEvent} event */
  const passes = (event) => {
    const key = event.key.toLowerCase();
    const command = event.ctrlKey || event.metaKey || event.altKey;
    const inTable = event.target instanceof Element && event.target.matches("[role=grid]");
    return key === "escape" || /^f\d+$/.test(key)
      || (command && !ours.has(key) && !key.startsWith("arrow") && !(inTable && ofTable.has(key)));
  };
  /**
   * Notebook 7 handles keys such as "y" and "l" in the capture phase, before a panel gets them. Lumino
   * ignores a key if the target or a parent has this attribute. Lumino listens on the document, so
   * this listener is on the window, which comes first.
   * @param {KeyboardEvent} event
   */
  const mark = (event) => {
    if (!(event.target instanceof Element)) return;
    event.target.toggleAttribute("data-lm-suppress-shortcuts", !passes(event));
  };
  root.addEventListener("focusin", () => window.addEventListener("keydown", mark, true));
  root.addEventListener("focusout", () => window.removeEventListener("keydown", mark, true));
  root.addEventListener("keydown", (event) => { if (!passes(event)) event.stopPropagation(); });
  // After a key event, JupyterLab waits for input in the field, and removes a line break from a cell.
  // The capture phase stops the input event before JupyterLab gets it.
  root.addEventListener("beforeinput", (event) => event.stopPropagation(), true);
  // The notebook must not get copy and paste events from the panel.
  for (const kind of ["copy", "cut", "paste"]) {
    root.addEventListener(kind, (event) => event.stopPropagation());
  }
}
