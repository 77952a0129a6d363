// @ts-check
// The layout of the table: visible columns, their widths, the sort, and the frozen server column. The
// browser keeps it across reloads and new kernels. It contains only the names of the table and of
// columns. The sort belongs to that table only.

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
      // In the order of the current table.
      shown: columns.map((column) => column.name).filter((name) =>
        always.includes(name) || kept.shown.includes(name)),
      widths: Object.fromEntries(Object.entries(kept.widths).filter(([name, width]) =>
        known.has(name) && Number.isFinite(width))),
      sorts: kept.source === source ? kept.sorts.filter((sort) => known.has(sort.name)).slice(0, 2) : [],
      frozen: kept.frozen !== false, source,
    };
  } catch { // the page has no storage, or the text is not a layout
    return usual;
  }
}

/** @param {Layout} layout */
function keepLayout(layout) {
  try {
    localStorage.setItem(LAYOUT_KEY, JSON.stringify(layout));
  } catch { /* no storage on this page: the layout lasts as long as the page */ }
}
