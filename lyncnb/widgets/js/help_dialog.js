// @ts-check
// "What you can do": every task with its panel and its command, from each panel by one button.

function makeHelp() {
  const list = h("div", {});
  /** @type {HTMLDialogElement} */
  const dialog = h("dialog", { class: "lyncnb lc-shortcuts", "aria-label": "What you can do" }, list,
    button("Close", () => dialog.close()));
  const open = button("What you can do", () => dialog.showModal(), { "aria-haspopup": "dialog" });
  dialog.addEventListener("close", () => open.focus({ preventScroll: true }));
  dialog.addEventListener("keydown", (event) => event.stopPropagation()); // no key of Jupyter's
  return {
    button: open,
    dialog,
    /** @param {string[]} headings @param {string[][]} tasks */
    show(headings, tasks) {
      list.replaceChildren(table("What you can do", headings, tasks.map(([task, ...ways]) =>
        [task, ...ways.map((way) => (/[.(]|lyncnb/.test(way) ? h("code", {}, way) : way))])));
    },
  };
}
