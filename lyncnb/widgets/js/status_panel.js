// @ts-check
// The status panel: requests by state, and the four steps that follow: hand over, receive, package,
// write the steps.

export default {
  /** @param {Host} host */
  render({ model, el }) {
    /** @type {Connection<StatusAsked, StatusTold>} */
    const kernel = connect(model);
    const { send } = kernel;
    const speaker = makeSpeaker();
    const store = makeStore();
    const reasons = makeNameReasons(send);
    /** @type {Set<number>} */
    const selected = new Set();
    /** @type {ColumnFacts[]} */
    let columns = [];
    let busy = false;
    /** @type {SortKey[]} */
    let sorts = [];

    const name = h("h2", { class: "lc-name" });
    const counts = h("div", { class: "lc-counts" });
    const next = h("p", { class: "lc-next" });
    const odd = h("div", {});
    const behind = h("div", { role: "status", class: "lc-changed-plan" });
    let lookTimer = 0;
    const look = button("Look again", () => send({ type: "look" }));
    const find = h("input", { type: "search", class: "lc-control lc-find", autocomplete: "off",
      "aria-label": "Filter requests", placeholder: "Filter: words in any column" });
    const count = h("span", { class: "lc-count", role: "status" });
    const grid = makeGrid({
      label: "Requests of the folder", store, selected,
      nameOf: (at) => store.text(at, "id"),
      wishes: {
        ticked: refreshWords,
        open: tellNames,
        resized() {},
        sort(wanted) {
          sorts = wanted;
          refresh();
        },
      },
    });
    find.oninput = refresh;
    /** @param {number} id of a row */
    const requestOf = (id) => store.text(store.at(id) ?? 0, "id");
    const names = button("Names and why", () => tellNames(grid.activeId), { "aria-haspopup": "dialog",
      title: "The names of the request that the table stands on, why each is there and who needs it" });
    /** @param {number | undefined} id */
    function tellNames(id) {
      const at = id === undefined ? undefined : store.at(id);
      if (at !== undefined) send({ type: "why", name: store.text(at, "id") });
    }

    function refresh() {
      grid.sayEmpty(store.size ? "No request matches." : "The folder has no requests.");
      const { terms } = parseFilter(find.value, columns, columns.map((column) => column.name));
      grid.setView(store.view({ terms, sorts }), sorts);
      refreshWords();
    }
    function refreshWords() {
      count.textContent = `${grid.shown.length.toLocaleString("en")} of ${plural(store.size, "request")} shown`
        + (selected.size ? `, ${selected.size.toLocaleString("en")} selected` : "");
      pack.textContent = selected.size ? `Pack the ${plural(selected.size, "selected request")}`
        : "Pack all that wait";
    }

    /** @type {HTMLButtonElement[]} */
    const actions = [];
    /** @param {string} label @param {() => unknown} begin */
    function action(label, begin) {
      const control = button(label, () => {
        if (busy) return;
        speaker.clear();
        words.textContent = ""; // "Finished." of another step must not stand under this one
        result.replaceChildren();
        control.closest(".lc-step")?.append(working); // what it comes to is told where it was begun
        begin();
      }, { class: "lc-button lc-primary" });
      actions.push(control);
      return control;
    }
    /** @param {string} label @param {string} [help] */
    const text = (label, help = "") => {
      const control = h("input", { type: "text", class: "lc-control", autocomplete: "off" });
      return { control, field: labelled(label, control, help) };
    };

    const out = text("Package for the CA, a zip");
    const issuer = text("Only for this issuer", "internal, public, or a CA's name; blank for all");
    const pack = action("Pack all that wait", () => send({ type: "handover",
      out: out.control.value, issuer: issuer.control.value,
      requests: [...selected].map(requestOf) }));

    const paths = h("textarea", { class: "lc-control", rows: 2, spellcheck: false });
    const receive = action("Match and keep", () => send({ type: "receive", paths: paths.value }));

    const system = h("select", { class: "lc-control" });
    const phrase = secretField("Passphrase of the folder", "", () => make.click());
    const make = action("Make the packages", () => send({ type: "package",
      passphrase: phrase.take(), target_os: system.value }));

    const which = h("select", { class: "lc-control" });
    const opening = secretField("The folder's passphrase", "", () => reveal.click());
    let isAsked = false; // another view of the panel gets the answer too
    const reveal = action("Show its password", () => {
      isAsked = true;
      send({ type: "password", id: which.value, passphrase: opening.take() });
    });
    const shown = h("output", { class: "lc-password", hidden: true });
    const hide = button("Hide", forget, { hidden: true });
    let timer = 0;
    which.onchange = forget; // a password beside the name of another package would be taken for its
    function forget() {
      clearTimeout(timer);
      shown.textContent = "";
      shown.hidden = hide.hidden = true;
    }

    const effective = text("Rolled-over certificates take effect at", "servers' time, e.g. "
      + "2026-12-01T08:00; blank if nothing is rolled over");
    const steps = action("Write the steps", () => send({ type: "steps",
      effective: effective.control.value }));

    const bar = h("progress", { class: "lc-progress", "aria-label": "Progress of the step", hidden: true });
    const words = h("div", { role: "status", "aria-live": "polite", class: "lc-job" });
    const result = h("div", { class: "lc-result" });
    const working = h("div", {}, h("div", { class: "lc-bar" }, bar, words), speaker.box, result);

    /** @param {...Kid} parts */
    const fields = (...parts) => h("div", { class: "lc-fields" }, ...parts);
    /** @param {...Kid} parts */
    const line = (...parts) => h("div", { class: "lc-bar" }, ...parts);
    const root = h("div", { class: "lyncnb lc-follow lc-unasked", role: "group" },
      h("div", { class: "lc-top" }, name, h("span", { class: "lc-grow" }), look),
      h("div", { role: "status", class: "lc-live" }, counts), kernel.line, behind, next, odd,
      line(find, count, h("span", { class: "lc-grow" }), names), grid.element,
      working,
      step("1", "Hand over to the CA", fields(out.field, issuer.field), line(pack)),
      step("2", "Take the CA's answer", fields(labelled("Returned files, folders or zip archives",
        paths, "one a line; as the CA sent them")), line(receive)),
      step("3", "Package for the servers", fields(
        labelled("Windows Server of all servers", system, "it decides how the packages are encrypted"),
        phrase.field),
      line(make),
      h("details", {}, h("summary", {}, "Password of one package"),
        fields(labelled("Package", which), opening.field), line(reveal, shown, hide))),
      step("4", "Import and assign", fields(effective.field), line(steps)), reasons.dialog);
    guardKeys(root);

    kernel.listen({
      /** @param {{folder: string, columns: ColumnFacts[], systems: string[], returned: string,
       *    out: string}} message */
      start(message) {
        root.classList.remove("lc-unasked");
        root.setAttribute("aria-label", `Status of ${message.folder}`);
        name.textContent = `Request folder “${message.folder}”`;
        columns = message.columns;
        system.replaceChildren(...message.systems.map((one) =>
          h("option", { value: one }, one || "each one's own")));
        paths.value ||= message.returned;
        out.control.value ||= message.out;
      },
      rows(message, buffers) {
        // Numbers of rows are others now; what was ticked is known by its request.
        const ticked = new Set([...selected].map(requestOf));
        store.read(message, buffers);
        selected.clear();
        for (let at = 0; at < store.size; at++) {
          if (ticked.has(store.text(at, "id"))) selected.add(store.id(at));
        }
        grid.empty();
        grid.setColumns(columns);
        refresh();
      },
      status(message) {
        const found = Object.entries(message.counts);
        counts.replaceChildren(...found.map(([state, n]) =>
          h("span", { class: "lc-chip" }, `${n.toLocaleString("en")} ${state}`)));
        next.textContent = `Next: ${message.next}`;
        behind.textContent = message.behind;
        odd.replaceChildren(...message.problems.map((one) =>
          h("p", { class: "lc-error" }, "✖ ", one)),
        ...message.notes.map((one) => h("p", { class: "lc-hint" }, one)));
        const chosen = which.value;
        which.replaceChildren(...message.packaged.map((one) => h("option", { value: one }, one)));
        if (message.packaged.includes(chosen)) which.value = chosen;
        else forget();
        reveal.disabled = busy || !message.packaged.length;
      },
      // The editor has another plan; whether the folder is behind it, a look says.
      changed() {
        clearTimeout(lookTimer);
        lookTimer = setTimeout(() => send({ type: "look" }), 500);
      },
      job(message) {
        busy = message.busy;
        words.textContent = message.words;
        bar.hidden = !busy;
        if (message.total) { bar.max = message.total; bar.value = message.done; }
        else bar.removeAttribute("value");
        for (const control of actions) control.disabled = busy;
        reveal.disabled = busy || !which.options.length;
        if (busy) result.replaceChildren();
      },
      result(message) {
        result.replaceChildren(h("strong", {}, message.words),
          message.rows.length ? table("What to look at", message.headings, message.rows) : "");
      },
      reasons: (message) => reasons.show(message),
      password(message, buffers) {
        if (!isAsked) return;
        shown.textContent = new TextDecoder().decode(buffers[0]);
        isAsked = false;
        shown.setAttribute("aria-label", `Password of ${message.file}`);
        shown.hidden = hide.hidden = false;
        clearTimeout(timer);
        timer = setTimeout(forget, 60000);
        hide.focus();
      },
      refused(message) {
        isAsked = false; // what another view asks for next is not shown here
        speaker.refuse(message.lines);
      },
    });
    el.append(root);
    send({ type: "ready" });
    return () => {
      phrase.take();
      opening.take();
      forget();
      clearTimeout(lookTimer);
      kernel.end();
      grid.destroy();
    };
  },
};
