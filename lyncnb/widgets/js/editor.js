// @ts-check
// The plan editor: a live result on top, tabs below it. All that it knows comes from the kernel by
// message, and every wish goes there; what is refused changes nothing.

export default {
  render({ model, el }) {
    const speaker = makeSpeaker();
    const answers = {};
    const kernel = connect(model, answers);
    const { send } = kernel;

    const name = h("h2", { class: "lc-name" });
    const counts = h("div", { class: "lc-counts" });
    const saved = h("span", { class: "lc-saved" });
    const undo = button("Undo", () => send({ type: "undo" }), { "aria-keyshortcuts": "Control+Z" });
    const redo = button("Redo", () => send({ type: "redo" }), { "aria-keyshortcuts": "Control+Y" });
    const said = h("div", { role: "status", class: "lc-said" });

    const restored = h("div", { class: "lc-note", hidden: true });
    const restoredWords = h("div", { role: "status" });
    restored.append(restoredWords, button("Take the file's instead", () => {
      send({ type: "reset" });
      restored.hidden = true;
    }), button("Close", () => { restored.hidden = true; },
      { "aria-label": "Close the note about what was restored", class: "lc-button lc-quiet" }));

    const servers = makeServers({ send, say: (text) => { said.textContent = text; } });
    const form = makeForm(send);
    const findings = makeFindings({ send, goTo: (id, column) => {
      tabs.show("servers");
      servers.go(id, column);
    } });
    const changes = makeChanges(send);
    const keep = makeKeep(send);
    const tabs = makeTabs("Parts of the plan editor", [
      { name: "servers", title: "Servers", panel: servers.panel },
      { name: "options", title: "Deployment", panel: form.panel },
      { name: "findings", title: "Findings", panel: findings.panel },
      { name: "changes", title: "Changes", panel: changes.panel },
      { name: "code", title: "Save", panel: keep.panel },
    ], (shown) => { if (["findings", "changes", "code"].includes(shown)) send({ type: shown }); });

    const root = h("div", { class: "lyncnb lc-editor", role: "group" },
      h("div", { class: "lc-top" }, name, h("span", { class: "lc-grow" }), saved, undo, redo),
      h("div", { role: "status", "aria-live": "polite", "aria-atomic": "true", class: "lc-live" },
        counts),
      kernel.line, restored, said, speaker.box, tabs.list,
      servers.panel, form.panel, findings.panel, changes.panel, keep.panel);
    guardKeys(root);
    root.addEventListener("keydown", (event) => {
      const key = event.key.toLowerCase();
      const typing = event.target.closest("input[type=text],input[type=search],textarea");
      if (typing || !(event.ctrlKey || event.metaKey) || (key !== "z" && key !== "y")) return;
      event.preventDefault();
      send({ type: key === "y" || event.shiftKey ? "redo" : "undo" });
    });

    function chip(n, noun, kind) {
      const words = `${n.toLocaleString("en")} ${noun}${n === 1 ? "" : "s"}`;
      if (kind && n) return h("span", { class: "lc-chip" }, severityTag(kind, words));
      return h("span", { class: "lc-chip" }, words);
    }

    function showState(message) {
      speaker.clear(); // something was done since
      const { counts: c } = message;
      const checked = c.error === undefined
        ? [h("span", { class: "lc-chip" }, "checking …")]
        : [chip(c.error, "error", "error"), chip(c.warning, "warning", "warning"),
          ...(c.notice ? [chip(c.notice, "notice", "notice")] : [])];
      counts.replaceChildren(chip(c.certificates, "certificate"),
        chip(c.public, "public certificate"), chip(c.names, "name"), ...checked);
      said.textContent = message.said || "";
      if (message.said) servers.forget();
      saved.textContent = message.saved_words;
      for (const [control, what, word] of [[undo, message.undo, "Undo"], [redo, message.redo, "Redo"]]) {
        control.disabled = !what;
        control.title = what ? `${word}: ${what}` : `Nothing to ${word.toLowerCase()}`;
      }
      tabs.retitle("changes", `Changes (${message.changes})`);
      if (c.error === undefined) return;
      tabs.retitle("findings", `Findings (${c.error + c.warning + c.notice})`);
      if (["findings", "changes", "code"].includes(tabs.current)) send({ type: tabs.current });
    }

    const notebook = watchNotebook(root);
    Object.assign(answers, {
      start(message) {
        root.setAttribute("aria-label", `Plan editor for ${message.source}`);
        name.textContent = `Plan of ${message.source}`;
        servers.start(message.columns);
        form.start(message.groups);
        keep.start(message);
        notebook.mark([]); // an editor that stood here before may have left marks
      },
      columns: (message) => servers.start(message.columns),
      rows: (message, buffers) => servers.rows(message, buffers),
      state: showState,
      options: (message) => form.values(message.values, message.odd),
      explain: (message) => servers.detail.show(message),
      findings: (message) => findings.show(message),
      changes: (message) => changes.show(message),
      code: (message) => keep.show(message),
      added: (message) => servers.added(message.id),
      saved: (message) => keep.saved(message),
      restored(message) {
        restoredWords.replaceChildren(...alertLines(message.lines));
        restored.hidden = !message.lines.length;
      },
      older: (message) => notebook.mark(message.cells),
      refused(message) {
        if (!servers.refused(message)) speaker.refuse(message.lines);
        keep.refused(message);
      },
      done() {
        speaker.clear();
        servers.done();
      },
    });
    el.append(root);
    tabs.show("servers");
    send({ type: "ready" });
    return () => { kernel.end(); notebook.end(); servers.destroy(); };
  },
};
