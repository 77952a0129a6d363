// @ts-check
// The button "What you can do" in each panel. It lists every task with its panel and command.

function makeHelp() {
  const list = h("div", {});
  /** @type {HTMLDialogElement} */
  const dialog = h("dialog", { class: "lyncnb lc-shortcuts", "aria-label": "What you can do" }, list,
    button("Close", () => dialog.close()));
  const open = button("What you can do", () => dialog.showModal(), { "aria-haspopup": "dialog" });
  dialog.addEventListener("close", () => open.focus({ preventScroll: true }));
  dialog.addEventListener("keydown", (event) => event.stopPropagation()); // keeps keys from Jupyter's shortcuts
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
