// @ts-check
// The top of the planning page: the table to plan, and the folder for its requests.

export default {
  /** @param {Host} host */
  render({ model, el }) {
    const speaker = makeSpeaker();
    /** @type {Connection<TableFromPage, TableToPage>} */
    const kernel = connect(model);

    const files = h("datalist", { id: unique("files") });
    const path = h("input", { type: "text", class: "lc-control", autocomplete: "off", spellcheck: false });
    path.setAttribute("list", files.id);
    const pasted = h("textarea", { class: "lc-control", rows: 3, spellcheck: false });
    const folder = h("input", { type: "text", class: "lc-control", autocomplete: "off" });
    const open = button("Open the table", () => {
      speaker.clear();
      kernel.send({ type: "open", path: path.value, pasted: pasted.value, folder: folder.value });
    }, { class: "lc-button lc-primary" });
    const ask = button("Answer questions instead", () => {
      speaker.clear();
      kernel.send({ type: "ask", folder: folder.value });
    });
    // Until the kernel has answered, the fields are empty and there is nothing to open.
    open.disabled = ask.disabled = true;
    path.onkeydown = (event) => { if (event.key === "Enter") open.click(); };

    const root = h("div", { class: "lyncnb lc-table-source", role: "group", "aria-label": "Table of servers" },
      h("div", { class: "lc-top" }, h("h2", { class: "lc-name" }, "Plan the certificates of a deployment")),
      kernel.line, speaker.box,
      h("div", { class: "lc-fields" },
        labelled("Table in the workspace", path, "A CSV, XLSX or ODS file, a Topology Builder document, or a folder that contains a scenario or a plan from the guide"),
        labelled("Pasted rows (instead of a file)", pasted, "Copy the rows with their headings from a spreadsheet."),
        labelled("Request folder", folder, "lyncnb does not write any requests until you choose Write below.")),
      h("div", { class: "lc-bar" }, open, ask, speaker.status), files);
    guardKeys(root);

    kernel.listen({
      start(message) {
        files.replaceChildren(...message.files.map((name) => h("option", { value: name })));
        path.value ||= message.files.find((name) => name.endsWith("contoso.csv")) ?? "";
        folder.value ||= message.folder;
        open.disabled = ask.disabled = false;
      },
      opened: (message) => speaker.say(message.words),
      refused: (message) => speaker.refuse(message.lines),
    });
    el.append(root);
    kernel.send({ type: "ready" });
    return () => kernel.end();
  },
};
