// @ts-check
// The status panel: the state of each request, a button for the next step, and all steps from
// packaging the requests to renewal. Only the next step is open.

export default {
  /** @param {Host} host */
  render({ model, el }) {
    /** @type {Connection<StatusFromPage, StatusToPage>} */
    const kernel = connect(model);
    const { send } = kernel;
    const speaker = makeSpeaker();
    const store = makeStore();
    const reasons = makeNameReasons(send);
    const help = makeHelp();
    /** @type {Set<number>} */
    const selected = new Set();
    /** @type {ColumnFacts[]} */
    let columns = [];
    let busy = false;
    /** @type {SortKey[]} */
    let sorts = [];

    const name = h("h2", { class: "lc-name" });
    const plan = h("p", { class: "lc-hint" });
    const counts = h("div", { class: "lc-counts" });
    const next = h("p", { class: "lc-next", tabIndex: -1 });
    /** @type {NextStep} */
    let wanted = { words: "", step: "", label: "", requests: [] };
    const go = button("", goOn, { class: "lc-button lc-primary", hidden: true });
    let today = ""; // the date that the kernel sent
    let wentOn = false; // whether this button started the running step; the button is then disabled
    const refused = h("div", { class: "lc-refusals" });
    const odd = h("div", {});
    const behind = h("div", { role: "status", class: "lc-changed-plan" });
    let lookTimer = 0;
    const look = button("Refresh", () => send({ type: "look" }));
    const find = h("input", { type: "search", class: "lc-control lc-find", autocomplete: "off",
      "aria-label": "Filter requests", placeholder: "Filter by words in any column" });
    const count = h("span", { class: "lc-count", role: "status" });
    const grid = makeGrid({
      label: "Requests in the folder", store, selected,
      nameOf: (at) => store.text(at, "id"),
      actions: {
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
    const names = button("Names and reasons", () => tellNames(grid.activeId), { "aria-haspopup": "dialog",
      title: "Show each name in the selected request, why the request contains the name, and who needs it" });
    /** @param {number | undefined} id */
    function tellNames(id) {
      const at = id === undefined ? undefined : store.at(id);
      if (at !== undefined) send({ type: "why", name: store.text(at, "id") });
    }

    function refresh() {
      grid.sayEmpty(store.size ? "No request matches the filter." : "The folder has no requests.");
      const { terms } = parseFilter(find.value, columns, columns.map((column) => column.name));
      grid.setView(store.view({ terms, sorts }), sorts);
      refreshWords();
    }
    function refreshWords() {
      count.textContent = `${grid.shown.length.toLocaleString("en")} of ${plural(store.size, "request")} shown`
        + (selected.size ? `, ${selected.size.toLocaleString("en")} selected` : "");
      pack.textContent = selected.size ? `Package ${plural(selected.size, "selected request")}`
        : "Package all waiting requests";
      refreshRecord();
      renew.textContent = selected.size ? `Renew ${plural(selected.size, "selected certificate")}`
        : "Renew all due certificates";
    }

    /** The certificates to record: the selected certificates, or all packaged certificates. */
    const toRecord = () => (selected.size ? [...selected].map((id) => store.at(id) ?? 0)
      : [...Array(store.size).keys()].filter((at) => store.text(at, "state") === "packaged"));
    function refreshRecord() {
      const places = toRecord();
      const servers = new Set(places.flatMap((at) => store.text(at, "servers").split("; ")));
      const certificates = plural(places.length, "certificate");
      record.textContent = places.length ? `Record ${certificates}` : "Record as deployed";
      recorded.textContent = places.length
        ? `This button records that ${certificates} on ${plural(servers.size, "server")} ${places.length === 1 ? "has" : "have"} been in use since ${since.value}.`
        : "Select the certificates that are now installed on the servers.";
    }

    /** @type {HTMLButtonElement[]} */
    const actions = [];
    /** Shows the result of a step where it was started. @param {HTMLElement} control */
    function begin(control) {
      const part = control.closest("details");
      speaker.clear();
      words.textContent = ""; // the result of another step must not appear here
      result.replaceChildren();
      part?.append(working);
      if (part) part.open = true;
    }
    /** @param {string} label @param {() => unknown} act */
    function action(label, act) {
      const control = button(label, () => {
        if (busy) return;
        begin(control);
        act();
      });
      actions.push(control);
      return control;
    }
    /** @param {string} number @param {string} title @param {...Kid} parts */
    const fold = (number, title, ...parts) => h("details", { class: "lc-step" },
      h("summary", { class: "lc-title" }, h("span", { class: "lc-number" }, number), title), ...parts);

    /** Opens the next step, and starts it unless it needs input first. */
    function goOn() {
      const steps = Object.entries(follow).find(([name]) => name === wanted.step)?.[1];
      if (!steps) {
        send({ type: "look" });
        return;
      }
      steps.part.open = true;
      const first = { package: phrase.input, renew: reason.control, deployed: since }[wanted.step];
      if (first) {
        first.focus();
        return;
      }
      wentOn = true;
      if (wanted.requests.length) handOver(wanted.requests);
      else steps.control.click();
    }

    /** @param {Refusal} refusal */
    function refusalOf(refusal) {
      return h("details", {}, h("summary", {}, severityTag("error", refusal.words)),
        ...refusal.reasons.flatMap((reason) => [
          h("p", {}, reason.message, h("span", { class: "lc-source" }, ` ${reason.code}`)),
          h("p", { class: "lc-help" }, `What to do: ${reason.hint}`),
          reason.acceptable ? accepting(refusal.id, reason.code) : null]),
        h("p", { class: "lc-source" }, `File ${refusal.file}, serial number ${refusal.serial}`, refusal.earlier
          ? `; ${plural(refusal.earlier, "earlier certificate")} also refused` : ""));
    }
    /** @param {string} id @param {string} code */
    function accepting(id, code) {
      const reason = h("input", { type: "text", class: "lc-control", autocomplete: "off",
        "aria-label": `Reason to accept ${code} for ${id}` });
      const accept = button("Accept", () => {
        if (busy) return;
        begin(follow.receive.control);
        send({ type: "accept", id, code, reason: reason.value });
      }, { "aria-label": `Accept ${code} for ${id}` });
      reason.onkeydown = (event) => { if (event.key === "Enter") accept.click(); };
      return h("div", { class: "lc-accept" }, "Reason to accept the finding: ", reason, accept);
    }

    /** @param {string} label @param {string} [help] */
    const text = (label, help = "") => {
      const control = h("input", { type: "text", class: "lc-control", autocomplete: "off" });
      return { control, field: labelled(label, control, help) };
    };

    const out = text("Package for the CA (.zip)");
    const issuer = text("Only for this issuer", "Enter internal, public, or the name of a CA. If this field is blank, lyncnb packages all requests.");
    /** @param {string[]} requests */
    function handOver(requests) {
      begin(pack);
      send({ type: "handover", out: out.control.value, issuer: issuer.control.value, requests });
    }
    const pack = action("Package all waiting requests", () => handOver([...selected].map(requestOf)));

    const paths = h("textarea", { class: "lc-control", rows: 2, spellcheck: false });
    const receive = action("Match certificates", () => send({ type: "receive", paths: paths.value }));

    const system = h("select", { class: "lc-control" });
    const phrase = secretField("Passphrase of the folder", "", () => make.click());
    const make = action("Create packages", () => send({ type: "package",
      passphrase: phrase.take(), target_os: system.value }));

    const which = h("select", { class: "lc-control" });
    const opening = secretField("The folder's passphrase", "", () => reveal.click());
    let isAsked = false; // whether this view requested the password; other views get the answer too
    const reveal = action("Show password", () => {
      isAsked = true;
      send({ type: "password", id: which.value, passphrase: opening.take() });
    });
    const shown = h("output", { class: "lc-password", hidden: true });
    const hide = button("Hide password", forget, { hidden: true });
    let timer = 0;
    which.onchange = forget; // the password must not appear next to the name of another package
    function forget() {
      clearTimeout(timer);
      shown.textContent = "";
      shown.hidden = hide.hidden = true;
    }

    const effective = text("Rolled-over certificates take effect at", "Enter the local time of the servers, such as 2026-12-01T08:00. "
      + "If you do not roll over any certificate, leave the field blank.");
    const steps = action("Write deployment steps", () => send({ type: "steps",
      effective: effective.control.value }));

    const since = h("input", { type: "date", class: "lc-control", onchange: refreshRecord });
    const recorded = h("p", { role: "status" });
    const record = action("Record as deployed", () => send({ type: "deployed", on: since.value,
      requests: toRecord().map((at) => requestOf(store.id(at))) }));

    const zone = h("select", { class: "lc-control", onchange: forgetHosts });
    const hosts = text("Hosts file", "Optional: a file with a line “name port address” for each port to probe. "
      + "Without this file, lyncnb looks up the addresses of the servers in DNS.");
    hosts.control.oninput = forgetHosts;
    const seen = text("Save the servers' certificates to", "Optional: a .json file that lyncnb asis and lyncnb request --only-missing can read.");
    const listed = h("div", { role: "status" });
    const connecting = action("Connect", () => {
      forgetHosts();
      send({ type: "probe", zone: zone.value, hosts: hosts.control.value, seen: seen.control.value });
    });
    const asked = h("div", { class: "lc-confirm", hidden: true }, listed,
      h("div", { class: "lc-bar" }, connecting, button("Do not connect", () => { forgetHosts(); ask.focus(); })));
    const ask = action("Ask the servers…", () => send({ type: "hosts", zone: zone.value, hosts: hosts.control.value }));
    const recordSeen = action("Record the certificates that the servers use", () => send({ type: "seen", seen: seen.control.value }));
    /** The hosts are confirmed for exactly these choices. */
    function forgetHosts() {
      asked.hidden = true;
    }

    const reason = text("Reason", "lyncnb adds the reason, such as yearly renewal, to the folder's history.");
    const opener = secretField("Passphrase of the folder", "", () => renew.click());
    const renew = action("Renew all due certificates", () => send({ type: "renew",
      requests: [...selected].map(requestOf), reason: reason.control.value,
      passphrase: opener.take() }));

    const bar = h("progress", { class: "lc-progress", "aria-label": "Progress of the current step", hidden: true });
    const words = h("div", { role: "status", "aria-live": "polite", class: "lc-job" });
    const result = h("div", { class: "lc-result" });
    const working = h("div", {}, h("div", { class: "lc-bar" }, bar, words), speaker.box, result);

    /** @param {...Kid} parts */
    const fields = (...parts) => h("div", { class: "lc-fields" }, ...parts);
    /** @param {...Kid} parts */
    const line = (...parts) => h("div", { class: "lc-bar" }, ...parts);
    const follow = {
      handover: { control: pack,
        part: fold("1", "Package the requests for the CA", fields(out.field, issuer.field), line(pack)) },
      receive: { control: receive,
        part: fold("2", "Match issued certificates", fields(labelled("Files, folders or zip archives from the CA",
          paths, "Enter one path per line.")), line(receive)) },
      package: { control: make,
        part: fold("3", "Package for the servers", fields(
          labelled("Windows Server version of all servers", system, "The version determines the encryption of the packages."),
          phrase.field),
        line(make),
        h("details", {}, h("summary", {}, "Password of a package"),
          fields(labelled("Package", which), opening.field), line(reveal, shown, hide))) },
      steps: { control: steps,
        part: fold("4", "Import and assign", fields(effective.field), line(steps)) },
      deployed: { control: record,
        part: fold("5", "Record installed certificates", h("p", { class: "lc-help" },
          "lyncnb regards a certificate as in use until you record a newer one. This step does not change any keys. "
          + "To correct a date, select the certificates and record them again with the correct date."),
        fields(labelled("In use since", since)), recorded, line(record),
        h("details", {}, h("summary", {}, "Check which certificates the servers present"),
          h("p", { class: "lc-help" }, "lyncnb connects to the TLS ports of the planned servers, reads their certificates, "
            + "and sends no data. Before lyncnb connects, you see the list of hosts."),
          fields(labelled("Network zone of this computer", zone), hosts.field, seen.field), line(ask, recordSeen), asked)) },
      renew: { control: renew,
        part: fold("6", "Renew", fields(reason.field, opener.field), line(renew)) },
    };
    const root = h("div", { class: "lyncnb lc-follow lc-unasked", role: "group" },
      h("div", { class: "lc-top" }, name, h("span", { class: "lc-grow" }), help.button, look), plan,
      h("div", { role: "status", class: "lc-live" }, counts), kernel.line, behind,
      line(next, go), refused, odd,
      line(find, count, h("span", { class: "lc-grow" }), names), grid.element,
      working, ...Object.values(follow).map(({ part }) => part), reasons.dialog,
      help.dialog);
    guardKeys(root);

    /** @param {NextStep} now */
    function tellNext(now) {
      next.textContent = `Next step: ${now.words}`;
      go.textContent = now.label;
      go.hidden = !now.label;
      if (now.step !== wanted.step) {
        for (const [name, { part }] of Object.entries(follow)) {
          // Keep a section open if it contains the result of a step or the focused field.
          if (name === now.step) part.open = true;
          else if (!part.contains(working) && !part.contains(document.activeElement)) part.open = false;
        }
      }
      wanted = now;
    }

    kernel.listen({
      start(message) {
        root.classList.remove("lc-unasked");
        root.setAttribute("aria-label", `Status of ${message.folder}`);
        name.textContent = `Request folder “${message.folder}”`;
        columns = message.columns;
        help.show(message.help[0], message.help.slice(1));
        system.replaceChildren(...message.systems.map((system) =>
          h("option", { value: system }, system || "as set in the table")));
        paths.value ||= message.returned;
        out.control.value ||= message.out;
        if (!zone.options.length) zone.append(...message.zones.map((name) => h("option", { value: name }, name)));
        seen.control.value ||= message.seen;
      },
      rows(message, buffers) {
        // Row numbers have changed, so the selection is restored by request.
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
        plan.textContent = message.plan;
        const states = Object.entries(message.counts);
        counts.replaceChildren(...states.map(([state, n]) =>
          h("span", { class: "lc-chip" }, `${n.toLocaleString("en")} ${state}`)));
        // Keep a date that the user entered.
        if (!since.value || since.value === today) since.value = message.today;
        since.max = today = message.today;
        refreshRecord();
        tellNext(message.next);
        behind.textContent = message.behind;
        refill(refused, ...message.refusals.map(refusalOf), message.more_refusals
          ? h("p", { class: "lc-hint" }, `The table contains ${plural(message.more_refusals, "more refused certificate")}.`)
          : "");
        refill(odd, message.problems.length ? h("details", { open: true }, h("summary", {}, severityTag("error",
          `${plural(message.problems.length, "file")} to check`)),
        ...message.problems.map((problem) => h("p", { class: "lc-error" }, problem))) : "",
        message.notes.length ? h("details", {}, h("summary", {}, plural(message.notes.length, "note")),
          ...message.notes.map((note) => h("p", { class: "lc-hint" }, note))) : "");
        const chosen = which.value;
        which.replaceChildren(...message.packaged.map((name) => h("option", { value: name }, name)));
        if (message.packaged.includes(chosen)) which.value = chosen;
        else forget();
        reveal.disabled = busy || !message.packaged.length;
      },
      // The editor's plan has changed, so compare it with the folder again.
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
        for (const control of [...actions, go]) control.disabled = busy;
        if (!busy && wentOn && document.activeElement === document.body) (go.hidden ? next : go).focus();
        wentOn &&= busy;
        reveal.disabled = busy || !which.options.length;
        if (busy) result.replaceChildren();
      },
      result(message) {
        result.replaceChildren(h("strong", {}, message.words),
          message.rows.length ? h("details", {}, h("summary", {}, `Details (${plural(message.rows.length, "row")})`),
            table("Details", message.headings, message.rows)) : "");
      },
      hosts(message) {
        listed.replaceChildren(h("p", {}, `lyncnb will connect to ${plural(message.hosts.length, "host")}:`),
          h("p", { class: "lc-hosts" }, message.hosts.join(", ")));
        connecting.textContent = `Connect to ${plural(message.hosts.length, "host")}`;
        asked.hidden = false;
        connecting.focus();
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
        isAsked = false; // the next answer may be for another view of the panel
        speaker.refuse(message.lines);
      },
    });
    el.append(root);
    send({ type: "ready" });
    return () => {
      phrase.take();
      opener.take();
      opening.take();
      forget();
      clearTimeout(lookTimer);
      kernel.end();
      grid.destroy();
    };
  },
};
