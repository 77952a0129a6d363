// @ts-check
// The rows of the table of pools. They are computed from the rows of servers, so nothing is stored.
// The ID of a pool is the ID of its first server. A pool name with several roles has a row for each role.

/** @typedef {{name: string, places: number[], all: number[]}} PoolRow `places` are the servers with the
 *    role of the row, and `all` are all servers with the pool name */
/** @typedef {ReturnType<typeof makePoolRows>} PoolRows */

// All servers of a pool have the same text in these columns.
const POOL_COLUMNS = ["pool_fqdn", "role", "site"];
const SERVER_COUNT = "_servers";

/** @param {RowStore} store the servers */
function makePoolRows(store) {
  /** @type {PoolRow[] | null} */
  let pools = null; // until they are needed
  /** @type {Map<number, number>} */
  const poolOf = new Map(); // place of a server -> its pool

  function list() {
    if (pools) return pools;
    /** @type {Map<string, number[]>} */
    const byName = new Map();
    /** @type {Map<string, PoolRow>} */
    const byRole = new Map();
    for (let at = 0; at < store.size; at++) {
      const name = store.text(at, "pool_fqdn") || store.text(at, "server_fqdn");
      const all = byName.get(name) ?? [];
      all.push(at);
      byName.set(name, all);
      const key = `${name} ${store.text(at, "role")}`;
      const pool = byRole.get(key) ?? { name, places: [], all };
      pool.places.push(at);
      byRole.set(key, pool);
    }
    pools = [...byRole.values()];
    poolOf.clear();
    pools.forEach(({ places }, n) => { for (const at of places) poolOf.set(at, n); });
    return pools;
  }

  /** @param {number} n @param {string} name */
  function text(n, name) {
    const pool = list()[n];
    if (!pool) return "";
    if (name === "pool_fqdn") return pool.name;
    if (name === SERVER_COUNT) return String(pool.places.length);
    if (name === "_changed") {
      return [...new Set(pool.places.flatMap((at) => store.text(at, name).split(" ")))].join(" ");
    }
    const from = name === "site" ? pool.all : pool.places;
    return store.text(from.find((at) => store.text(at, name)) ?? from[0], name);
  }

  /** @param {number} id of any server of the pool */
  const at = (id) => {
    const position = store.at(id);
    list();
    return position === undefined ? undefined : poolOf.get(position);
  };

  /** @param {number} n @param {FilterTerm} term */
  const matches = (n, { names, text: wanted, exact, negated }) => names.some((name) => {
    const here = text(n, name).toLowerCase();
    return exact ? here === wanted : here.includes(wanted);
  }) !== negated;

  return {
    text, at,
    /** The table of servers has changed. */
    forget() { pools = null; },
    /** @param {number} n */
    id: (n) => store.id(list()[n].places[0]),
    get size() { return list().length; },
    /** @param {number} n @param {string} name */
    inherited: (n, name) => name !== SERVER_COUNT && list()[n].places.every((server) => store.inherited(server, name)),
    /** @param {number} n @param {string} name */
    isRepeated: (n, name) => name === "pool_fqdn" && list()[n].all.length > list()[n].places.length,
    distinct: store.distinct,
    /** @type {Map<number, Record<string, string>>} */
    drafts: new Map(), // a pool cannot be added without a server
    /**
     * The IDs of all rows that change with a pool.
     * @param {number} id of any server of the pool @param {string} [column]
     */
    members(id, column = "role") {
      const n = at(id);
      if (n === undefined) return [id];
      return list()[n][column === "pool_fqdn" || column === "site" ? "all" : "places"].map(store.id);
    },
    /** @param {FilterTerm[]} terms @param {SortKey[]} sorts */
    view(terms, sorts) {
      const shown = [...list().keys()].filter((n) => terms.every((term) => matches(n, term)));
      return shown.sort((a, b) => {
        for (const { name, descending } of sorts) {
          const [x, y] = [text(a, name), text(b, name)];
          // Blanks are last in both directions.
          if ((x === "") !== (y === "")) return x === "" ? 1 : -1;
          const order = collator.compare(x, y);
          if (order) return descending ? -order : order;
        }
        return a - b;
      });
    },
  };
}
