// @ts-check
// Messages to and from the kernel, and messages to users and screen readers.

/** @param {string[]} lines */
const alertLines = (lines) => lines.map((line, n) =>
  h("div", { class: n ? "lc-alert-more" : "lc-alert-first" }, line));

/** @type {HostWords} */
const NOTEBOOK = {
  gone: "The kernel was restarted or has stopped, so this panel no longer works. "
    + "Choose Run > Run All Cells. The panel then offers to restore your unsaved edits.",
  noAnswer: "The kernel does not respond yet. The kernel is running a cell, or the connection is lost. "
    + "This panel responds as soon as the kernel responds.",
};
const LATE = 10; // seconds after which the press of a button no longer counts
// A new value after each reload of the page, because the kernel cannot update outputs of earlier pages.
const PAGE = `${Date.now()}-${Math.random()}`;
let views = 0;

/**
 * Sends messages to the kernel, which answers between cells. The page explains a longer wait.
 * @param {Model} model @returns {Connection<any, any>}
 */
function connect(model) {
  const words = model.host?.words ?? NOTEBOOK;
  const line = h("div", { role: "status", class: "lc-busy" });
  const view = `${PAGE}-${++views}`;
  let timer = 0;
  /** @type {{ message: any, pressed: number } | undefined} */
  let waiting; // a message with a passphrase, until the kernel sends a number for it
  /** @type {Answers<any>} */
  let answers = {};
  /** @param {any} message @param {DataView[]} buffers */
  const listen = (message, buffers) => {
    if (message.view && message.view !== view) return; // another view of this panel starts
    clearTimeout(timer);
    line.textContent = "";
    if (message.type === "number") {
      sendNumbered(message.number);
      return;
    }
    answers[message.type]?.(message, buffers);
  };
  model.on("msg:custom", listen);
  // Without a connection, JupyterLab keeps messages and sends them later. It must not keep a passphrase,
  // so the page sends a passphrase only after the kernel has answered. The kernel accepts it once.
  /** @param {number} number */
  const sendNumbered = (number) => {
    if (!waiting) return;
    const { message, pressed } = waiting;
    waiting = undefined;
    const seconds = Math.round((performance.now() - pressed) / 1000);
    if (seconds <= LATE) {
      post({ ...message, number });
      return;
    }
    answers.refused?.({ type: "refused", about: message.type, cell: null, occupied: false, offers: [],
      instead: "", lines: [`The kernel responded only after ${seconds} seconds, so lyncnb did nothing.`,
        "What to do: enter the passphrase and press the button again."] }, []);
  };
  /** @param {any} message */
  const post = (message) => {
    clearTimeout(timer);
    try {
      model.send(message);
    } catch { // the panel's kernel no longer exists
      waiting = undefined;
      line.textContent = words.gone;
      return;
    }
    timer = setTimeout(() => { line.textContent = words.noAnswer; }, 1200);
  };
  return {
    line,
    listen(all) { answers = all; },
    send(message) {
      if ("passphrase" in message) {
        waiting = { message, pressed: performance.now() };
        post({ type: "number" });
        return;
      }
      post(message.type === "ready" ? { ...message, page: PAGE, view } : message);
    },
    end() {
      clearTimeout(timer);
      waiting = undefined;
      model.off("msg:custom", listen);
    },
  };
}

// A polite live region for results, and an assertive live region for errors.
function makeSpeaker() {
  const status = h("div", { role: "status", "aria-live": "polite", class: "lc-status" });
  const text = h("div", { class: "lc-alert-text" });
  const alert = h("div", { role: "alert", class: "lc-alert" });
  const offers = h("span", {});
  const box = h("div", { class: "lc-alert-box", hidden: true }, alert, offers,
    button("Close", () => { box.hidden = true; alert.replaceChildren(); },
      { "aria-label": "Close this message", class: "lc-button lc-quiet" }));
  return {
    status, box,
    /** @param {string} words */
    say(words) { if (status.textContent !== words) status.textContent = words; },
    /**
     * @param {string[]} lines @param {string[]} [labels] the labels of buttons with alternatives
     * @param {(n: number) => unknown} [act] does an alternative
     */
    refuse(lines, labels = [], act) {
      text.replaceChildren(...alertLines(lines));
      alert.replaceChildren(text);
      offers.replaceChildren(...(act ? labels : []).map((label, n) =>
        button(label, () => act?.(n), { class: "lc-button lc-primary" })));
      box.hidden = false;
    },
    clear() { box.hidden = true; alert.replaceChildren(); },
  };
}
