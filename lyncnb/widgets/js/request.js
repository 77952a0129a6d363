// @ts-check
// The request panel: look, accept, type the passphrase, write, cancel.

function makePassphrase(onEnter) {
  const first = secretField("Passphrase of the folder",
    "At least 12 characters. It encrypts every key.", onEnter);
  const again = secretField("The same passphrase again",
    "A new folder: a mistype would lose its keys.", onEnter);
  return {
    fields: h("div", { class: "lc-passphrase" }, first.field, again.field),
    ask(isNew) { again.field.hidden = !isNew; },
    disable(busy) { first.input.disabled = again.input.disabled = busy; },
    take: () => [first.take(), again.take()],
  };
}

export default {
  render({ model, el }) {
    const answers = {};
    const kernel = connect(model, answers);
    const { send } = kernel;
    const speaker = makeSpeaker();
    let look = {};
    let busy = false;
    let lookTimer = 0;

    const name = h("h2", { class: "lc-name" });
    const plan = h("p", { class: "lc-hint" });
    const changed = h("div", { role: "status", class: "lc-changed-plan" });
    const foreseen = h("p", {});
    const rows = h("div", {});
    const again = button("Look again", () => send({ type: "look" }));
    const findings = makeFindings({ send });
    const found = h("details", {}, h("summary", {}), findings.panel);
    const passphrase = makePassphrase(write);
    const start = button("Write", write, { class: "lc-button lc-primary" });
    const cancel = button("Cancel", () => send({ type: "cancel" }), { disabled: true });
    const bar = h("progress", { class: "lc-progress", "aria-label": "Requests written", max: 1, value: 0 });
    const words = h("div", { role: "status", "aria-live": "polite", class: "lc-job" });
    const result = h("div", { class: "lc-result", hidden: true });

    function step(number, title, ...parts) {
      return h("section", { class: "lc-step" },
        h("h3", { class: "lc-title" }, h("span", { class: "lc-number" }, number), title), ...parts);
    }
    const root = h("div", { class: "lyncnb lc-request", role: "group" },
      h("div", { class: "lc-top" }, name), kernel.line, plan, changed, speaker.box,
      step("1", "Look: nothing is touched yet", h("div", { class: "lc-bar" }, foreseen, again), rows),
      step("2", "Findings", found),
      step("3", "Write", passphrase.fields, h("div", { class: "lc-bar" }, start, cancel),
        h("div", { class: "lc-bar" }, bar, words), result));
    guardKeys(root);

    function write() {
      if (start.disabled) return;
      const [first, second] = passphrase.take();
      speaker.clear();
      send({ type: "write", passphrase: first, again: second });
      cancel.focus();
    }

    function refresh() {
      start.disabled = busy || !look.ready;
      again.disabled = busy;
      cancel.disabled = !busy;
      passphrase.disable(busy || !look.ready);
    }

    Object.assign(answers, {
      start(message) {
        root.setAttribute("aria-label", `Request panel for ${message.folder}`);
        name.textContent = `Write requests into “${message.folder}”`;
      },
      // The editor has another plan. Until that is looked at, nothing can be written.
      changed(message) {
        changed.textContent = `${message.words} Looking again …`;
        look = {};
        refresh();
        clearTimeout(lookTimer);
        lookTimer = setTimeout(() => send({ type: "look" }), 500);
      },
      findings(message) {
        findings.show(message);
        const total = message.groups.reduce((sum, group) => sum + group.count, 0);
        found.querySelector("summary").textContent = message.open.length
          ? `${plural(message.open.length, "kind")} of errors to correct or to accept`
          : `${plural(total, "finding")}; none stands in the way`;
        if (message.open.length) found.open = true;
      },
      look(message) {
        if (changed.textContent) changed.textContent = "The plan has changed in the editor; this is what a run would do now.";
        look = message;
        plan.textContent = message.plan;
        start.textContent = `Write ${plural(message.count, "request")}`;
        foreseen.textContent = message.words;
        rows.replaceChildren(
          message.rows.length ? h("details", {}, h("summary", {}, "Request by request"),
            table("What a run would do", ["What", "Request", "Why"], message.rows)) : "",
          ...message.notes.map((note) => h("p", { class: "lc-hint" }, note)));
        passphrase.ask(message.is_new);
        refresh();
      },
      job(message) {
        const ended = busy && !message.busy;
        busy = message.busy;
        words.textContent = message.words;
        bar.max = message.total || 1;
        bar.value = message.done;
        bar.hidden = !message.total;
        cancel.textContent = message.state === "stopping" ? "Cancelling …" : "Cancel";
        refresh();
        if (busy) result.hidden = true;
        if (busy && message.state === "stopping") cancel.disabled = true;
        if (ended && root.contains(document.activeElement)) start.focus();
      },
      result(message) {
        result.hidden = false;
        result.replaceChildren(h("strong", {}, message.words),
          ...message.notes.map((note) => h("p", { class: "lc-hint" }, note)),
          h("p", {}, message.cancelled ? "Write again to make the rest."
            : "Next: open the summary below, then hand the requests to the CA."));
      },
      refused: (message) => speaker.refuse(message.lines),
      done: () => speaker.clear(),
    });
    el.append(root);
    refresh();
    send({ type: "ready" });
    return () => { clearTimeout(lookTimer); passphrase.take(); kernel.end(); };
  },
};
