// @ts-check
// The list of keyboard shortcuts that "?" shows. When the list closes, the focus returns.

const SHORTCUTS = [
  ["Arrows, Page Up, Page Down", "move between cells; with Ctrl, move to the end"],
  ["Shift and an arrow, or drag", "select a range of cells"],
  ["A letter", "replace the text of the cell"],
  ["Enter or F2", "edit the text of the cell; F2 puts the caret at its end"],
  ["Enter, Tab", "save the cell, and move down or right; with Shift, move up or left"],
  ["Tab", "move to the next cell; press Escape first to leave the table"],
  ["Alt+↓", "open the list of a cell with choices; letters select, and Enter saves"],
  ["In the last, blank row", "type or paste new servers; a server is added when you leave its row"],
  ["Ctrl+Enter", "save the text in every cell in the range"],
  ["Alt+Enter", "begin a new line in a cell with several values"],
  ["Escape", "discard the edit of the cell"],
  ["Delete", "clear the cells in the range"],
  ["Ctrl+C, Ctrl+X, Ctrl+V", "copy, cut or paste cells, also from and to Excel and LibreOffice; a row of headings assigns the columns"],
  ["Ctrl+D", "copy the first row of the range to its other rows"],
  ["Drag the corner of a range", "repeat its rows in the rows below"],
  ["Ctrl+click", "select a further range of cells"],
  ["Ctrl+Space, Shift+Space", "select the whole columns or rows of the range"],
  ["Space", "select the server, or all servers in the range"],
  ["Ctrl+A", "select every cell and every server that is shown"],
  ["Ctrl++, Ctrl+−", "insert a row above; remove the servers in the range"],
  ["Ctrl+F", "find a text; Enter goes to its cell"],
  ["Right-click, Shift+F10", "open the menu of the table"],
  ["Ctrl+Z, Ctrl+Y", "undo or redo; rejected texts are removed first"],
  ["On a heading: Enter, Shift+Enter", "sort by this column; sort by this column second"],
  ["On a heading: Alt+←, Alt+→", "make the column narrower or wider"],
  ["On a heading: Alt+Enter, or double-click its edge", "fit the column to its texts"],
  ["?", "show this list"],
];

function makeShortcutList() {
  /** @type {Element | null} */
  let before = null;
  const dialog = h("dialog", { class: "lyncnb lc-shortcuts", "aria-label": "Keyboard shortcuts of the plan editor" },
    table("Keyboard shortcuts of the plan editor", ["Keys", "Action"],
      SHORTCUTS.map(([keys, what]) => [h("kbd", {}, keys), what])),
    h("p", { class: "lc-hint" }, "In the filter, enter words to search all columns, role:Edge to search one column, "
      + "-site:Taipei to exclude Taipei, or site:\"\" to find blank cells."));
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
