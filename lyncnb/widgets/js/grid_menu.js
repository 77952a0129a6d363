// @ts-check
// The menu of a table, which a right-click, Shift+F10 or the menu key opens instead of the notebook's menu.

/** @typedef {{label: string, keys?: string, act: () => void, disabled?: boolean}} MenuEntry */

/** @param {() => void} onClose gives the focus back to the table */
function makeGridMenu(onClose) {
  const menu = h("div", { role: "menu", class: "lc-menu", "aria-label": "Actions for the selected cells",
    hidden: true });

  function close() {
    if (menu.hidden) return;
    menu.hidden = true;
    onClose();
  }

  /** @param {number} step */
  function go(step) {
    const items = [...menu.querySelectorAll("button:not([disabled])")];
    const at = items.indexOf(document.activeElement ?? menu);
    const next = items[(at + step + items.length) % items.length];
    if (next instanceof HTMLElement) next.focus();
  }

  menu.onkeydown = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) go(step);
    else if (event.key === "Home" || event.key === "End") {
      menu.focus();
      go(event.key === "Home" ? 1 : 0);
    } else if (event.key === "Escape" || event.key === "Tab") close();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  menu.addEventListener("focusout", (event) => {
    if (!(event.relatedTarget instanceof Node && menu.contains(event.relatedTarget))) menu.hidden = true;
  });
  menu.oncontextmenu = (event) => {
    event.preventDefault();
    event.stopPropagation();
  };

  return {
    menu,
    /** @param {MenuEntry[]} entries @param {number} x @param {number} y within the parent of the menu */
    open(entries, x, y) {
      menu.replaceChildren(...entries.map(({ label, keys, act, disabled }) => h("button", {
        type: "button", role: "menuitem", class: "lc-menu-item", disabled: Boolean(disabled),
        tabIndex: -1, onclick: () => { close(); act(); } }, label,
      keys ? h("span", { class: "lc-keys", "aria-hidden": "true" }, keys) : null)));
      menu.hidden = false;
      const room = (menu.parentElement?.clientWidth ?? 0) - menu.offsetWidth;
      menu.style.transform = `translate(${Math.max(0, Math.min(x, room))}px, ${y}px)`;
      go(1);
    },
  };
}
