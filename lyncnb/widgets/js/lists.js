// @ts-check
// Findings, changes, and what to keep: the tabs that show lists and send one wish at a time.

/** @param {{send: Function, goTo?: (row: number, column: string) => void}} wishes */
function makeFindings({ send, goTo }) {
  const body = h("div", {});
  const panel = h("div", { class: "lc-panel" }, body);

  function acceptance(group) {
    if (group.accepted) {
      return h("div", { class: "lc-accept" }, `Accepted: ${group.accepted} `,
        button("Do not accept", () => send({ type: "option", name: "accepted", key: group.code,
          value: "" }), { "aria-label": `Do not accept ${group.code}` }));
    }
    if (group.severity !== "error") return null;
    const reason = h("input", { type: "text", class: "lc-control", autocomplete: "off",
      "aria-label": `Why ${group.code} is accepted` });
    const accept = () => reason.value.trim() && send({ type: "option", name: "accepted",
      key: group.code, value: reason.value.trim() });
    reason.onkeydown = (event) => { if (event.key === "Enter") accept(); };
    return h("div", { class: "lc-accept" }, "Accept it because: ", reason,
      button("Accept", accept, { "aria-label": `Accept ${group.code}` }));
  }

  function block(group) {
    const rows = group.items.map((item) => [
      goTo && item.row !== null ? button(item.about, () => goTo(item.row, item.column), {
        class: "lc-link", title: item.heading ? `Go to ${item.heading} of this server`
          : "Go to this server in the table" }) : item.about,
      item.message,
    ]);
    return h("section", { class: "lc-block" },
      h("h3", { class: "lc-title" }, severityTag(group.severity, group.severity), " ", group.title,
        h("span", { class: "lc-source" }, ` ${group.code} · ${plural(group.count, "time")}`)),
      h("p", {}, group.meaning), h("p", { class: "lc-help" }, `What to do: ${group.hint}`),
      acceptance(group),
      table(`${group.title}: where`, ["About", "Finding"], rows),
      group.count > rows.length
        ? h("p", { class: "lc-hint" }, `The first ${rows.length} of ${group.count}.`) : null,
      h("p", { class: "lc-source" }, group.source));
  }

  return {
    panel,
    show(message) {
      body.replaceChildren(...(message.groups.length ? message.groups.map(block)
        : [h("p", { class: "lc-hint" }, "Nothing found: no error, no warning, no notice.")]));
    },
  };
}

function makeChanges(send) {
  const body = h("div", {});
  const back = button("Back to the file as loaded", () => send({ type: "reset" }));
  const panel = h("div", { class: "lc-panel" }, body,
    h("div", { class: "lc-bar" }, back,
      h("span", { class: "lc-hint" }, "This can be undone like every other change.")));
  return {
    panel,
    show(message) {
      back.disabled = !message.rows.length;
      body.replaceChildren(message.rows.length
        ? table(message.title, message.headings, message.rows)
        : h("p", { class: "lc-hint" }, "Nothing is changed against the loaded file."));
      if (message.note) body.append(h("p", { class: "lc-hint" }, message.note));
    },
  };
}

function makeKeep(send) {
  const folder = h("input", { type: "text", class: "lc-control", autocomplete: "off" });
  const result = h("div", { class: "lc-result", role: "status" });
  const over = h("input", { type: "checkbox" });
  const overLine = h("label", { class: "lc-check", hidden: true }, over,
    " Replace what is there; I have looked at it");
  const save = button("Save topology.csv and plan.toml",
    () => send({ type: "save", folder: folder.value.trim(), overwrite: over.checked }),
    { class: "lc-button lc-primary" });
  folder.onkeydown = (event) => { if (event.key === "Enter") save.click(); };
  const code = h("pre", { class: "lc-code", tabIndex: 0, role: "region",
    "aria-label": "Python that repeats every choice" });
  const copied = h("span", { role: "status", class: "lc-hint" });
  const copy = button("Copy to the clipboard", async () => {
    copied.textContent = (await copyText(code)) ? "Copied." : "Selected: press Ctrl+C.";
  });
  const panel = h("div", { class: "lc-panel" },
    h("h3", { class: "lc-title" }, "As files"),
    h("p", { class: "lc-hint" }, "Two files hold the whole plan: the table with its unknown columns, "
      + "and the choices beside it."),
    h("div", { class: "lc-bar lc-end" }, labelled("Folder", folder), save, overLine), result,
    h("h3", { class: "lc-title" }, "As Python"),
    h("p", { class: "lc-hint" }, "Put this in place of the cell that makes the editor: Run All then "
      + "shows the same plan."),
    code, h("div", { class: "lc-bar" }, copy, copied));
  return {
    panel,
    show(message) { code.textContent = message.code; copied.textContent = ""; },
    start(message) { folder.value ||= message.folder; },
    saved(message) {
      result.replaceChildren(h("div", {}, h("strong", {}, message.text)),
        h("div", {}, "To load it again, put this in place of the cell that makes the editor:"),
        h("pre", { class: "lc-code", tabIndex: 0, role: "region",
          "aria-label": "Python that loads what was saved" }, message.again));
      over.checked = false;
      overLine.hidden = true;
    },
    refused(message) { if (message.about === "save") overLine.hidden = !message.occupied; },
  };
}

async function copyText(element) {
  try {
    await navigator.clipboard.writeText(element.textContent);
    return true;
  } catch { // no permission, or no secure page: the old way
    const range = document.createRange();
    range.selectNodeContents(element);
    const chosen = getSelection();
    chosen?.removeAllRanges();
    chosen?.addRange(range);
    return document.execCommand("copy");
  }
}
