// @ts-check
// Scenarios: keep the editor's content under a name, open scenarios, and compare two or three.

const NEVER_KEPT = "There are no scenarios yet. To keep the editor's content as a scenario, enter a name, and choose Keep. "
  + "Then change the plan, enter another name, choose Keep again, and compare the two scenarios.";

/** @param {{send: Send<EditorFromPage>, retitle: (words: string) => void}} actions */
function makeScenariosTab({ send, retitle }) {
  /** @type {string[]} selected, in order; "" is the editor's content */
  let ticked = [];
  /** @typedef {{name: string, value: string, note: string}} ChangedRow */
  /** @type {Map<string, ChangedRow>} rows in edit mode */
  const changing = new Map();
  /** @type {ChangedRow | null} the row that is being saved, and its new name */
  let saving = null;
  let waiting = false; // a second press of a button would repeat the action
  /** @type {ScenarioList | null} */
  let list = null;
  let asked = ""; // the scenario to keep
  let occupied = ""; // the existing scenario that the check box may replace

  const name = h("input", { type: "text", class: "lc-control", autocomplete: "off",
    placeholder: "such as With Directors" });
  const note = h("textarea", { class: "lc-control lc-scenario-note", rows: 2 });
  const over = h("input", { type: "checkbox" });
  const overLine = h("label", { class: "lc-check", hidden: true }, over,
    " I have checked the existing files. Replace them.");
  const keep = button("Keep", () => keepAs(name.value.trim(), note.value.trim()),
    { class: "lc-button lc-primary" });
  name.onkeydown = (event) => { if (event.key === "Enter") keep.click(); };
  name.oninput = () => { overLine.hidden = true; over.checked = false; };
  const again = button("", () => keepAs(list?.current ?? ""), { hidden: true });
  const said = h("p", { role: "status", class: "lc-result lc-next" });
  const rows = h("div", { class: "lc-stacks lc-scenarios" });
  const back = button("", () => once({ type: "put_scenario_back" }), { hidden: true });
  const compare = button("Compare", () => {
    send({ type: "compare_scenarios", names: ticked });
  }, { class: "lc-button lc-primary" });
  const hint = h("span", { class: "lc-hint" });
  const old = h("p", { role: "status", class: "lc-changed-plan" });
  const compared = h("div", { class: "lc-tall lc-stacks" });
  const panel = h("div", { class: "lc-panel" },
    h("h3", { class: "lc-title" }, "Keep the editor's content as a scenario"),
    h("div", { class: "lc-bar lc-end" }, labelled("Name", name), labelled("Note", note), keep,
      again, overLine),
    said,
    h("h3", { class: "lc-title" }, "Scenarios"), rows,
    h("div", { class: "lc-bar" }, compare, back, hint), old, compared);

  /** @param {string} as @param {string} [why] the note; by default the existing note stays */
  function keepAs(as, why) {
    asked = as;
    send({ type: "keep_scenario", name: as, note: why, replace: over.checked && as === occupied });
  }

  /** @type {Send<EditorFromPage>} */
  const once = (message) => {
    if (waiting) return;
    waiting = true;
    send(message);
  };

  /** @param {string} which @param {boolean} on */
  function tick(which, on) {
    ticked = ticked.filter((name) => name !== which);
    if (on) ticked.push(which);
    showTicked();
  }

  function showTicked() {
    const most = list?.most ?? 3;
    const fits = ticked.length > 1 && ticked.length <= most;
    compare.disabled = !fits;
    compare.textContent = ticked.length > 1 ? `Compare ${ticked.length}` : "Compare";
    const first = ticked[0] === "" ? list?.now : ticked[0];
    hint.textContent = !list?.rows.length ? "" : fits ? `lyncnb compares the other scenarios with “${first}”.`
      : ticked.length > most ? `Select at most ${most} scenarios.`
        : "Select two or three scenarios. lyncnb compares the first scenario that you select with the others.";
  }

  /** @param {string} which @param {string} label */
  function ticker(which, label) {
    return h("input", { type: "checkbox", checked: ticked.includes(which), "aria-label": `Compare ${label}`,
      onchange: (event) => tick(which, /** @type {HTMLInputElement} */ (event.target).checked) });
  }

  /** @param {string} label @param {string} which @param {() => unknown} act */
  function does(label, which, act) {
    return button(label, act, { "aria-label": `${label} ${which}` });
  }

  /** @param {KeptScenario} scenario @param {ScenarioList} all @returns {Kid[]} */
  function row(scenario, all) {
    const changed = changing.get(scenario.name);
    if (changed) return changingRow(changed);
    const here = scenario.name === all.current;
    const words = here ? h("div", { class: "lc-hint" }, all.changed
      ? "◆ open in the editor, with changes" : "◆ open in the editor") : null;
    return [ticker(scenario.name, scenario.name),
      h("div", {}, h("strong", {}, scenario.name), words),
      h("div", { class: "lc-scenario-words" }, scenario.note),
      h("div", { class: "lc-bar" },
        does("Open", scenario.name, () => once({ type: "open_scenario", name: scenario.name })),
        does("Duplicate", scenario.name, () => once({ type: "copy_scenario", name: scenario.name })),
        does("Change", scenario.name, () => {
          changing.set(scenario.name, { name: scenario.name, value: scenario.name, note: scenario.note });
          draw();
          focusOn(`Name of ${scenario.name}`);
        }),
        does("Remove", scenario.name, () => once({ type: "remove_scenario", name: scenario.name })))];
  }

  /** @param {{name: string, value: string, note: string}} it @returns {Kid[]} */
  function changingRow(it) {
    const called = h("input", { type: "text", class: "lc-control", value: it.value,
      "aria-label": `Name of ${it.name}`,
      oninput: () => { it.value = called.value; } });
    const why = h("textarea", { class: "lc-control lc-scenario-note", rows: 2, value: it.note,
      "aria-label": `Note for ${it.name}`,
      oninput: () => { it.note = why.value; } });
    const save = button("Save", () => {
      if (waiting) return;
      saving = { ...it, value: it.value.trim() };
      once({ type: "change_scenario", name: it.name, new: saving.value, note: it.note });
    }, { class: "lc-button lc-primary", "aria-label": `Save ${it.name}` });
    const leave = () => {
      changing.delete(it.name);
      draw();
      focusOn(`Change ${it.name}`);
    };
    called.onkeydown = (event) => {
      if (event.key === "Enter") save.click();
      else if (event.key === "Escape") leave();
    };
    return ["", called, why, h("div", { class: "lc-bar" }, save, button("Cancel", leave,
      { "aria-label": `Cancel the change to ${it.name}` }))];
  }

  /** @param {string} label */
  function focusOn(label) {
    for (const control of rows.querySelectorAll("button, input")) {
      if (control instanceof HTMLElement && control.getAttribute("aria-label") === label) control.focus();
    }
  }

  function draw() {
    if (!list) return;
    const all = list;
    again.hidden = !all.current || !all.changed;
    again.textContent = `Update the scenario “${all.current}”`;
    back.hidden = !all.removed;
    back.textContent = `Restore “${all.removed}”`;
    const held = !all.current ? "not kept as a scenario"
      : all.changed ? `“${all.current}”, with later changes` : `the same as “${all.current}”`;
    const first = [ticker("", all.now), h("em", {}, all.now), h("div", { class: "lc-hint" }, held), ""];
    refill(rows, all.rows.length
      ? table(`Scenarios ${all.location}`, ["Compare", "Name", "Note", "Actions"],
        [first, ...all.rows.map((scenario) => row(scenario, all))])
      : h("p", { class: "lc-hint" }, NEVER_KEPT));
    compare.hidden = !all.rows.length;
    old.textContent = all.old ? "This comparison is out of date. To update it, choose Compare." : "";
    showTicked();
  }

  /** @param {string[][]} cells @param {string[]} headings @param {string} title */
  function matrix(cells, headings, title) {
    return table(title, headings, cells.map((cellsOfRow) => cellsOfRow.map((text, n) =>
      n > 1 && text.startsWith("≠") ? h("span", { class: "lc-differs" }, text) : text)));
  }

  /** @param {ScenarioDifference} comparison @param {number} place */
  function difference(comparison, place) {
    const frame = h("div", { class: "lc-picture", "data-place": place });
    frame.attachShadow({ mode: "open" });
    const about = h("p", { class: "lc-hint" });
    const picture = h("details", {}, h("summary", {}, "Picture of the differences"), about, frame);
    picture.ontoggle = () => {
      if (picture.open && !about.textContent) send({ type: "picture_scenario", place });
    };
    return h("section", { class: "lc-block" },
      h("h3", { class: "lc-title" }, comparison.heading), h("p", { class: "lc-next" }, comparison.words),
      comparison.rows.length ? h("div", { class: "lc-stacks lc-stacks-early" },
        table(comparison.title, comparison.headings, comparison.rows)) : null,
      comparison.note ? h("p", { class: "lc-hint" }, comparison.note) : null,
      comparison.rows.length ? picture : null);
  }

  return {
    panel,
    ask() { send({ type: "scenarios" }); },
    /** @param {ScenarioList} message */
    list(message) {
      list = message;
      const known = new Set(["", ...message.rows.map((scenario) => scenario.name)]);
      const [before, after] = [saving?.name ?? "", saving?.value ?? ""];
      if (!known.has(before) && known.has(after)) { // the scenario was renamed
        ticked = ticked.map((name) => (name === before ? after : name));
      }
      ticked = ticked.filter((name) => known.has(name));
      for (const name of changing.keys()) if (!known.has(name)) changing.delete(name);
      retitle(message.rows.length ? `Scenarios (${message.rows.length})` : "Scenarios");
      draw();
    },
    /** @param {ScenarioDone} message */
    done(message) {
      waiting = false;
      said.textContent = message.said;
      overLine.hidden = true;
      over.checked = false;
      const saved = message.about === "change_scenario" ? saving : null;
      if (saved) changing.delete(saved.name);
      if (saved) saving = null;
      if (message.about === "keep_scenario") {
        if (asked === name.value.trim()) {
          name.value = "";
          note.value = "";
        }
        // After the user has kept a second scenario, a comparison is the likely next step.
        if (!ticked.includes(asked) && ticked.length < (list?.most ?? 3)) ticked.push(asked);
      }
      draw();
      // After saving with Enter, the focused field no longer exists.
      if (saved && document.activeElement === rows) focusOn(`Change ${saved.value}`);
    },
    /** @param {Compared} message */
    compared(message) {
      const { title, headings, differing, alike } = message;
      old.textContent = "";
      compared.replaceChildren(
        differing.length ? matrix(differing, headings, title)
          : h("p", { class: "lc-next" }, "All options and counts are the same in all scenarios."),
        h("details", {}, h("summary", {}, `${alike.length} options and counts are the same`),
          matrix(alike, headings, "Options and counts that are the same in all scenarios")),
        ...message.differences.map(difference));
      compared.scrollIntoView({ block: "nearest" });
    },
    /** @param {ScenarioPicture} message */
    picture(message) {
      const frame = compared.querySelectorAll(".lc-picture")[message.place];
      if (!(frame instanceof HTMLElement) || !frame.shadowRoot) return;
      const about = frame.previousElementSibling;
      if (about) about.textContent = message.words;
      frame.setAttribute("role", "group");
      frame.setAttribute("aria-label", message.title);
      frame.shadowRoot.replaceChildren(pictureOf(frame, message.svg));
    },
    /**
     * Offers an alternative to a rejected action.
     * @param {Refused} message
     */
    refused(message) {
      if (!message.about.endsWith("_scenario")) return undefined;
      waiting = false;
      if (message.about === "change_scenario") saving = null;
      said.textContent = "";
      if (message.about !== "keep_scenario") return undefined;
      occupied = message.occupied ? asked : "";
      overLine.hidden = !message.occupied;
      const fit = message.instead;
      if (!fit) return undefined;
      return () => {
        name.value = fit;
        keep.click();
      };
    },
  };
}
