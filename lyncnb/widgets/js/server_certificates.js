// @ts-check
// The certificates of the selected servers, with each name and its reasons.

/** @param {NameReasons} reasons */
function makeDetail(reasons) {
  const title = h("h3", { class: "lc-title" }, "Certificates for the server");
  const body = h("div", { class: "lc-detail-body lc-stacks" });
  const panel = h("section", { class: "lc-detail", "aria-label": "Certificates of the selected servers" },
    title, body);

  /** @param {ServerCertificate} shown @param {boolean} open */
  function certificate(shown, open) {
    const facts = [shown.subject, shown.key, `${shown.issuer} CA`, shown.shared]
      .filter(Boolean).join(" · ");
    const rows = shown.names.map((entry) => [
      h("code", {}, entry.name ? reasons.link(entry.name) : "(no name)"), entry.place, entry.why,
      h("span", { class: "lc-source" }, entry.source),
    ]);
    return h("details", { class: "lc-certificate", open },
      h("summary", {}, h("strong", {}, shown.title), ` for ${shown.owner} `,
        h("span", { class: "lc-facts" }, facts)),
      table(`Names on ${shown.id}`, ["Name", "Location", "Reason", "Source"], rows));
  }

  /** @param {Explanation["findings"][number]} shown */
  function finding(shown) {
    return h("li", { class: "lc-finding" }, severityTag(shown.severity, shown.severity), " ",
      shown.message, shown.hint ? h("div", { class: "lc-help" }, shown.hint) : null);
  }

  let shown = "";
  return {
    panel,
    /** @param {Explanation} message */
    show(message) {
      // If nothing has changed, the content stays, because the user may be pressing a button in it.
      const content = JSON.stringify(message);
      if (content === shown) return;
      shown = content;
      title.textContent = message.title;
      const few = message.certificates.length <= 3;
      refill(body,
        message.note ? h("p", { class: "lc-hint" }, message.note) : "",
        message.findings.length
          ? h("ul", { class: "lc-findings" }, ...message.findings.map(finding)) : "",
        ...message.certificates.map((shown) => certificate(shown, few)),
      );
    },
  };
}
