// @ts-check
// The control of an open cell: a list if the column has choices, a text box with one line per value if
// the cell has several values, and a line of text otherwise.

const LIST_PARTS = /[\s;,|]+/;

/** @param {string} text */
const listEntries = (text) => text.split(LIST_PARTS).filter(Boolean);

/**
 * @param {ColumnFacts} column @param {string} value @param {string} name the label of the control
 * @param {GridRows} store @param {HTMLDataListElement} suggestions filled with the texts of other rows
 * @returns {Control}
 */
function makeCellControl(column, value, name, store, suggestions) {
  if (column.strict) {
    const blank = column.required ? [] : [["", `blank (${column.fallback || "none"})`]];
    const choices = [...blank, ...(column.choices ?? [])];
    if (value && !choices.some(([key]) => key === value)) choices.unshift([value, value]);
    return choose(choices, value, { "aria-label": name, class: "lc-control" });
  }
  if (column.list) {
    const entries = listEntries(value);
    return h("textarea", { class: "lc-control lc-lines", "aria-label": name, spellcheck: false,
      value: entries.join("\n"), rows: Math.max(3, Math.min(10, entries.length + 1)) });
  }
  const known = column.always ? [] : store.distinct(column.name); // server names are unique, so none are suggested
  const texts = [...(column.choices ?? []).map(([key]) => key), ...known];
  suggestions.replaceChildren(...texts.slice(0, 300).map((text) => h("option", { value: text })));
  const input = h("input", { type: "text", value, "aria-label": name, class: "lc-control",
    autocomplete: "off", spellcheck: false });
  input.setAttribute("list", suggestions.id);
  return input;
}

/**
 * The value of a control in the form that the cell uses.
 * @param {Control} control @param {ColumnFacts} column @param {string} before
 */
function controlText(control, column, before) {
  if (!column.list || !(control instanceof HTMLTextAreaElement)) return control.value.trim();
  const entries = listEntries(control.value);
  // If only the separators between the entries differ, the cell has not changed.
  return entries.join(";") === listEntries(before).join(";") ? before : entries.join(";");
}

const PAUSE = 1500; // milliseconds after which a letter begins a new word

/**
 * Selects a choice by the letters that the user types one after another, without saving it. The same
 * letter again selects the next choice with this letter.
 * @param {HTMLSelectElement} control
 */
function makeTypeahead(control) {
  let [letters, last] = ["", 0];
  /** @param {string} letter */
  return (letter) => {
    const now = performance.now();
    letters = (now - last > PAUSE ? "" : letters) + letter.toLowerCase();
    last = now;
    const options = [...control.options];
    /** @param {HTMLOptionElement[]} among @param {string} text */
    const find = (among, text) => among.find((option) => option.text.toLowerCase().startsWith(text));
    const after = options.slice(control.selectedIndex + 1).concat(options);
    const isSame = letters.length > 1 && [...letters].every((letter) => letter === letters[0]);
    const option = find(options, letters) ?? (isSame ? find(after, letters[0]) : undefined);
    if (option) control.value = option.value;
    else if (!isSame) letters = letters.slice(0, -1);
  };
}
