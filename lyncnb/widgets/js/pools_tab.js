// @ts-check
// The Pools tab: one row for each pool. A change of a pool is one change of all its servers.

/** @type {ColumnFacts} */
const COUNT_COLUMN = { name: SERVER_COUNT, title: "Servers", least: 84, share: 1,
  help: "the number of servers in the pool" };

/**
 * @param {{send: Send<EditorFromPage>, say: (words: string) => void, rows: PoolRows, store: RowStore,
 *   goToServers: (ids: number[], column: string) => void,
 *   addServer: (values: Record<string, string>) => void}} parts `addServer` opens the form for a server
 */
function makePools({ send, say, rows, store, goToServers, addServer }) {
  const speaker = makeSpeaker();
  /** @type {ColumnFacts[]} */
  let known = [];
  /** @type {SortKey[]} */
  let sorts = [];
  let isStale = true; // whether the pools have changed since they were last shown
  let isOwn = false; // whether the last action left texts that the table does not have
  const find = h("input", { type: "search", class: "lc-control lc-find", autocomplete: "off",
    "aria-label": "Filter pools", placeholder: "Filter, such as role:Edge or -site:Taipei" });
  const count = h("div", { class: "lc-count", role: "status", "aria-live": "polite" });
  const grid = makeGrid({
    label: "Pools in the topology", noun: "pool", store: rows, nameOf, selected: new Set(),
    actions: {
      edit: (id, name, value) => send({ type: "edit", ids: rows.members(id, name), column: name, value,
        cell: [id, name] }),
      block: (block) => send({ type: "block", ...block, cells: block.cells.flatMap((cell) =>
        (POOL_COLUMNS.includes(cell.column) ? rows.members(cell.row, cell.column) : [cell.row])
          .map((row) => ({ ...cell, row }))) }),
      remove: (ids) => send({ type: "remove", ids: ids.flatMap((id) => rows.members(id)) }),
      insert,
      why: (row, column) => send({ type: "why_cell", row, column }),
      open: showServers,
      find() { find.focus(); find.select(); },
      entries: () => actions.map(([label, act]) => ({ label, act })),
      moved: nameActions, resized() {}, say,
      sort(wanted) { sorts = wanted; refresh(); },
    },
  });

  /** @type {[string, () => void][]} */
  const actions = [
    ["Add a server", insert],
    ["Rename", () => grid.edit("pool_fqdn")],
    ["Move to another site", () => grid.edit("site")],
    ["Show the servers", showServers],
  ];
  const name = h("strong", {});
  const buttons = h("div", { class: "lc-bar", role: "group" }, name,
    ...actions.map(([label, act]) => button(label, act)));

  /** @param {number} n */
  function nameOf(n) {
    const pool = rows.text(n, "pool_fqdn");
    return rows.isRepeated(n, "pool_fqdn") ? `${pool}, ${rows.text(n, "role")}` : pool;
  }

  function nameActions() {
    const n = grid.activeId === undefined ? undefined : rows.at(grid.activeId);
    buttons.hidden = n === undefined;
    if (n === undefined) return;
    name.textContent = nameOf(n);
    buttons.setAttribute("aria-label", `Change ${nameOf(n)}`);
  }

  // The copy of the last server gets the next number. If its name has no number, the user enters a name.
  function insert() {
    const { activeId } = grid;
    const n = activeId === undefined ? undefined : rows.at(activeId);
    if (activeId === undefined || n === undefined) return;
    const all = rows.members(activeId, "pool_fqdn").map((id) => store.at(id) ?? 0);
    const last = store.text(all[all.length - 1], "server_fqdn");
    const pool = rows.text(n, "pool_fqdn");
    if (last === pool) {
      speaker.refuse([`lyncnb added no server, because ${pool} is a single server, not a pool`,
        "What to do: first enter a pool name that differs from the server name. A server in a pool cannot have the same name as the pool"]);
    } else if (/\d/.test(last.split(".")[0])) {
      const ids = all.filter((at) => store.text(at, "server_fqdn") === last).map(store.id);
      send({ type: "duplicate", ids });
    } else {
      addServer({ role: rows.text(n, "role"), pool_fqdn: pool, site: rows.text(n, "site") });
    }
  }

  function showServers() {
    if (grid.activeId !== undefined) goToServers(rows.members(grid.activeId, "pool_fqdn"), "pool_fqdn");
  }

  function refresh() {
    const { terms, unknown } = parseFilter(find.value, known, known.map((column) => column.name));
    grid.sayEmpty(unknown.length
      ? `No pool matches the filter, because the table of pools has no column “${unknown[0]}”.`
      : "No pool matches the filter.");
    grid.setView(rows.view(terms, sorts), sorts);
    count.textContent = `${grid.shown.length.toLocaleString("en")} of ${plural(rows.size, "pool")} shown`;
    nameActions();
  }
  find.oninput = refresh;
  find.onkeydown = (event) => {
    if (event.key === "ArrowDown" || event.key === "Enter") {
      grid.grid.focus();
      event.preventDefault();
    }
    if (event.key === "Escape" && find.value) { find.value = ""; refresh(); event.stopPropagation(); }
  };

  /** @type {ColumnFacts[]} */
  let facts = [];
  // The usual columns, and other columns of pools and sites that have a value.
  function useColumns() {
    const used = facts.filter((column) => column.scope && column.scope !== "server"
      && !column.shown_of_pools && store.distinct(column.name).some((text) => text !== column.fallback));
    const usual = facts.filter((column) => column.shown_of_pools);
    const first = usual.filter((column) => POOL_COLUMNS.includes(column.name));
    first.sort((a, b) => POOL_COLUMNS.indexOf(a.name) - POOL_COLUMNS.indexOf(b.name));
    const shown = [...first, COUNT_COLUMN, ...usual.filter((column) => !first.includes(column)), ...used];
    /** @param {ColumnFacts[]} columns */
    const names = (columns) => columns.map((column) => `${column.name} ${column.title}`).join();
    if (names(shown) === names(known)) return;
    known = shown;
    grid.setLayout({ widths: grid.widths, frozen: true });
    grid.setColumns(shown);
  }

  const panel = h("div", { class: "lc-panel lc-pools" }, h("div", { class: "lc-bar" }, find, count), buttons,
    grid.element, speaker.box,
    h("p", { class: "lc-hint" }, "If you change a pool, you change all servers in the pool. The keyboard shortcuts are the same as in the table of servers. "
      + "Values in gray italics are inherited from the site or deployment, or are defaults."));

  function ask() {
    if (!isStale || panel.hidden) return;
    isStale = false;
    useColumns();
    refresh();
  }

  return {
    panel, ask,
    /** @param {ColumnFacts[]} columns */
    start(columns) { facts = columns; },
    /** The rows of the servers have changed. */
    rows() {
      rows.forget();
      isStale = true;
      grid.settled();
      ask();
    },
    /**
     * Shows an error next to the control that sent the request. Returns false if this tab did not send it.
     * @param {Refused} message
     */
    refused(message) {
      isOwn = ["edit", "block"].includes(message.about);
      if (message.cell && grid.refuse(...message.cell, message.lines)) return true;
      grid.settled();
      if (!["edit", "block", "remove", "duplicate"].includes(message.about)) return false;
      speaker.refuse(message.lines);
      return true;
    },
    /** @param {RefusedCells} message */
    refusedCells(message) {
      grid.settled();
      isOwn = !message.changed && message.cells.length > 0;
      for (const { cell: [id, column], text, lines } of message.cells) {
        const n = rows.at(id);
        if (n !== undefined) grid.refuse(rows.id(n), column, lines, undefined, text);
      }
      if (message.lines.length) speaker.refuse(message.lines);
    },
    /** @param {number[]} ids of new servers */
    added: ([id]) => {
      const n = rows.at(id);
      if (n !== undefined) grid.show(rows.id(n));
    },
    /** @param {boolean} isSince whether the request followed the last error */
    done(isSince) { if (isSince) speaker.clear(); },
    forget() { speaker.clear(); grid.forgiveAll(); },
    stepped() { isOwn = false; },
    get hasOwnTexts() { return isOwn && grid.hasOwnTexts; },
    undoOwn() {
      if (!this.hasOwnTexts) return false;
      grid.removeOwnTexts();
      speaker.clear();
      isOwn = false;
      return true;
    },
    /** @param {CellName} cell that Undo or Redo changed */
    showCell([id, column]) {
      const n = rows.at(id);
      if (n !== undefined) grid.show(rows.id(n), column);
    },
    destroy: () => grid.destroy(),
  };
}
