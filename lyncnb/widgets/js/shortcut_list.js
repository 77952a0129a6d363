// @ts-check
// The list of keyboard shortcuts that "?" shows. When the list closes, the focus returns.

const SHORTCUTS = [
  ["Arrow keys, Page Up, Page Down", "move between cells, or with Ctrl, move to the last cell in this direction"],
  ["Shift+arrow key, or drag", "select a range of cells"],
  ["A letter", "replace the text of the cell"],
  ["Enter or F2", "edit the text in the cell; F2 moves the cursor to the end of the text"],
  ["Enter, Tab", "save the cell and move down or right; with Shift, move up or left"],
  ["Tab", "move to the next cell; press Escape first to leave the table"],
  ["Alt+↓", "open the list of choices in the cell; type letters to select a choice, and press Enter to save"],
  ["In the blank row at the end", "type or paste new servers; lyncnb adds a server when you leave the row"],
  ["Ctrl+Enter", "enter the same text in every cell in the range"],
  ["Alt+Enter", "begin a new line in a cell with several values"],
  ["Escape", "discard the edit of the cell"],
  ["Delete", "clear the cells in the range"],
  ["Ctrl+C, Ctrl+X, Ctrl+V", "copy, cut or paste cells, also between lyncnb and Excel or LibreOffice; if you paste headings, lyncnb uses them to find the columns"],
  ["Ctrl+D", "copy the first row of the range to the other rows in the range"],
  ["Drag the corner of a range", "copy the rows in the range to the rows below"],
  ["Ctrl+click", "select an additional range of cells"],
  ["Ctrl+Space, Shift+Space", "select the entire columns or rows of the range"],
  ["Space", "select the server, or all servers in the range"],
  ["Ctrl+A", "select every cell and every server that is shown"],
  ["Ctrl++, Ctrl+−", "insert a row above, or remove the servers in the range"],
  ["Ctrl+F", "find text; press Enter to go to the cell"],
  ["Right-click, Shift+F10", "open the menu of the table"],
  ["Ctrl+Z, Ctrl+Y", "undo or redo; the first undo removes rejected text"],
  ["On a heading: Enter, Shift+Enter", "sort by this column, or make it the second sort key"],
  ["On a heading: Alt+←, Alt+→", "make the column narrower or wider"],
  ["On a heading: Alt+Enter, or double-click its edge", "fit the column width to the content"],
  ["?", "show this list"],
];

function makeShortcutList() {
  /** @type {Element | null} */
  let before = null;
  const dialog = h("dialog", { class: "lyncnb lc-shortcuts", "aria-label": "Keyboard shortcuts of the plan editor" },
    table("Keyboard shortcuts of the plan editor", ["Keys", "Action"],
      SHORTCUTS.map(([keys, what]) => [h("kbd", {}, keys), what])),
    h("p", { class: "lc-hint" }, "In the filter, enter words to search all columns, role:Edge to search one column, -site:Taipei to exclude Taipei, "
      + "or site:\"\" to find blank cells."));
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
