// @ts-check
// Messages to and from the kernel, and messages to the reader or a screen reader.

/** @param {string[]} lines */
const alertLines = (lines) => lines.map((line, n) =>
  h("div", { class: n ? "lc-alert-more" : "lc-alert-first" }, line));

// Another value after each reload of the page, in which the kernel's earlier outputs are not updated.
const PAGE = `${Date.now()}-${Math.random()}`;

/**
 * Sends messages to the kernel, which answers between cells. A longer wait is explained.
 * @param {Model} model @returns {Connection<any, any>}
 */
function connect(model) {
  const line = h("div", { role: "status", class: "lc-busy" });
  let timer = 0;
  /** @type {Answers<any>} */
  let answers = {};
  /** @param {{type: string}} message @param {DataView[]} buffers */
  const listen = (message, buffers) => {
    clearTimeout(timer);
    line.textContent = "";
    answers[message.type]?.(message, buffers);
  };
  model.on("msg:custom", listen);
  return {
    line,
    listen(all) { answers = all; },
    send(message) {
      clearTimeout(timer);
      try {
        model.send(message.type === "ready" ? { ...message, page: PAGE } : message);
      } catch { // the panel's kernel no longer exists
        line.textContent = "The kernel was restarted or has ended, so this panel no longer works. "
          + "Choose Run > Run All Cells. The panel then offers your unsaved edits again.";
        return;
      }
      timer = setTimeout(() => {
        line.textContent = "The kernel is busy with a cell. This panel responds when the cell is done.";
      }, 1200);
    },
    end() {
      clearTimeout(timer);
      model.off("msg:custom", listen);
    },
  };
}

// A polite live region for results, and an assertive live region for errors.
function makeSpeaker() {
  const status = h("div", { role: "status", "aria-live": "polite", class: "lc-status" });
  const text = h("div", { class: "lc-alert-text" });
  const alert = h("div", { role: "alert", class: "lc-alert" });
  /** @type {(() => unknown) | undefined} */
  let accept;
  const offer = button("", () => accept?.(), { class: "lc-button lc-primary", hidden: true });
  const box = h("div", { class: "lc-alert-box", hidden: true }, alert, offer,
    button("Close", () => { box.hidden = true; alert.replaceChildren(); },
      { "aria-label": "Close this message", class: "lc-button lc-quiet" }));
  return {
    status, box,
    /** @param {string} words */
    say(words) { if (status.textContent !== words) status.textContent = words; },
    /**
     * @param {string[]} lines @param {string} [instead] label of a button with an alternative
     * @param {() => unknown} [act] that
     */
    refuse(lines, instead = "", act) {
      text.replaceChildren(...alertLines(lines));
      alert.replaceChildren(text);
      accept = act;
      offer.textContent = instead;
      offer.hidden = !instead || !act;
      box.hidden = false;
    },
    clear() { box.hidden = true; alert.replaceChildren(); },
  };
}
