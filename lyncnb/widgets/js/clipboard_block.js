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
      row.push(""); // the last cell of the row is blank
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

const LINE_BREAK = "\x01"; // marks a line break in a cell, because other white space is one space in HTML

/**
 * The texts of the first table in HTML, as Excel and LibreOffice write it. A cell over several columns or
 * rows fills the others with blanks.
 * @param {string} html
 */
function parseHtmlTable(html) {
  const table = new DOMParser().parseFromString(html, "text/html").querySelector("table");
  if (!table) return null;
  /** @type {number[]} */
  const covered = []; // for each column, the rows that a cell above still covers
  return [...table.rows].map((row) => {
    /** @type {string[]} */
    const texts = [];
    const skip = () => {
      while (covered[texts.length] > 0) {
        covered[texts.length]--;
        texts.push("");
      }
    };
    for (const cell of row.cells) {
      skip();
      for (const line of cell.querySelectorAll("br")) line.replaceWith(LINE_BREAK);
      const text = (cell.textContent ?? "").replace(/\s+/g, " ");
      for (let n = 0; n < cell.colSpan; n++) {
        covered[texts.length] = cell.rowSpan - 1;
        texts.push(n ? "" : text.split(LINE_BREAK).map((line) => line.trim()).join("\n"));
      }
    }
    skip();
    return texts;
  });
}

/**
 * The rows in the clipboard. HTML is exact, while plain text does not tell every line break in a cell from
 * the next row.
 * @param {DataTransfer} data
 */
const readClipboard = (data) => parseHtmlTable(data.getData("text/html"))
  ?? parseBlock(data.getData("text/plain"));
