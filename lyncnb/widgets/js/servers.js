// @ts-check
// The first tab: find servers, select them, change one or many, see what each one gets and why.

function makeServers({ send, say }) {
  const store = makeStore();
  const selected = new Set();
  const speaker = makeSpeaker(); // what was refused for many, or for a new server
  let columns = []; // facts of every column, from the kernel
  let shownNames = [];
  let sort = { name: "", descending: false };
  let askTimer = 0;

  const find = h("input", { type: "search", class: "lc-control lc-find", autocomplete: "off",
    "aria-label": "Filter servers", placeholder: "Filter: words in any column" });
  const show = choose([["all", "All servers"], ["selected", "Selected servers"],
    ["changed", "Changed servers"], ["found", "Servers with findings"]], "all",
  { class: "lc-control", "aria-label": "Which servers to show" });
  const count = h("div", { class: "lc-count", role: "status", "aria-live": "polite" });
  const picker = h("div", { class: "lc-picker-list" });
  const grid = makeGrid({
    label: "Servers of the topology", store, selected, nameOf,
    onEdit: (id, name, value) => send({ type: "edit", ids: [id], column: name, value,
      cell: [id, name] }),
    onActive: () => ask(), onSelect: () => { refreshWords(); ask(); }, onSort,
  });

  // A server may stand twice, with a collocated role: then its role names the row as well.
  function nameOf(at) {
    const server = store.text(at, "server_fqdn");
    return store.isRepeated(at, "server_fqdn") ? `${server}, ${store.text(at, "role")}` : server;
  }

  // -- changing many
  const bulkColumn = h("select", { class: "lc-control", "aria-label": "What to set" });
  const bulkValue = h("span", { class: "lc-bulk-value" });
  const bulkWords = h("strong", { class: "lc-bulk-words" });
  const bulkApply = button("Set", applyBulk, { class: "lc-button lc-primary" });
  // What is filtered away is not in sight, so it is never removed.
  const bulkRemove = button("Remove", () => send({ type: "remove", ids: seen() }));
  const bulkClear = button("Clear selection", () => { selected.clear(); changedSelection(); });
  const bulk = h("div", { class: "lc-bulk", role: "group", "aria-label": "Change the selected servers" },
    bulkWords, h("span", { class: "lc-bulk-set" }, "Set", bulkColumn, "to", bulkValue, bulkApply),
    h("span", { class: "lc-grow" }), bulkRemove, bulkClear);
  let bulkControl = null;
  const seen = () => grid.shown.map((at) => store.id(at)).filter((id) => selected.has(id));

  function fillBulk() {
    const facts = columns.find((column) => column.name === bulkColumn.value);
    if (!facts) return;
    const before = bulkControl?.column === facts.name ? bulkControl.value : "";
    bulkControl = makeCellControl(facts, before, `New ${facts.title}`, store, bulkList);
    bulkControl.column = facts.name;
    if (facts.strict && facts.required && !before) bulkControl.selectedIndex = 0;
    bulkControl.addEventListener("keydown", (event) => { if (event.key === "Enter") applyBulk(); });
    bulkValue.replaceChildren(bulkControl);
  }
  const bulkList = h("datalist", { id: unique("list") });
  bulkColumn.onchange = fillBulk;

  function applyBulk() {
    if (!selected.size) return;
    send({ type: "edit", ids: [...selected], column: bulkColumn.value,
      value: bulkControl.value.trim() });
  }

  // -- adding one
  const addForm = h("form", { class: "lc-add", hidden: true, "aria-label": "Add a server" });
  const addOpen = button("Add a server…", () => {
    addForm.hidden = !addForm.hidden;
    addOpen.setAttribute("aria-expanded", String(!addForm.hidden));
    if (!addForm.hidden) addForm.querySelector("input").focus();
  }, { "aria-expanded": "false" });
  function fillAdd() {
    const fields = columns.filter((column) => column.add).map((column) => {
      const control = makeCellControl(column, "", column.title, store, addLists[column.name] ||=
        h("datalist", { id: unique("list") }));
      control.name = column.name;
      control.removeAttribute("aria-label");
      return labelled(column.title, control);
    });
    addForm.replaceChildren(...fields, ...Object.values(addLists),
      h("button", { type: "submit", class: "lc-button lc-primary" }, "Add"),
      button("Cancel", () => { addForm.hidden = true; addOpen.focus(); }));
  }
  const addLists = {};
  addForm.onsubmit = (event) => {
    event.preventDefault();
    const values = {};
    for (const control of addForm.elements) if (control.name) values[control.name] = control.value.trim();
    send({ type: "add", values });
  };

  // -- what is shown
  function onSort(name) {
    sort = sort.name !== name ? { name, descending: false }
      : sort.descending ? { name: "", descending: false } : { name, descending: true };
    refresh();
    say(sort.name ? `Sorted by ${columns.find((c) => c.name === name).title}`
      : "In the order of the file");
  }

  function refresh() {
    const keep = {
      selected: (at) => selected.has(store.id(at)),
      changed: (at) => store.text(at, "_changed") !== "",
      found: (at) => store.text(at, "_findings") !== "",
    }[show.value];
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    const names = [...new Set([...shownNames, ...columns.filter((c) => c.search).map((c) => c.name)])];
    grid.sayEmpty(store.size ? "No server matches. Empty the filter, or show all servers."
      : "The table has no servers.");
    grid.setView(store.view({ words, names, keep, sort: sort.name, descending: sort.descending }), sort);
    refreshWords();
  }

  function refreshWords() {
    const n = selected.size;
    const inSight = n ? seen().length : 0;
    const unseen = n - inSight;
    count.textContent = `${grid.shown.length.toLocaleString("en")} of ${plural(store.size, "server")} shown`;
    bulkWords.textContent = !n ? "No server selected" : `${plural(n, "server")} selected`
      + (unseen ? `, ${unseen.toLocaleString("en")} of them not shown` : "");
    bulk.classList.toggle("lc-off", !n);
    for (const control of [bulkApply, bulkClear]) control.disabled = !n;
    bulkRemove.disabled = !inSight;
    bulkApply.textContent = n ? `Set for ${plural(n, "server")}` : "Set";
    bulkRemove.textContent = !n ? "Remove" : !inSight ? "Remove: none of them is shown"
      : `Remove ${plural(inSight, unseen ? "shown server" : "server")}`;
  }

  function changedSelection() {
    if (show.value === "selected") refresh();
    grid.countSelected();
    refreshWords();
    ask();
  }

  find.oninput = () => { refresh(); ask(); };
  find.onkeydown = (event) => {
    if (event.key === "ArrowDown") { grid.grid.focus(); event.preventDefault(); }
    if (event.key === "Escape" && find.value) { find.value = ""; refresh(); event.stopPropagation(); }
  };
  show.onchange = refresh;

  function pickColumns() {
    picker.replaceChildren(...columns.filter((column) => !column.always).map((column) => {
      const box = h("input", { type: "checkbox", checked: shownNames.includes(column.name),
        onchange: () => {
          shownNames = columns.map((c) => c.name).filter((name) =>
            (name === column.name ? box.checked : shownNames.includes(name)));
          useColumns();
        } });
      return h("label", { class: "lc-check", title: column.help }, box, " ", column.title);
    }));
  }

  function useColumns() {
    grid.setColumns(columns.filter((column) => shownNames.includes(column.name)));
    refresh();
  }

  // -- what the servers get: asked for when the planner rests
  const detail = makeDetail();
  function ask() {
    clearTimeout(askTimer);
    askTimer = setTimeout(() => {
      const ids = selected.size ? [...selected] : [grid.activeId].filter((id) => id !== undefined);
      send({ type: "explain", ids: ids.slice(0, 20), total: ids.length });
    }, 120);
  }

  const panel = h("div", { class: "lc-panel" },
    h("div", { class: "lc-bar" }, find, show, count, h("span", { class: "lc-grow" }),
      h("details", { class: "lc-picker" }, h("summary", { class: "lc-button" }, "Columns"), picker),
      addOpen),
    addForm, bulk, h("div", { class: "lc-over" }, speaker.box), bulkList, grid.element,
    h("p", { class: "lc-hint" }, "To change a cell: double-click it, or Enter, or type. To select servers: "
      + "tick them, or Space; Shift selects a range, Ctrl+A all that are shown. ",
    h("span", { "aria-hidden": "true" }, "✎"), " marks what you changed; grey italics are what the "
      + "pool, site or deployment lends to a blank cell."),
    detail.panel);

  function showColumn(name) {
    if (shownNames.includes(name) || !columns.some((column) => column.name === name)) return;
    shownNames = columns.map((c) => c.name).filter((one) => one === name || shownNames.includes(one));
    pickColumns();
    useColumns();
  }

  return {
    panel, detail, ask,
    start(facts) {
      const first = !columns.length;
      columns = facts;
      if (first) shownNames = facts.filter((column) => column.shown).map((column) => column.name);
      const chosen = bulkColumn.value || facts.find((column) => column.strict && column.required)?.name;
      bulkColumn.replaceChildren(...facts.filter((column) => column.editable && !column.always)
        .map((column) => h("option", { value: column.name }, column.title)));
      bulkColumn.value = chosen;
    },
    rows(message, buffers) {
      store.read(message, buffers);
      if (message.all) {
        for (const id of selected) if (store.at(id) === undefined) selected.delete(id);
        pickColumns();
        grid.empty();
        grid.setColumns(columns.filter((column) => shownNames.includes(column.name)));
        fillBulk();
        if (addForm.hidden) fillAdd();
      }
      grid.settled();
      refresh();
      ask();
    },
    added(id) {
      addForm.hidden = true;
      find.value = "";
      show.value = "all";
      refresh();
      grid.show(id);
      grid.grid.focus();
    },
    // Says what was refused where it was asked for; false if that was not here.
    refused(message) {
      if (message.cell && grid.refuse(...message.cell, message.lines)) return true;
      grid.settled();
      if (!["edit", "add", "remove"].includes(message.about)) return false;
      speaker.refuse(message.lines);
      return true;
    },
    done() { speaker.clear(); },
    // A step was taken back or made again: what was typed before belongs to another state.
    forget() { speaker.clear(); grid.forgiveAll(); },
    // Goes to the cell that a finding is about: its row selected, its column shown, in focus.
    go(id, name) {
      showColumn(name);
      if (!grid.shown.some((at) => store.id(at) === id)) {
        find.value = "";
        show.value = "all";
      }
      selected.clear();
      selected.add(id);
      refresh();
      grid.show(id, name);
      grid.grid.focus({ preventScroll: true });
      grid.grid.scrollIntoView({ block: "nearest" });
      changedSelection();
    },
    destroy: () => { clearTimeout(askTimer); grid.destroy(); },
  };
}
