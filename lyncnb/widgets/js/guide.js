// @ts-check
// The questions for a first plan: a field each, and what comes of the answers below them.

/**
 * A field that stays while its question does, so that what is being typed is not wiped.
 * @param {GuideField} facts @param {(text: string) => void} tell
 */
function makeQuestion(facts, tell) {
  const problem = h("div", { class: "lc-error", id: unique("problem"), hidden: true });
  const help = h("div", { class: "lc-help", id: unique("help") }, facts.help);
  const label = facts.label;
  /** @type {Control} */
  let control;
  if (facts.kind === "yes_no") {
    const tick = h("input", { type: "checkbox" });
    tick.onchange = () => tell(tick.checked ? "yes" : "no");
    control = tick;
  } else if (facts.choices.length) {
    control = choose(facts.choices, undefined, { class: "lc-control" });
    control.onchange = () => tell(control.value);
  } else {
    const text = h("input", { type: facts.kind === "number" ? "number" : "text", class: "lc-control",
      autocomplete: "off", spellcheck: false });
    if (facts.kind === "number") text.min = String(facts.least);
    text.onchange = () => tell(text.value.trim());
    control = text;
  }
  control.id = unique("field");
  control.setAttribute("aria-describedby", `${help.id} ${problem.id}`);
  const field = facts.kind === "yes_no"
    ? h("div", { class: "lc-field" }, h("label", { class: "lc-check lc-label", for: control.id }, control, label),
      help, problem)
    : h("div", { class: "lc-field" }, h("label", { class: "lc-label", for: control.id }, label), control, help,
      problem);
  return {
    field,
    /** @param {GuideField} now */
    put(now) {
      const text = now.text || now.default;
      if (control instanceof HTMLInputElement && control.type === "checkbox") {
        control.checked = text === "yes";
      } else if (control instanceof HTMLInputElement) {
        if (document.activeElement !== control) control.value = now.text;
        control.placeholder = now.default;
      } else {
        control.value = text;
      }
      problem.textContent = now.problem ? `${now.problem}. What to do: ${now.hint.replace(/\.$/, "")}.` : "";
      problem.hidden = !now.problem;
      if (now.problem) control.setAttribute("aria-invalid", "true");
      else control.removeAttribute("aria-invalid");
    },
  };
}

