// @ts-check
// The Deployment tab: choices for the whole deployment. The kernel describes every field.

/** @param {Send<EditorFromPage>} send */
function makeForm(send) {
  const panel = h("div", { class: "lc-panel lc-form" });
  /** @type {Map<string, (value: any, more?: string) => void>} name -> function that sets a value */
  const controls = new Map();
  /** @type {Set<Element>} fields in which the user is typing */
  const typing = new Set();

  /** @param {FieldFacts} facts */
  function field(facts) {
    /** @param {string} value */
    const change = (value) => send({ type: "option", name: facts.name, value });
    if (facts.kind === "flag") {
      const control = h("input", { type: "checkbox", id: unique("field") });
      control.onchange = () => change(String(control.checked));
      controls.set(facts.name, (value) => { control.checked = Boolean(value); });
      const help = facts.help && h("div", { class: "lc-help", id: unique("help") }, facts.help);
      if (help) control.setAttribute("aria-describedby", help.id);
      return h("div", { class: "lc-field" }, h("label", { class: "lc-check" }, control, " ",
        facts.label), help);
    }
    if (facts.kind === "choice") {
      const control = choose(facts.choices, undefined, { class: "lc-control" });
      control.onchange = () => change(control.value);
      controls.set(facts.name, (value, more) => {
        control.querySelectorAll("[data-odd]").forEach((option) => option.remove());
        if (![...control.options].some((option) => option.value === value)) {
          control.prepend(h("option", { value, "data-odd": "" }, more || value));
        }
        control.value = value;
      });
      return labelled(facts.label, control, facts.help);
    }
    if (facts.kind === "list") {
      const control = h("textarea", { class: "lc-control", rows: 3, spellcheck: false });
      typed(control, change);
      controls.set(facts.name, (value, odd) => {
        setText(control, value, odd);
        control.rows = Math.max(2, Math.min(8, value.split("\n").length));
      });
      return labelled(facts.label, control, facts.help);
    }
    const control = h("input", { class: "lc-control", autocomplete: "off", spellcheck: false,
      type: facts.kind === "date" || facts.kind === "number" ? facts.kind : "text" });
    if (facts.kind === "number") control.min = "1";
    typed(control, change);
    controls.set(facts.name, (value, odd) => setText(control, value, odd));
    return labelled(facts.label, control, facts.help);
  }

  /**
   * A field sends its value when it loses the focus or at Enter.
   * @param {Control} control @param {(value: string) => void} tell
   */
  function typed(control, tell) {
    control.oninput = () => { typing.add(control); };
    control.onchange = () => { typing.delete(control); tell(control.value.trim()); };
  }

  /**
   * A value that differs between sites is read-only here. The user changes it in the table.
   * @param {Control} control @param {string} value @param {string} [odd]
   */
  function setText(control, value, odd) {
    if (typing.has(control)) return; // an answer from the kernel must not overwrite typed text
    control.value = odd ? "" : value;
    if (!(control instanceof HTMLSelectElement)) {
      control.placeholder = odd ? `${odd}: change this value in the table` : "";
    }
    control.disabled = Boolean(odd);
  }

  /**
   * Issuer and CA by usage: one small table, a row for each usage of the product.
   * @param {UsageTable} facts
   */
  function byUsage(facts) {
    const rows = facts.rows.map((row) => {
      const name = row.label;
      const cells = facts.options.map((option) => {
        if (row.without?.includes(option.name)) return "";
        /** @param {string} value */
        const set = (value) => send({ type: "option", name: option.name, key: row.key, value });
        const label = `${option.label} for ${name}`;
        const control = option.choices
          ? choose(option.choices, undefined, { class: "lc-control", "aria-label": label })
          : h("input", { type: "text", class: "lc-control", "aria-label": label, autocomplete: "off" });
        typed(control, set);
        controls.set(`${option.name} ${row.key}`, (value) => setText(control, value));
        return control;
      });
      return [h("span", {}, name), h("span", { class: "lc-source" }, row.note || ""), ...cells];
    });
    return table(facts.caption, ["Type", "In the rules", ...facts.options.map((o) => o.label)], rows);
  }

  return {
    panel,
    /** @param {FieldGroup[]} groups */
    start(groups) {
      controls.clear();
      panel.replaceChildren(...groups.map((group) => h("fieldset", { class: "lc-group" },
        h("legend", {}, group.title),
        group.help ? h("p", { class: "lc-hint" }, group.help) : null,
        group.by_usage ? byUsage(group.by_usage)
          : h("div", { class: "lc-fields" }, ...(group.fields ?? []).map(field)))));
    },
    /**
     * Shows the kernel's current values, also after an error, so that no field shows a rejected value.
     * @param {Record<string, unknown>} values @param {Record<string, string>} [odd]
     */
    values(values, odd = {}) {
      for (const [name, put] of controls) if (name in values) put(values[name], odd[name]);
    },
  };
}
