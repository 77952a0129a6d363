// @ts-check
// Parses the filter: words search any column, "role:Edge" searches one column, "-site:Taipei" excludes
// Taipei, and "site:" with "" finds blank cells. Quotation marks keep words together.

const FILTER_PARTS = /(-?)(?:([^\s:"]+):)?(?:"([^"]*)"?|(\S+))/g;

/** @param {string} text */
const asHeading = (text) => text.toLowerCase().replace(/[\s_-]/g, "");

/**
 * @param {string} text
 * @param {ColumnFacts[]} columns the columns to name
 * @param {string[]} names the columns to search for a word without a column
 * @returns {{terms: FilterTerm[], unknown: string[]}}
 */
function parseFilter(text, columns, names) {
  const known = new Map(columns.flatMap((column) =>
    [[asHeading(column.name), column.name], [asHeading(column.title), column.name]]));
  const terms = [];
  const unknown = [];
  // Ignore a column without a value, such as "role:", because the user is still typing.
  const whole = text.replace(/(^|\s)-?([^\s:"]+):(?=\s|$)/g, (all, _, heading) =>
    (known.has(asHeading(heading)) ? " " : all));
  for (const [, minus, heading, quoted, word] of whole.matchAll(FILTER_PARTS)) {
    const column = heading === undefined ? undefined : known.get(asHeading(heading));
    const value = (quoted ?? word).toLowerCase();
    if (heading !== undefined && !column) unknown.push(heading);
    if (!value && !column) continue;
    terms.push({
      // If the text before the colon is not a column, as in "https://…", the whole word is searched.
      text: heading !== undefined && !column ? `${heading.toLowerCase()}:${value}` : value,
      names: column ? [column] : names,
      negated: minus === "-",
      exact: value === "",
    });
  }
  return { terms, unknown };
}
