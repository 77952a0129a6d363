// @ts-check
// Rejected cells: the text stays in the cell, and the reason is shown next to it.

/** @typedef {{text: string, lines: string[], offers: string[], isOfTable?: boolean}} RefusedCell `isOfTable`
 *    is set if the table itself contains the text. Then the offers are other texts. */

/**
 * @param {{onClose: () => void, offerOf: (n: number, cell: CellName, text: string) => void,
 *    replaceText: (cell: CellName, text: string) => void}} actions
 */
function makeRefusedCells({ onClose, offerOf, replaceText }) {
  /** @type {Map<string, RefusedCell>} */
  const cells = new Map();
  /** The rejected cells of the table. They stay until the table changes.
   *  @type {Map<string, RefusedCell>} */
  let ofTable = new Map();
  /** @type {CellName | null} */
  let shown = null;
  const text = h("div", { role: "alert", class: "lc-alert" });
  const offers = h("span", {});
  const close = button("Close", () => {
    if (shown) forgive(...shown);
    onClose();
  }, { "aria-label": "Close this message and restore the cell", class: "lc-button lc-quiet" });
  const bubble = h("div", { class: "lc-bubble", id: unique("why"), hidden: true },
    h("div", { class: "lc-alert" }, text, offers), close);

  // If a press took the focus from an open cell, the message would move before the button is released.
  bubble.onmousedown = (event) => event.preventDefault();

  /** @param {number} id @param {string} name */
  const key = (id, name) => `${id} ${name}`;

  /** @param {number} id @param {string} name */
  function forgive(id, name) {
    cells.delete(key(id, name));
    if (shown && key(...shown) === key(id, name)) {
      bubble.hidden = true;
      shown = null;
      text.replaceChildren();
    }
  }

  return {
    bubble, forgive,
    get shown() { return shown; },
    get size() { return cells.size; },
    /** The IDs of rows with a rejected cell. */
    rows: () => [...cells.keys()].map((name) => Number(name.split(" ")[0])),
    /** @param {number} id @param {string} name */
    get: (id, name) => cells.get(key(id, name)) ?? ofTable.get(key(id, name)),
    /** @param {[CellName, RefusedCell][]} list the rejected cells of the table */
    keepTable(list) { ofTable = new Map(list.map(([cell, refused]) => [key(...cell), refused])); },
    /** @param {number} id @param {string} name @param {RefusedCell} cell */
    keep(id, name, cell) { cells.set(key(id, name), cell); },
    /** @param {number} id @param {string} name */
    show(id, name) {
      const cell = cells.get(key(id, name)) ?? ofTable.get(key(id, name));
      if (!cell) return;
      shown = [id, name];
      text.replaceChildren(...alertLines(cell.lines));
      offers.replaceChildren(...cell.offers.map((label, n) =>
        button(label, () => {
          if (cell.isOfTable) replaceText([id, name], label);
          else offerOf(n, [id, name], cell.text);
        }, { class: "lc-button lc-primary" })));
      bubble.hidden = false;
    },
    clear() {
      for (const name of [...cells.keys()]) cells.delete(name);
      if (shown) forgive(...shown);
    },
  };
}
