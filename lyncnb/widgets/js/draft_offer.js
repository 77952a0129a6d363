// @ts-check
// Offers the unsaved edits of an earlier kernel. lyncnb never loads these edits automatically.

/** @param {Send<EditorFromPage>} send */
function makeDraftOffer(send) {
  const words = h("div", { role: "status" });
  const changes = h("div", { class: "lc-tall", hidden: true });
  const compare = button("Compare", () => {
    if (changes.hidden) send({ type: "draft_compare" });
    else fold();
  }, { "aria-expanded": "false" });
  function fold() {
    changes.hidden = true;
    compare.setAttribute("aria-expanded", "false");
  }
  const box = h("div", { class: "lc-note", hidden: true, role: "group", "aria-label": "Unsaved draft" }, words,
    button("Restore", () => send({ type: "draft_restore" }), { class: "lc-button lc-primary" }), compare,
    button("Discard", () => send({ type: "draft_discard" })), changes);
  return {
    box,
    /** @param {UnsavedDraft} message */
    show(message) {
      words.replaceChildren(...alertLines(message.words ? [message.words] : []));
      box.hidden = !message.words;
      fold();
    },
    /** @param {DraftChanges} message */
    compare(message) {
      refill(changes, table(message.title, message.headings, message.rows));
      if (message.note) changes.append(h("p", { class: "lc-hint" }, message.note));
      changes.hidden = false;
      compare.setAttribute("aria-expanded", "true");
    },
  };
}
