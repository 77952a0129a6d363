// @ts-check
// The column headings of a table: one tab stop, and arrow keys that move between them. The user can sort
// by one or two columns and change the column widths.

const LEAST_WIDTH = 56; // pixels

/**
 * @param {{columns: () => ColumnFacts[], all: HTMLInputElement, onSort: (sorts: SortKey[]) => void,
 *   onWidth?: (name: string, width: number, ended: boolean) => void,
 *   onFit?: (name: string) => void, onDown: () => void}} parts
 */
function makeGridHeader({ columns, all, onSort, onWidth, onFit, onDown }) {
  /** @type {SortKey[]} */
  let sorts = [];
  let current = 0; // the heading that gets the focus
  /** @type {HTMLElement[]} */
  let stops = [];
  const row = h("div", { role: "row", class: "lc-row", "aria-rowindex": 1 });
  const head = h("div", { role: "rowgroup", class: "lc-head" }, row);

  /** @param {string} name @param {boolean} then whether it is the second column to sort by */
  function sortBy(name, then) {
    const old = sorts.find((sort) => sort.name === name);
    const next = !old ? { name, descending: false }
      : old.descending ? null : { name, descending: true };
    const others = then ? sorts.filter((sort) => sort.name !== name).slice(0, 1) : [];
    if (then && old) {
      onSort(sorts.flatMap((sort) => (sort !== old ? [sort] : next ? [next] : [])));
    } else onSort([...others, ...(next ? [next] : [])]);
  }

  /** @param {ColumnFacts} column @param {number} n */
  function headCell(column, n) {
    const cell = h("div", { role: "columnheader", class: "lc-cell", "aria-colindex": n + 1 });
    if (!column.name) {
      cell.append(all);
      return cell;
    }
    const index = sorts.findIndex((sort) => sort.name === column.name);
    const mark = h("span", { "aria-hidden": "true" });
    if (index >= 0) {
      const { descending } = sorts[index];
      if (!index) cell.setAttribute("aria-sort", descending ? "descending" : "ascending");
      mark.textContent = ` ${descending ? "▼" : "▲"}${sorts.length > 1 ? index + 1 : ""}`;
    }
    cell.append(h("button", { type: "button", class: "lc-sort",
      title: [column.help, "Click to sort. Shift+click to make this column the second sort key. Press Alt+← or Alt+→ to change the width, or Alt+Enter to fit the content"].filter(Boolean)
        .join(". "),
      onclick: (event) => sortBy(column.name, event.shiftKey) }, column.title, mark));
    if (onWidth) cell.append(handle(cell, column));
    return cell;
  }

  /** @param {HTMLElement} cell @param {ColumnFacts} column */
  function handle(cell, column) {
    const grip = h("span", { class: "lc-grip", "aria-hidden": "true" });
    grip.onpointerdown = (event) => {
      event.preventDefault();
      grip.setPointerCapture(event.pointerId);
      const [x, width] = [event.clientX, cell.offsetWidth];
      /** @param {PointerEvent} moved */
      const wide = (moved) => Math.max(LEAST_WIDTH, width + moved.clientX - x);
      grip.onpointermove = (moved) => onWidth?.(column.name, wide(moved), false);
      grip.onpointerup = (ended) => {
        grip.onpointermove = grip.onpointerup = null;
        onWidth?.(column.name, wide(ended), true);
      };
    };
    grip.ondblclick = () => onFit?.(column.name);
    grip.onclick = (event) => event.stopPropagation();
    return grip;
  }

  function draw() {
    const inside = row.contains(document.activeElement);
    row.replaceChildren(...columns().map(headCell));
    stops = [...row.querySelectorAll("input, button")].flatMap((stop) =>
      (stop instanceof HTMLElement ? [stop] : []));
    if (current >= stops.length) current = 0;
    stops.forEach((stop, n) => { stop.tabIndex = n === current ? 0 : -1; });
    if (inside) stops[current].focus();
  }

  /** @param {number} to */
  function go(to) {
    stops[current].tabIndex = -1;
    current = Math.max(0, Math.min(stops.length - 1, to));
    stops[current].tabIndex = 0;
    stops[current].focus();
  }

  row.addEventListener("focusin", (event) => {
    const n = stops.findIndex((stop) => stop === event.target);
    if (n >= 0 && n !== current) go(n);
  });
  row.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const column = columns()[current];
    if (step && event.altKey && column?.name) {
      const cell = stops[current].parentElement;
      onWidth?.(column.name, Math.max(LEAST_WIDTH, (cell?.offsetWidth ?? 100) + 16 * step), true);
    } else if (event.key === "Enter" && event.altKey && column?.name) onFit?.(column.name);
    else if (step) go(current + step);
    else if (event.key === "Home") go(0);
    else if (event.key === "End") go(stops.length - 1);
    else if (event.key === "ArrowDown") onDown();
    else if (event.key === "Enter" && column?.name) sortBy(column.name, event.shiftKey);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });

  return {
    head, draw,
    get sorts() { return sorts; },
    /** @param {SortKey[]} wanted */
    setSorts(wanted) {
      sorts = wanted;
      draw();
    },
  };
}
