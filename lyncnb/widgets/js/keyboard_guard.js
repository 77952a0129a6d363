// @ts-check
// Keys that are a panel's own: no shortcut of the notebook around it takes them.

/**
 * Jupyter's shortcuts act on keys that a panel lets through: "d d" on a focused list deletes the
 * cell, "b" adds one, Shift+Enter runs the cell again and with it drops every edit. What stays
 * free: Escape (back to the notebook), function keys, and Ctrl or Command with a letter that means
 * nothing here, such as S.
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
  // After a key that it was let see, JupyterLab waits for what it puts into a field, and drops a
  // line end in a cell. The panel comes before the field, on the way down.
  root.addEventListener("beforeinput", (event) => event.stopPropagation(), true);
  // Nor does the notebook take what is copied here or pasted here.
  for (const kind of ["copy", "cut", "paste"]) {
    root.addEventListener(kind, (event) => event.stopPropagation());
  }
}
