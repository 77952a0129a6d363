// @ts-check
// Tabs that follow WAI-ARIA: one tab stop, and arrow keys that move between the tabs.

/** @param {string} label @param {Tab[]} tabs */
function makeTabs(label, tabs) {
  const list = h("div", { role: "tablist", "aria-label": label, class: "lc-tabs" });
  /** @param {string} name */
  const find = (name) => tabs.find((tab) => tab.name === name);
  for (const tab of tabs) {
    tab.panel.id ||= unique("panel");
    tab.words = h("span", {}, tab.title);
    tab.head = h("button", { type: "button", role: "tab", id: unique("tab"), class: "lc-tab",
      "aria-controls": tab.panel.id, onclick: () => show(tab.name) }, tab.words);
    tab.panel.setAttribute("role", "tabpanel");
    tab.panel.setAttribute("aria-labelledby", tab.head.id);
    list.append(tab.head);
  }
  let current = tabs[0].name;
  /** @param {string} name @param {boolean} [focus] */
  function show(name, focus = false) {
    current = name;
    for (const tab of tabs) {
      const here = tab.name === name;
      tab.head?.setAttribute("aria-selected", String(here));
      if (tab.head) tab.head.tabIndex = here ? 0 : -1;
      tab.panel.hidden = !here;
      if (here && focus) tab.head?.focus();
    }
    find(name)?.ask?.();
  }
  list.addEventListener("keydown", (event) => {
    const at = tabs.findIndex((tab) => tab.name === current);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    show(tabs[(to + tabs.length) % tabs.length].name, true);
  });
  return {
    list, show,
    /** Requests the content of the visible tab again. */
    ask: () => find(current)?.ask?.(),
    /** @param {string} name @param {string} words */
    retitle(name, words) {
      const head = find(name)?.words;
      if (head) head.textContent = words;
    },
  };
}
