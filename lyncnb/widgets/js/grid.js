// @ts-check
// The table of rows. Only visible rows are in the page, so 100,000 rows are as fast as 100. The grid
// element has the focus and refers to the active cell (aria-activedescendant), so the focus is never
// lost when rows change.
//
// As in a spreadsheet, a range of cells begins at the active cell, and `end` is the opposite corner.
// Selected rows are independent of the range and stay selected while you move, sort and filter.

const ROW_HEIGHT = 28;
/** @type {ColumnFacts} */
const SELECT_COLUMN = { name: "", title: "Select", least: 36, share: 1 };
/** @type {ColumnFacts} */
const NO_SELECT_COLUMN = { ...SELECT_COLUMN, least: 0 };

/** @typedef {{row: number, column: number}} Corner */
/** @typedef {{top: number, bottom: number, left: number, right: number}} CellRange */
/** @typedef {{id: number, k: number, row: number, column: ColumnFacts, control: Control,
 *    box: HTMLElement | null, value: string, refusedText?: string, overwrites: boolean,
 *    choose?: (letter: string) => void}} OpenCell `choose` selects in a list by letters */
/** @typedef {{n: number, at: number, pressedAgain: boolean, box: HTMLInputElement,
 *    cells: HTMLElement[], says: string[], element: HTMLElement}} RowElement */

/**
 * @param {{label: string, noun?: string, store: GridRows, selected: Set<number>,
 *   nameOf: (at: number) => string, actions: GridActions}} parts `selected` contains the ids of selected
 *   rows, and `noun` is what a row is
 */
