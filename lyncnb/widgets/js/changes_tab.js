// @ts-check
// The changes since the file was loaded: first certificates and names, then cells.

/** @param {Send<EditorFromPage>} send @param {NameReasons} reasons */
function makeChanges(send, reasons) {
  const effects = h("div", { class: "lc-tall lc-stacks lc-stacks-early" });
  const cells = h("div", { class: "lc-stacks" });
  const back = button("Restore the loaded file", () => send({ type: "reset" }));
  const panel = h("div", { class: "lc-panel" }, effects, cells,
    h("div", { class: "lc-bar" }, back,
      h("span", { class: "lc-hint" }, "You can undo this action.")));
  return {
    panel,
    /** @param {Changes} message */
    show(message) {
      back.disabled = !message.rows.length;
      refill(cells, message.rows.length
        ? table(message.title, message.headings, message.rows)
        : h("p", { class: "lc-hint" }, "Nothing has changed since the file was loaded."));
      if (message.note) cells.append(h("p", { class: "lc-hint" }, message.note));
      const { words, title, headings, rows, note } = message.effects;
      refill(effects, message.rows.length ? h("p", { class: "lc-next" }, words) : "",
        rows.length ? table(title, headings, rows.map((row) => row.map((cell, k) =>
          (headings[k] === "After" && row[0].endsWith("added") ? reasons.links(cell)
            : ["Cause", "Why"].includes(headings[k]) ? h("span", {}, ...atDots(cell)) : cell)))) : "");
      if (note) effects.append(h("p", { class: "lc-hint" }, note));
    },
  };
}
