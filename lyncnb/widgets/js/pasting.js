// @ts-check
// Where the texts of a pasted block belong, and the question before a paste replaces servers.

// Entries of a list on several lines. LibreOffice Calc writes a blank for each line break.
const LISTED = /[^\s;,|]\s+[^\s;,|]/;

/** @typedef {{name: string, by: string}} Replacement */
/** @typedef {[label: string, act: () => void]} Answer */

/**
 * Finds the columns that the first row of a block names, or returns null if it is not a row of headings.
 * A single heading must be a title or a name in full, because other spellings may be texts of cells.
 * @param {string[][]} rows @param {ColumnFacts[]} known
 */
function readHeadings(rows, known) {
  const [first] = rows;
  const isSingle = first.length === 1;
  /** @type {Map<string, ColumnFacts[]>} */
  const byHeading = new Map();
  for (const column of known) {
    const spellings = [column.title, column.name, ...(isSingle ? [] : column.aliases ?? [])];
    for (const key of new Set(spellings.map(asHeading))) {
      byHeading.set(key, [...(byHeading.get(key) ?? []), column]);
    }
  }
  const candidates = first.map((cell) => byHeading.get(asHeading(cell)) ?? []);
  const named = new Set(candidates.flatMap((choices) => (choices.length === 1 ? choices : [])));
  const columns = candidates.map((choices) => (choices.length < 2 ? choices[0]
    : choices.find((column) => !named.has(column)) ?? choices[0]));
  const count = columns.filter(Boolean).length;
  const isHeadings = isSingle ? count === 1 && rows.length > 1
    : count > 1 && count * 2 > first.filter(Boolean).length;
  return isHeadings
    ? { columns, unknown: first.filter((cell, n) => cell && !columns[n]) } : null;
}

/**
 * Places the texts of a block in rows of the table, and in new rows.
 * @param {{rows: string[][], tall: number, wide: number, store: GridRows, said: string, key: string,
 *   columnAt: (c: number) => ColumnFacts | undefined,
 *   idOf: (r: number, values: Record<string, string>) => number | undefined}} parts
 *   `key` is the column that names a row. `idOf` returns the row for a row of the block, or undefined
 *   for a new row
 */
function placeBlock({ rows, tall, wide, store, said, key, columnAt, idOf }) {
  /** @type {Block} */
  const block = { cells: [], add: [], said };
  /** @type {Replacement[]} */
  const replaced = [];
  const width = Math.max(...rows.map((row) => row.length));
  for (let r = 0; r < tall; r++) {
    /** @type {Record<string, string>} */
    const values = {};
    for (let c = 0; c < wide; c++) {
      const column = columnAt(c);
      const text = rows[r % rows.length][c % width];
      if (text === undefined || !column?.editable) continue;
      values[column.name] = column.list && LISTED.test(text) ? listEntries(text).join(";") : text;
    }
    const id = idOf(r, values);
    if (id === undefined) {
      if (Object.values(values).some(Boolean)) block.add.push({ row: 0, values });
      continue;
    }
    const name = store.text(store.at(id) ?? id, key);
    const by = values[key] ?? name;
    if (name && by.toLowerCase() !== name.toLowerCase()) replaced.push({ name, by });
    for (const [column, text] of Object.entries(values)) block.cells.push({ row: id, column, text });
  }
  return { block, replaced };
}

/**
 * Finds the row of a server or pool by name. If the block or the table has several rows with this name,
 * the role decides.
 * @param {GridRows} store @param {string} key the column that names a row
 * @param {string[]} names the names in the block
 */
function findByName(store, key, names) {
  /** @type {Map<string, number[]>} */
  const places = new Map();
  for (let at = 0; at < store.size; at++) {
    const name = store.text(at, key).toLowerCase();
    places.set(name, [...(places.get(name) ?? []), at]);
  }
  const seen = new Set();
  const twice = new Set(names.filter((name) => seen.has(name) || !seen.add(name)));
  /** @param {number} _ @param {Record<string, string>} values */
  return (_, values) => {
    const name = (values[key] ?? "").toLowerCase();
    const matches = places.get(name) ?? [];
    const isSeveral = matches.length > 1 || twice.has(name);
    const at = isSeveral && values.role
      ? matches.find((candidate) => store.text(candidate, "role").toLowerCase() === values.role.toLowerCase())
      : matches[0];
    return at === undefined ? undefined : store.id(at);
  };
}

/** A question with buttons. Escape and the last button do nothing. */
function makeQuestion() {
  const title = h("h3", { class: "lc-title", id: unique("question") });
  const words = h("div", {});
  const buttons = h("div", { class: "lc-bar" });
  const dialog = h("dialog", { class: "lc-question", "aria-labelledby": title.id }, title, words, buttons);
  dialog.onkeydown = (event) => event.stopPropagation(); // JupyterLab would move the focus at Escape
  return {
    dialog,
    /**
     * @param {string} heading @param {string[]} lines
     * @param {Answer[]} answers the first one gets the focus
     * @param {() => void} after
     */
    ask(heading, lines, answers, after) {
      title.textContent = heading;
      words.replaceChildren(...lines.map((line) => h("p", {}, line)));
      buttons.replaceChildren(...[...answers, /** @type {Answer} */ (["Cancel", () => {}])]
        .map(([label, act], n) => button(label, () => {
          dialog.close();
          act();
        }, { class: n ? "lc-button" : "lc-button lc-primary" })));
      dialog.onclose = after;
      dialog.showModal();
    },
  };
}
