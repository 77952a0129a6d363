// @ts-check
// Creates elements and texts for all panels. Text is inserted as text, never as markup.

/**
 * Creates an element, such as h("button", {class: "x", onclick: f}, "Save").
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Props} [props]
 * @param {...Kid} kids
 * @returns {HTMLElementTagNameMap[K]}
 */
function h(tag, props = {}, ...kids) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(props)) {
    if (value === undefined || value === null) continue;
    if (key === "class") element.className = String(value);
    else if (key === "for") element.setAttribute("for", String(value));
    else if (key in element && !key.startsWith("aria")) Object.assign(element, { [key]: value });
    else element.setAttribute(key, String(value));
  }
  for (const kid of kids) {
    if (kid !== null && kid !== undefined && kid !== false) {
      element.append(typeof kid === "number" ? String(kid) : kid);
    }
  }
  return element;
}

// Every panel is a separate module on the same page, so a number alone would not be unique.
const moduleKey = Math.random().toString(36).slice(2, 9);
let uniqueNumber = 0;
/** @param {string} stem */
const unique = (stem) => `lyncnb-${moduleKey}-${stem}-${++uniqueNumber}`;

/** @param {number} n @param {string} noun */
const plural = (n, noun) => `${n.toLocaleString("en")} ${noun}${n === 1 ? "" : "s"}`;

/** @type {Record<string, string>} Signs next to the text, so that colour is never the only mark of a severity. */
const SIGNS = { error: "✖", warning: "▲", notice: "ℹ" };
/** @param {string} severity @param {string} text */
function severityTag(severity, text) {
  return h("span", { class: `lc-tag lc-${severity}` },
    h("span", { "aria-hidden": "true" }, SIGNS[severity] || "", " "), text);
}

/** @param {string} label @param {(event: MouseEvent) => unknown} onclick @param {Props} [more] */
function button(label, onclick, more = {}) {
  return h("button", { type: "button", class: "lc-button", onclick, ...more }, label);
}

/**
 * A control with its label.
 * @param {string} text @param {Control} control @param {string} [help]
 */
function labelled(text, control, help = "") {
  control.id ||= unique("field");
  /** @type {Node[]} */
  const parts = [h("label", { for: control.id, class: "lc-label" }, text), control];
  if (help) {
    const line = h("div", { class: "lc-help", id: unique("help") }, help);
    control.setAttribute("aria-describedby", line.id);
    parts.push(line);
  }
  return h("div", { class: "lc-field" }, ...parts);
}

/** @param {string} number @param {string} title @param {...Kid} parts */
function step(number, title, ...parts) {
  return h("section", { class: "lc-step" },
    h("h3", { class: "lc-title" }, h("span", { class: "lc-number" }, number), title), ...parts);
}

/** @param {Choice[]} choices @param {string} [value] @param {Props} [props] */
function choose(choices, value, props = {}) {
  const options = choices.map((choice) => {
    const [key, label] = Array.isArray(choice) ? choice : [choice, choice];
    return h("option", { value: key }, label);
  });
  const select = h("select", props, ...options);
  if (value !== undefined) select.value = value;
  return select;
}

/** @param {Element} element */
const knownBy = (element) => `${element.tagName} ${element.getAttribute("aria-label")
  ?? (element.querySelector("summary") ?? element).textContent}`;
const SCROLLED = ".lc-scroll";

/**
 * Replaces the content of a part of a panel. It keeps the focus, unsent text, open details and the
 * scroll positions of tables. Elements are identified by their texts.
 * @param {HTMLElement} part @param {...(Node | string)} kids
 */
function refill(part, ...kids) {
  const focused = document.activeElement;
  /** @param {Element} element */
  const alike = (element) => [...part.querySelectorAll(element.tagName)].filter((it) => knownBy(it) === knownBy(element));
  const index = focused && part.contains(focused) ? alike(focused).indexOf(focused) : -1;
  const kept = new Map([...part.querySelectorAll("input, textarea, details")].map((element) => [knownBy(element), element]));
  const scrolled = [...part.querySelectorAll(SCROLLED)].filter((element) => element.scrollTop || element.scrollLeft)
    .map((element) => ({ by: knownBy(element), top: element.scrollTop, left: element.scrollLeft }));
  part.replaceChildren(...kids);
  for (const element of scrolled.length ? part.querySelectorAll(SCROLLED) : []) {
    const before = scrolled.find(({ by }) => by === knownBy(element));
    if (before) element.scrollTo({ top: before.top, left: before.left });
  }
  for (const element of part.querySelectorAll("input, textarea, details")) {
    const before = kept.get(knownBy(element));
    if (element instanceof HTMLDetailsElement && before instanceof HTMLDetailsElement) element.open = before.open;
    else if (isTyped(element) && before && isTyped(before)) element.value = before.value;
  }
  const again = focused && index >= 0 ? alike(focused)[index] : undefined;
  if (index >= 0 && !again) { // the button no longer exists, so Tab continues from its list
    part.tabIndex = -1;
    part.focus({ preventScroll: true });
  }
  if (!(again instanceof HTMLElement)) return;
  again.focus({ preventScroll: true });
  if (isTyped(again) && focused && isTyped(focused)) {
    again.setSelectionRange(focused.selectionStart, focused.selectionEnd);
  }
}

/** @param {Element} element @returns {element is HTMLInputElement | HTMLTextAreaElement} */
const isTyped = (element) => element instanceof HTMLTextAreaElement
  || (element instanceof HTMLInputElement && element.type === "text");

/**
 * A table with a caption, from rows of text or elements.
 * @param {string} caption @param {string[]} headings @param {Kid[][]} rows @param {Props} [props]
 */
function table(caption, headings, rows, props = {}) {
  const head = h("tr", {}, ...headings.map((text) => h("th", { scope: "col" }, text)));
  const body = rows.map((row) => h("tr", {}, ...row.map((cell, k) =>
    h("td", { "data-heading": headings[k] }, cell ?? ""))));
  return h("div", { class: "lc-scroll", tabIndex: 0, role: "region", "aria-label": caption },
    h("table", { class: "lc-table", ...props },
      h("caption", {}, caption), h("thead", {}, head), h("tbody", {}, ...body)));
}
