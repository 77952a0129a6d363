// @ts-check
// The table of servers: only the rows in sight are in the page, so 100,000 cost as much as 100.
// The grid itself has the focus and names its active cell (aria-activedescendant): rows come and
// go under it without the focus ever being lost.

const ROW_HEIGHT = 28;
const SELECT_COLUMN = { name: "", title: "Select", width: 36 };

function makeGrid({ label, store, selected, nameOf, onEdit, onActive, onSelect, onSort }) {
  let columns = [SELECT_COLUMN];
  let view = [];
  let sort = { name: "", descending: false };
  let active = { row: 0, column: 1 };
  let activeId; // the row under the active cell, wherever a sort or a filter puts it
  let editing = null;
  let anchor = null;
  let fitted = "";
  const pending = new Map(); // "id name" -> text typed, until the kernel has answered
  const refused = new Map(); // "id name" -> what was typed and why it cannot be
  const stem = unique("grid");

  const all = h("input", { type: "checkbox", "aria-label": "Select all that are shown" });
  const head = h("div", { role: "rowgroup", class: "lc-head" });
  const body = h("div", { role: "rowgroup", class: "lc-body" });
  const grid = h("div", { role: "grid", class: "lc-grid", tabIndex: 0, "aria-label": label,
    "aria-multiselectable": "true" }, head, body);
  const empty = h("div", { class: "lc-empty", hidden: true });
  const suggestions = h("datalist", { id: unique("list") });
  const pool = []; // row elements, reused: row n lives in element n modulo their number

  // -- columns and rows
  function setColumns(list) {
    stop(false);
    columns = [SELECT_COLUMN, ...list];
    grid.setAttribute("aria-colcount", columns.length);
    const widths = columns.map((c) => (c.width ? `${c.width}px` : `minmax(${c.least}px,${c.share}fr)`));
    grid.style.setProperty("--lc-columns", widths.join(" "));
    const least = columns.reduce((sum, c) => sum + (c.width || c.least), 0);
    grid.style.setProperty("--lc-least", `${least}px`);
    active.column = Math.min(active.column, columns.length - 1);
    head.replaceChildren(h("div", { role: "row", class: "lc-row", "aria-rowindex": 1 },
      ...columns.map(headCell)));
    pool.length = 0;
    body.replaceChildren();
    draw();
  }

  function headCell(column, n) {
    const cell = h("div", { role: "columnheader", class: "lc-cell", "aria-colindex": n + 1 });
    if (!column.name) {
      cell.append(all);
      return cell;
    }
    const mark = h("span", { "aria-hidden": "true" });
    if (sort.name === column.name) {
      cell.setAttribute("aria-sort", sort.descending ? "descending" : "ascending");
      mark.textContent = sort.descending ? " ▼" : " ▲";
    }
    cell.append(h("button", { type: "button", class: "lc-sort", title: column.help || "",
      onclick: () => onSort(column.name) }, column.title, mark));
    return cell;
  }

  function setView(rows, newSort) {
    view = rows;
    if (newSort.name !== sort.name || newSort.descending !== sort.descending) {
      sort = newSort;
      head.firstChild?.replaceChildren(...columns.map(headCell));
    }
    if (editing && store.id(view[editing.row]) !== editing.id) stop(false);
    const place = view.findIndex((at) => store.id(at) === activeId);
    active.row = Math.max(0, place >= 0 ? place : Math.min(active.row, view.length - 1));
    activeId = view.length ? store.id(view[active.row]) : undefined;
    grid.setAttribute("aria-rowcount", view.length + 1);
    body.style.height = `${view.length * ROW_HEIGHT}px`;
    fit();
    countSelected();
  }

  // As high as its rows, up to a dozen; a height that the planner has drawn stays.
  function fit() {
    if (grid.style.height !== fitted) return;
    const rows = Math.max(4, view.length) + 1;
    fitted = rows <= 12 ? `${rows * ROW_HEIGHT + 20}px` : "";
    grid.style.height = fitted;
  }

  // -- drawing
  function range() {
    const top = Math.max(0, grid.scrollTop);
    const first = Math.max(0, Math.floor(top / ROW_HEIGHT) - 4);
    const count = Math.ceil((grid.clientHeight || 340) / ROW_HEIGHT) + 9;
    return [first, Math.min(view.length, first + count)];
  }

  function draw() {
    const [first, end] = range();
    const need = Math.max(end - first, 1);
    while (pool.length < need) pool.push(newRow());
    const used = new Set();
    for (let n = first; n < end; n++) {
      const row = pool[n % pool.length];
      used.add(row);
      fill(row, n);
    }
    for (const row of pool) if (!used.has(row)) row.element.hidden = true;
    placeBubble();
    const here = view.length && active.row >= first && active.row < end;
    if (here) grid.setAttribute("aria-activedescendant", cellId(active.row, active.column));
    else grid.removeAttribute("aria-activedescendant");
    empty.hidden = view.length > 0;
  }

  function countSelected() {
    const chosen = selected.size && view.reduce((sum, at) => sum + selected.has(store.id(at)), 0);
    all.checked = view.length > 0 && chosen === view.length;
    all.indeterminate = chosen > 0 && chosen < view.length;
    draw();
  }

  const cellId = (n, k) => `${stem}-${n % pool.length}-${k}`;

  function newRow() {
    const row = { at: -1, n: -1, cells: /** @type {any[]} */ ([]), pressedAgain: false,
      box: h("input", { type: "checkbox", tabIndex: -1 }), element: h("div") };
    const number = pool.length;
    row.box.onclick = (event) => toggle(row.n, row.box.checked, event.shiftKey);
    row.cells = columns.map((column, k) => {
      const cell = h("div", { role: "gridcell", class: "lc-cell", id: `${stem}-${number}-${k}`,
        "aria-colindex": k + 1 });
      if (!k) cell.append(row.box);
      else {
        cell.onmousedown = (event) => { if (!cell.contains(editing?.control)) press(event, row, k); };
        cell.onclick = (event) => {
          if (row.pressedAgain && event.detail === 1) start(row.n, k);
          row.pressedAgain = false;
        };
        cell.ondblclick = () => start(row.n, k);
        if (!column.editable) cell.setAttribute("aria-readonly", "true");
      }
      return cell;
    });
    row.element = h("div", { role: "row", class: "lc-row" }, ...row.cells);
    body.append(row.element);
    return row;
  }

  function fill(row, n) {
    const at = view[n];
    const id = store.id(at);
    row.n = n;
    row.at = at;
    row.element.hidden = false;
    row.element.style.transform = `translateY(${n * ROW_HEIGHT}px)`;
    row.element.setAttribute("aria-rowindex", n + 2);
    row.element.setAttribute("aria-selected", String(selected.has(id)));
    row.box.checked = selected.has(id);
    row.box.setAttribute("aria-label", `Select ${nameOf(at)}`);
    const changed = store.text(at, "_changed").split(" ");
    columns.forEach((column, k) => {
      const cell = row.cells[k];
      cell.classList.toggle("lc-active", n === active.row && k === active.column);
      if (!k || (editing && editing.id === id && editing.k === k)) return;
      fillCell(cell, column, at, id, changed);
    });
  }

  // What a cell holds stays the same element while it says the same: between press and release of
  // the mouse nothing under it may be replaced, or the browser sends no click.
  function fillCell(cell, column, at, id, changed) {
    const waiting = pending.get(`${id} ${column.name}`);
    const wrong = refused.get(`${id} ${column.name}`);
    const text = waiting ?? wrong?.text ?? store.text(at, column.name);
    const lent = waiting === undefined && !wrong && store.inherited(at, column.name);
    const isChanged = !wrong && changed.includes(column.name);
    const says = [id, text, lent, isChanged, waiting !== undefined, Boolean(wrong)].join("\0");
    if (cell.says === says) return;
    cell.says = says;
    cell.className = `lc-cell${cell.classList.contains("lc-active") ? " lc-active" : ""}`
      + (lent ? " lc-lent" : "") + (isChanged ? " lc-changed" : "")
      + (waiting === undefined ? "" : " lc-waiting") + (column.editable ? " lc-editable" : "")
      + (wrong ? " lc-refused" : "");
    cell.title = wrong ? wrong.lines.join("\n") : lent ? `${text} (not in this row: as the ${column.scope} has it)` : text;
    const parts = [];
    if (column.name === "_findings" && text) parts.push(findingsTag(text));
    else parts.push(h("span", { class: "lc-text" }, text));
    if (wrong) parts.unshift(h("span", { class: "lc-hidden" }, "Refused: "));
    if (lent) parts.push(h("span", { class: "lc-hidden" }, ` (as the ${column.scope} has it)`));
    if (isChanged) {
      parts.push(h("span", { class: "lc-mark", "aria-hidden": "true" }, "✎"),
        h("span", { class: "lc-hidden" }, " (changed)"));
    }
    cell.replaceChildren(...parts);
  }

  const findingsTag = (text) => severityTag(["error", "warning", "notice"]
    .find((severity) => text.includes(severity)), text);

  // -- moving and selecting
  function move(row, column, reveal = true) {
    active = {
      row: Math.max(0, Math.min(view.length - 1, row)),
      column: Math.max(1, Math.min(columns.length - 1, column)),
    };
    activeId = view.length ? store.id(view[active.row]) : undefined;
    if (reveal) bringIntoSight();
    else draw();
    onActive();
  }

  function bringIntoSight() {
    const top = active.row * ROW_HEIGHT;
    const shown = grid.clientHeight - ROW_HEIGHT; // the heading stays in sight
    if (top < grid.scrollTop) grid.scrollTop = top;
    else if (top + ROW_HEIGHT > grid.scrollTop + shown) grid.scrollTop = top + ROW_HEIGHT - shown;
    draw();
    const cell = pool[active.row % pool.length]?.cells[active.column];
    if (cell) {
      const [left, right] = [cell.offsetLeft, cell.offsetLeft + cell.offsetWidth];
      if (left < grid.scrollLeft) grid.scrollLeft = left - 40;
      else if (right > grid.scrollLeft + grid.clientWidth) grid.scrollLeft = right - grid.clientWidth;
    }
  }

  function press(event, row, k) {
    if (event.button) return;
    stop(true);
    event.preventDefault();
    grid.focus({ preventScroll: true });
    if (event.shiftKey) toggle(row.n, true, true);
    else if (event.ctrlKey || event.metaKey) toggle(row.n, !selected.has(store.id(row.at)), false);
    row.pressedAgain = active.row === row.n && active.column === k && !event.shiftKey
      && columns[k].editable;
    // Nothing scrolls under a finger that is still down: the second press of two would miss.
    move(row.n, k, false);
  }

  function toggle(n, on, range) {
    const from = range && anchor !== null ? Math.min(anchor, n) : n;
    const to = range && anchor !== null ? Math.max(anchor, n) : n;
    for (let i = from; i <= to && i < view.length; i++) {
      const id = store.id(view[i]);
      if (on) selected.add(id); else selected.delete(id);
    }
    anchor = n;
    countSelected();
    onSelect();
  }

  function selectShown(on) {
    for (const at of view) {
      if (on) selected.add(store.id(at)); else selected.delete(store.id(at));
    }
    countSelected();
    onSelect();
  }

  // -- editing
  // Opens a cell. `typed` is the key that opened it: it begins the new text, or chooses in a list.
  function start(n, k, typed = "") {
    const column = columns[k];
    if (!column?.editable || n >= view.length) return;
    stop(true);
    move(n, k);
    const at = view[n];
    const id = store.id(at);
    const wrong = refused.get(`${id} ${column.name}`);
    const value = store.inherited(at, column.name) ? "" : store.text(at, column.name);
    const name = `${column.title} of ${nameOf(at)}`;
    const control = makeCellControl(column, wrong?.text ?? value, name, store, suggestions);
    editing = { id, row: n, k, control, value, column, refusedText: wrong?.text };
    const cell = pool[n % pool.length].cells[k];
    cell.says = "";
    cell.replaceChildren(control);
    if (wrong) {
      control.setAttribute("aria-invalid", "true");
      control.setAttribute("aria-describedby", bubble.id);
    }
    control.onkeydown = editorKey;
    control.onblur = () => stop(true);
    if (control.tagName === "SELECT") control.onchange = () => { stop(true); grid.focus(); };
    control.focus();
    if (typed) {
      type(control, typed);
      return; // an open list would take the Enter that is meant for the cell
    }
    control.select?.();
    try { control.showPicker?.(); } catch { /* the list opens with Alt+Down where this is not allowed */ }
  }

  function type(control, key) {
    if (control.tagName !== "SELECT") {
      control.value = key;
      return;
    }
    const wanted = key.toLowerCase();
    const found = [...control.options].find((option) => option.text.toLowerCase().startsWith(wanted));
    if (found) control.value = found.value;
  }

  function editorKey(event) {
    if (event.key === "Enter" || event.key === "Escape") {
      event.preventDefault();
      event.stopPropagation();
      if (event.key === "Escape") forgive(editing.id, editing.column.name);
      stop(event.key === "Enter");
      grid.focus({ preventScroll: true });
    } else if (event.key === "Tab") {
      event.preventDefault();
      stop(true);
      grid.focus({ preventScroll: true });
      move(active.row, active.column + (event.shiftKey ? -1 : 1));
    }
  }

  function stop(commit) {
    if (!editing) return;
    const { id, column, control, value, refusedText } = editing;
    editing = null;
    control.onblur = null;
    const text = control.value.trim();
    if (commit && text !== refusedText) {
      forgive(id, column.name);
      if (text !== value) {
        pending.set(`${id} ${column.name}`, text);
        onEdit(id, column.name, text);
      }
    }
    draw();
  }

  // -- what was refused: the text stays in its cell, and why stands beside it
  const bubble = h("div", { class: "lc-bubble", id: unique("why"), hidden: true });
  const bubbleText = h("div", { role: "alert", class: "lc-alert" });
  bubble.append(bubbleText, button("Close", () => {
    if (bubble.of) forgive(...bubble.of);
    grid.focus({ preventScroll: true });
    draw();
  }, { "aria-label": "Close this message and put the cell back", class: "lc-button lc-quiet" }));

  function refuse(id, name, lines) {
    const text = pending.get(`${id} ${name}`);
    pending.delete(`${id} ${name}`);
    if (text === undefined) return false;
    const n = view.findIndex((at) => store.id(at) === id);
    const k = columns.findIndex((column) => column.name === name);
    if (n < 0 || k < 0) return false;
    refused.set(`${id} ${name}`, { text, lines });
    bubble.of = [id, name];
    bubbleText.replaceChildren(...alertLines(lines));
    bubble.hidden = false;
    draw();
    // Whoever has not gone on finds the cell open again, with what was typed.
    if (document.activeElement === grid && activeId === id && active.column === k) start(n, k);
    return true;
  }

  function forgive(id, name) {
    refused.delete(`${id} ${name}`);
    if (bubble.of && bubble.of[0] === id && bubble.of[1] === name) {
      bubble.hidden = true;
      bubble.of = null;
      bubbleText.replaceChildren();
    }
  }

  function placeBubble() {
    if (!bubble.of) return;
    const [id, name] = bubble.of;
    const n = view.findIndex((at) => store.id(at) === id);
    const cell = n < 0 ? null : pool[n % pool.length]?.cells[columns.findIndex((c) => c.name === name)];
    // Beside the grid and not in it, where only rows may be; so it moves when the grid scrolls.
    const top = (n + 1) * ROW_HEIGHT - grid.scrollTop;
    bubble.hidden = !cell || top < 0 || top > grid.clientHeight;
    if (bubble.hidden) return;
    const left = Math.min(cell.offsetLeft - grid.scrollLeft, grid.clientWidth - 310);
    bubble.style.transform = `translate(${Math.max(0, left)}px, ${top + ROW_HEIGHT + 2}px)`;
  }

  grid.addEventListener("keydown", (event) => {
    if (event.target !== grid || !view.length) return;
    const page = Math.max(1, Math.floor(grid.clientHeight / ROW_HEIGHT) - 2);
    const { row, column } = active;
    const jump = event.ctrlKey || event.metaKey;
    const go = {
      ArrowDown: [row + 1, column], ArrowUp: [row - 1, column],
      ArrowRight: [row, column + 1], ArrowLeft: [row, column - 1],
      PageDown: [row + page, column], PageUp: [row - page, column],
      Home: [jump ? 0 : row, 1], End: [jump ? view.length - 1 : row, columns.length - 1],
    }[event.key];
    if (go) {
      if (event.shiftKey && anchor === null) anchor = row;
      move(...go);
      if (event.shiftKey) toggle(active.row, true, true);
    } else if (event.key === " ") toggle(row, !selected.has(store.id(view[row])), event.shiftKey);
    else if (event.key === "Enter" || event.key === "F2") start(row, column);
    else if (event.key === "a" && jump) selectShown(true);
    else if (event.key.length === 1 && !jump && !event.altKey && columns[column].editable) {
      start(row, column, event.key);
    } else if (event.key === "Escape" && bubble.of) {
      forgive(...bubble.of);
      draw();
      event.stopPropagation();
    } else return;
    event.preventDefault();
  });
  grid.addEventListener("scroll", draw, { passive: true });
  all.onchange = () => selectShown(all.checked);
  const watcher = new ResizeObserver(draw);
  watcher.observe(grid);

  return {
    element: h("div", { class: "lc-grid-box" }, grid, bubble, empty, suggestions), grid,
    setColumns, setView, draw, countSelected, refuse,
    // The kernel has answered: what it holds is what is shown.
    settled() { pending.clear(); draw(); },
    // Something else was done since.
    forgiveAll() {
      if (!refused.size) return;
      refused.clear();
      if (bubble.of) forgive(...bubble.of);
      draw();
    },
    sayEmpty(text) { empty.textContent = text; },
    show(id, name = "") {
      const n = view.findIndex((at) => store.id(at) === id);
      const k = columns.findIndex((column) => column.name && column.name === name);
      if (n >= 0) move(n, k > 0 ? k : active.column);
    },
    // Rows of another table than the one shown are on their way.
    empty() { stop(false); view = []; },
    get activeId() { return activeId; },
    get shown() { return view; },
    destroy() { watcher.disconnect(); },
  };
}

// The control of a cell: a list where the kernel says what may be chosen, else a line of text with
// what other rows have as suggestions.
function makeCellControl(column, value, name, store, suggestions) {
  if (column.strict) {
    const blank = column.required ? [] : [["", `blank: ${column.fallback || "none"}`]];
    const choices = [...blank, ...column.choices];
    if (value && !choices.some(([key]) => key === value)) choices.unshift([value, value]);
    return choose(choices, value, { "aria-label": name, class: "lc-control" });
  }
  const known = column.always ? [] : store.distinct(column.name); // no two servers have one name
  const texts = [...(column.choices || []).map(([key]) => key), ...known];
  suggestions.replaceChildren(...texts.slice(0, 300).map((text) => h("option", { value: text })));
  const input = h("input", { type: "text", value, "aria-label": name, class: "lc-control",
    autocomplete: "off", spellcheck: false });
  input.setAttribute("list", suggestions.id);
  return input;
}
