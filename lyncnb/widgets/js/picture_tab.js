// @ts-check
// The plan as a picture. The kernel draws it when the tab is open. Pools link to their rows, and names
// link to their reasons.

const NAME_COLUMNS = new Set(["Name", "By name"]); // columns that contain names, in the table below the picture

/** @param {{send: Send<EditorFromPage>, reasons: NameReasons}} actions */
function makePictureTab({ send, reasons }) {
  const kinds = choose([], "", { class: "lc-control", "aria-label": "Which picture", onchange: ask });
  const sites = choose([], "", { class: "lc-control", "aria-label": "Which site", onchange: ask });
  const frame = h("div", { class: "lc-picture" });
  // The styles of the picture must not affect the notebook.
  const inside = frame.attachShadow({ mode: "open" });
  const words = h("p", { class: "lc-hint" });
  const hint = h("p", { class: "lc-hint" });
  const rows = h("div", {});
  const data = h("details", {}, h("summary", {}, "The picture's data as a table"), rows);
  const panel = h("div", { class: "lc-panel" },
    h("div", { class: "lc-bar" }, kinds, sites), words, hint, frame, data);

  function ask() {
    send({ type: "picture", shows: kinds.value, site: sites.value });
  }

  /** @param {HTMLSelectElement} select @param {string[][]} choices @param {string} value */
  function fill(select, choices, value) {
    select.replaceChildren(...choices.map(([key, label]) => h("option", { value: key }, label)));
    select.value = value;
    select.hidden = choices.length < 2;
  }

  /** @param {string} svg As drawn by the kernel. It contains no user text as markup. */
  function draw(svg) {
    const picture = pictureOf(frame, svg);
    inside.replaceChildren(style(), picture);
    const parts = [...picture.querySelectorAll("[data-pools],[data-name]")].filter((part) => part instanceof SVGElement);
    parts.forEach((part, n) => makePart(part, n, parts));
    hint.hidden = !parts.length;
    if (parts.length) {
      hint.textContent = (parts[0].dataset.name ? "To see the reasons for a name, select the name. "
        : "To select the servers of a pool in the Servers tab, select the pool. ")
        + "You can also use the arrow keys and Enter.";
    }
  }

  const style = () => h("style", {}, "[data-pools],[data-name]{cursor:pointer}[data-pools]:hover .box,"
    + "[data-pools]:focus .box{stroke:var(--mark);stroke-width:2.5}[data-pools]:focus,"
    + "[data-name]:focus{outline:none}[data-name]:hover,[data-name]:focus{text-decoration:underline}"
    + "[data-name]:focus{font-weight:bold}");

  /**
   * A part of the picture that the user can select: a pool or a name.
   * @param {SVGElement} part @param {number} n @param {SVGElement[]} parts
   */
  function makePart(part, n, parts) {
    const { name, label, pools = "" } = part.dataset;
    const named = pools.split(" ");
    const what = named.length === 1 ? named[0].split("/")[1] : plural(named.length, "pool");
    part.setAttribute("role", "button");
    part.setAttribute("tabindex", n ? "-1" : "0");
    part.setAttribute("aria-label", name ? `Show the reasons for ${name}` : `${label}, ${what}: select the servers`);
    const go = () => send(name ? { type: "why", name } : { type: "pools", pools: named });
    part.onclick = go;
    part.onkeydown = (event) => {
      const to = { ArrowDown: n + 1, ArrowRight: n + 1, ArrowUp: n - 1, ArrowLeft: n - 1,
        Home: 0, End: parts.length - 1 }[event.key];
      if (event.key === "Enter" || event.key === " ") go();
      else if (to === undefined) return;
      else {
        const next = parts[(to + parts.length) % parts.length];
        part.setAttribute("tabindex", "-1");
        next.setAttribute("tabindex", "0");
        next.focus();
      }
      event.preventDefault();
    };
  }

  return {
    panel, ask,
    /** @param {Picture} message */
    show(message) {
      fill(kinds, message.kinds, message.kind);
      fill(sites, [["", "All sites"], ...message.sites.map((site) => [site, site])], message.site);
      words.textContent = message.words;
      frame.setAttribute("aria-label", message.title);
      frame.setAttribute("role", "group");
      draw(message.svg);
      refill(rows, table(message.title, message.headings, message.rows.map((row) =>
        row.map((cell, k) => (NAME_COLUMNS.has(message.headings[k]) ? reasons.links(cell) : cell)))));
      if (message.total > message.rows.length) {
        rows.append(h("p", { class: "lc-hint" },
          `Showing the first ${message.rows.length} of ${plural(message.total, "row")}.`));
      }
    },
  };
}

/**
 * A picture in the notebook's light or dark theme, not in the system's theme.
 * @param {HTMLElement} frame the element that will contain it @param {string} svg
 */
function pictureOf(frame, svg) {
  const media = getComputedStyle(frame).colorScheme === "dark" ? "screen" : "not all";
  const text = svg.replace("screen and (prefers-color-scheme:dark)", media);
  const picture = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
  // The browser would show a title as a tooltip everywhere. The page shows both texts next to the picture.
  for (const words of picture.querySelectorAll("title,desc")) words.remove();
  picture.setAttribute("role", "group");
  picture.removeAttribute("aria-labelledby");
  picture.setAttribute("style", "max-width:100%;height:auto");
  return picture;
}
