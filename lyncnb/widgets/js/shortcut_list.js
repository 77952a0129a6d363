// @ts-check
// The list of keys that "?" shows; the focus goes back to where it was.

const SHORTCUTS = [
  ["Arrows, Page Up, Page Down", "go from cell to cell; with Ctrl to the end"],
  ["Shift and an arrow, or drag", "choose a range of cells"],
  ["A letter", "type over the cell"],
  ["Enter or F2", "open the cell as it is"],
  ["Enter, Tab", "keep what was typed; go down, or to the right (with Shift back)"],
  ["Ctrl+Enter", "put what was typed into every cell of the range"],
  ["Alt+Enter", "begin a line in a cell of several values"],
  ["Escape", "leave the cell as it was"],
  ["Delete", "clear the cells of the range"],
  ["Ctrl+C, Ctrl+X, Ctrl+V", "copy, cut, paste cells, from and to Excel and LibreOffice too; rows beyond the last are added"],
  ["Ctrl+D", "fill the range down from its first row"],
  ["Space", "tick the server, or all of the range"],
  ["Ctrl+A", "choose every cell and tick every server that is shown"],
  ["Ctrl+Z, Ctrl+Y", "undo, redo"],
  ["On a heading: Enter, Shift+Enter", "sort by it; then by it"],
  ["On a heading: Alt+←, Alt+→", "make the column narrower, wider"],
  ["?", "this list"],
];

function makeShortcutList() {
  /** @type {Element | null} */
  let before = null;
  const dialog = h("dialog", { class: "lyncnb lc-shortcuts", "aria-label": "Keys of the plan editor" },
    table("Keys of the plan editor", ["Keys", "What they do"],
      SHORTCUTS.map(([keys, what]) => [h("kbd", {}, keys), what])),
    h("p", { class: "lc-hint" }, "Filter: words in any column; role:Edge in one; -site:Taipei for what is to "
      + "be missing; site:\"\" for blank cells."));
  dialog.append(button("Close", () => dialog.close()));
  dialog.addEventListener("close", () => {
    if (before instanceof HTMLElement) before.focus({ preventScroll: true });
  });
  dialog.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key !== "?" && event.key !== "Escape") return;
    event.preventDefault();
    dialog.close();
  });
  return {
    dialog,
    open() {
      before = document.activeElement;
      dialog.showModal();
    },
  };
}
