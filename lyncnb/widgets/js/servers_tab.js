// @ts-check
// The Servers tab: find, select and change servers, and see their certificates and the reasons.

const REFUSED_SHOWN = 100; // cells of a rejected change that show the reason

/**
 * @param {{send: Send<EditorFromPage>, say: (words: string) => void, reasons: NameReasons,
 *   showFinding: (row: number, server: string) => void, typedNew: () => void}} parts
 */
function makeServers({ send, say, reasons, showFinding, typedNew }) {
  const store = makeStore();
  const pools = makePoolRows(store);
  /** @type {Set<number>} */
  const selected = new Set();
  const speaker = makeSpeaker(); // errors for several servers
  const addSpeaker = makeSpeaker(); // errors for a new server
  /** @type {ColumnFacts[]} */
  let columns = []; // facts of every column, from the kernel
  /** @type {Layout} */
  let layout = { shown: [], widths: {}, sorts: [], frozen: true, source: "" };
  let askTimer = 0;
  let total = 0; // number of all rows, which is larger than the store until all rows are loaded
  let isOwn = false; // whether the last action left texts that the table does not have
  /** @type {HTMLElement | null} */
  let asker = null; // the pressed button, which gets the focus back

  const find = h("input", { type: "search", class: "lc-control lc-find", autocomplete: "off",
    "aria-label": "Filter servers", placeholder: "Filter, such as role:Edge or -site:Taipei" });
  const show = choose([["all", "All servers"], ["selected", "Selected servers"],
    ["changed", "Changed servers"], ["found", "Servers with findings"]], "all",
  { class: "lc-control", "aria-label": "Which servers to show" });
  const count = h("div", { class: "lc-count", role: "status", "aria-live": "polite" });
  const picker = h("div", { class: "lc-picker-list" });
  const grid = makeGrid({
    label: "Servers in the topology", store, selected, nameOf,
    actions: {
      edit: (id, name, value) => send({ type: "edit", ids: [id], column: name, value, cell: [id, name] }),
      block: (block) => send({ type: "block", ...block }),
      typedNew() { isOwn = true; typedNew(); },
      remove: (ids) => once({ type: "remove", ids }),
      duplicate: (ids) => once({ type: "duplicate", ids }),
      why: (row, column) => send({ type: "why_cell", row, column }),
      showFinding: (id) => showFinding(id, store.text(store.at(id) ?? 0, "server_fqdn")),
      find() { find.focus(); find.select(); },
      offer: (n, [id, name], value) => changePool(n, { ids: [id], column: name, value }),
      moved: () => ask(), ticked() { refreshWords(); ask(); }, sort: onSort, say,
      resized() { layout.widths = grid.widths; keepLayout(layout); },
    },
  });

  /**
   * A server with a collocated role has two rows, so the name of a row then includes the role.
   * @param {number} at
   */
  function nameOf(at) {
    const server = store.text(at, "server_fqdn") || "the new server";
    return store.isRepeated(at, "server_fqdn") ? `${server}, ${store.text(at, "role")}` : server;
  }

  // -- changing several servers
  let waiting = false; // a second press of a button would repeat the action
  /** @type {Send<EditorFromPage>} */
  const once = (message) => {
    if (waiting) return;
    waiting = true;
    send(message);
  };
  const bulkColumn = h("select", { class: "lc-control", "aria-label": "Column to set" });
  const bulkValue = h("span", { class: "lc-bulk-value" });
  const bulkWords = h("strong", { class: "lc-bulk-words" });
  const bulkUnseen = h("input", { type: "checkbox" });
  bulkUnseen.onchange = () => refreshWords();
  const bulkUnseenWords = h("span", {});
  const bulkUnseenLabel = h("label", { class: "lc-check", hidden: true }, bulkUnseen, bulkUnseenWords);
  const bulkApply = button("Set", applyBulk, { class: "lc-button lc-primary" });
  // Servers that the filter hides are never removed.
  const bulkRemove = button("Remove", () => once({ type: "remove", ids: seen() }));
  const bulkClear = button("Clear selection", () => {
    selected.clear();
    changedSelection();
    grid.grid.focus();
  });
  const copies = button("Duplicate", () => {
    asker = copies;
    once({ type: "duplicate", ids: seen() });
  });
  const poolName = h("input", { type: "text", class: "lc-control", autocomplete: "off", spellcheck: false,
    "aria-label": "Name of the new pool", placeholder: "Name of the new pool" });
  const poolMake = button("New pool with the selected servers", () => {
    asker = poolMake;
    once({ type: "new_pool", ids: seen(), pool: poolName.value.trim() });
  });
  poolName.onkeydown = (event) => { if (event.key === "Enter") poolMake.click(); };
  const bulkMore = h("details", { class: "lc-more" },
    h("summary", {}, "More actions for the selected servers"),
    h("div", { class: "lc-bar" }, copies, h("span", { class: "lc-grow" }), poolName, poolMake));
  const bulk = h("div", { class: "lc-bulk", role: "group", "aria-label": "Change the selected servers",
    hidden: true },
    bulkWords, h("span", { class: "lc-bulk-set" }, "Set", bulkColumn, "to", bulkValue, bulkApply, bulkUnseenLabel),
    h("span", { class: "lc-grow" }), bulkRemove, bulkClear, bulkMore);
  /** @type {{column: ColumnFacts, control: Control} | null} */
  let bulkNow = null;
  /** @type {{ids: number[], column: string, value: string} | null} the last request */
  let bulkAsked = null;
  const seen = () => grid.shown.map((at) => store.id(at)).filter((id) => selected.has(id));

  function fillBulk() {
    const column = columns.find((candidate) => candidate.name === bulkColumn.value);
    if (!column) return;
    const before = bulkNow?.column.name === column.name ? bulkNow.control.value : "";
    const control = makeCellControl(column, before, `New ${column.title}`, store, bulkList);
    if (control instanceof HTMLSelectElement && column.required && !before) control.selectedIndex = 0;
    control.onkeydown = (event) => {
      if (event.key === "Enter" && !(control instanceof HTMLTextAreaElement)) applyBulk();
    };
    bulkNow = { column, control };
    bulkValue.replaceChildren(control);
  }
  const bulkList = h("datalist", { id: unique("list") });
  bulkColumn.onchange = fillBulk;

  function applyBulk() {
    if (!selected.size || !bulkNow) return;
    const ids = bulkUnseen.checked ? [...selected] : seen();
    if (!ids.length) return;
    changeAll({ ids, column: bulkNow.column.name, value: controlText(bulkNow.control, bulkNow.column, "") });
  }

  /** @param {{ids: number[], column: string, value: string}} change */
  function changeAll(change) {
    bulkAsked = change;
    send({ type: "edit", ...change });
  }

  /**
   * Does an alternative to a change that the rest of a pool contradicts.
   * @param {number} n 0 to change all servers of the pool, 1 to remove the servers from the pool
   * @param {{ids: number[], column: string, value: string}} change
   */
  function changePool(n, { ids, column, value }) {
    const all = new Set(ids.flatMap((id) => pools.members(id, column)));
    if (n) send({ type: "leave_pool", ids, column, value });
    else changeAll({ ids: [...all], column, value });
  }

  // -- adding a server
  const addForm = h("form", { class: "lc-add", hidden: true, "aria-label": "Add a server" });
  const addOpen = button("Add a server…", () => {
    openAddForm(addForm.hidden);
    if (!addForm.hidden) addForm.querySelector("input")?.focus();
  }, { "aria-expanded": "false" });
  /** @param {boolean} open */
  function openAddForm(open) {
    addForm.hidden = !open;
    addOpen.setAttribute("aria-expanded", String(open));
    addSpeaker.clear();
  }
  /** @type {Map<string, Control>} */
  const addControls = new Map();
  /** @type {Record<string, HTMLDataListElement>} */
  const addLists = {};
  function fillAdd() {
    addControls.clear();
    const fields = columns.filter((column) => column.add).map((column) => {
      const control = makeCellControl(column, "", column.title, store, addLists[column.name] ||=
        h("datalist", { id: unique("list") }));
      control.removeAttribute("aria-label");
      addControls.set(column.name, control);
      return labelled(column.title, control);
    });
    addForm.replaceChildren(...fields, ...Object.values(addLists),
      h("button", { type: "submit", class: "lc-button lc-primary" }, "Add"),
      button("Cancel", () => { openAddForm(false); addOpen.focus(); }),
      addSpeaker.box);
  }
  // Several pasted rows go to the end of the table, because a field takes one text.
  addForm.addEventListener("paste", (event) => {
    const rows = event.clipboardData ? readClipboard(event.clipboardData) : [];
    const isWide = rows.some((row) => row.length > 1);
    if (!isWide && (rows.length < 2 || event.target instanceof HTMLTextAreaElement)) return;
    event.preventDefault();
    openAddForm(false);
    grid.goToNew();
    grid.grid.focus();
    grid.pasted(rows);
  });
  addForm.onsubmit = (event) => {
    event.preventDefault();
    const values = Object.fromEntries([...addControls].map(([name, control]) =>
      [name, control.value.trim()]));
    send({ type: "add", values });
  };

  // -- view
  /** @param {SortKey[]} sorts */
  function onSort(sorts) {
    layout.sorts = sorts;
    keepLayout(layout);
    refresh();
    const words = sorts.map((sort) => titleOf(sort.name) + (sort.descending ? ", descending" : ""));
    say(words.length ? `Sorted by ${words.join("; then by ")}` : "The rows are in the same order as in the file");
  }

  /** @param {string} name */
  const titleOf = (name) => columns.find((column) => column.name === name)?.title ?? name;

  function refresh() {
    /** @type {Record<string, (at: number) => boolean>} */
    const kept = {
      selected: (at) => selected.has(store.id(at)),
      changed: (at) => store.text(at, "_changed") !== "",
      found: (at) => store.text(at, "_findings") !== "",
    };
    const searched = [...new Set([...layout.shown,
      ...columns.filter((column) => column.search).map((column) => column.name)])];
    const { terms, unknown } = parseFilter(find.value, columns, searched);
    grid.sayEmpty(!store.size ? "The table has no servers." : unknown.length
      ? `No server matches the filter, because the table has no column “${unknown[0]}”. Clear the filter, or show all servers.`
      : "No server matches the filter. Clear the filter, or show all servers.");
    grid.setView(store.view({ terms, keep: kept[show.value], sorts: layout.sorts }), layout.sorts);
    refreshWords();
  }

  function refreshWords() {
    const n = selected.size;
    const inSight = n ? seen().length : 0;
    const unseen = n - inSight;
    count.textContent = total > store.size
      ? `Showing the first ${store.size.toLocaleString("en")} of ${plural(total, "server")}. Loading the remaining servers …`
      : `${grid.shown.length.toLocaleString("en")} of ${plural(store.size, "server")} shown`;
    bulkWords.textContent = `${plural(n, "server")} selected`
      + (unseen ? `, ${unseen.toLocaleString("en")} of them not shown` : "");
    if (!n && bulk.contains(document.activeElement)) grid.grid.focus();
    bulk.hidden = !n; // the rows use its space until servers are selected
    bulkUnseenLabel.hidden = !unseen;
    if (!unseen) bulkUnseen.checked = false;
    bulkUnseenWords.textContent = ` also the ${plural(unseen, "selected server")} not shown`;
    const isAll = bulkUnseen.checked;
    bulkClear.disabled = !n;
    bulkApply.disabled = !inSight && !isAll;
    for (const control of [bulkRemove, copies, poolMake, poolName]) control.disabled = !inSight;
    const shownServers = plural(inSight, unseen ? "shown server" : "server");
    bulkApply.textContent = bulkApply.disabled ? "Set"
      : `Set for ${isAll ? plural(n, "server") : shownServers}`;
    bulkRemove.textContent = !n ? "Remove" : !inSight ? "Remove (all selected servers are hidden)"
      : `Remove ${shownServers}`;
    copies.textContent = inSight ? `Duplicate ${shownServers} with the next number` : "Duplicate";
    poolMake.textContent = inSight ? `New pool with ${shownServers}` : "New pool with the selected servers";
  }

  function changedSelection() {
    if (show.value === "selected") refresh();
    grid.countSelected();
    refreshWords();
    ask();
  }

  function showAll() {
    find.value = "";
    show.value = "all";
    refresh();
  }

  find.oninput = () => { refresh(); ask(); };
  find.onkeydown = (event) => {
    if (event.key === "ArrowDown" || event.key === "Enter") {
      grid.grid.focus();
      const [term] = parseFilter(find.value, columns, layout.shown).terms;
      if (event.key === "Enter" && term) grid.goToText(term);
      event.preventDefault();
    }
    if (event.key === "Escape" && find.value) { find.value = ""; refresh(); event.stopPropagation(); }
  };
  show.onchange = refresh;

  function pickColumns() {
    const freeze = h("input", { type: "checkbox", checked: layout.frozen });
    freeze.onchange = () => {
      layout.frozen = freeze.checked;
      keepLayout(layout);
      grid.setLayout(layout);
    };
    picker.replaceChildren(
      h("label", { class: "lc-check" }, freeze, " Keep the server column visible"),
      ...columns.filter((column) => !column.always).map((column) => {
        const box = h("input", { type: "checkbox", checked: layout.shown.includes(column.name) });
        box.onchange = () => showColumns(columns.map((column) => column.name).filter((name) =>
          (name === column.name ? box.checked : layout.shown.includes(name))));
        return h("label", { class: "lc-check", title: column.help }, box, " ", column.title);
      }),
      button("Reset", () => {
        layout = usualLayout(columns, layout.source);
        pickColumns();
        showColumns(layout.shown);
        grid.setLayout(layout);
      }));
  }

  /** @param {string[]} names */
  function showColumns(names) {
    layout.shown = names;
    keepLayout(layout);
    useColumns();
    refresh();
  }

  function useColumns() {
    grid.setLayout(layout);
    grid.setColumns(columns.filter((column) => layout.shown.includes(column.name)), columns);
  }

  // -- certificates of the selected servers, requested when the user pauses
  const detail = makeDetail(reasons);
  function ask() {
    clearTimeout(askTimer);
    askTimer = setTimeout(() => {
      const active = grid.activeId === undefined || grid.activeId < 0 ? [] : [grid.activeId];
      const ids = selected.size ? [...selected] : active;
      send({ type: "explain", ids: ids.slice(0, 20), total: ids.length });
    }, 120);
  }

  const shortcuts = makeShortcutList();
  const keys = button("Shortcuts (?)", () => shortcuts.open(), { "aria-haspopup": "dialog" });
  const panel = h("div", { class: "lc-panel lc-servers" },
    h("div", { class: "lc-bar" }, find, show, count, h("span", { class: "lc-grow" }), keys,
      h("details", { class: "lc-picker" }, h("summary", { class: "lc-button" }, "Columns"), picker),
      addOpen),
    addForm, bulkList, grid.element, bulk, speaker.box,
    h("p", { class: "lc-hint" }, "To change a cell, double-click it, press Enter, or type. "
      + "Copy, paste and fill cells as in a spreadsheet. To select a server, use its check box or Space. To leave the table, press Escape and then Tab. For all shortcuts, press ?. ",
    h("span", { "aria-hidden": "true" }, "✎"), " marks your changes. Values in gray italics are inherited from "
      + "the pool, site or deployment."),
    detail.panel, shortcuts.dialog);
  panel.addEventListener("keydown", (event) => {
    const typing = event.target instanceof Element
      && event.target.closest("input[type=text],input[type=search],textarea,select");
    if (event.key !== "?" || typing) return;
    event.preventDefault();
    shortcuts.open();
  });

  /** @param {string} name */
  function showColumn(name) {
    if (layout.shown.includes(name) || !columns.some((column) => column.name === name)) return;
    showColumns(columns.map((column) => column.name).filter((candidate) =>
      candidate === name || layout.shown.includes(candidate)));
    pickColumns();
  }

  return {
    panel, detail, ask, store, pools,
    /**
     * Opens the form for a new server.
     * @param {Record<string, string>} values
     */
    add(values) {
      openAddForm(true);
      for (const [name, text] of Object.entries(values)) {
        const control = addControls.get(name);
        if (control) control.value = text;
      }
      addForm.querySelector("input")?.focus();
    },
    /** @param {ColumnFacts[]} facts @param {string} [source] of the table, at the start */
    start(facts, source = layout.source) {
      const first = !columns.length;
      columns = facts;
      if (first || source !== layout.source) {
        if (!first) { // the filter and the open cell belong to the earlier table
          grid.dropOpenCell();
          find.value = "";
          show.value = "all";
        }
        layout = keptLayout(facts, source);
      }
      const chosen = bulkColumn.value || facts.find((column) => column.strict && column.required)?.name;
      bulkColumn.replaceChildren(...facts.filter((column) => column.editable && !column.always)
        .map((column) => h("option", { value: column.name }, column.title)));
      if (chosen) bulkColumn.value = chosen;
    },
    /** @param {TableRows} message @param {DataView[]} buffers */
    rows(message, buffers) {
      const isRest = message.all && total > store.size && !message.total; // the rest of the rows
      store.read(message, buffers);
      pools.forget();
      total = message.total ?? store.size;
      if (message.all || message.moved) {
        grid.hideSent();
        for (const id of selected) if (store.at(id) === undefined) selected.delete(id);
        if (!isRest) {
          pickColumns();
          grid.empty();
          useColumns();
        }
        fillBulk();
        if (addForm.hidden) fillAdd();
      }
      grid.settled();
      refresh();
      if (total <= store.size) ask();
    },
    /** @param {number[]} ids of rows that are new */
    added(ids) {
      openAddForm(false);
      if (grid.shown.some((at) => store.id(at) === ids[0])) { // it is visible
        grid.show(ids[0]);
        if (!asker) grid.grid.focus();
        return;
      }
      showAll();
      grid.show(ids[0]);
      if (!asker) grid.grid.focus();
    },
    /**
     * Shows an error next to the control that sent the request. Returns false if this tab did not send it.
     * @param {Refused} message
     */
    refused(message) {
      waiting = false;
      if (message.about === "block") grid.restoreNew();
      isOwn = ["edit", "block"].includes(message.about);
      if (message.cell && grid.refuse(...message.cell, message.lines, message.offers)) return true;
      grid.settled();
      const here = ["edit", "add", "remove", "block", "leave_pool", "new_pool", "duplicate"];
      if (!here.includes(message.about)) return false;
      if (message.about === "add") addSpeaker.refuse(message.lines);
      else {
        const asked = bulkAsked;
        for (const id of message.about === "edit" && asked ? asked.ids.slice(0, REFUSED_SHOWN).reverse() : []) {
          if (asked) grid.refuse(id, asked.column, message.lines, [], asked.value);
        }
        speaker.refuse(message.lines, message.offers, asked ? (n) => {
          asker = bulkApply;
          changePool(n, asked);
        } : undefined);
      }
      return true;
    },
    /**
     * Shows the rejected cells of a block.
     * @param {RefusedCells} message
     */
    refusedCells(message) {
      grid.settled();
      isOwn = !message.changed && message.cells.length + message.rows.length > 0;
      grid.answered(message.answered, message.rows);
      const [id] = message.added;
      if (id !== undefined && !grid.shown.some((at) => store.id(at) === id)) showAll();
      for (const { cell, text, lines } of [...message.cells].reverse()) {
        grid.refuse(...cell, lines, undefined, text);
      }
      if (!message.lines.length) return;
      speaker.refuse(message.lines);
    },
    /** @param {boolean} isSince whether the request followed the last error */
    done(isSince) {
      waiting = false;
      if (isSince) {
        speaker.clear();
        addSpeaker.clear();
      }
      if (asker?.isConnected) asker.focus();
      asker = null;
    },
    /** @param {TableCell[]} cells */
    rejected(cells) { grid.rejected(cells); },
    // After undo or redo, typed text belongs to another state, so discard it.
    forget() { speaker.clear(); addSpeaker.clear(); grid.forgiveAll(); },
    // A step was done, so the next Undo is about this step.
    stepped() { isOwn = false; },
    // Undo removes texts that the table does not have, before it undoes a step.
    get hasOwnTexts() { return isOwn && grid.hasOwnTexts; },
    undoOwn() {
      if (!this.hasOwnTexts) return false;
      grid.removeOwnTexts();
      speaker.clear();
      isOwn = false;
      return true;
    },
    /** @param {CellName} cell that Undo or Redo changed */
    showCell(cell) { grid.show(...cell); },
    focus() { grid.grid.focus(); },
    /**
     * Goes to the cell that a finding is about, shows its column and selects its row. If there are
     * several rows, selects all of them and goes to the first one.
     * @param {number[]} ids @param {string} name
     */
    go(ids, name) {
      const id = ids[0];
      showColumn(name);
      const shown = new Set(grid.shown.map((at) => store.id(at)));
      if (!ids.every((id) => shown.has(id))) {
        find.value = "";
        show.value = "all";
      }
      selected.clear();
      for (const id of ids) selected.add(id);
      refresh();
      grid.show(id, name);
      grid.grid.focus({ preventScroll: true });
      grid.grid.scrollIntoView({ block: "nearest" });
      changedSelection();
    },
    destroy: () => { clearTimeout(askTimer); grid.destroy(); },
  };
}
