// @ts-check
// New rows, which the user types, pastes or inserts. The last row of the table is always a blank one. A row
// is sent when it has every required text and the user leaves it. Until the kernel adds it, its ID is negative.

/** @typedef {{id: number, texts: Record<string, string>, before: number | null, sent: boolean,
 *    hidden: boolean, rejected: boolean}} NewRow `before` is the row below an inserted row, and `rejected`
 *    lasts until the user changes the row */

/** @param {GridRows} store which contains the texts */
function makeNewRows(store) {
  let last = 0;
  /** @type {Map<number, NewRow>} */
  const rows = new Map();
  /** @type {ColumnFacts[]} */
  let required = [];

  /** @param {NewRow} row */
  const isBlank = (row) => !Object.values(row.texts).some(Boolean);

  /** @param {Record<string, string>} texts @param {number | null} [before] */
  function open(texts, before = null) {
    const row = { id: --last, texts, before, sent: false, hidden: false, rejected: false };
    rows.set(row.id, row);
    store.drafts.set(row.id, texts);
    return row.id;
  }

  /** @param {number} id */
  function drop(id) {
    rows.delete(id);
    store.drafts.delete(id);
  }

  return {
    open,
    /** @param {ColumnFacts[]} columns */
    setColumns(columns) { required = columns.filter((column) => column.required); },
    /**
     * Puts the visible new rows among the rows of the table. Blank rows are removed, apart from the last
     * one and the active one.
     * @param {number[]} places of the rows of the table @param {number} [activeId]
     */
    putInto(places, activeId) {
      const waiting = [...rows.values()].filter((row) => row.before === null);
      const end = waiting[waiting.length - 1];
      for (const row of [...rows.values()]) {
        if (row !== end && isBlank(row) && (row.before === null || row.id !== activeId)) drop(row.id);
      }
      if (!end || !isBlank(end)) open({});
      const seen = [...rows.values()].filter((row) => !row.hidden);
      const inserted = seen.filter((row) => row.before !== null);
      const all = places.slice();
      for (const { id, before } of inserted) {
        const n = all.indexOf(store.at(before ?? 0) ?? NaN);
        all.splice(n < 0 ? all.length : n, 0, id);
      }
      return all.concat(seen.filter((row) => row.before === null).map((row) => row.id));
    },
    /** @param {number} id @param {string} name @param {string} text */
    set(id, name, text) {
      const row = rows.get(id);
      if (!row || row.sent) return;
      row.texts[name] = text;
      row.rejected = false;
    },
    /** @param {number} id */
    isSent: (id) => rows.get(id)?.sent ?? false,
    /**
     * The required columns that a row with other texts still needs.
     * @param {number} id
     */
    missing(id) {
      const row = rows.get(id);
      return row && !isBlank(row) ? required.filter((column) => !row.texts[column.name]) : [];
    },
    /**
     * Takes the complete rows to send. `except` is a row that the user is still typing.
     * @param {number} [except] @returns {BlockRow[]}
     */
    take(except) {
      const complete = [...rows.values()].filter((row) => !row.sent && !row.rejected
        && row.id !== except && !isBlank(row) && required.every((column) => row.texts[column.name]));
      for (const row of complete) row.sent = true;
      return complete.map((row) => ({ row: -row.id, values: row.texts, before: row.before }));
    },
    // The rows of the table have arrived, and include the rows that were sent.
    hideSent() { for (const row of rows.values()) row.hidden = row.sent; },
    /**
     * The kernel has answered about rows. Rejected rows stay, and the others are in the table. Rows of a
     * later block still wait for their answer.
     * @param {number[]} ids @param {number[]} refused the IDs of rejected rows
     */
    answered(ids, refused) {
      for (const row of [...rows.values()].filter((candidate) => ids.includes(candidate.id))) {
        row.sent = row.hidden = false;
        row.rejected = refused.includes(row.id);
        if (!row.rejected) drop(row.id);
      }
    },
    // The kernel accepted no row of the block.
    restore() { for (const row of rows.values()) row.sent = row.hidden = false; },
    /** Whether there are inserted rows, or rows with texts, that are not sent. */
    get isWaiting() { return [...rows.values()].some((row) => !row.sent && (row.before !== null || !isBlank(row))); },
    clear() { for (const id of [...rows.keys()]) drop(id); },
    drop,
  };
}
