// @ts-check
// What every panel shares: elements, keys, words. Text goes in as text, never as markup.

// Elements: h("button", {class: "x", onclick: f}, "Save"). A property of the element is set as one.
function h(tag, props = {}, ...kids) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(props)) {
    if (value === undefined || value === null) continue;
    if (key === "class") element.className = value;
    else if (key === "for") element.htmlFor = value;
    else if (key in element && !key.startsWith("aria")) element[key] = value;
    else element.setAttribute(key, value);
  }
  element.append(...kids.filter((kid) => kid !== null && kid !== undefined && kid !== false));
  return element;
}

// Every panel is a module of its own on the same page, so a number alone would come twice.
const moduleKey = Math.random().toString(36).slice(2, 9);
let uniqueNumber = 0;
const unique = (stem) => `lyncnb-${moduleKey}-${stem}-${++uniqueNumber}`;

const plural = (n, noun) => `${n.toLocaleString("en")} ${noun}${n === 1 ? "" : "s"}`;

// Signs beside the words: a severity is never told by colour alone.
const SIGNS = { error: "✖", warning: "▲", notice: "ℹ" };
function severityTag(severity, text) {
  return h("span", { class: `lc-tag lc-${severity}` },
    h("span", { "aria-hidden": "true" }, SIGNS[severity] || "", " "), text);
}

function button(label, onclick, more = {}) {
  return h("button", { type: "button", class: "lc-button", onclick, ...more }, label);
}

// A label and its control, side by side; the control is found by the label.
function labelled(text, control, help = "") {
  control.id ||= unique("field");
  const parts = [h("label", { for: control.id, class: "lc-label" }, text), control];
  if (help) {
    const line = h("div", { class: "lc-help", id: unique("help") }, help);
    control.setAttribute("aria-describedby", line.id);
    parts.push(line);
  }
  return h("div", { class: "lc-field" }, ...parts);
}

function choose(choices, value, props = {}) {
  const options = choices.map((choice) => {
    const [key, label] = Array.isArray(choice) ? choice : [choice, choice];
    return h("option", { value: key }, label);
  });
  const select = h("select", props, ...options);
  if (value !== undefined) select.value = value;
  return select;
}

// A table from rows of text or elements; a caption says what it is.
function table(caption, headings, rows, props = {}) {
  const head = h("tr", {}, ...headings.map((text) => h("th", { scope: "col" }, text)));
  const body = rows.map((row) => h("tr", {}, ...row.map((cell) => h("td", {}, cell ?? ""))));
  return h("div", { class: "lc-scroll", tabIndex: 0, role: "region", "aria-label": caption },
    h("table", { class: "lc-table", ...props },
      h("caption", {}, caption), h("thead", {}, head), h("tbody", {}, ...body)));
}

// Jupyter's shortcuts act on keys that a panel lets through: "d d" on a focused list deletes the
// cell, "b" adds one, Shift+Enter runs the cell again and with it drops every edit. What stays
// free: Escape (back to the notebook), function keys, and Ctrl or Command with a letter that means
// nothing here, such as S.
function guardKeys(root) {
  const ours = new Set(["a", "c", "v", "x", "y", "z", "enter", " ", "delete", "backspace"]);
  const passes = (event) => {
    const key = event.key.toLowerCase();
    const command = event.ctrlKey || event.metaKey || event.altKey;
    return key === "escape" || /^f\d+$/.test(key)
      || (command && !ours.has(key) && !key.startsWith("arrow"));
  };
  // Notebook 7 takes keys on their way down, before a panel sees them ("y", "i i", "l" …). The
  // attribute is Lumino's, which looks for it from the target upwards; the window comes before the
  // document that it listens on.
  const mark = (event) =>
    event.target.toggleAttribute("data-lm-suppress-shortcuts", !passes(event));
  root.addEventListener("focusin", () => window.addEventListener("keydown", mark, true));
  root.addEventListener("focusout", () => window.removeEventListener("keydown", mark, true));
  root.addEventListener("keydown", (event) => { if (!passes(event)) event.stopPropagation(); });
}

const alertLines = (lines) => lines.map((line, n) =>
  h("div", { class: n ? "lc-alert-more" : "lc-alert-first" }, line));

// Speaks with the kernel. It answers between cells: whoever waits longer is told why.
function connect(model, answers) {
  const line = h("div", { role: "status", class: "lc-busy" });
  let timer = 0;
  const listen = (message, buffers) => {
    clearTimeout(timer);
    line.textContent = "";
    answers[message.type]?.(message, buffers);
  };
  model.on("msg:custom", listen);
  return {
    line,
    send(message) {
      model.send(message);
      clearTimeout(timer);
      timer = setTimeout(() => {
        line.textContent = "The kernel is busy with a cell. This panel answers when the cell has ended.";
      }, 1200);
    },
    end() {
      clearTimeout(timer);
      model.off("msg:custom", listen);
    },
  };
}

// Words for everybody: a polite line for results, an assertive one for refusals.
function makeSpeaker() {
  const status = h("div", { role: "status", "aria-live": "polite", class: "lc-status" });
  const text = h("div", { class: "lc-alert-text" });
  const alert = h("div", { role: "alert", class: "lc-alert" });
  const box = h("div", { class: "lc-alert-box", hidden: true }, alert,
    button("Close", () => { box.hidden = true; alert.replaceChildren(); },
      { "aria-label": "Close this message", class: "lc-button lc-quiet" }));
  return {
    status, box,
    say(words) { if (status.textContent !== words) status.textContent = words; },
    refuse(lines) {
      text.replaceChildren(...alertLines(lines));
      alert.replaceChildren(text);
      box.hidden = false;
    },
    clear() { box.hidden = true; alert.replaceChildren(); },
  };
}

// Tabs as WAI-ARIA has them: one stop for Tab, arrows between them.
function makeTabs(label, tabs, onShow) {
  const list = h("div", { role: "tablist", "aria-label": label, class: "lc-tabs" });
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
  function show(name, focus = false) {
    current = name;
    for (const tab of tabs) {
      const here = tab.name === name;
      tab.head.setAttribute("aria-selected", String(here));
      tab.head.tabIndex = here ? 0 : -1;
      tab.panel.hidden = !here;
      if (here && focus) tab.head.focus();
    }
    onShow(name);
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
    get current() { return current; },
    retitle(name, words) { tabs.find((tab) => tab.name === name).words.textContent = words; },
  };
}
