// @ts-check
// What to keep: two files, or Python that repeats every choice.

/** @param {Send<EditorAsked>} send */
function makeSaveTab(send) {
  const folder = h("input", { type: "text", class: "lc-control", autocomplete: "off" });
  const result = h("div", { class: "lc-result", role: "status" });
  const over = h("input", { type: "checkbox" });
  const overLine = h("label", { class: "lc-check", hidden: true }, over,
    " Replace what is there; I have looked at it");
  let asked = ""; // the folder that was last asked for: the tick is about that one alone
  const save = button("Save topology.csv and plan.toml", () => {
    const overwrite = over.checked && folder.value.trim() === asked;
    asked = folder.value.trim();
    result.replaceChildren(); // what was saved before says nothing of this
    send({ type: "save", folder: asked, overwrite });
  }, { class: "lc-button lc-primary" });
  function forgetTick() {
    over.checked = false;
    overLine.hidden = true;
  }
  folder.oninput = forgetTick;
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
    /** @param {Code} message */
    show(message) { code.textContent = message.code; copied.textContent = ""; },
    /** @param {EditorStart} message */
    start(message) { folder.value ||= message.folder; },
    /** @param {Saved} message */
    saved(message) {
      result.replaceChildren(h("div", {}, h("strong", {}, message.text)),
        h("div", {}, "To load it again, put this in place of the cell that makes the editor:"),
        h("pre", { class: "lc-code", tabIndex: 0, role: "region",
          "aria-label": "Python that loads what was saved" }, message.again));
      forgetTick();
    },
    /** @param {Refused} message */
    refused(message) {
      if (message.about === "save") overLine.hidden = !message.occupied || folder.value.trim() !== asked;
    },
  };
}

/** @param {HTMLElement} element */
async function copyText(element) {
  try {
    await navigator.clipboard.writeText(element.textContent ?? "");
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
