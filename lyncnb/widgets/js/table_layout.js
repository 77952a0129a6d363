// @ts-check
// The layout of the table: visible columns, column widths, the sort order, and the frozen server column.
// The browser keeps the layout across reloads and new kernels. The layout contains only the names of the
// table and of its columns. The sort order applies only to this table.

const LAYOUT_KEY = "lyncnb-editor-layout";

/** @param {ColumnFacts[]} columns @param {string} source @returns {Layout} */
function usualLayout(columns, source) {
  return { shown: columns.filter((column) => column.shown).map((column) => column.name),
    widths: {}, sorts: [], frozen: true, source };
}

/** @param {ColumnFacts[]} columns @param {string} source of the table @returns {Layout} */
function keptLayout(columns, source) {
  const usual = usualLayout(columns, source);
  try {
    /** @type {Layout} */
    const kept = { ...usual, ...JSON.parse(localStorage.getItem(LAYOUT_KEY) ?? "{}") };
    const known = new Set(columns.map((column) => column.name));
    const always = columns.filter((column) => column.always).map((column) => column.name);
    return {
      // Keep the column order of the current table.
      shown: columns.map((column) => column.name).filter((name) =>
        always.includes(name) || kept.shown.includes(name)),
      widths: Object.fromEntries(Object.entries(kept.widths).filter(([name, width]) =>
        known.has(name) && Number.isFinite(width))),
      sorts: kept.source === source ? kept.sorts.filter((sort) => known.has(sort.name)).slice(0, 2) : [],
      frozen: kept.frozen !== false, source,
    };
  } catch { // use the default if the page has no storage or the text is not a layout
    return usual;
  }
}

/** @param {Layout} layout */
function keepLayout(layout) {
  try {
    localStorage.setItem(LAYOUT_KEY, JSON.stringify(layout));
  } catch { /* without storage, the layout is lost when the page closes */ }
}
