// @ts-check
// The second tab: choices for the whole deployment. Every field is described by the kernel.

function makeForm(send) {
  const panel = h("div", { class: "lc-panel lc-form" });
  const controls = new Map(); // name -> what puts a value in

  function field(facts) {
    const change = (value) => send({ type: "option", name: facts.name, value });
    let control;
    if (facts.kind === "flag") {
      control = h("input", { type: "checkbox", id: unique("field") });
      control.onchange = () => change(control.checked);
      controls.set(facts.name, (value) => { control.checked = value; });
      const help = facts.help && h("div", { class: "lc-help", id: unique("help") }, facts.help);
      if (help) control.setAttribute("aria-describedby", help.id);
      return h("div", { class: "lc-field" }, h("label", { class: "lc-check" }, control, " ",
        facts.label), help);
    }
    if (facts.kind === "choice") {
      control = choose(facts.choices, undefined, { class: "lc-control" });
      control.onchange = () => change(control.value);
      controls.set(facts.name, (value, more) => {
        control.querySelectorAll("[data-odd]").forEach((option) => option.remove());
        if (![...control.options].some((option) => option.value === value)) {
          control.prepend(h("option", { value, "data-odd": "" }, more || value));
        }
        control.value = value;
      });
    } else if (facts.kind === "list") {
      control = h("textarea", { class: "lc-control", rows: 3, spellcheck: false });
      typed(control, change);
      controls.set(facts.name, (value, odd) => {
        setText(control, value, odd);
        control.rows = Math.max(2, Math.min(8, value.split("\n").length));
      });
    } else {
      control = h("input", { class: "lc-control", autocomplete: "off", spellcheck: false,
        type: { date: "date", number: "number" }[facts.kind] || "text" });
      if (facts.kind === "number") control.min = 1;
      typed(control, change);
      controls.set(facts.name, (value, odd) => setText(control, value, odd));
    }
    return labelled(facts.label, control, facts.help);
  }

  // A field sends when it is left or Enter is pressed.
  function typed(control, send) {
    control.oninput = () => { control.typing = true; };
    control.onchange = () => { control.typing = false; send(control.value.trim()); };
  }

  // What differs between sites has no one value here; it is changed in the table.
  function setText(control, value, odd) {
    if (control.typing) return; // an answer to something else must not wipe what is being typed
    control.value = odd ? "" : value;
    control.placeholder = odd ? `${odd}: change it in the table` : "";
    control.disabled = Boolean(odd);
  }

  // Issuer and CA by usage: one small table, a row for each usage of the product.
  function byUsage(facts) {
    const rows = facts.rows.map((row) => {
      const name = row.label;
      const cells = facts.options.map((option) => {
        if (row.without?.includes(option.name)) return "";
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
    return table(facts.caption, ["Type", "By the rules", ...facts.options.map((o) => o.label)], rows);
  }

  return {
    panel,
    start(groups) {
      controls.clear();
      panel.replaceChildren(...groups.map((group) => h("fieldset", { class: "lc-group" },
        h("legend", {}, group.title),
        group.help ? h("p", { class: "lc-hint" }, group.help) : null,
        group.by_usage ? byUsage(group.by_usage)
          : h("div", { class: "lc-fields" }, ...group.fields.map(field)))));
    },
    // What the kernel holds now; also after a refusal, so that a field never shows what is not so.
    values(values, odd = {}) {
      for (const [name, put] of controls) if (name in values) put(values[name], odd[name]);
    },
  };
}
