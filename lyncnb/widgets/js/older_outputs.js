// @ts-check
// The notebook around an editor: cells whose output shows an older plan are marked as such. The
// kernel names them by their execution counts; this finds them by their prompts.

const OLDER = "This shows an older plan: the editor has changed since. Run the cell again.";

/** @param {HTMLElement} root */
function watchNotebook(root) {
  /** @type {Set<number>} */
  let older = new Set();

  function cells() {
    const notebook = root.closest(".jp-Notebook");
    return notebook ? [...notebook.querySelectorAll(".jp-CodeCell")] : [];
  }

  /** @param {Element} cell */
  function countOf(cell) {
    const found = /\[(\d+)\]/.exec(cell.querySelector(".jp-InputPrompt")?.textContent ?? "");
    return found ? Number(found[1]) : 0;
  }

  function draw() {
    for (const cell of cells()) {
      const isOlder = older.has(countOf(cell)) && !cell.querySelector(".lyncnb, .lyncnb-unwritten");
      const output = cell.querySelector(".jp-Cell-outputWrapper");
      const mark = cell.querySelector(".lyncnb-older");
      if (isOlder && output && !mark) {
        output.before(h("div", { class: "lyncnb-older", role: "note" }, OLDER));
      } else if (!isOlder && mark) mark.remove();
    }
  }

  // A cell that is run again gets a new count.
  const watcher = new MutationObserver(draw);
  return {
    /** @param {number[]} counts */
    mark(counts) {
      older = new Set(counts);
      watcher.disconnect();
      draw();
      for (const cell of older.size ? cells() : []) {
        const prompt = cell.querySelector(".jp-InputArea");
        if (prompt) watcher.observe(prompt, { subtree: true, childList: true, characterData: true });
      }
    },
    end() {
      older = new Set();
      draw();
      watcher.disconnect();
    },
  };
}
