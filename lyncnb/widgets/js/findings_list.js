// @ts-check
// The findings by code, each with its meaning and locations. The user can accept errors.

/**
 * @param {{send: Send<Acceptance>, reasons: NameReasons, fix?: (codes: string[]) => void,
 *    choose?: (code: string, about: string, answer: number) => void,
 *    goTo?: (row: number, column: string) => void}} actions
 */
function makeFindings({ send, reasons, fix, choose, goTo }) {
  const body = h("div", { class: "lc-stacks" }), all = h("div");
  const panel = h("div", { class: "lc-panel" }, all, body);
  /** @type {((item: FindingItem) => boolean) | null} */
  let wanted = null; // the finding to show when the findings arrive
  /** @type {{item: FindingItem, link: HTMLElement}[]} */
  let links = [];

  /** The changes of all fixes, with a button that applies them.
   *  @param {FindingGroup[]} groups */
  function fixAll(groups) {
    const fixable = groups.filter((group) => group.fixes.length);
    const fixes = [...new Set(fixable.flatMap((group) => group.fixes))];
    if (!fix || fixable.length < 2) { return []; }
    return [h("details", { class: "lc-subject" },
      h("summary", { class: "lc-title" }, `Fix all: ${plural(fixes.length, "change")}`),
      h("ul", { class: "lc-changes" }, ...fixes.map((fix) => h("li", {}, fix))),
      h("p", {}, button("Apply these changes", () => fix(fixable.map((group) => group.code)), { class: "lc-button lc-primary" }),
        " lyncnb skips a change if it would cause another finding of the same or a higher severity. You can undo all changes in one step."))];
  }

  /** @param {FindingGroup} group */
  function acceptance(group) {
    if (group.accepted && !group.over) {
      const open = group.open ? ` ${plural(group.open, "finding")} with this code ${group.open === 1 ? "is"
        : "are"} not accepted.` : "";
      return h("div", { class: "lc-accept" },
        `${["Accepted", group.limits].filter(Boolean).join(" ")}: ${group.accepted}${open && "."}${open} `,
        button("Do not accept", () => send({ type: "option", name: "accepted", key: group.code,
          value: "" }), { "aria-label": `Do not accept ${group.code}` }));
    }
    const over = group.over ? h("p", { class: "lc-accept" },
      `You accepted this finding ${group.limits}. This acceptance has expired.`
      + (group.accepted ? ` The reason was: ${group.accepted}` : "")) : null;
    if (group.severity !== "error") return over;
    const reason = h("input", { type: "text", class: "lc-control", autocomplete: "off",
      "aria-label": `Reason to accept ${group.code}` });
    const accept = () => reason.value.trim() && send({ type: "option", name: "accepted",
      key: group.code, value: reason.value.trim() });
    reason.onkeydown = (event) => { if (event.key === "Enter") accept(); };
    return h("div", {}, over, h("div", { class: "lc-accept" },
      group.over ? "Reason to accept the finding again, without an end date: "
        : "Reason to accept the finding: ", reason,
      button("Accept", accept, { "aria-label": `Accept ${group.code}` }),
      group.limits && !group.over ? h("span", { class: "lc-help" },
        ` The acceptance applies only ${group.limits}.`) : null));
  }

  /** @param {FindingGroup} group */
  function block(group) {
    const rows = group.items.map((item) => {
      const link = goTo && item.row !== null ? button(item.about, () => goTo(item.row ?? 0, item.column), {
        class: "lc-link", title: item.heading ? `Go to the column ${item.heading} of this server`
          : "Go to this server in the table" }) : null;
      if (link) links.push({ item, link });
      const answers = choose ? item.choices.map((change, answer) => h("div", { class: "lc-accept" },
        button("Choose", () => choose(group.code, item.about, answer), { "aria-label": `Choose ${change}` }),
        change)) : [];
      return [link ?? item.about, h("div", {}, ...reasons.within(item.message, item.names), ...answers)];
    });
    return h("section", { class: "lc-block" },
      h("h3", { class: "lc-title" }, severityTag(group.severity, group.severity), " ", group.title,
        h("span", { class: "lc-source" }, ` ${group.code} · ${plural(group.count, "finding")}`)),
      h("p", {}, group.meaning), h("p", { class: "lc-help" }, `What to do: ${group.hint}`),
      fix && group.fixes.length ? h("div", {},
        h("p", {}, button("Fix", () => fix([group.code]), { "aria-label": `Fix ${group.code}` }),
          " makes these changes, which you can undo."),
        h("ul", { class: "lc-changes" }, ...group.fixes.map((fix) => h("li", {}, fix)))) : null,
      acceptance(group),
      table(`Places: ${group.title}`, ["About", "Finding"], rows),
      group.count > rows.length
        ? h("p", { class: "lc-hint" }, `Showing the first ${rows.length} of ${plural(group.count, "finding")}.`) : null,
      h("p", { class: "lc-source" }, group.source));
  }

  /** Combines the groups of one subject into an expandable entry, at the position of the first group.
   *  @param {FindingGroup[]} groups */
  function blocks(groups) {
    /** @param {FindingGroup} group */
    const together = (group) => groups.filter((other) => group.subject
      && other.subject === group.subject && other.severity === group.severity);
    const isOpen = body.querySelector("details.lc-subject[open]") !== null;
    return groups.flatMap((group) => {
      const points = together(group);
      if (points.length < 2) { return [block(group)]; }
      if (points[0] !== group) { return []; }
      return [h("details", { class: "lc-subject", ...(isOpen ? { open: "" } : {}) },
        h("summary", { class: "lc-title" }, severityTag(group.severity, group.severity),
          ` ${group.subject} (${plural(points.length, "point")})`),
        ...points.map(block))];
    });
  }

  return {
    panel,
    /**
     * Shows the first finding of a server when the findings arrive.
     * @param {number} row @param {string} server
     */
    lookFor(row, server) {
      wanted = (item) => item.row === row || item.about === server || item.message.includes(server);
    },
    /** @param {EditorFindings | RequestFindings} message */
    show(message) {
      links = [];
      refill(all, ...fixAll(message.groups));
      refill(body, ...(message.groups.length ? blocks(message.groups)
        : [h("p", { class: "lc-hint" }, "There are no errors, warnings or notices.")]));
      const link = links.find(({ item }) => wanted?.(item))?.link;
      wanted = null;
      const folded = link?.closest("details");
      if (folded) folded.open = true;
      link?.focus();
      link?.scrollIntoView({ block: "center" });
    },
  };
}
