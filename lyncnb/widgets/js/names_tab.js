// @ts-check
// Every name with its certificates, their servers and the reasons.

/** @param {{send: Send<EditorFromPage>, goTo: (row: number) => void, reasons: NameReasons}} actions */
function makeNamesTab({ send, goTo, reasons }) {
  let timer = 0;
  const find = h("input", { type: "search", class: "lc-control lc-find", autocomplete: "off",
    "aria-label": "Find names", placeholder: "Part of a name, such as lyncdiscover" });
  const count = h("span", { role: "status", class: "lc-count" });
  const body = h("div", { class: "lc-tall" });
  const ask = () => send({ type: "names", search: find.value.trim() });
  find.oninput = () => {
    clearTimeout(timer);
    timer = setTimeout(ask, 150);
  };
  find.onkeydown = (event) => {
    if (event.key !== "Escape" || !find.value) return;
    find.value = "";
    ask();
    event.stopPropagation();
  };

  /** @param {NameUse} use */
  function owner(use) {
    const link = use.rows.length
      ? button(use.owner, () => goTo(use.rows[0]), { class: "lc-link", title: "Go to this server in the table" })
      : use.owner;
    return h("span", {}, link, h("span", { class: "lc-facts" }, ` ${use.certificate}, ${use.issuer} CA`));
  }

  return {
    panel: h("div", { class: "lc-panel" }, h("div", { class: "lc-bar" }, find, count), body),
    ask,
    /** @param {Names} message */
    show(message) {
      if (message.search !== find.value.trim()) return; // an answer to an earlier search
      count.textContent = message.search
        ? `${message.found.toLocaleString("en")} of ${plural(message.total, "different name")}`
        : plural(message.total, "different name");
      /** @type {Kid[][]} */
      const rows = message.names.flatMap(({ name, uses, more }) => uses.map((use, n) => /** @type {Kid[]} */ ([
        n ? h("span", { class: "lc-hidden" }, name) : h("code", {}, reasons.link(name)), owner(use),
        h("span", {}, h("strong", {}, use.place), `: ${use.why}`, h("div", { class: "lc-source" }, use.source)),
      ])).concat(more ? [["", `and on ${plural(more, "more certificate")}`, ""]] : []));
      refill(body, rows.length
        ? table("Names, their certificates, and the reasons",
          ["Name", "On the certificate of", "Location and reason"], rows)
        : h("p", { class: "lc-hint" }, "No certificate contains a name with this text."));
      const left = message.found - message.names.length;
      if (left) body.append(h("p", { class: "lc-hint" }, `Showing the first ${message.names.length} names. To see the other ${plural(left, "matching name")}, enter a longer part of the name.`));
    },
    destroy: () => clearTimeout(timer),
  };
}
