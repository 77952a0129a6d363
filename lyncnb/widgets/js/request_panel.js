// @ts-check
// The request panel: preview, accept findings, enter the passphrase, write, cancel.

/** @param {() => unknown} onEnter */
function makePassphrase(onEnter) {
  const first = secretField("Passphrase of the folder",
    "Enter at least 12 characters. The passphrase encrypts every key.", onEnter);
  const again = secretField("Repeat the passphrase",
    "For a new folder, enter the passphrase twice. If you mistype the passphrase, nobody can decrypt the keys.", onEnter);
  return {
    fields: h("div", { class: "lc-passphrase" }, first.field, again.field),
    /** @param {boolean} isNew */
    ask(isNew) { again.field.hidden = !isNew; },
    /** @param {boolean} busy */
    disable(busy) { first.input.disabled = again.input.disabled = busy; },
    focus() { first.input.focus(); },
    take: () => [first.take(), again.take()],
  };
}

export default {
  /** @param {Host} host */
  render({ model, el }) {
    /** @type {Connection<RequestFromPage, RequestToPage>} */
    const kernel = connect(model);
    const { send } = kernel;
    const speaker = makeSpeaker();
    const reasons = makeNameReasons(send);
    const help = makeHelp();
    let other = ""; // the folder's deployment, if it differs from the plan's deployment
    let ready = false; // whether the preview is finished and has no problems
    let busy = false;
    let asked = false; // whether the kernel has not answered the request to write; a second press sends no passphrase
    let blocked = true; // whether the last preview prevents writing
    let cancelHadFocus = false;
    let openErrors = 0;
    let keyAsked = "";
    let lookTimer = 0;

    /** @type {Record<string, HTMLElement>} message type -> where its error is shown */
    const places = {};
    const name = h("h2", { class: "lc-name" });
    const plan = h("p", { class: "lc-hint" });
    const changed = h("div", { role: "status", class: "lc-changed-plan" });
    const foreseen = h("p", {});
    const rows = h("div", {});
    const again = button("Refresh", () => send({ type: "look" }));
    const findings = makeFindings({ send, reasons });
    const foundWords = h("summary", {});
    const foundDetails = h("details", {}, foundWords, findings.panel);
    let openedForErrors = false;
    const passphrase = makePassphrase(write);
    const keyFile = h("input", { type: "text", class: "lc-control", autocomplete: "off", spellcheck: false });
    const keyNamed = h("p", { class: "lc-hint", role: "status" });
    const nameKey = button("Add key", () => {
      keyAsked = keyFile.value.trim();
      send({ type: "recovery", file: keyAsked });
    });
    keyFile.onkeydown = (event) => { if (event.key === "Enter") nameKey.click(); };
    const recovery = h("details", {}, h("summary", {}, "Recovery key"),
      h("p", { class: "lc-hint" }, "A recovery key opens the folder if the passphrase is lost. "
        + "To create a recovery key, run “lyncnb recovery new FILE”. Then enter the public key, FILE.pub, below."),
      h("div", { class: "lc-bar lc-end" }, labelled("Public recovery key", keyFile), nameKey),
      keyNamed);
    const computer = h("input", { type: "text", class: "lc-control", autocomplete: "off", spellcheck: false });
    const template = h("input", { type: "text", class: "lc-control", autocomplete: "off", spellcheck: false });
    const scripted = h("div", { role: "status" });
    const toScripts = button("Write scripts", () => {
      send({ type: "scripts", computer: computer.value, template: template.value, replaces: agreed.checked });
    });
    const otherRoute = h("details", {}, h("summary", {}, "Alternative: create the requests on a computer with the administrative tools"),
      h("p", { class: "lc-hint" }, "In this case, lyncnb creates no keys and needs no passphrase. "
        + "Each script requests one certificate with an exportable key, on the computer where you run the script. For certificates that the cmdlet cannot request, choose Write above instead."),
      labelled("Computer", computer, "Optional: the computer that runs the scripts, such as tools01.contoso.com"),
      labelled("Template", template, "Optional: the name of the AD CS template for the internal CA"),
      h("div", { class: "lc-bar" }, toScripts), scripted);
    const agreed = h("input", { type: "checkbox", onchange: refresh });
    const consent = h("span", {});
    const otherWords = h("p", { class: "lc-alert-first" });
    const otherBox = h("div", { class: "lc-alert-box", hidden: true }, h("div", { class: "lc-alert" },
      otherWords, h("label", { class: "lc-check" }, agreed, consent)));
    const start = button("Write", write, { class: "lc-button lc-primary" });
    const cancel = button("Cancel", () => send({ type: "cancel" }), { disabled: true });
    const bar = h("progress", { class: "lc-progress", "aria-label": "Requests written", max: 1, value: 0 });
    const words = h("div", { role: "status", "aria-live": "polite", class: "lc-job" });
    const result = h("div", { class: "lc-result", hidden: true, tabIndex: -1 });

    const root = h("div", { class: "lyncnb lc-request lc-unasked", role: "group" },
      h("div", { class: "lc-top" }, name, h("span", { class: "lc-grow" }), help.button), kernel.line, plan, changed, speaker.box,
      step("1", "Preview", h("div", { class: "lc-bar" }, foreseen, again), rows),
      places.option = step("2", "Findings", foundDetails),
      places.write = step("3", "Write", otherBox, passphrase.fields, recovery, h("div", { class: "lc-bar" }, start, cancel),
        h("div", { class: "lc-bar" }, bar, words), result, otherRoute), reasons.dialog, help.dialog);
    places.recovery = recovery;
    places.scripts = otherRoute;
    guardKeys(root);

    function write() {
      if (start.disabled || asked) return;
      const [first, second] = passphrase.take();
      speaker.clear();
      asked = true;
      refresh();
      cancel.focus();
      send({ type: "write", passphrase: first, again: second, replaces: agreed.checked });
    }

    function refresh() {
      start.disabled = busy || !ready || (!otherBox.hidden && !agreed.checked);
      toScripts.disabled = busy || asked || (!otherBox.hidden && !agreed.checked);
      again.disabled = busy;
      cancel.disabled = !(busy || asked);
      // The user can continue to type during a preview.
      passphrase.disable(busy || asked || blocked);
    }

    kernel.listen({
      start(message) {
        root.classList.remove("lc-unasked");
        root.setAttribute("aria-label", `Request panel for ${message.folder}`);
        help.show(message.help[0], message.help.slice(1));
        name.textContent = `Write requests into “${message.folder}”`;
      },
      // The editor's plan has changed. Writing is possible only after a new preview.
      changed(message) {
        changed.textContent = `${message.words} Updating the preview …`;
        ready = false;
        refresh();
        clearTimeout(lookTimer);
        lookTimer = setTimeout(() => send({ type: "look" }), 500);
      },
      findings(message) {
        findings.show(message);
        const total = message.groups.reduce((sum, group) => sum + group.count, 0);
        foundWords.textContent = message.open.length
          ? `${plural(message.open.length, "type")} of error to correct or accept`
          : `${plural(total, "finding")}, but no error that prevents writing`;
        // Do not open the findings again if the user closed them.
        if (message.open.length > openErrors && !foundDetails.open) foundDetails.open = openedForErrors = true;
        else if (!message.open.length && openedForErrors) foundDetails.open = openedForErrors = false;
        openErrors = message.open.length;
      },
      look(message) {
        if (changed.textContent) changed.textContent = "The plan has changed in the editor. The preview is up to date.";
        ready = message.ready;
        blocked = !ready;
        plan.textContent = message.plan;
        start.textContent = message.label;
        foreseen.textContent = message.words;
        refill(rows,
          message.rows.length ? h("details", {}, h("summary", {}, "Changes to each request"),
            table("Changes that lyncnb makes when you choose Write", ["Change", "Request", "Reason"], message.rows.map(
              ([what, id, ...why]) => [what, id && !id.includes(" ") ? reasons.link(id) : id, ...why]))) : "",
          ...message.notes.map((note) => h("p", { class: "lc-hint" }, note)));
        passphrase.ask(message.is_new);
        if (other !== message.other) agreed.checked = false; // the user confirmed a different text
        other = message.other;
        otherBox.hidden = !other;
        otherWords.textContent = other;
        consent.textContent = message.consent;
        const hadFocus = document.activeElement === start;
        refresh();
        // A disabled button has no focus, so move it to the result.
        if (hadFocus && start.disabled) (result.hidden ? again : result).focus();
      },
      reasons: (message) => reasons.show(message),
      recovery({ fingerprints }) {
        const words = fingerprints.length
          ? `After you choose Write, these recovery keys can open the folder: ${fingerprints.join(", ")}.` : "";
        if (words && words !== keyNamed.textContent) recovery.open = true;
        keyNamed.textContent = words;
        if (keyFile.value.trim() === keyAsked) keyFile.value = "";
        keyAsked = "";
      },
      job(message) {
        const ended = busy && !message.busy;
        busy = message.busy;
        asked = false;
        if (document.activeElement === cancel) cancelHadFocus = true;
        const pressed = document.activeElement === start;
        words.textContent = message.words;
        bar.max = message.total || 1;
        bar.value = message.done;
        bar.hidden = !message.total;
        cancel.textContent = message.state === "stopping" ? "Canceling …" : "Cancel";
        refresh();
        if (busy) result.hidden = true;
        if (busy && pressed) cancel.focus(); // start is disabled now and had the focus
        if (busy && message.state === "stopping") cancel.disabled = true;
        if (!ended) return;
        const isFree = document.activeElement === document.body; // a disabled button has no focus
        if (root.contains(document.activeElement) || (cancelHadFocus && isFree)) start.focus();
        cancelHadFocus = false;
      },
      result(message) {
        result.hidden = false;
        changed.textContent = "";
        result.replaceChildren(h("strong", {}, message.words),
          ...message.notes.map((note) => h("p", { class: "lc-hint" }, note)),
          h("p", {}, message.cancelled ? "To write the remaining requests, choose “Write” again."
            : "Next step: open the summary below, then send the requests to the CA."));
      },
      scripts(message) {
        scripted.replaceChildren(h("p", {}, message.words),
          ...message.notes.map((note) => h("p", { class: "lc-hint" }, note)));
      },
      refused(message) {
        if (places[message.about]) places[message.about].append(speaker.box); // next to the pressed button
        else changed.after(speaker.box);
        speaker.refuse(message.lines);
        if (message.about !== "write" || !asked) return;
        asked = false;
        const wasHere = root.contains(document.activeElement);
        refresh();
        if (wasHere && !busy) passphrase.focus();
      },
      done: () => speaker.clear(),
    });
    el.append(root);
    refresh();
    send({ type: "ready" });
    return () => { clearTimeout(lookTimer); passphrase.take(); kernel.end(); };
  },
};
