// @ts-check
// The plan editor: the counts of the plan, and tabs below them. The kernel sends all data and gets every
// request. A rejected request changes nothing.

// Messages that request a view and change nothing.
const LOOKS = new Set(["ready", "explain", "findings", "names", "certificates", "why", "why_cell", "picture", "pools",
  "changes", "code", "scenarios", "picture_scenario", "draft_compare"]);

export default {
  /** @param {Host} host */
  render({ model, el }) {
    const speaker = makeSpeaker();
    /** @type {Connection<EditorFromPage, EditorToPage>} */
    const kernel = connect(model);
    let isSince = true; // whether there was a request after the last error
    /** @type {Send<EditorFromPage>} */
    const send = (message) => {
      if (!LOOKS.has(message.type)) isSince = true;
      kernel.send(message);
    };
    /** @param {() => typeof asked} from @returns {Send<EditorFromPage>} */
    const sendFrom = (from) => (message) => {
      if (!LOOKS.has(message.type)) asked = from();
      send(message);
    };

    const name = h("h2", { class: "lc-name" });
    const counts = h("div", { class: "lc-counts" });
    const saved = h("span", { class: "lc-saved" });
    const stepBack = () => {
      if (!asked.undoOwn()) send({ type: "undo" });
      nameUndo();
    };
    const undo = button("Undo", stepBack, { "aria-keyshortcuts": "Control+Z" });
    const redo = button("Redo", () => send({ type: "redo" }), { "aria-keyshortcuts": "Control+Y" });
    const said = h("div", { role: "status", class: "lc-said" });
    let lastStep = ""; // the step that the kernel can undo

    const rejected = makeRejectedNote({ send, goToTable, goToCell(cell) {
      goToTable();
      servers.showCell(cell);
    } });
    function goToTable() {
      tabs.show("servers");
      servers.focus();
    }
    const restored = h("div", { class: "lc-note", hidden: true });
    const restoredWords = h("div", { role: "status" });
    restored.append(restoredWords, button("Use the file instead", () => {
      send({ type: "reset" });
      restored.hidden = true;
    }), button("Close", () => { restored.hidden = true; },
      { "aria-label": "Close the note about restored edits", class: "lc-button lc-quiet" }));

    const help = makeHelp();
    const draft = makeDraftOffer(send);
    const reasons = makeNameReasons(send);
    /** @param {string} text */
    const say = (text) => { said.textContent = text; };
    const servers = makeServers({ send: sendFrom(() => servers), reasons, say, typedNew: nameUndo,
      showFinding(row, server) {
        findings.lookFor(row, server);
        tabs.show("findings");
      } });
    const pools = makePools({ send: sendFrom(() => pools), say, rows: servers.pools, store: servers.store,
      goToServers(ids, column) {
        tabs.show("servers");
        servers.go(ids, column);
      },
      addServer(values) {
        tabs.show("servers");
        servers.add(values);
      } });
    /** @type {typeof servers | typeof pools} the table whose request the kernel answers */
    let asked = servers;
    const form = makeForm(send);
    const findings = makeFindings({ send, reasons, fix: (codes) => send({ type: "fix", codes }),
      choose: (code, about, answer) => send({ type: "choose", code, about, answer }), goTo: (id, column) => {
      tabs.show("servers");
      servers.go([id], column);
    } });
    const changes = makeChanges(send, reasons);
    const keep = makeSaveTab(send, model.host);
    const scenarios = makeScenariosTab({ send,
      retitle: (words) => tabs.retitle("scenarios", words) });
    /** @param {number} row */
    const goTo = (row) => {
      tabs.show("servers");
      servers.go([row], "");
    };
    const certificates = makeCertificatesTab({ send, goTo, reasons });
    const names = makeNamesTab({ send, goTo, reasons });
    const picture = makePictureTab({ send, reasons });
    const tabs = makeTabs("Sections of the plan editor", [
      { name: "servers", title: "Servers", panel: servers.panel },
      { name: "pools", title: "Pools", panel: pools.panel, ask: pools.ask },
      { name: "options", title: "Deployment", panel: form.panel },
      { name: "certificates", title: "Certificates", panel: certificates.panel, ask: certificates.ask },
      { name: "names", title: "By name", panel: names.panel, ask: names.ask },
      { name: "picture", title: "Picture", panel: picture.panel, ask: picture.ask },
      { name: "findings", title: "Findings", panel: findings.panel, ask: () => send({ type: "findings" }) },
      { name: "changes", title: "Changes", panel: changes.panel, ask: () => send({ type: "changes" }) },
      { name: "scenarios", title: "Scenarios", panel: scenarios.panel, ask: scenarios.ask },
      { name: "code", title: "Save and open", panel: keep.panel, ask: () => send({ type: "code" }) },
    ]);

    const root = h("div", { class: "lyncnb lc-editor lc-unasked", role: "group" },
      h("div", { class: "lc-top" }, name, h("span", { class: "lc-grow" }), saved, help.button, undo, redo),
      h("div", { role: "status", "aria-live": "polite", "aria-atomic": "true", class: "lc-live" },
        counts),
      kernel.line, draft.box, rejected.encodings, rejected.box, restored, said, speaker.box, tabs.list,
      servers.panel, pools.panel, form.panel, certificates.panel, names.panel, picture.panel,
      findings.panel, changes.panel, scenarios.panel, keep.panel, reasons.dialog,
      help.dialog);
    guardKeys(root);
    root.addEventListener("keydown", (event) => {
      const key = event.key.toLowerCase();
      const typing = event.target instanceof Element
        && event.target.closest("input[type=text],input[type=search],textarea");
      if (typing || !(event.ctrlKey || event.metaKey) || (key !== "z" && key !== "y")) return;
      event.preventDefault();
      if (key === "y" || event.shiftKey) send({ type: "redo" });
      else stepBack();
    });

    // The current number, with the number of the loaded file if it differs: "74 -> 64 names (-10)".
    /** @param {number} n @param {string} noun @param {string} [kind] @param {number} [was] */
    function chip(n, noun, kind = "", was = n) {
      const change = `${n > was ? "+" : "-"}${Math.abs(n - was).toLocaleString("en")}`;
      const words = n === was ? plural(n, noun)
        : `${was.toLocaleString("en")} -> ${plural(n, noun)} (${change})`;
      return kind && n ? h("button", { type: "button", class: "lc-chip", title: "Show the findings",
        onclick: () => tabs.show("findings") }, severityTag(kind, words))
        : h("span", { class: "lc-chip" }, words);
    }

    /** @type {Record<string, number>} */
    let before = {};
    /** @param {Record<string, number>} c the current counts, without findings until they are known */
    function showCounts(c) {
      const checked = c.error === undefined
        ? [h("span", { class: "lc-chip" }, "checking …")]
        : [chip(c.error, "error", "error"), chip(c.warning, "warning", "warning"),
          ...(c.notice ? [chip(c.notice, "notice", "notice")] : []),
          ...(c.accepted ? [h("span", { class: "lc-chip" },
            `${c.accepted.toLocaleString("en")} accepted`)] : [])];
      counts.replaceChildren(...["certificate", "public certificate", "name"].map((what) =>
        chip(c[what], what, "", before[what])), ...checked);
      if (c.error === undefined) return;
      tabs.retitle("findings", `Findings (${c.error + c.warning + c.notice})`);
      tabs.ask(); // the plan has changed
    }

    /** @param {EditorState} message */
    function showState(message) {
      if (message.done && isSince) speaker.clear(); // the plan changed after the error
      before = message.before;
      said.textContent = message.done;
      keep.changed(message);
      for (const tab of [servers, pools]) {
        if (message.done) tab.stepped();
        if (message.said) tab.forget();
      }
      if (message.cell) (pools.panel.hidden ? servers : pools).showCell(message.cell);
      saved.textContent = message.saved_words;
      const stepped = [undo, redo].find((control) => control === document.activeElement);
      lastStep = message.undo;
      nameUndo();
      nameStep(redo, message.redo, "Redo");
      // Otherwise a button that becomes disabled would move the focus out of the panel.
      if (stepped?.disabled) (stepped === undo ? redo : undo).focus();
      tabs.retitle("changes", `Changes (${message.changes})`);
      showCounts(message.counts);
    }

    function nameUndo() {
      nameStep(undo, asked.hasOwnTexts ? "texts that are not in the table" : lastStep, "Undo");
    }

    /** @param {HTMLButtonElement} control @param {string} what @param {string} word */
    function nameStep(control, what, word) {
      control.disabled = !what;
      control.title = what ? `${word}: ${what}` : `Nothing to ${word.toLowerCase()}`;
    }

    const notebook = watchNotebook(root);
    kernel.line.after(notebook.words);
    kernel.listen({
      start(message) {
        root.setAttribute("aria-label", `Plan editor for ${message.source}`);
        root.classList.remove("lc-unasked");
        name.textContent = `Plan of ${message.source}`;
        servers.start(message.columns, message.source);
        pools.start(message.columns);
        form.start(message.groups);
        help.show(message.help[0], message.help.slice(1));
        servers.rejected([]);
        rejected.start(message.encodings);
        notebook.mark([]); // an earlier editor may have left marks
      },
      columns(message) {
        servers.start(message.columns);
        pools.start(message.columns);
      },
      form: (message) => form.start(message.groups),
      rows(message, buffers) {
        servers.rows(message, buffers);
        pools.rows();
      },
      state: showState,
      checked: (message) => showCounts(message.counts),
      options: (message) => form.values(message.values, message.odd),
      explain: (message) => servers.detail.show(message),
      findings: (message) => findings.show(message),
      changes: (message) => changes.show(message),
      names: (message) => names.show(message),
      certificates: (message) => certificates.show(message),
      reasons: (message) => reasons.show(message),
      picture: (message) => picture.show(message),
      chosen(message) {
        tabs.show("servers");
        servers.go(message.ids, "");
      },
      rejected(message) {
        servers.rejected(message.cells);
        rejected.show(message);
      },
      refused_cells(message) {
        asked.refusedCells(message);
        nameUndo();
      },
      scenarios: (message) => scenarios.list(message),
      scenario_done: (message) => scenarios.done(message),
      compared: (message) => scenarios.compared(message),
      picture_of_scenario: (message) => scenarios.picture(message),
      code: (message) => keep.show(message),
      saved: (message) => keep.saved(message),
      restored(message) {
        restoredWords.replaceChildren(...alertLines(message.lines));
        restored.hidden = !message.lines.length;
      },
      draft: (message) => draft.show(message),
      draft_changes: (message) => draft.compare(message),
      older: (message) => notebook.mark(message.cells),
      refused(message) {
        isSince = false; // the result of an earlier request must not remove the error
        const instead = scenarios.refused(message);
        if (!asked.refused(message)) speaker.refuse(message.lines, message.offers, instead);
        keep.refused(message);
        nameUndo();
      },
      done({ added }) {
        if (added.length) asked.added(added);
        if (isSince) speaker.clear();
        asked.done(isSince);
      },
    });
    el.append(root);
    tabs.show("servers");
    showAfterRunAll(root);
    send({ type: "ready" });
    return () => { kernel.end(); notebook.end(); servers.destroy(); pools.destroy(); names.destroy(); };
  },
};
