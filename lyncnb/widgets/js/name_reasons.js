// @ts-check
// The reasons for a name and its purpose. When the user selects a name, the kernel sends the content of
// a dialog.

// Allow a line break after a dot in a long name, and after "_" in the name of an option.
/** @param {string} text */
const atDots = (text) => text.split(/(?<=[._])/).flatMap((part) => [part, h("wbr")]);

/** @param {Send<Why>} send */
function makeNameReasons(send) {
  const title = h("h3", { class: "lc-title", id: unique("why") });
  const body = h("div", { class: "lc-reasons" });
  const close = button("Close", () => dialog.close());
  const dialog = h("dialog", { class: "lc-why", "aria-labelledby": title.id },
    h("div", { class: "lc-bar" }, title, h("span", { class: "lc-grow" }), close), body);
  dialog.onclick = (event) => { if (event.target === dialog) dialog.close(); }; // outside the dialog
  // If JupyterLab got Escape, it would move the focus from the panel to the cell.
  dialog.onkeydown = (event) => { if (event.key === "Escape") event.stopPropagation(); };

  /** @param {string} heading @param {...Kid} parts */
  const line = (heading, ...parts) => (parts.length
    ? [h("dt", {}, heading), h("dd", {}, ...parts)] : []);

  /** @param {RuleReason} reason @param {boolean} withNames */
  function block(reason, withNames) {
    const facts = reason.facts.flatMap(({ heading, says, source }) => line(heading,
      source ? says : h("em", {}, says), source ? h("div", { class: "lc-source" }, source) : null));
    return h("section", { class: "lc-block" },
      withNames ? h("ul", { class: "lc-names", "aria-label": "Names" },
        ...reason.names.map((name) => h("li", { class: "lc-name-chip" }, name))) : null,
      h("dl", { class: "lc-told" }, ...facts,
        ...line("Certificates of", ...reason.places.map((place) => h("div", {}, place))),
        ...line("Servers", ...(reason.servers ? [reason.servers] : [])),
        ...line("Rule", h("code", {}, reason.rule))));
  }

  /** @param {string} name */
  const link = (name) => h("button", { type: "button", class: "lc-link lc-needed",
    "aria-haspopup": "dialog", title: "Show why the certificate contains this name, and who needs the name",
    onclick: () => send({ type: "why", name }) }, ...atDots(name));

  return {
    dialog,
    /** A name, or the id of a request, as a link to the reasons. */
    link,
    /**
     * The names in a cell as links to their reasons. Other words stay text.
     * @param {string} cell
     */
    links: (cell) => h("span", {}, ...cell.split("; ").flatMap((name, n) =>
      [n ? "; " : "", /^[^ ]+\.[^ ]+$/.test(name) ? link(name) : name])),
    /**
     * A text with its names as links to their reasons.
     * @param {string} text @param {string[]} names the names in the text @returns {Kid[]}
     */
    within: (text, names) => text.split(/([\w*-]+(?:\.[\w-]+)+)/).map((part) =>
      (names.includes(part) ? link(part) : part)),
    /** @param {Reasons} message */
    show(message) {
      title.textContent = message.title;
      const withNames = message.reasons.some(({ names }) => names.join() !== message.title);
      body.replaceChildren(message.note ? h("p", { class: "lc-hint" }, message.note) : "",
        ...message.reasons.map((reason) => block(reason, withNames)));
      if (!dialog.open) dialog.showModal();
      body.scrollTop = 0;
    },
  };
}

/** @typedef {ReturnType<typeof makeNameReasons>} NameReasons */
