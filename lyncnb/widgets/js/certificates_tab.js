// @ts-check
// The certificates in the plan with their names. Certificates that differ only in the server's name
// share one entry.

/** @param {{send: Send<EditorFromPage>, goTo: (row: number) => void, reasons: NameReasons}} actions */
function makeCertificatesTab({ send, goTo, reasons }) {
  const body = h("div", {});

  /** @param {PlannedGroup} group */
  function setUp(group) {
    const box = h("input", { type: "checkbox", checked: group.at_set_up });
    box.onchange = () => send({ type: "set_up", id: group.id, is_chosen: box.checked });
    return h("label", { class: "lc-facts" }, box, " Request during setup, not in advance");
  }

  /** @param {PlannedGroup} group */
  function block(group) {
    const heading = group.rows.length
      ? button(group.owner, () => goTo(group.rows[0]), { class: "lc-link", title: "Go to this server in the table" })
      : group.owner;
    const own = new Set(group.own);
    return h("section", { class: "lc-block" },
      h("h3", { class: "lc-title" }, heading, h("span", { class: "lc-source" }, ` ${group.title}`)),
      h("p", { class: "lc-facts" }, [group.subject, group.key, `${group.issuer} CA`].filter(Boolean).join(" · ")),
      h("ul", { class: "lc-names", "aria-label": `Names on the certificate of ${group.owner}` },
        ...group.names.map((name) => h("li", { class: `lc-name-chip${own.has(name) ? " lc-own" : ""}` }, reasons.link(name)))),
      group.servers.length ? h("p", { class: "lc-folded" },
        `${group.servers.join(", ")}: the same names, but ${group.count === 2 ? "with the server's" : "each with its"} own name.`)
        : null,
      setUp(group));
  }

  return {
    panel: h("div", { class: "lc-panel" }, body),
    ask: () => send({ type: "certificates" }),
    /** @param {Certificates} message */
    show(message) {
      refill(body, ...message.groups.map(block));
      if (!message.total) body.append(h("p", { class: "lc-hint" }, "The plan contains no certificates."));
      if (message.shown < message.total) {
        body.append(h("p", { class: "lc-hint" }, `Showing the first ${message.shown.toLocaleString("en")} of ${plural(message.total, "certificate")}. To see other certificates, select the servers in the Servers tab.`));
      }
    },
  };
}
