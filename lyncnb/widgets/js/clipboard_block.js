// @ts-check
// Blocks of cells in the clipboard: tab-separated text, as in Excel and LibreOffice. A cell with a
// tab, a line break or a quotation mark is in quotation marks.

/** @param {string} text @returns {string[][]} */
function parseBlock(text) {
  /** @type {string[][]} */
  const rows = [];
  /** @type {string[]} */
  let row = [];
  let at = 0;
  const end = text.length;
  while (at < end) {
    let cell = "";
    if (text[at] === '"') {
      for (at++; at < end; at++) {
        if (text[at] !== '"') cell += text[at];
        else if (text[at + 1] === '"') { cell += '"'; at++; } else break;
      }
      at++;
    }
    while (at < end && !"\t\r\n".includes(text[at])) cell += text[at++];
    row.push(cell);
    if (text[at] === "\t") {
      at++;
      if (at < end && !"\r\n".includes(text[at])) continue;
      row.push(""); // the last cell of its row is blank
    }
    if (text[at] === "\r") at++;
    if (text[at] === "\n") at++;
    rows.push(row);
    row = [];
  }
  return rows;
}

// A text that looks like a formula gets the text mark of spreadsheets, an apostrophe (OWASP, CSV Injection).
const FORMULA = /^[=+\-@＝＋－＠\t\r]/;

/** @param {string[][]} rows */
function formatBlock(rows) {
  /** @param {string} cell */
  const written = (cell) => {
    const safe = FORMULA.test(cell) ? `'${cell}` : cell;
    return /["\t\r\n]/.test(safe) ? `"${safe.replace(/"/g, '""')}"` : safe;
  };
  return rows.map((row) => row.map(written).join("\t")).join("\n");
}

/** @param {string} cell */
const unmarked = (cell) => (FORMULA.test(cell.slice(1)) && cell[0] === "'" ? cell.slice(1) : cell);
