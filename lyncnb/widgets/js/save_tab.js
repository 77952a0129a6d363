// @ts-check
// Open, Save and Save as for a table and its options, and Python code that creates the same plan.

/** @param {Send<EditorFromPage>} send @param {FileHost} [host] where a browser opens and downloads files */
function makeSaveTab(send, host) {
  const now = h("p", {});
  const files = h("datalist", { id: unique("tables") });
  const path = h("input", { type: "text", class: "lc-control", autocomplete: "off", spellcheck: false });
  path.setAttribute("list", files.id);
  const result = h("div", { class: "lc-result", role: "status" });
  const over = h("input", { type: "checkbox" });
  const overLine = h("label", { class: "lc-check", hidden: true }, over,
    " I have checked the existing files. Replace them.");
  /** @type {string | undefined} */
  let asked; // the requested file, the only file to which the check box applies
  /** @param {string} name "" for the open file */
  function write(name) {
    const overwrite = over.checked && name === asked;
    asked = name;
    result.replaceChildren(); // remove the result of an earlier request
    send({ type: "save", path: name, overwrite });
  }
  const save = button("Save", () => write(""), { class: "lc-button lc-primary" });
  const saveAs = button("Save as", () => write(path.value.trim()));
  const open = button("Open", () => {
    result.replaceChildren();
    if (host) host.pick();
    else send({ type: "open", path: path.value });
  });
  function forgetTick() {
    over.checked = false;
    overLine.hidden = true;
  }
  path.oninput = forgetTick;
  const code = h("pre", { class: "lc-code", tabIndex: 0, role: "region",
    "aria-label": "Python code that creates the same plan" });
  const panel = h("div", { class: "lc-panel" },
    h("h3", { class: "lc-title" }, "Files"), now,
    h("div", { class: "lc-bar" }, save, overLine),
    h("div", { class: "lc-bar lc-end" },
      labelled("Table file", path, host ? "To save under another name, enter a name that ends in .csv or .xlsx."
        : "To save, enter a folder, or a file name that ends in .csv or .xlsx."), open, saveAs, files),
    result,
    h("details", {}, h("summary", {}, "Python code"),
      h("p", { class: "lc-hint" }, host ? "To get the same plan in a notebook, run this code in a cell."
        : "To get the same plan with Run All, replace the code in the editor's cell with this code."),
      code, copyBar(code)));
  return {
    panel,
    /** @param {Code} message */
    show(message) {
      code.textContent = message.code;
      const isNew = message.target !== message.path;
      const saving = host ? `If you choose Save, you download ${isNew ? message.target : "the table"} and its options, ${message.options}.`
        : isNew ? `If you choose Save, lyncnb writes ${message.target}, and the options to ${message.options}.`
        : message.has_options ? `The options are in ${message.options}, in the same folder.`
        : `If you choose Save, lyncnb writes the options to ${message.options}, in the same folder.`;
      now.textContent = message.path
        ? `The open table is ${message.path}. ${saving}${isNew ? " The open file does not change. For CSV, choose Save as." : ""}`
        : "This table has not been saved to a file yet. Save it under a name that ends in .csv or .xlsx.";
      save.disabled = !message.target;
      files.replaceChildren(...message.files.map((name) => h("option", { value: name })));
      path.value ||= !isNew ? "" : message.path.replace(/(\.[a-z]+)?$/i, ".csv");
    },
    /** @param {EditorState} message */
    changed(message) { if (message.done) result.replaceChildren(); },
    /** @param {Saved} message */
    saved(message) {
      const line = h("pre", { class: "lc-code", tabIndex: 0, role: "region",
        "aria-label": "The code that opens the table" }, message.line);
      result.replaceChildren(h("div", {}, h("strong", {}, message.text)), h("div", {}, message.hint),
        ...(message.line ? [line, copyBar(line)] : []));
      forgetTick();
    },
    /** @param {Refused} message */
    refused(message) {
      if (message.about === "save") overLine.hidden = !message.occupied;
    },
  };
}

/** @param {HTMLElement} source */
function copyBar(source) {
  const copied = h("span", { role: "status", class: "lc-hint" });
  return h("div", { class: "lc-bar" }, button("Copy to the clipboard", async () => {
    copied.textContent = (await copyText(source)) ? "Copied." : "The code is selected. Press Ctrl+C.";
  }), copied);
}

/** @param {HTMLElement} element */
async function copyText(element) {
  try {
    await navigator.clipboard.writeText(element.textContent ?? "");
    return true;
  } catch { // without permission or a secure page, use the older method
    const range = document.createRange();
    range.selectNodeContents(element);
    const chosen = getSelection();
    chosen?.removeAllRanges();
    chosen?.addRange(range);
    return document.execCommand("copy");
  }
}