export default {
  /** @param {Host} host */
  render({ model, el }) {
    const speaker = makeSpeaker();
    const help = makeHelp();
    /** @type {Connection<GuideAsked, GuideTold>} */
    const kernel = connect(model);

    /** @type {Map<string, ReturnType<typeof makeQuestion>>} by site, key and kind */
    const questions = new Map();
    /** @type {Map<string, {box: HTMLElement, fields: HTMLElement}>} by title */
    const groups = new Map();
    const form = h("div", { class: "lc-form" });
    const words = h("p", { class: "lc-next", role: "status" });
    const problems = h("ul", { class: "lc-findings", "aria-label": "What is wrong with the answers" });
    const lines = h("div", {});
    const servers = h("div", { class: "lc-stacks" });
    const code = h("pre", { class: "lc-code", tabIndex: 0, "aria-label": "The same in Python" });
    const python = h("details", {}, h("summary", {}, "The same in Python"), code);
    const leftOut = h("details", {});
    const folder = h("input", { type: "text", class: "lc-control", autocomplete: "off", spellcheck: false });
    const goOn = h("div", {});
    let asked = ""; // the folder that was last asked for: what is replaced stands there
    /** @param {boolean} force */
    const send = (force) => {
      speaker.clear();
      speaker.say(""); // what was written before says nothing of this
      asked = folder.value;
      kernel.send({ type: "write", folder: asked, force });
    };
    folder.oninput = () => speaker.clear();
    const write = button("Write table, options and answers", () => send(false),
      { class: "lc-button lc-primary", disabled: true });

    const root = h("div", { class: "lyncnb lc-guide", role: "group", "aria-label": "Questions for a first plan" },
      h("div", { class: "lc-top" }, h("h2", { class: "lc-name" }, "A first plan by questions"),
        h("span", { class: "lc-grow" }), help.button),
      h("p", { class: "lc-hint" }, "A blank field means what stands in it in grey. Nothing is written until you press the button below."),
      kernel.line, form,
      h("h3", { class: "lc-title" }, "What comes of it"), words, problems, lines, servers, python,
      speaker.box,
      h("div", { class: "lc-bar lc-end" }, labelled("Folder", folder), write, speaker.status), goOn, leftOut,
      help.dialog);
    guardKeys(root);

    /** @param {GuideField[]} fields */
    function ask(fields) {
      const focused = document.activeElement;
      /** @type {Map<string, HTMLElement[]>} */
      const wanted = new Map();
      const seen = new Set();
      for (const facts of fields) {
        const id = JSON.stringify([facts.site, facts.key, facts.choices.length]);
        seen.add(id);
        let question = questions.get(id);
        if (!question) {
          question = makeQuestion(facts, (text) =>
            kernel.send({ type: "answer", site: facts.site, key: facts.key, text }));
          questions.set(id, question);
        }
        question.put(facts);
        const list = wanted.get(facts.group) ?? [];
        list.push(question.field);
        wanted.set(facts.group, list);
      }
      for (const id of [...questions.keys()]) if (!seen.has(id)) questions.delete(id);
      const boxes = [...wanted].map(([title, list]) => {
        let group = groups.get(title);
        if (!group) {
          const inside = h("div", { class: "lc-fields" });
          group = { box: h("fieldset", { class: "lc-group" }, h("legend", {}, title), inside), fields: inside };
          groups.set(title, group);
        }
        putAll(group.fields, list);
        return group.box;
      });
      putAll(form, boxes);
      if (focused instanceof HTMLElement && root.contains(focused)) focused.focus();
    }

    /**
     * Nodes that stay are not touched: taking one out would take the focus from it.
     * @param {HTMLElement} parent @param {HTMLElement[]} kids
     */
    function putAll(parent, kids) {
      const same = parent.children.length === kids.length && kids.every((kid, k) => parent.children[k] === kid);
      if (!same) parent.replaceChildren(...kids);
    }

    kernel.listen({
      start(message) {
        folder.value ||= message.folder;
        help.show(message.help[0], message.help.slice(1));
        leftOut.replaceChildren(
          h("summary", {}, "What Microsoft's Planning Tool asked or gave, and this does not"),
          table("Microsoft's Planning Tool", ["Planning Tool", "Here", "Source"], message.left_out));
      },
      asked(message) {
        ask(message.fields);
        words.textContent = message.words;
        problems.replaceChildren(...message.problems.map((text) => h("li", {}, severityTag("error", text))));
        lines.replaceChildren(...message.lines.map((text) => h("p", {}, text)));
        servers.replaceChildren(...(message.rows.length ? [table(
          message.count > message.rows.length
            ? `The first ${message.rows.length} of ${plural(message.count, "row")} of the table`
            : `The table: ${plural(message.count, "row")}`,
          message.headings, message.rows)] : []));
        code.textContent = message.python;
        python.hidden = !message.python;
        write.disabled = !message.python;
        speaker.clear();
      },
      written(message) {
        speaker.say(message.words);
        goOn.replaceChildren(...(message.python ? [h("p", {}, "To tune it, in the next cell:"),
          h("pre", { class: "lc-code", tabIndex: 0, "aria-label": "Python to go on with" }, message.python)]
          : []));
      },
      refused(message) {
        if (message.occupied && folder.value === asked) {
          speaker.refuse(message.lines, "Replace the files", () => send(true));
        } else speaker.refuse(message.lines);
      },
    });
    el.append(root);
    kernel.send({ type: "ready" });
    return () => kernel.end();
  },
};
