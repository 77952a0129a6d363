// @ts-check
// The questions for a first plan, in small groups, next to the current plan. The last page shows the
// resulting plan and writes it.

const RESULT = "The first plan";

/**
 * A field that is not replaced while its question stays, so that typed text is not lost.
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
  let missing = false;
  /** @param {string} words */
  const complain = (words) => {
    problem.textContent = words;
    problem.hidden = !words;
    if (words) control.setAttribute("aria-invalid", "true");
    else control.removeAttribute("aria-invalid");
  };
  return {
    field, control,
    /** Shows an error at each missing required answer. */
    isAnswered() {
      if (!missing || control.value.trim()) return true;
      complain("This answer is required.");
      control.focus();
      return false;
    },
    /** @param {GuideField} now */
    put(now) {
      missing = now.missing;
      const text = now.text || now.default;
      if (control instanceof HTMLInputElement && control.type === "checkbox") {
        control.checked = text === "yes";
      } else if (control instanceof HTMLInputElement) {
        if (document.activeElement !== control) control.value = now.text;
        control.placeholder = now.default;
      } else {
        control.value = text;
      }
      complain(now.problem ? `${now.problem}. What to do: ${now.hint.replace(/\.$/, "")}.` : "");
    },
  };
}

export default {
  /** @param {Host} host */
  render({ model, el }) {
    const speaker = makeSpeaker();
    const help = makeHelp();
    /** @type {Connection<GuideFromPage, GuideToPage>} */
    const kernel = connect(model);

    /** @type {Map<string, ReturnType<typeof makeQuestion>>} by site, key and kind */
    const questions = new Map();
    /** @type {Map<string, {box: HTMLElement, fields: HTMLElement}>} by title */
    const groups = new Map();
    /** @type {string[]} the pages in order, by title */
    let pages = [RESULT];
    let page = ""; // the title of the current page
    /** @type {Map<string, string[]>} page -> the ids of its questions */
    let onPage = new Map();
    const form = h("div", { class: "lc-form" });
    const progress = h("p", { class: "lc-hint", role: "status" });
    const back = button("Back", () => turn(-1));
    const next = button("Next", () => turn(1), { class: "lc-button lc-primary" });
    const toPlan = button("Go to the plan", () => goTo(RESULT), { hidden: true });
    form.onkeydown = (event) => {
      if (event.key !== "Enter" || !(event.target instanceof HTMLInputElement)) return;
      if (page !== RESULT) next.click();
    };
    const words = h("p", { class: "lc-next", role: "status" });
    const problems = h("ul", { class: "lc-findings", "aria-label": "Errors in the answers" });
    const frame = h("div", { class: "lc-picture" });
    // The styles of the picture must not affect the notebook.
    const inside = frame.attachShadow({ mode: "open" });
    const lines = h("div", {});
    const servers = h("div", { class: "lc-stacks" });
    const code = h("pre", { class: "lc-code", tabIndex: 0, "aria-label": "Python code for this plan" });
    const python = h("details", {}, h("summary", {}, "Python code for this plan"), code);
    const leftOut = h("details", {});
    const folder = h("input", { type: "text", class: "lc-control", autocomplete: "off", spellcheck: false });
    const goOn = h("div", {});
    let asked = ""; // the folder of the last request, whose files can be replaced
    /** @param {boolean} force */
    const send = (force) => {
      speaker.clear();
      speaker.say(""); // remove the result of an earlier request
      asked = folder.value;
      kernel.send({ type: "write", folder: asked, force });
    };
    folder.oninput = () => speaker.clear();
    const write = button("Write the table, options, and answers", () => send(false),
      { class: "lc-button lc-primary", disabled: true });

    const result = h("fieldset", { class: "lc-group" }, h("legend", {}, RESULT), lines, servers, python, speaker.box,
      h("div", { class: "lc-bar lc-end" }, labelled("Folder", folder), write, speaker.status), goOn, leftOut);
    const root = h("div", { class: "lyncnb lc-guide", role: "group", "aria-label": "Questions for your first plan" },
      h("div", { class: "lc-top" }, h("h2", { class: "lc-name" }, "Questions for your first plan"),
        h("span", { class: "lc-grow" }), help.button),
      h("p", { class: "lc-hint" }, "If you leave a field blank, lyncnb uses the gray value in the field. lyncnb writes no files until you choose the button on the last page."),
      kernel.line,
      h("div", { class: "lc-beside" },
        h("div", {}, progress, form, h("div", { class: "lc-bar" }, back, next, toPlan)),
        h("section", { "aria-label": "Current plan" }, words, problems, frame)),
      help.dialog);
    guardKeys(root);

    /** @param {GuideField[]} fields */
    function ask(fields) {
      const focused = document.activeElement;
      /** @type {Map<string, HTMLElement[]>} */
      const wanted = new Map();
      const seen = new Set();
      onPage = new Map();
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
        onPage.set(facts.group, [...onPage.get(facts.group) ?? [], id]);
      }
      for (const id of [...questions.keys()]) if (!seen.has(id)) questions.delete(id);
      for (const [title, list] of wanted) {
        let group = groups.get(title);
        if (!group) {
          const box = h("div", { class: "lc-stack" });
          group = { box: h("fieldset", { class: "lc-group" }, h("legend", {}, title), box), fields: box };
          groups.set(title, group);
        }
        putAll(group.fields, list);
      }
      const at = pages.indexOf(page);
      pages = [...wanted.keys(), RESULT];
      if (!pages.includes(page)) page = pages[Math.min(Math.max(at, 0), pages.length - 1)];
      showPage();
      if (focused instanceof HTMLElement && root.contains(focused)) focused.focus();
    }

    function showPage() {
      const at = pages.indexOf(page);
      putAll(form, [groups.get(page)?.box ?? result]);
      progress.textContent = `Page ${at + 1} of ${pages.length}: ${page}`;
      back.disabled = at === 0;
      next.hidden = page === RESULT;
      toPlan.hidden = write.disabled || page === RESULT;
    }

    /** @param {number} by one page back or forward */
    function turn(by) {
      const asked = (onPage.get(page) ?? []).map((id) => questions.get(id));
      if (by > 0 && !asked.every((question) => question?.isAnswered() ?? true)) return;
      goTo(pages[pages.indexOf(page) + by] ?? page);
    }

    /** @param {string} title @param {string} [id] of the question to answer there */
    function goTo(title, id) {
      page = title;
      showPage();
      const question = questions.get(id ?? onPage.get(page)?.[0] ?? "");
      (question?.control ?? folder).focus();
    }

    /** @param {GuideProblem} problem */
    function problemOf(problem) {
      const [title, ids] = [...onPage].find(([, all]) => all.some((id) => isAbout(id, problem))) ?? [RESULT, []];
      return h("li", {}, severityTag("error", ""), button(problem.words,
        () => goTo(title, ids.find((id) => isAbout(id, problem))), { class: "lc-link" }));
    }
    /** @param {string} id @param {GuideProblem} problem */
    function isAbout(id, problem) {
      const [site, key] = JSON.parse(id);
      return site === problem.site && key === problem.key;
    }

    /**
     * Replaces the children only if they differ, because a replaced node loses the focus.
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
          h("summary", {}, "Parts of Microsoft's Planning Tool that this guide does not include"),
          table("Microsoft's Planning Tool", ["Planning Tool", "In lyncnb", "Source"], message.left_out));
      },
      asked(message) {
        ask(message.fields);
        words.textContent = message.words;
        problems.replaceChildren(...message.problems.map(problemOf));
        inside.replaceChildren(...(message.svg ? [pictureOf(frame, message.svg)] : []));
        lines.replaceChildren(...message.lines.map((text) => h("p", {}, text)));
        servers.replaceChildren(...(message.rows.length ? [table(
          message.count > message.rows.length
            ? `The table: the first ${message.rows.length} of ${plural(message.count, "row")}`
            : `The table: ${plural(message.count, "row")}`,
          message.headings, message.rows)] : []));
        code.textContent = message.python;
        python.hidden = !message.python;
        write.disabled = !message.python;
        showPage();
        speaker.clear();
      },
      written(message) {
        speaker.say(message.words);
        goOn.replaceChildren(...(message.python ? [h("p", {}, "To change the plan, run this in the next cell:"),
          h("pre", { class: "lc-code", tabIndex: 0, "aria-label": "Python code that opens the plan" }, message.python)]
          : []));
      },
      refused(message) {
        if (message.occupied && folder.value === asked) {
          speaker.refuse(message.lines, ["Replace the files"], () => send(true));
        } else speaker.refuse(message.lines);
      },
    });
    el.append(root);
    kernel.send({ type: "ready" });
    return () => kernel.end();
  },
};
