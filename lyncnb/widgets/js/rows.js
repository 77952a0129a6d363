// @ts-check
// The rows of the table in the browser: columns of codes into lists of distinct texts, as they
// come from the kernel. Filtering and sorting look at distinct texts first, so 100,000 rows answer
// at once. Nothing here decides anything: what a cell holds is for the kernel to say.

const INHERITED = "\x01"; // marks a text that the pool, site or deployment lends to a blank cell

const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

function decodeTexts(view) {
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  return new TextDecoder().decode(bytes).split("\0");
}

function decodeNumbers(view, width) {
  // A copy: the buffer of a message need not start at a multiple of the width.
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength).slice().buffer;
  return width === 1 ? new Uint8Array(bytes) : width === 2 ? new Uint16Array(bytes)
    : new Uint32Array(bytes);
}

function makeStore() {
  let ids = [];
  let place = new Map();
  let columns = new Map();
  const several = new Map(); // column -> its texts that more than one row has, once asked for

  function intern(column, text) {
    let code = column.codeOf.get(text);
    if (code === undefined) {
      code = column.texts.push(text) - 1;
      column.codeOf.set(text, code);
      column.rank = null;
    }
    return code;
  }

  function read(message, buffers) {
    several.clear();
    const numbers = decodeNumbers(buffers[0], 4);
    const arrived = message.columns.map((facts, n) => ({
      name: facts.name,
      texts: decodeTexts(buffers[1 + 2 * n]),
      codes: decodeNumbers(buffers[2 + 2 * n], facts.width),
    }));
    if (message.all) {
      ids = Array.from(numbers);
      place = new Map(ids.map((id, n) => [id, n]));
      columns = new Map(arrived.map((column) => [column.name, {
        texts: column.texts,
        // Uint32, so that later texts always find a code.
        codes: Uint32Array.from(column.codes),
        codeOf: new Map(column.texts.map((text, code) => [text, code])),
        rank: null,
      }]));
      return;
    }
    for (const one of arrived) {
      let column = columns.get(one.name);
      if (!column) {
        column = { texts: [""], codes: new Uint32Array(ids.length), codeOf: new Map([["", 0]]) };
        columns.set(one.name, column);
      }
      const codes = one.texts.map((text) => intern(column, text));
      numbers.forEach((id, n) => {
        const at = place.get(id);
        if (at !== undefined) column.codes[at] = codes[one.codes[n]];
      });
    }
  }

  function repeated(column) {
    const seen = new Uint8Array(column ? column.texts.length : 0);
    for (const code of column?.codes ?? []) if (seen[code] < 2) seen[code]++;
    return new Set(column?.texts.filter((_, code) => seen[code] > 1));
  }

  function raw(at, name) {
    const column = columns.get(name);
    return column ? column.texts[column.codes[at]] : "";
  }

  function text(at, name) {
    const found = raw(at, name);
    return found.startsWith(INHERITED) ? found.slice(1) : found;
  }

  // Which rows hold every word, in any of the columns named.
  function matching(words, names) {
    const n = ids.length;
    let result = null;
    for (const word of words) {
      const hit = new Uint8Array(n);
      for (const name of names) {
        const column = columns.get(name);
        if (!column) continue;
        const good = column.texts.map((entry) => entry.toLowerCase().includes(word));
        if (!good.includes(true)) continue;
        const codes = column.codes;
        for (let at = 0; at < n; at++) if (good[codes[at]]) hit[at] = 1;
      }
      if (result) for (let at = 0; at < n; at++) result[at] &= hit[at];
      else result = hit;
    }
    return result;
  }

  function ranks(name) {
    const column = columns.get(name);
    if (!column) return null;
    if (!column.rank) {
      const order = column.texts.map((entry, code) => [entry.replace(INHERITED, ""), code]);
      // Blank last whichever way, so that a sort never starts with nothing.
      order.sort((a, b) => Number(a[0] === "") - Number(b[0] === "") || collator.compare(a[0], b[0]));
      column.rank = new Uint32Array(order.length);
      order.forEach(([, code], n) => { column.rank[code] = n; });
    }
    return column;
  }

  /** @param {{words: string[], names: string[], sort: string, descending: boolean,
   *    keep?: (at: number) => boolean}} wanted */
  function view({ words, names, keep, sort, descending }) {
    const hit = words.length ? matching(words, names) : null;
    const shown = [];
    for (let at = 0; at < ids.length; at++) {
      if ((!hit || hit[at]) && (!keep || keep(at))) shown.push(at);
    }
    const column = sort && ranks(sort);
    if (column) {
      const { rank, codes, texts } = column;
      const sign = descending ? -1 : 1;
      shown.sort((a, b) => {
        const [x, y] = [codes[a], codes[b]];
        if (x === y) return a - b;
        if (descending && (texts[x] === "") !== (texts[y] === "")) return texts[x] === "" ? 1 : -1;
        return sign * (rank[x] - rank[y]);
      });
    }
    return shown;
  }

  return {
    read, text, view,
    inherited: (at, name) => raw(at, name).startsWith(INHERITED),
    id: (at) => ids[at],
    at: (id) => place.get(id),
    get size() { return ids.length; },
    has: (name) => columns.has(name),
    // Whether more than one row has this row's text, so that it names none of them.
    isRepeated(at, name) {
      if (!several.has(name)) several.set(name, repeated(columns.get(name)));
      return several.get(name).has(text(at, name));
    },
    distinct(name) {
      const column = columns.get(name);
      if (!column) return [];
      const used = new Set(column.codes);
      const texts = [...used].map((code) => column.texts[code].replace(INHERITED, ""));
      return [...new Set(texts)].filter((entry) => entry).sort(collator.compare);
    },
  };
}
