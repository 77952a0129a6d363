// @ts-check
// Stores the rows of the table in the browser. As in the kernel's messages, each column is a list of
// distinct texts and their codes. Filters and sorts use the distinct texts, so that a table with 100,000
// rows responds at once. The kernel decides the content of every cell.

const INHERITED = "\x01"; // prefix of a text that a blank cell inherits from the pool, site or deployment

const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

/** @param {DataView} view */
function decodeTexts(view) {
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  return new TextDecoder().decode(bytes).split("\0");
}

/** @param {DataView} view @param {number} width bytes of a number */
function decodeNumbers(view, width) {
  // Copy the bytes, because the buffer of a message may not start at a multiple of the width.
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength).slice().buffer;
  return width === 1 ? new Uint8Array(bytes) : width === 2 ? new Uint16Array(bytes)
    : new Uint32Array(bytes);
}

/** @typedef {{texts: string[], codes: Uint32Array, codeOf: Map<string, number>,
 *    rank: Uint32Array | null}} StoredColumn `rank` of a code among all texts, computed on demand */
/** @typedef {ReturnType<typeof makeStore>} RowStore */
/** @typedef {Omit<RowStore, "read" | "view">} GridRows the rows that a table shows */

function makeStore() {
  /** @type {number[]} */
  let ids = [];
  /** @type {Map<number, number>} */
  let positions = new Map();
  /** @type {Map<string, StoredColumn>} */
  let columns = new Map();
  /** @type {Map<string, Set<string>>} column -> its texts in more than one row */
  const several = new Map();
  /** @type {Map<number, Record<string, string>>} the texts of new rows by their negative ID */
  const drafts = new Map();

  /** @param {StoredColumn} column @param {string} text */
  function intern(column, text) {
    let code = column.codeOf.get(text);
    if (code === undefined) {
      code = column.texts.push(text) - 1;
      column.codeOf.set(text, code);
      column.rank = null;
    }
    return code;
  }

  /**
   * Adds, removes and moves rows. New rows are blank.
   * @param {number[]} order the IDs of all rows
   */
  function move(order) {
    const from = order.map((id) => positions.get(id));
    for (const column of columns.values()) {
      const blank = intern(column, "");
      const old = column.codes;
      column.codes = Uint32Array.from(from, (at) => at === undefined ? blank : old[at]);
    }
    setOrder(order);
  }

  /** @param {number[]} order */
  function setOrder(order) {
    ids = order;
    positions = new Map(ids.map((id, n) => [id, n]));
  }

  /** @param {TableRows} message @param {DataView[]} buffers */
  function read(message, buffers) {
    several.clear();
    if (message.moved) move(Array.from(decodeNumbers(buffers[buffers.length - 1], 4)));
    const numbers = decodeNumbers(buffers[0], 4);
    const arrived = message.columns.map((facts, n) => ({
      name: facts.name,
      texts: decodeTexts(buffers[1 + 2 * n]),
      codes: decodeNumbers(buffers[2 + 2 * n], facts.width),
    }));
    if (message.all) {
      setOrder(Array.from(numbers));
      columns = new Map(arrived.map((column) => [column.name, {
        texts: column.texts,
        // Use Uint32, so that there is always a code for later texts.
        codes: Uint32Array.from(column.codes),
        codeOf: new Map(column.texts.map((text, code) => [text, code])),
        rank: null,
      }]));
      return;
    }
    for (const change of arrived) {
      const column = columns.get(change.name) ?? { texts: [""], codes: new Uint32Array(ids.length),
        codeOf: new Map([["", 0]]), rank: null };
      columns.set(change.name, column);
      const codes = change.texts.map((text) => intern(column, text));
      numbers.forEach((id, n) => {
        const at = positions.get(id);
        if (at !== undefined) column.codes[at] = codes[change.codes[n]];
      });
    }
  }

  /** @param {StoredColumn | undefined} column */
  function repeated(column) {
    const seen = new Uint8Array(column ? column.texts.length : 0);
    for (const code of column?.codes ?? []) if (seen[code] < 2) seen[code]++;
    return new Set(column?.texts.filter((_, code) => seen[code] > 1));
  }

  /** @param {number} at @param {string} name */
  function raw(at, name) {
    if (at < 0) return drafts.get(at)?.[name] ?? "";
    const column = columns.get(name);
    return column ? column.texts[column.codes[at]] : "";
  }

  /** @param {number} at @param {string} name */
  function text(at, name) {
    const value = raw(at, name);
    return value.startsWith(INHERITED) ? value.slice(1) : value;
  }

  /**
   * The rows that match every word of the filter.
   * @param {FilterTerm[]} terms
   */
  function matching(terms) {
    const n = ids.length;
    /** @type {Uint8Array | null} */
    let result = null;
    for (const term of terms) {
      const hit = new Uint8Array(n);
      for (const name of term.names) {
        const column = columns.get(name);
        if (!column) continue;
        const good = column.texts.map((entry) => {
          const shown = entry.replace(INHERITED, "").toLowerCase();
          return term.exact ? shown === term.text : shown.includes(term.text);
        });
        if (!good.includes(true)) continue;
        const codes = column.codes;
        for (let at = 0; at < n; at++) if (good[codes[at]]) hit[at] = 1;
      }
      if (term.negated) for (let at = 0; at < n; at++) hit[at] ^= 1;
      if (result) for (let at = 0; at < n; at++) result[at] &= hit[at];
      else result = hit;
    }
    return result;
  }

  /** @param {string} name */
  function ranked(name) {
    const column = columns.get(name);
    if (!column) return null;
    if (!column.rank) {
      /** @type {[string, number][]} */
      const order = column.texts.map((entry, code) => [entry.replace(INHERITED, ""), code]);
      // Blanks are last in both directions, so a sort never starts with them.
      order.sort((a, b) => Number(a[0] === "") - Number(b[0] === "") || collator.compare(a[0], b[0]));
      // A text has the same rank whether it is inherited or not, so that the second column can decide.
      const rank = new Uint32Array(order.length);
      let last = 0;
      order.forEach(([shown, code], n) => {
        if (n && collator.compare(shown, order[n - 1][0])) last = n;
        rank[code] = last;
      });
      column.rank = rank;
    }
    return { codes: column.codes, rank: column.rank, texts: column.texts };
  }

  /** @param {SortKey[]} sorts */
  function comparing(sorts) {
    const keys = sorts.flatMap(({ name, descending }) => {
      const column = ranked(name);
      return column ? [{ ...column, sign: descending ? -1 : 1 }] : [];
    });
    /** @param {number} a @param {number} b */
    const compare = (a, b) => {
      for (const { rank, codes, texts, sign } of keys) {
        const [x, y] = [codes[a], codes[b]];
        if (x === y || rank[x] === rank[y]) continue;
        if (sign < 0 && (texts[x] === "") !== (texts[y] === "")) return texts[x] === "" ? 1 : -1;
        return sign * (rank[x] - rank[y]);
      }
      return a - b;
    };
    return keys.length ? compare : null;
  }

  /** @param {{terms: FilterTerm[], sorts: SortKey[], keep?: (at: number) => boolean}} wanted */
  function view({ terms, sorts, keep }) {
    const hit = terms.length ? matching(terms) : null;
    const shown = [];
    for (let at = 0; at < ids.length; at++) {
      if ((!hit || hit[at]) && (!keep || keep(at))) shown.push(at);
    }
    const compare = comparing(sorts);
    return compare ? shown.sort(compare) : shown;
  }

  return {
    read, text, view, drafts,
    /** @param {number} at @param {string} name */
    inherited: (at, name) => raw(at, name).startsWith(INHERITED),
    /** @param {number} at */
    id: (at) => (at < 0 ? at : ids[at]),
    /** @param {number} id */
    at: (id) => (drafts.has(id) ? id : positions.get(id)),
    get size() { return ids.length; },
    /**
     * Whether several rows have this row's text, so that the text does not identify a row.
     * @param {number} at @param {string} name
     */
    isRepeated(at, name) {
      if (at < 0) return false;
      let texts = several.get(name);
      if (!texts) several.set(name, texts = repeated(columns.get(name)));
      return texts.has(text(at, name));
    },
    /** @param {string} name */
    distinct(name) {
      const column = columns.get(name);
      if (!column) return [];
      const used = new Set(column.codes);
      const texts = [...used].map((code) => column.texts[code].replace(INHERITED, ""));
      return [...new Set(texts)].filter((entry) => entry).sort(collator.compare);
    },
  };
}
