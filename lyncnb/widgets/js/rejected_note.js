// @ts-check
// The notes above the tabs about the encoding of the table, and about its rejected cells with their fixes.

/** @param {{send: Send<EditorFromPage>, goToCell: (cell: CellName) => void, goToTable: () => void}} actions */
function makeRejectedNote({ send, goToCell, goToTable }) {
  const words = h("div", { role: "status" });
  const fixes = h("div", { class: "lc-whole-row" }), go = h("span", {});
  const box = h("div", { class: "lc-note", hidden: true }, words, go, fixes);
  const encodings = h("div", { class: "lc-note", hidden: true });
  let next = 0; // the rejected cell that the button shows next

  return {
    box, encodings,
    /** @param {EncodingFacts[]} readings */
    start(readings) {
      const chosen = readings.find((reading) => reading.chosen);
      box.hidden = true; // the cells of an earlier table
      encodings.hidden = !readings.length;
      encodings.replaceChildren(h("details", { class: "lc-subject", open: !chosen },
        h("summary", { class: "lc-title" }, chosen ? `Not UTF-8: the file is read as ${chosen.title}. Change`
          : "The file is not UTF-8, and its encoding is not certain. Choose the rows that read correctly"),
        ...readings.flatMap((reading) => [
          reading.chosen ? h("p", {}, h("strong", {}, reading.title)) : h("p", {}, button(`Read as ${reading.title}`, () => {
            send({ type: "open", path: "", encoding: reading.name });
            goToTable();
          })),
          ...reading.lines.map((line) => h("div", {}, line))])));
    },
    /** @param {Rejected} message */
    show(message) {
      words.textContent = message.words;
      box.hidden = !message.words && !message.headings.length;
      next = 0;
      go.replaceChildren(...(message.cells.length ? [button("Show the next rejected cell", () => {
        goToCell(message.cells[next % message.cells.length].cell);
        next++;
      })] : []));
      fixes.replaceChildren(
        ...message.headings.map(([heading, column, title]) => h("p", {},
          `lyncnb does not know the heading "${heading}". `,
          button(`Use it as ${title}`, () => {
            send({ type: "name_column", heading, column });
            goToTable(); // the pressed button disappears
          }))),
        ...(message.fixes.length ? [h("details", { class: "lc-subject" },
          h("summary", { class: "lc-title" }, `Fix all: ${plural(message.fixes.length, "change")}`),
          h("ul", { class: "lc-changes" }, ...message.fixes.map((line) => h("li", {}, line))),
          h("p", {}, button("Apply these changes", () => {
            send({ type: "fix_cells" });
            goToTable();
          }, { class: "lc-button lc-primary" })))] : []));
    },
  };
}