function makeGrid({ label, noun = "server", store, selected, nameOf, actions }) {
  const firstColumn = actions.ticked ? SELECT_COLUMN : NO_SELECT_COLUMN;
  let columns = [firstColumn];
  /** @type {ColumnFacts[]} */
  let known = []; // all columns, because a pasted heading may name a hidden column
  /** @type {number[]} */
  let view = [];
  /** @type {Corner} */
  let active = { row: 0, column: 1 };
  /** @type {Corner} */
  let end = { row: 0, column: 1 };
  /** @type {CellRange[]} */
  let others = []; // the ranges that were selected before, with Ctrl and a click
  /** @type {number | undefined} */
  let activeId; // the ID of the active cell's row, which stays the same after a sort or filter
  /** @type {OpenCell | null} */
  let editing = null;
  /** @type {{id: number, name: string, typed: string, overwrites: boolean} | null} */
  let held = null; // the open cell while other rows arrive
  /** @type {number | null} */
  let tickedLast = null; // row from which Shift extends the selection
  /** @type {number | null} */
  let tabbedFrom = null; // the column in which the user first pressed Tab; Enter returns to it
  /** @type {{id: number, k: number} | null} */
  let left = null; // the cell whose text was just sent, until the next action
  let leaving = false; // whether Tab leaves the table, because the user pressed Escape before
  let frozen = true;
  let fitted = "";
  /** @type {Record<string, number>} */
  let widths = {};
  /** @type {Map<string, string>} "id name" -> text typed, until the kernel has answered */
  const pending = new Map();
  const stem = unique("grid");
  const fresh = makeNewRows(store); // new rows below the table, if the table is editable
  const question = makeQuestion();
  const menu = makeGridMenu(() => grid.focus({ preventScroll: true }));
  let count = 0; // number of rows without the new rows

  const all = h("input", { type: "checkbox", "aria-label": "Select all visible rows" });
  const header = makeGridHeader({
    columns: () => columns, all, onSort: actions.sort, onDown: () => grid.focus(),
    onWidth: actions.resized && ((name, width, ended) => {
      widths[name] = Math.round(width);
      measure();
      if (ended) actions.resized?.();
    }),
    onFit: actions.resized && ((name) => {
      widths[name] = measureTexts(name);
      measure();
      actions.resized?.();
    }),
  });
  const body = h("div", { role: "rowgroup", class: "lc-body" });
  const grid = h("div", { role: "grid", class: actions.ticked ? "lc-grid" : "lc-grid lc-no-select", tabIndex: 0, "aria-label": label,
    "aria-multiselectable": "true" }, header.head, body);
  const empty = h("div", { class: "lc-empty", hidden: true });
  const suggestions = h("datalist", { id: unique("list") });
  const overlay = h("div", { class: "lc-overlay" });
  /** @type {RowElement[]} */
  const pool = []; // reused row elements: row n uses element n modulo the number of elements
  const refused = makeRefusedCells({
    onClose() { grid.focus({ preventScroll: true }); draw(); },
    offerOf: (n, cell, text) => {
      grid.focus({ preventScroll: true });
      actions.offer?.(n, cell, text);
    },
    replaceText: ([id, name], text) => {
      refused.forgive(id, name);
      grid.focus({ preventScroll: true });
      actions.edit?.(id, name, text);
    },
  });

  // -- columns and rows
  /** @param {ColumnFacts[]} list @param {ColumnFacts[]} [all] all columns, including hidden ones */
  function setColumns(list, all = list) {
    stop(false);
    known = all;
    fresh.setColumns(all);
    columns = [firstColumn, ...list];
    grid.setAttribute("aria-colcount", String(columns.length));
    measure();
    active.column = Math.min(active.column, columns.length - 1);
    end = { ...active };
    header.draw();
    pool.length = 0;
    body.replaceChildren();
    draw();
  }

  /** @param {ColumnFacts} column */
  const widthOf = (column) => (column === firstColumn ? column.least : widths[column.name]);

  /**
   * The width in pixels at which the heading and every visible text of a column are whole.
   * @param {string} name
   */
  function measureTexts(name) {
    const context = document.createElement("canvas").getContext("2d");
    if (!context) return widths[name];
    const style = getComputedStyle(grid);
    context.font = `600 ${style.fontSize} ${style.fontFamily}`; // changed texts and headings are bold
    const title = columns.find((column) => column.name === name)?.title ?? "";
    const textOf = (/** @type {number} */ at) => pending.get(`${store.id(at)} ${name}`) ?? store.text(at, name);
    const texts = new Set([title, ...view.map(textOf)]);
    const widest = Math.max(...[...texts].slice(0, 5000).map((text) => context.measureText(text).width));
    return Math.max(LEAST_WIDTH, Math.min(800, Math.ceil(widest) + 40)); // with padding and marks
  }

  function measure() {
    const tracks = columns.map((column) => (widthOf(column) !== undefined ? `${widthOf(column)}px`
      : `minmax(${column.least}px,${column.share}fr)`));
    grid.style.setProperty("--lc-columns", tracks.join(" "));
    const least = columns.reduce((sum, column) => sum + (widthOf(column) ?? column.least), 0);
    grid.style.setProperty("--lc-least", `${least}px`);
    placeOverlay();
  }

  /** @param {number[]} rows @param {SortKey[]} sorts */
  function setView(rows, sorts) {
    count = rows.length;
    view = actions.typedNew ? fresh.putInto(rows, activeId) : rows;
    if (JSON.stringify(sorts) !== JSON.stringify(header.sorts)) header.setSorts(sorts);
    if (editing && store.id(view[editing.row]) !== editing.id) closeForRows();
    const moved = held;
    held = null;
    const index = view.findIndex((at) => store.id(at) === activeId);
    const row = Math.max(0, index >= 0 ? index : Math.min(active.row, view.length - 1));
    // A range is kept if its rows stay in place. Otherwise only its first cell is kept.
    if (row !== active.row || end.row >= view.length) {
      end = { row, column: active.column };
      others = [];
    }
    active = { row, column: active.column };
    activeId = view.length ? store.id(view[row]) : undefined;
    grid.setAttribute("aria-rowcount", String(view.length + 1));
    body.style.height = `${view.length * ROW_HEIGHT}px`;
    fit();
    countSelected();
    if (!moved) return;
    // The row of the open cell has another place, or the kernel has added it. Keep the typed text.
    const n = moved.id < 0 ? row : view.findIndex((at) => store.id(at) === moved.id);
    const k = columns.findIndex((column) => column.name === moved.name);
    if (n < 0 || n >= view.length || k < 0) return;
    start(n, k, moved.overwrites ? moved.typed : "");
    if (editing) editing.control.value = moved.typed;
  }

  // Other rows arrive, so close the open cell until they are shown.
  function closeForRows() {
    if (!editing) return;
    const { id, column, control, overwrites } = editing;
    held = { id, name: column.name, typed: control.value, overwrites };
    stop(false);
  }

  // The new rows have changed, so they are shown again below the rows of the table.
  const refreshNew = () => setView(shownRows(), header.sorts);
  // The rows of the table, without the new rows.
  const shownRows = () => (view.length === count ? view : view.filter((at) => at >= 0));

  // Set the height to the number of rows, up to 12. Keep a height that the user set.
  function fit() {
    if (grid.style.height !== fitted) return;
    const rows = Math.max(4, view.length) + 1;
    fitted = rows <= 12 ? `${rows * ROW_HEIGHT + 20}px` : "";
    grid.style.height = fitted;
  }

  // -- drawing
  function inSight() {
    const first = Math.max(0, Math.floor(Math.max(0, grid.scrollTop) / ROW_HEIGHT) - 4);
    const count = Math.ceil((grid.clientHeight || 340) / ROW_HEIGHT) + 9;
    return [first, Math.min(view.length, first + count)];
  }

  function range() {
    return {
      top: Math.min(active.row, end.row), bottom: Math.max(active.row, end.row),
      left: Math.min(active.column, end.column), right: Math.max(active.column, end.column),
    };
  }

  /** The active range, and the ranges that were selected with Ctrl. */
  const ranges = () => [...others, range()];

  /** The rows in all ranges, in order. */
  function chosenRows() {
    const rows = ranges().flatMap(({ top, bottom }) =>
      Array.from({ length: bottom - top + 1 }, (_, n) => top + n));
    return [...new Set(rows)].sort((a, b) => a - b).filter((n) => n < view.length);
  }

  function draw() {
    const [first, last] = inSight();
    const need = Math.max(last - first, 1);
    while (pool.length < need) pool.push(newRow());
    const used = new Set();
    const chosen = range();
    for (let n = first; n < last; n++) {
      const row = pool[n % pool.length];
      used.add(row);
      fill(row, n, chosen);
    }
    for (const row of pool) if (!used.has(row)) row.element.hidden = true;
    placeOverlay();
    const here = view.length && active.row >= first && active.row < last;
    if (here) grid.setAttribute("aria-activedescendant", cellId(active.row, active.column));
    else grid.removeAttribute("aria-activedescendant");
    empty.hidden = count > 0;
  }

  function countSelected() {
    const chosen = selected.size
      ? view.reduce((sum, at) => sum + Number(selected.has(store.id(at))), 0) : 0;
    all.checked = count > 0 && chosen === count;
    all.indeterminate = chosen > 0 && chosen < count;
    draw();
  }

  /** @param {number} n @param {number} k */
  const cellId = (n, k) => `${stem}-${n % pool.length}-${k}`;

  /** @returns {RowElement} */
  function newRow() {
    const box = h("input", { type: "checkbox", tabIndex: -1 });
    const number = pool.length;
    const cells = columns.map((column, k) => {
      const cell = h("div", { role: "gridcell", class: "lc-cell", id: `${stem}-${number}-${k}`,
        "aria-colindex": k + 1 });
      if (!k) cell.append(box);
      else if (!column.editable) cell.setAttribute("aria-readonly", "true");
      return cell;
    });
    const element = h("div", { role: "row", class: "lc-row" }, ...cells);
    /** @type {RowElement} */
    const row = { n: -1, at: -1, pressedAgain: false, box, cells, says: [], element };
    box.onclick = (event) => tick(row.n, box.checked, event.shiftKey);
    cells.forEach((cell, k) => {
      if (!k) return;
      cell.onmousedown = (event) => {
        if (!cell.contains(editing?.control ?? null)) press(event, row, k);
      };
      cell.onclick = (event) => {
        const isRange = active.row !== end.row || active.column !== end.column;
        if (row.pressedAgain && event.detail === 1 && !isRange) start(row.n, k);
        row.pressedAgain = false;
      };
      cell.onmouseenter = () => { // shows truncated text as a tooltip
        const text = cell.querySelector(".lc-text");
        if (text && !cell.title && text.scrollWidth > text.clientWidth) cell.title = text.textContent ?? "";
      };
      cell.oncontextmenu = () => {
        const { top, bottom, left: first, right } = range();
        if (row.n < top || row.n > bottom || k < first || k > right) move(row.n, k, false);
      };
      cell.ondblclick = () => {
        if (!editing || editing.id !== store.id(row.at) || editing.k !== k) start(row.n, k);
      };
    });
    body.append(element);
    return row;
  }

  /** @param {RowElement} row @param {number} n @param {ReturnType<typeof range>} chosen */
  function fill(row, n, chosen) {
    const at = view[n];
    const id = store.id(at);
    row.n = n;
    row.at = at;
    row.element.hidden = false;
    row.element.style.transform = `translateY(${n * ROW_HEIGHT}px)`;
    row.element.setAttribute("aria-rowindex", String(n + 2));
    row.element.setAttribute("aria-selected", String(selected.has(id)));
    row.box.checked = selected.has(id);
    row.box.hidden = id < 0 || !actions.ticked;
    row.box.setAttribute("aria-label", `Select ${nameOf(at)}`);
    const changed = store.text(at, "_changed").split(" ");
    const within = n >= chosen.top && n <= chosen.bottom
      && (chosen.top !== chosen.bottom || chosen.left !== chosen.right || others.length > 0);
    columns.forEach((column, k) => {
      const cell = row.cells[k];
      if (k && !(editing && editing.id === id && editing.k === k && !editing.box)) {
        fillCell(row, k, column, at, id, changed);
      }
      cell.classList.toggle("lc-active", n === active.row && k === active.column);
      cell.classList.toggle("lc-chosen", (within && k >= chosen.left && k <= chosen.right)
        || others.some((range) => n >= range.top && n <= range.bottom && k >= range.left && k <= range.right));
      cell.classList.toggle("lc-frozen", frozen && k <= 1);
    });
  }

  /**
   * Replaces the content of a cell only if its text differs. If the element under the pointer were
   * replaced between press and release of the mouse button, the browser would send no click.
   * @param {RowElement} row @param {number} k @param {ColumnFacts} column @param {number} at
   * @param {number} id @param {string[]} changed
   */
  function fillCell(row, k, column, at, id, changed) {
    const cell = row.cells[k];
    const isNew = id < 0;
    const waiting = pending.get(`${id} ${column.name}`)
      ?? (isNew && fresh.isSent(id) ? store.text(at, column.name) : undefined);
    const wrong = refused.get(id, column.name);
    const text = waiting ?? wrong?.text ?? store.text(at, column.name);
    const lent = waiting === undefined && !wrong && store.inherited(at, column.name);
    const isChanged = !wrong && changed.includes(column.name);
    const hint = !isNew || text ? "" : fresh.missing(id).includes(column) ? `Enter ${column.title}`
      : k === 1 && id === store.id(view[view.length - 1]) ? "New server" : "";
    const says = [id, text, lent, isChanged, waiting !== undefined, Boolean(wrong), hint].join("\0");
    if (row.says[k] === says) return;
    row.says[k] = says;
    cell.className = "lc-cell" + (lent ? " lc-lent" : "") + (isChanged ? " lc-changed" : "")
      + (waiting === undefined ? "" : " lc-waiting") + (column.editable ? " lc-editable" : "")
      + (wrong ? " lc-refused" : "");
    cell.title = wrong ? wrong.lines.join("\n")
      : lent ? `${text} (inherited from the ${column.scope})` : text;
    /** @type {Node[]} */
    const parts = [column.name === "_findings" && text ? findingsTag(text)
      : h("span", { class: hint ? "lc-text lc-wanted" : "lc-text" }, hint || text)];
    if (wrong) parts.unshift(h("span", { class: "lc-hidden" }, "Rejected text: "));
    if (lent) parts.push(h("span", { class: "lc-hidden" }, ` (inherited from the ${column.scope})`));
    if (isChanged) {
      parts.push(h("span", { class: "lc-mark", "aria-hidden": "true" }, "✎"),
        h("span", { class: "lc-hidden" }, " (changed)"));
    }
    cell.replaceChildren(...parts);
  }

  /** @param {string} text */
  const findingsTag = (text) => {
    const severity = ["error", "warning", "notice"].find((name) => text.includes(name));
    return severity ? severityTag(severity, text) : h("span", { class: "lc-text" }, text); // accepted
  };

  // -- moving
  /** @param {number} row @param {number} column @returns {Corner} */
  const within = (row, column) => ({
    row: Math.max(0, Math.min(view.length - 1, row)),
    column: Math.max(1, Math.min(columns.length - 1, column)),
  });

  /** @param {number} row @param {number} column @param {boolean} [reveal] @param {boolean} [keep] */
  function move(row, column, reveal = true, keep = false) {
    const was = activeId;
    if (!keep) others = [];
    active = within(row, column);
    end = { ...active };
    activeId = view.length ? store.id(view[active.row]) : undefined;
    if (was !== undefined && was < 0 && was !== activeId) addNew(activeId);
    if (activeId !== undefined) refused.show(activeId, columns[active.column]?.name ?? "");
    if (reveal) bringIntoSight(active);
    else draw();
    actions.moved?.();
  }

  /**
   * Sends the new rows that are complete.
   * @param {number} [except] the row that the user is still typing
   */
  function addNew(except) {
    const add = fresh.take(except);
    if (add.length) actions.block?.({ cells: [], add, said: "" });
    draw();
  }

  /** @param {number} row @param {number} column @param {boolean} [reveal] */
  function extend(row, column, reveal = true) {
    const to = within(row, column);
    if (to.row === end.row && to.column === end.column) return;
    end = to;
    if (reveal) bringIntoSight(end);
    else draw();
    const { top, bottom, left: first, right } = range();
    const [rows, across] = [bottom - top + 1, right - first + 1];
    actions.say?.(rows * across === 1 ? "" : `${plural(rows * across, "cell")} selected: `
      + `${plural(rows, "row")}, ${plural(across, "column")}`);
  }

  /** @param {Corner} corner */
  function bringIntoSight(corner) {
    const top = corner.row * ROW_HEIGHT;
    const shown = grid.clientHeight - ROW_HEIGHT - 16; // without the headings and the scroll bar
    if (top < grid.scrollTop) grid.scrollTop = top;
    else if (top + ROW_HEIGHT > grid.scrollTop + shown) grid.scrollTop = top + ROW_HEIGHT - shown;
    draw();
    const row = pool[corner.row % pool.length];
    const cell = row?.cells[corner.column];
    if (!cell || (frozen && corner.column <= 1)) return;
    const kept = frozen ? frozenWidth() : 0;
    const [from, to] = [cell.offsetLeft, cell.offsetLeft + cell.offsetWidth];
    if (from < grid.scrollLeft + kept) grid.scrollLeft = from - kept;
    else if (to > grid.scrollLeft + grid.clientWidth) grid.scrollLeft = to - grid.clientWidth;
  }

  const frozenWidth = () => (pool[0]
    ? pool[0].cells[0].offsetWidth + (pool[0].cells[1]?.offsetWidth ?? 0) : 0);

  // -- by mouse
  /** @param {MouseEvent} event @param {RowElement} row @param {number} k */
  function press(event, row, k) {
    if (event.button) return;
    if (editing && editing.id === store.id(row.at) && editing.k === k) {
      event.preventDefault(); // the second press of a double-click keeps the list open
      return;
    }
    const wasHere = document.activeElement === grid; // a click that returns to the grid only selects a cell
    stop(true);
    left = null;
    tabbedFrom = null;
    event.preventDefault();
    grid.focus({ preventScroll: true });
    if (event.shiftKey) {
      extend(row.n, k, false);
      drag();
      return;
    }
    const isFurther = event.ctrlKey || event.metaKey;
    if (isFurther) others = ranges();
    row.pressedAgain = wasHere && active.row === row.n && active.column === k
      && Boolean(columns[k].editable);
    // Do not scroll while the mouse button is down, because the second press of a double-click would miss.
    move(row.n, k, false, isFurther);
    drag();
  }

  // While the mouse button is down, the range follows the pointer, and the table scrolls at its edges.
  /** @param {(row: number, column: number) => void} [reach] @param {() => void} [ended] */
  function drag(reach = (row, column) => extend(row, column, false), ended = () => {}) {
    let [x, y] = [NaN, NaN];
    const follow = () => {
      if (Number.isNaN(x)) return;
      const box = grid.getBoundingClientRect();
      const [from, to] = [box.top + ROW_HEIGHT, box.top + grid.clientHeight];
      const beyond = y > to ? 1 : y < from ? -1 : 0;
      if (beyond) grid.scrollTop += beyond * ROW_HEIGHT;
      const inside = Math.max(from, Math.min(to - 1, y));
      reach(Math.floor((inside - from + grid.scrollTop) / ROW_HEIGHT), columnAt(x));
    };
    const timer = setInterval(follow, 60);
    /** @param {MouseEvent} event */
    const moved = (event) => {
      [x, y] = [event.clientX, event.clientY];
      follow();
    };
    const done = () => {
      clearInterval(timer);
      window.removeEventListener("mousemove", moved, true);
      window.removeEventListener("mouseup", done, true);
      ended();
    };
    window.addEventListener("mousemove", moved, true);
    window.addEventListener("mouseup", done, true);
  }

  /** @param {number} x a position on the page @returns {number} */
  function columnAt(x) {
    const cells = pool[active.row % pool.length]?.cells ?? [];
    // Search from the left, because frozen cells cover scrolled cells.
    const index = cells.findIndex((cell) => x < cell.getBoundingClientRect().right);
    return index < 0 ? columns.length - 1 : Math.max(1, index);
  }

  // -- selecting rows
  /** @param {number} n @param {boolean} on @param {boolean} many also the rows since the last selected one */
  function tick(n, on, many) {
    const from = many && tickedLast !== null ? tickedLast : n;
    tickedLast = n;
    tickRows(Math.min(from, n), Math.max(from, n), on);
  }

  /** @param {number} from @param {number} to @param {boolean} on */
  function tickRows(from, to, on) {
    if (!actions.ticked) return;
    for (let i = from; i <= to && i < view.length; i++) {
      const id = store.id(view[i]);
      if (on && id >= 0) selected.add(id); else selected.delete(id);
    }
    countSelected();
    actions.ticked?.();
  }

  // -- editing
  /**
   * Opens a cell. `typed` is the key that opened it. It starts the new text or selects in a list.
   * @param {number} n @param {number} k @param {string} [typed]
   */
  function start(n, k, typed = "") {
    const column = columns[k];
    if (!column || n >= view.length || fresh.isSent(store.id(view[n]))) return;
    if (!column.editable) {
      if (!typed) actions.open?.(store.id(view[n]));
      return;
    }
    stop(true);
    // Keep a range that begins at this cell, so that Ctrl+Enter can fill it.
    if (active.row !== n || active.column !== k) move(n, k);
    else bringIntoSight(active);
    const at = view[n];
    const id = store.id(at);
    const wrong = refused.get(id, column.name);
    const value = store.inherited(at, column.name) ? "" : store.text(at, column.name);
    const name = `${column.title} of ${nameOf(at)}`;
    const control = makeCellControl(column, wrong?.text ?? value, name, store, suggestions);
    const row = pool[n % pool.length];
    const box = control instanceof HTMLTextAreaElement ? linesBox(control)
      : control instanceof HTMLSelectElement ? listBox(control) : null;
    editing = { id, row: n, k, control, box, value, column, refusedText: wrong?.text,
      overwrites: typed !== "" };
    if (box) overlay.append(box);
    else {
      row.says[k] = "";
      row.cells[k].replaceChildren(control);
    }
    if (wrong) {
      refused.show(id, column.name);
      control.setAttribute("aria-invalid", "true");
      control.setAttribute("aria-describedby", refused.bubble.id);
    }
    control.onkeydown = editorKey;
    control.onblur = () => stop(true);
    control.onpaste = (event) => { // a block pasted into an open cell goes to the table
      const texts = event.clipboardData ? readClipboard(event.clipboardData) : [];
      const isBlock = texts.some((line) => line.length > 1) || (texts.length > 1 && !column.list);
      if (!actions.block || !isBlock) return;
      event.preventDefault();
      stop(false);
      grid.focus({ preventScroll: true });
      pasted(texts);
    };
    if (control instanceof HTMLSelectElement) editing.choose = makeTypeahead(control);
    placeOverlay();
    control.focus({ preventScroll: true });
    if (control instanceof HTMLSelectElement) {
      if (typed) editing.choose?.(typed);
      return;
    }
    if (typed) {
      control.value = typed;
      return; // do not open the list of suggestions, because it would handle the Enter key
    }
    control.select();
    if (control instanceof HTMLTextAreaElement) return;
    try { control.showPicker(); } catch { /* if not allowed, the user opens the list with Alt+Down */ }
  }

  /** @param {HTMLTextAreaElement} control */
  function linesBox(control) {
    return h("div", { class: "lc-lines-box" }, control,
      h("div", { class: "lc-help" }, "Enter one value per line. Alt+Enter begins a new line, and Enter saves the cell."));
  }

  // A list is always open, because the browser may refuse to open the list of a closed control.
  /** @param {HTMLSelectElement} control */
  function listBox(control) {
    control.size = Math.max(2, Math.min(12, control.options.length));
    control.onclick = (event) => {
      if (!(event.target instanceof HTMLOptionElement)) return;
      stop(true);
      grid.focus({ preventScroll: true });
    };
    return h("div", { class: "lc-list-box" }, control);
  }

  /** @param {KeyboardEvent} event */
  function editorKey(event) {
    if (!editing) return;
    const { control, id, k, row, overwrites } = editing;
    const arrow = { ArrowDown: [1, 0], ArrowUp: [-1, 0], ArrowRight: [0, 1], ArrowLeft: [0, -1] }[event.key];
    if (event.key === "Enter" && event.altKey && control instanceof HTMLTextAreaElement) {
      control.setRangeText("\n", control.selectionStart, control.selectionEnd, "end");
    } else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      fillRange(controlText(control, editing.column, editing.value));
    } else if (event.key === "Enter") {
      leave(row + (event.shiftKey ? -1 : 1), tabbedFrom ?? k);
      tabbedFrom = null;
    } else if (event.key === "Tab") {
      tabbedFrom ??= k;
      leave(row, k);
      tab(event.shiftKey ? -1 : 1);
    } else if (event.key === "Escape") {
      refused.forgive(id, editing.column.name);
      stop(false);
      grid.focus({ preventScroll: true });
      draw();
    } else if (arrow && overwrites && control instanceof HTMLInputElement) {
      leave(row + arrow[0], k + arrow[1]); // if the user replaced the text, arrow keys move to the next cell
    } else if (editing.choose && isLetter(event)) editing.choose(event.key);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** @param {KeyboardEvent} event */
  const isLetter = (event) => event.key.length === 1 && !event.ctrlKey && !event.metaKey && !event.altKey;

  /** @param {number} row @param {number} column */
  function leave(row, column) {
    const was = editing && { id: editing.id, k: editing.k };
    stop(true);
    grid.focus({ preventScroll: true });
    move(row, column);
    left = was;
  }

  /** @param {string} text */
  function fillRange(text) {
    const { top, bottom, left: first, right } = range();
    if (top === bottom && first === right && !others.length) {
      stop(true);
      grid.focus({ preventScroll: true });
      return;
    }
    stop(false);
    grid.focus({ preventScroll: true });
    give({ cells: chosenCells().map(({ id, column }) => ({ row: id, column: column.name, text })), add: [], said: "filled" });
  }

  /** @param {boolean} commit */
  function stop(commit) {
    if (!editing) return;
    const { id, k, column, control, box, value, refusedText, row } = editing;
    const isOfTable = refused.get(id, column.name)?.isOfTable;
    editing = null;
    control.onblur = null;
    if (box) box.remove();
    const text = controlText(control, column, value);
    if (commit && text !== refusedText) {
      refused.forgive(id, column.name);
      if (text !== value && id < 0) {
        fresh.set(id, column.name, text);
        actions.typedNew?.();
        refreshNew();
      } else if (text !== value || isOfTable) {
        pending.set(`${id} ${column.name}`, text);
        actions.edit?.(id, column.name, text);
      }
    }
    const element = pool[row % pool.length];
    if (element) element.says[k] = "";
    draw();
  }

  // -- blocks of cells
  function chosenCells() {
    /** @type {Map<string, {id: number, at: number, column: ColumnFacts}>} */
    const cells = new Map();
    for (const { top, bottom, left: first, right } of ranges()) {
      for (let n = top; n <= bottom && n < view.length; n++) {
        for (let k = first; k <= right; k++) {
          const cell = { id: store.id(view[n]), at: view[n], column: columns[k] };
          if (cell.column.editable) cells.set(`${n} ${k}`, cell);
        }
      }
    }
    return [...cells.values()];
  }

  /** @param {Block} block */
  function give(block) {
    const cells = block.cells.filter(({ row: id, column: name, text }) => {
      refused.forgive(id, name);
      const at = store.at(id);
      if (at === undefined) return false;
      if (id < 0) fresh.set(id, name, text);
      if (id < 0) return false;
      // A blank cell that shows an inherited value does not change.
      return text === "" ? !store.inherited(at, name) && store.text(at, name) !== ""
        : store.text(at, name) !== text || Boolean(refused.get(id, name));
    });
    if (!actions.typedNew && block.add.length) {
      actions.say?.(`${plural(block.add.length, "row")} not pasted, because the table does not contain these names. To add a ${noun}, add the servers in the Servers tab.`);
      block.add = [];
      if (!cells.length) return;
    }
    for (const { values } of block.add) fresh.open(values);
    const typing = block.said.startsWith("pasted") ? undefined : activeId;
    const add = fresh.take(typing);
    const isNew = block.add.length > 0 || block.cells.some(({ row }) => row < 0);
    if (isNew) actions.typedNew?.();
    if (!cells.length && !isNew) actions.say?.("The cells already have these values.");
    for (const { row, column, text } of cells.slice(0, 2000)) pending.set(`${row} ${column}`, text);
    if (isNew) refreshNew();
    draw();
    if (cells.length || add.length) actions.block?.({ ...block, cells, add });
  }

  function clearCells() {
    const cells = chosenCells().filter(({ at, column }) => !store.inherited(at, column.name)
      && store.text(at, column.name) !== "");
    if (!cells.length) actions.say?.("There is nothing to clear. Values in gray italics are inherited from the pool, site or deployment.");
    else {
      give({ cells: cells.map(({ id, column }) => ({ row: id, column: column.name, text: "" })), add: [],
        said: "cleared" });
    }
  }

  // As in a spreadsheet, copy the first row of the range down, or the row above if the range has one row.
  function fillDown() {
    const { top, bottom, left: first, right } = range();
    const from = top === bottom ? top - 1 : top;
    const source = { top: from, bottom: from, left: first, right };
    if (from >= 0) fillOver(source, { ...source, bottom });
  }

  /**
   * Repeats the texts of a range in the cells around it.
   * @param {CellRange} source @param {CellRange} target the range with the cells to fill
   */
  function fillOver(source, target) {
    const [height, width] = [source.bottom - source.top + 1, source.right - source.left + 1];
    /** @type {Block["cells"]} */
    const cells = [];
    for (let n = target.top; n <= target.bottom; n++) {
      const from = view[source.top + (((n - source.top) % height) + height) % height];
      for (let k = target.left; k <= target.right; k++) {
        const isSource = n >= source.top && n <= source.bottom && k >= source.left && k <= source.right;
        const { name } = columns[source.left + (((k - source.left) % width) + width) % width];
        if (isSource || !columns[k].editable) continue;
        cells.push({ row: store.id(view[n]), column: columns[k].name, text: store.text(from, name) });
      }
    }
    give({ cells, add: [], said: "filled" });
  }

  const fillHandle = h("div", { class: "lc-fill", "aria-hidden": "true", title: "Drag to fill" });
  overlay.append(fillHandle);
  fillHandle.onmousedown = (event) => {
    if (event.button) return;
    event.preventDefault();
    const source = range();
    others = [];
    let target = source;
    drag((row, column) => {
      // Fill either rows or columns, in the direction in which the pointer is farther away.
      const to = within(Math.min(row, Math.max(source.bottom, count - 1)), column);
      const down = Math.max(to.row - source.bottom, source.top - to.row);
      const across = Math.max(to.column - source.right, source.left - to.column);
      target = down >= across
        ? { ...source, top: Math.min(source.top, to.row), bottom: Math.max(source.bottom, to.row) }
        : { ...source, left: Math.min(source.left, to.column), right: Math.max(source.right, to.column) };
      active = { row: target.top, column: target.left };
      activeId = store.id(view[target.top]);
      end = { row: target.bottom, column: target.right };
      draw();
    }, () => { if (target !== source) fillOver(source, target); });
  };

  // The handle is at the last corner of the range, if this corner is visible.
  function placeFillHandle() {
    const { bottom, right } = range();
    const cell = pool[bottom % pool.length]?.cells[right];
    const top = (bottom + 2) * ROW_HEIGHT - grid.scrollTop;
    const isFrozen = frozen && right <= 1;
    const x = cell ? cell.offsetLeft + cell.offsetWidth - (isFrozen ? 0 : grid.scrollLeft) : 0;
    fillHandle.hidden = !actions.block || !cell || editing !== null || !view.length
      || top < 2 * ROW_HEIGHT || top > grid.clientHeight || x > grid.clientWidth
      || (!isFrozen && frozen && x < frozenWidth());
    fillHandle.style.transform = `translate(${x - 6}px, ${top - 6}px)`;
  }

  // Ranges beside each other or below each other are copied together, as in a spreadsheet.
  function copied() {
    const all = ranges().sort((a, b) => a.top - b.top || a.left - b.left);
    const [{ top, bottom, left: first, right }] = all;
    /** @param {number} from @param {number} to @param {number[]} across */
    const texts = (from, to, across) => view.slice(from, to + 1).map((at) =>
      across.map((k) => store.text(at, columns[k].name)));
    /** @param {CellRange} range */
    const columnsOf = (range) => columns.map((_, k) => k).slice(range.left, range.right + 1);
    if (all.every((range) => range.top === top && range.bottom === bottom)) {
      return formatBlock(texts(top, bottom, all.flatMap(columnsOf)));
    }
    if (all.every((range) => range.left === first && range.right === right)) {
      return formatBlock(all.flatMap((range) => texts(range.top, range.bottom, columnsOf(range))));
    }
    return null;
  }

  /** @returns {string | null} the text to copy, or null if the ranges do not fit together */
  function takeCopy() {
    const text = copied();
    const cells = ranges().reduce((sum, { top, bottom, left: first, right }) =>
      sum + (bottom - top + 1) * (right - first + 1), 0);
    actions.say?.(text === null ? "Not copied: the selected ranges must have the same rows or the same columns"
      : `Copied ${plural(cells, "cell")}`);
    return text;
  }

  /** @param {string[][]} texts of rows */
  function pasted(texts) {
    const rows = texts.map((row) => row.map((cell) => unmarked(cell.trim())));
    if (!rows.length) return;
    const headings = readHeadings(rows, known);
    if (headings) rows.shift();
    if (!rows.length) return;
    const { top, bottom, left: first, right } = range();
    // Repeat a single cell, or a block that fits several times, to fill the whole range.
    const [height, width] = [rows.length, Math.max(...rows.map((row) => row.length))];
    const tall = !headings && (bottom - top + 1) % height === 0 ? bottom - top + 1 : height;
    const wide = !headings && (right - first + 1) % width === 0 ? right - first + 1 : width;
    /** @param {number} c */
    const columnAt = (c) => (headings ? headings.columns[c] : columns[first + c]);
    const unknown = headings?.unknown.map((text) => `“${text}”`).join(", ");
    const said = unknown ? `pasted without ${unknown}, which ${headings?.unknown.length === 1
      ? "is not a column" : "are not columns"} of the table` : "pasted";
    const key = columns[1].name;
    const parts = { rows, tall, wide, store, key, columnAt, said };
    const at = [...Array(wide).keys()].find((c) => columnAt(c)?.name === key);
    const byName = () => placeBlock({ ...parts,
      idOf: findByName(store, key, rows.map((row) => (row[at ?? 0] ?? "").toLowerCase())) });
    const inPlace = placeBlock({ ...parts, idOf: (r) => (view[top + r] === undefined ? undefined
      : store.id(view[top + r])) });
    if (headings && at !== undefined) give(byName().block);
    else if (inPlace.replaced.length && tall * wide > 1) askFirst(inPlace, byName());
    else {
      end = within(top + tall - 1, headings ? right : first + wide - 1);
      active = { row: top, column: first };
      give(inPlace.block);
    }
  }

  /** @param {ReturnType<typeof placeBlock>} inPlace @param {ReturnType<typeof placeBlock>} byName */
  function askFirst(inPlace, byName) {
    const { replaced } = inPlace;
    const ids = new Set(byName.block.cells.map(({ row }) => row));
    const added = byName.block.add.length;
    const keep = [added && actions.typedNew ? `Add ${plural(added, noun)}` : "",
      ids.size ? `${added ? "update" : "Update"} ${ids.size.toLocaleString("en")} by name` : ""];
    const verb = actions.typedNew ? "replace" : "rename";
    const first = keep.filter(Boolean).join(" and ");
    question.ask(`This paste ${verb}s ${plural(replaced.length, noun)}`,
      [...replaced.slice(0, 5).map(({ name, by }) => `${name} -> ${by || "blank"}`),
        ...(replaced.length > 5 ? [`and ${plural(replaced.length - 5, `more ${noun}`)}`] : [])],
      [...(first ? [/** @type {Answer} */ ([first, () => give(byName.block)])] : []),
        [`${verb[0].toUpperCase()}${verb.slice(1)} ${plural(replaced.length, noun)}`, () => give(inPlace.block)]],
      () => grid.focus({ preventScroll: true }));
  }

  // Browsers send these events to the last text selection, not to the focused element.
  /** @param {ClipboardEvent} event */
  function clipboard(event) {
    if (document.activeElement !== grid || !event.clipboardData || !view.length) return;
    if (event.type !== "copy" && !actions.block) return;
    event.preventDefault();
    event.stopPropagation();
    if (event.type === "paste") {
      pasted(readClipboard(event.clipboardData));
      return;
    }
    const text = takeCopy();
    if (text === null) return;
    event.clipboardData.setData("text/plain", text);
    if (event.type === "cut") clearCells();
  }
  /** @type {("copy" | "cut" | "paste")[]} */
  const kinds = ["copy", "cut", "paste"];
  const listen = () => kinds.forEach((kind) => document.addEventListener(kind, clipboard, true));
  const unlisten = () => kinds.forEach((kind) => document.removeEventListener(kind, clipboard, true));
  grid.addEventListener("focus", listen);
  grid.addEventListener("blur", unlisten);

  // -- the menu
  /** @param {string} text @param {string} keys @param {() => Promise<void>} act */
  async function withClipboard(text, keys, act) {
    try {
      await act();
    } catch { // the browser does not let a page use the clipboard without keys
      actions.say?.(`The browser does not allow the menu to ${text}. Press ${keys} instead.`);
    }
  }

  /** @returns {MenuEntry[]} */
  function menuEntries() {
    const at = view[active.row];
    const { name } = columns[active.column];
    const rows = chosenRows().map((n) => view[n]);
    const copy = () => withClipboard("copy", "Ctrl+C", async () => {
      const text = takeCopy();
      if (text !== null) await navigator.clipboard.writeText(text);
    });
    /** @type {MenuEntry[]} */
    const entries = [{ label: "Copy", keys: "Ctrl+C", act: copy }];
    if (actions.block) {
      entries.push(
        { label: "Cut", keys: "Ctrl+X", act: () => copy().then(clearCells) },
        { label: "Paste", keys: "Ctrl+V", act: () => withClipboard("paste", "Ctrl+V", async () =>
          pasted(parseBlock(await navigator.clipboard.readText()))) },
        ...(actions.typedNew ? [{ label: "Insert a row", keys: "Ctrl++", act: insertRow }] : []),
        ...(actions.duplicate && rows.some((row) => row >= 0) ? [{
          label: `Duplicate ${plural(rows.filter((row) => row >= 0).length, noun)}`,
          act: () => actions.duplicate?.(rows.filter((row) => row >= 0).map((row) => store.id(row))),
        }] : []),
        ...(rows.some((row) => row >= 0) ? [{
          label: `Remove ${plural(rows.filter((row) => row >= 0).length, noun)}`, keys: "Ctrl+−", act: removeRows,
        }] : []),
        { label: "Fill down", keys: "Ctrl+D", act: fillDown, disabled: range().bottom < 1 },
        { label: "Clear", keys: "Delete", act: clearCells },
      );
    }
    if (actions.why) {
      entries.push({ label: "Why this value", act: () => actions.why?.(store.id(at), name),
        disabled: at < 0 || name === "_findings" });
    }
    if (actions.showFinding) {
      entries.push({ label: "Show the finding", act: () => actions.showFinding?.(store.id(at)),
        disabled: store.text(at, "_findings") === "" });
    }
    entries.push(...actions.entries?.() ?? []);
    if (actions.open && !actions.block) entries.push({ label: "Open", keys: "Enter", act: () => actions.open?.(store.id(at)) });
    return entries;
  }

  // Removes the servers in the range, and new rows that are not sent yet.
  function removeRows() {
    const ids = chosenRows().map((n) => store.id(view[n]));
    for (const id of ids) if (id < 0 && !fresh.isSent(id)) fresh.drop(id);
    const servers = ids.filter((id) => id >= 0);
    if (servers.length) actions.remove?.(servers);
    else refreshNew();
  }

  function goToNew() { move(view.length - 1, 1); }

  // As in a spreadsheet, the new row is above the active row.
  function insertRow() {
    const at = view[active.row];
    if (at < 0) goToNew();
    else {
      activeId = fresh.open({}, store.id(at));
      refreshNew();
      move(active.row, 1);
      actions.typedNew?.();
    }
  }

  // JupyterLab's menu has Delete Cell, which would remove the editor. With Shift, the browser shows its own.
  grid.addEventListener("contextmenu", (event) => {
    if (event.target instanceof Element && event.target.closest("input,select,textarea")) return;
    event.stopPropagation();
    if (event.shiftKey && event.button === 2) return;
    event.preventDefault();
    if (!view.length || (event.target !== grid && !body.contains(/** @type {Node} */ (event.target)))) return;
    const box = element.getBoundingClientRect();
    const cell = pool[active.row % pool.length]?.cells[active.column]?.getBoundingClientRect();
    const isMouse = event.target !== grid;
    grid.focus({ preventScroll: true });
    menu.open(menuEntries(), (isMouse ? event.clientX : cell?.left ?? 0) - box.left,
      (isMouse ? event.clientY : cell?.bottom ?? 0) - box.top);
  });

  // -- rejected cells
  /**
   * @param {number} id @param {string} name @param {string[]} lines @param {string[]} [offers]
   * @param {string} [given] the rejected text, if it was part of a block
   */
  function refuse(id, name, lines, offers = [], given) {
    const text = given ?? pending.get(`${id} ${name}`);
    pending.delete(`${id} ${name}`);
    if (text === undefined) return false;
    const n = view.findIndex((at) => store.id(at) === id);
    const k = columns.findIndex((column) => column.name === name);
    if (n < 0 || k < 0) return false;
    refused.keep(id, name, { text, lines, offers });
    refused.show(id, name);
    draw();
    // If the user is still at the cell, open it again with the typed text.
    const stays = left ? left.id === id && left.k === k : activeId === id && active.column === k;
    if (given === undefined && document.activeElement === grid && stays) {
      if (columns[k].strict) move(n, k); // an open list would cover the reason
      else start(n, k);
    }
    left = null;
    return true;
  }

  // The overlay is outside the grid, which may contain only rows. It must move when the grid scrolls.
  function placeOverlay() {
    if (refused.shown) {
      const [id, name] = refused.shown;
      const n = view.findIndex((at) => store.id(at) === id);
      const k = columns.findIndex((column) => column.name === name);
      const lines = editing?.box && editing.id === id && editing.k === k ? editing.box.offsetHeight : 0;
      refused.bubble.hidden = !place(refused.bubble, n, k, ROW_HEIGHT + 2 + lines);
    }
    placeFillHandle();
    // A list is below the cell, whose text it changes. Lines cover the cell.
    if (editing?.box) place(editing.box, editing.row, editing.k, editing.choose ? ROW_HEIGHT : 0);
  }

  /**
   * Places a box below a cell, or returns false if the cell is not visible.
   * @param {HTMLElement} box @param {number} n @param {number} k @param {number} below
   */
  function place(box, n, k, below) {
    const cell = n < 0 ? null : pool[n % pool.length]?.cells[k];
    const top = (n + 1) * ROW_HEIGHT - grid.scrollTop;
    if (!cell || top < 0 || top > grid.clientHeight) return false;
    const isFrozen = frozen && k <= 1;
    const x = Math.min(cell.offsetLeft - (isFrozen ? 0 : grid.scrollLeft), grid.clientWidth - 310);
    box.style.transform = `translate(${Math.max(0, x)}px, ${top + below}px)`;
    return true;
  }

  // -- by keyboard
  grid.addEventListener("keydown", (event) => {
    if (event.target !== grid || !view.length) return;
    left = null;
    if (event.key !== "Tab" && event.key !== "Shift") leaving = false;
    const page = Math.max(1, Math.floor(grid.clientHeight / ROW_HEIGHT) - 2);
    const jump = event.ctrlKey || event.metaKey;
    const from = event.shiftKey ? end : active;
    const [rows, across] = jump ? [view.length, columns.length] : [1, 1];
    /** @type {Record<string, number[]>} */
    const steps = {
      ArrowDown: [from.row + rows, from.column], ArrowUp: [from.row - rows, from.column],
      ArrowRight: [from.row, from.column + across], ArrowLeft: [from.row, from.column - across],
      PageDown: [from.row + page, from.column], PageUp: [from.row - page, from.column],
      Home: [jump ? 0 : from.row, 1], End: [jump ? count - 1 : from.row, columns.length - 1],
    };
    // As in a spreadsheet, Ctrl and an arrow go to the last row with texts. The next press goes on.
    if (jump && event.key === "ArrowDown" && from.row < count - 1) steps.ArrowDown[0] = count - 1;
    const go = event.altKey ? undefined : steps[event.key];
    if (go) {
      if (event.shiftKey) extend(go[0], go[1]);
      else {
        tabbedFrom = null;
        move(go[0], go[1]);
        actions.say?.("");
      }
    } else if (!otherKey(event, jump)) return;
    event.preventDefault();
  });

  /** @param {KeyboardEvent} event @param {boolean} jump */
  function otherKey(event, jump) {
    const { row, column } = active;
    const key = event.key.toLowerCase();
    const { top, bottom } = range();
    if (key === " " && (jump || event.shiftKey)) {
      const from = jump ? 0 : top;
      const to = jump ? count - 1 : bottom;
      const [first, right] = jump ? [range().left, range().right] : [1, columns.length - 1];
      active = { row: from, column: first };
      activeId = store.id(view[from]);
      end = within(to, right);
      draw();
      actions.say?.(jump ? `Selected ${plural(right - first + 1, "column")}` : `Selected ${plural(to - from + 1, "row")}`);
    } else if (key === " " && actions.ticked) {
      const rows = chosenRows().filter((n) => view[n] >= 0);
      const isOn = !rows.every((n) => selected.has(store.id(view[n])));
      tickedLast = end.row;
      for (const n of rows) tickRows(n, n, isOn);
    } else if (key === "enter" && (jump || event.shiftKey) && !columns[column].editable) {
      return true; // prevent the notebook from running the cell
    } else if (key === "enter" || (key === "arrowdown" && event.altKey)) start(row, column);
    else if (key === "f2") {
      start(row, column);
      const control = editing?.control;
      if (control && !(control instanceof HTMLSelectElement)) {
        control.setSelectionRange(control.value.length, control.value.length);
      }
    } else if (jump && (key === "+" || key === "=") && actions.block) (actions.insert ?? insertRow)();
    else if (jump && key === "-" && actions.block) removeRows();
    else if (jump && key === "f" && actions.find) actions.find();
    else if (key === "a" && jump) {
      active = { row: 0, column: 1 };
      activeId = store.id(view[0]);
      end = within(count - 1, columns.length - 1);
      tickRows(0, view.length - 1, true);
    } else if (key === "d" && jump && actions.block) fillDown();
    else if (key === "delete" && actions.block) clearCells();
    else if (key === "backspace" && actions.block) start(row, column, " ");
    else if (isLetter(event) && event.key !== "?" && columns[column].editable) start(row, column, event.key);
    else if (key === "escape") {
      if (refused.shown) refused.forgive(...refused.shown);
      end = { ...active };
      others = [];
      draw();
      event.stopPropagation(); // JupyterLab would move the focus to the notebook
      leaving = true;
    } else if (key === "tab" && !jump) return tab(event.shiftKey ? -1 : 1);
    else return false;
    return true;
  }

  /**
   * Moves to the next cell, if necessary in the next row. After Escape, and at both ends of the table, Tab leaves
   * the table.
   * @param {number} step @returns {boolean} whether there is a next cell
   */
  function tab(step) {
    const across = columns.length - 1;
    const next = active.row * across + active.column - 1 + step;
    if (leaving || next < 0 || next >= view.length * across) return false;
    tabbedFrom ??= active.column;
    move(Math.floor(next / across), 1 + (next % across));
    return true;
  }

  grid.addEventListener("scroll", draw, { passive: true });
  all.onchange = () => tickRows(0, view.length - 1, all.checked);
  const watcher = new ResizeObserver(draw);
  watcher.observe(grid);
  const element = h("div", { class: "lc-grid-box" }, grid, refused.bubble, overlay, empty, suggestions,
    question.dialog, menu.menu);
  // When the focus leaves the table, complete new rows are added.
  element.addEventListener("focusout", () => setTimeout(() => {
    if (!element.contains(document.activeElement)) addNew();
  }));

  return {
    element, grid, pasted, goToNew,
    setColumns, setView, draw, countSelected, refuse,
    // The kernel has answered, so show its values.
    settled() { pending.clear(); draw(); },
    // After another action, forget all rejected texts, and the rejected new rows with them.
    forgiveAll() {
      if (!refused.size) return;
      for (const id of refused.rows()) fresh.drop(id);
      refused.clear();
      refreshNew();
    },
    // Whether there are texts that the table does not have: rejected texts, and new rows.
    get hasOwnTexts() { return refused.size > 0 || fresh.isWaiting; },
    /** @param {TableCell[]} list the rejected cells of the table */
    rejected(list) {
      refused.keepTable(list.map(({ cell, text, lines, choices }) =>
        [cell, { text, lines, offers: choices, isOfTable: true }]));
      const { shown } = refused;
      if (shown && !refused.get(...shown)) refused.forgive(...shown);
      draw();
    },
    removeOwnTexts() {
      stop(false);
      refused.clear();
      fresh.clear();
      refreshNew();
      actions.say?.("lyncnb removed the entries that were not yet in the table");
    },
    hideSent: fresh.hideSent,
    /**
     * The kernel has answered a block, and has rejected some of its new rows.
     * @param {number[]} numbers of all new rows in the block @param {RefusedRow[]} rows
     */
    answered(numbers, rows) {
      fresh.answered(numbers.map((row) => -row), rows.map(({ row }) => -row));
      refreshNew();
      for (const { row, column, lines } of rows) {
        refused.keep(-row, column, { text: store.text(-row, column), lines, offers: [] });
      }
      if (rows.length) refused.show(-rows[0].row, rows[0].column);
      draw();
    },
    restoreNew() {
      fresh.restore();
      refreshNew();
    },

    /**
     * Opens the cell of the active row in a column.
     * @param {string} name
     */
    edit(name) {
      grid.focus({ preventScroll: true });
      start(active.row, columns.findIndex((column) => column.name === name));
    },
    /** @param {string} text */
    sayEmpty(text) { empty.textContent = text; },
    /** @param {number} id @param {string} [name] */
    show(id, name = "") {
      const n = view.findIndex((at) => store.id(at) === id);
      const k = columns.findIndex((column) => column.name && column.name === name);
      if (n >= 0) move(n, k > 0 ? k : active.column);
    },
    /**
     * Goes to the first cell that contains a text.
     * @param {FilterTerm} term
     */
    goToText(term) {
      /** @param {number} at @param {ColumnFacts} column */
      const has = (at, column) => term.names.includes(column.name)
        && store.text(at, column.name).toLowerCase().includes(term.text);
      const n = view.findIndex((at) => at >= 0 && columns.some((column) => has(at, column)));
      if (n >= 0) move(n, columns.findIndex((column) => has(view[n], column)));
    },
    // Remove all rows before other rows arrive.
    empty() { closeForRows(); view = []; count = 0; },
    // Drop the text in the open cell before the rows of another table arrive, because they have the same IDs.
    dropOpenCell() { stop(false); held = null; },
    /** @param {{widths: Record<string, number>, frozen: boolean}} layout */
    setLayout(layout) {
      widths = { ...layout.widths };
      frozen = layout.frozen;
      grid.classList.toggle("lc-freezes", frozen);
      measure();
      draw();
    },
    get widths() { return widths; },
    get activeId() { return activeId; },
    get shown() { return shownRows(); },
    destroy() { unlisten(); watcher.disconnect(); },
  };
}
