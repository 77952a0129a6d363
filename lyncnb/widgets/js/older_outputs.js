// @ts-check
// Marks the cells of the notebook whose output shows an older plan. The kernel sends the execution
// counts of the cells, and this code finds the cells by their prompts.

const OLDER = "This output shows an older plan. To update it, run the cell again.";

/** @param {Element | null} cell the number at its prompt, or 0 */
function countOf(cell) {
  const match = /\[(\d+)\]/.exec(cell?.querySelector(".jp-InputPrompt")?.textContent ?? "");
  return match ? Number(match[1]) : 0;
}

/**
 * Scrolls to the editor after Run All, because JupyterLab stays at the last cell. If the user has
 * scrolled, clicked or typed in the meantime, nothing moves.
 * @param {HTMLElement} root
 */
function showAfterRunAll(root) {
  let isTouched = false;
  const touch = () => { isTouched = true; };
  const signs = ["wheel", "pointerdown", "keydown"];
  for (const sign of signs) window.addEventListener(sign, touch, { capture: true, once: true });
  let left = 600; // checks, five per second
  let rest = 0;
  let wasBusy = false;
  const timer = setInterval(() => {
    const notebook = root.closest(".jp-Notebook");
    const cells = [...(notebook?.querySelectorAll(".jp-CodeCell") ?? [])];
    const isBusy = cells.some((cell) =>
      !cell.contains(root) && cell.querySelector(".jp-InputPrompt")?.textContent?.includes("[*]"));
    // A slow page may draw the editor after the cells below it have run. Just after a reload of
    // the page, the execution counts of the cells do not show this.
    const own = countOf(root.closest(".jp-CodeCell"));
    const isLater = own > 0 && performance.now() > 15000 && cells.some((cell) => countOf(cell) > own);
    wasBusy ||= isBusy || isLater;
    rest = isBusy ? 0 : rest + 1;
    left -= 1;
    if (notebook && !isTouched && left && (!wasBusy || rest < 3) && (wasBusy || left > 590)) return;
    clearInterval(timer);
    for (const sign of signs) window.removeEventListener(sign, touch, { capture: true });
    if (notebook && wasBusy && !isTouched && left) root.scrollIntoView({ block: "start" });
  }, 200);
}

/** @param {HTMLElement} root */
function watchNotebook(root) {
  /** @type {Set<number>} */
  let older = new Set();
  const words = h("div", { role: "status", class: "lc-hint" });

  function cells() {
    const notebook = root.closest(".jp-Notebook");
    return notebook ? [...notebook.querySelectorAll(".jp-CodeCell")] : [];
  }

  function draw() {
    const marked = [];
    for (const cell of cells()) {
      const isOlder = older.has(countOf(cell)) && !cell.querySelector(".lyncnb, .lyncnb-unwritten");
      const output = cell.querySelector(".jp-Cell-outputWrapper");
      const mark = cell.querySelector(".lyncnb-older");
      if (isOlder && output && !mark) {
        output.before(h("div", { class: "lyncnb-older", role: "note" }, OLDER));
      } else if (!isOlder && mark) mark.remove();
      if (isOlder) marked.push(countOf(cell));
    }
    const named = cells().length ? marked : [...older]; // other notebook programs use other elements
    words.textContent = named.length
      ? `${named.length === 1 ? "This output shows" : "These outputs show"} an older plan: `
        + `${named.map((count) => `[${count}]`).join(", ")}. To update, run ${named.length === 1 ? "the cell" : "these cells"} again.` : "";
  }

  // Draw again when a prompt changes, because a cell that runs again gets a new execution count.
  const watcher = new MutationObserver(draw);
  return {
    words,
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
