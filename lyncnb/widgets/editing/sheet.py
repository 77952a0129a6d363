"""The table as a planner sees it: what stands in a cell, or who lends a blank cell its value."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence, Set
from itertools import compress, count
from operator import is_not

from ...topology.columns import Column, topology_columns
from ...topology.topology import Topology
from .messages import RowsColumn, TableRows

# Rows on their way to the browser: columns of codes into lists of distinct texts, as bytes.
#
# 10,000 rows of 20 columns are some 200 kB instead of 3 MB of JSON, and neither the kernel nor the
# browser spends time on commas. Nothing of this is a trait, so nothing of it is ever saved.

INHERITED = "\x01"  # stands before a text that a blank cell has from its pool, site or default


def encode_rows(
    ids: Sequence[int], columns: Mapping[str, Sequence[str]], *, whole: bool
) -> tuple[TableRows, list[bytes]]:
    """Write rows as a message and its buffers.

    Parameters
    ----------
    ids : sequence of int
        n numbers that name the rows for good.
    columns : mapping of str to sequence of str
        m columns of n texts without NUL.
    whole : bool
        Whether these are all rows; otherwise they replace those of the same ids.

    Returns
    -------
    message : dict
        Names of the columns and bytes per code.
    buffers : list of bytes
        The ids (4 bytes each); then for each column its distinct texts, joined by NUL, and n
        codes.
    """
    buffers = [_numbers(ids, 4)]
    facts: list[RowsColumn] = []
    for name, texts in columns.items():
        distinct = {text: code for code, text in enumerate(dict.fromkeys(texts))}
        width = 1 if len(distinct) <= 256 else 2 if len(distinct) <= 65536 else 4
        buffers.append("\0".join(distinct).encode("utf-8", "replace"))
        buffers.append(_numbers(map(distinct.__getitem__, texts), width))
        facts.append({"name": name, "width": width})
    return {"type": "rows", "all": whole, "columns": facts}, buffers


def _numbers(values: Iterable[int], width: int) -> bytes:
    code = {array(code).itemsize: code for code in "BHIL"}[width]
    return array(code, values).tobytes()


CHANGED = "_changed"
FINDINGS = "_findings"
# These say which pool and role a row has, and with that what it heeds and who lends to it.
_PLACING = {"server_fqdn", "role", "pool_fqdn", "site"}


class Sheet:
    """The shown texts of every row, kept up to date row by row.

    Parameters
    ----------
    loaded : Topology
        What changes are counted against; its n rows have the ids 0 … n-1.
    """

    def __init__(self, loaded: Topology):
        self._loaded = loaded
        self._known = {column.name: column for column in topology_columns()}
        self._rearranged: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
        self.topology = loaded
        self._grouped: Topology | None = None  # what the names below are of
        self._names: dict[str, list[str]] = {}
        self.ids: tuple[int, ...] = ()
        self.columns: dict[str, list[str]] = {}
        self.changes = 0  # cells changed, rows added, rows removed

    def first(self, topology: Topology, ids: tuple[int, ...], count: int) -> dict[str, list[str]]:
        """Give the texts of the first rows, by column, before :meth:`rebuild` gives all."""
        self.topology, self.ids = topology, ids
        places = range(min(count, len(ids)))
        return {**self._texts(places), FINDINGS: [""] * len(places)}

    def rebuild(self, topology: Topology, ids: tuple[int, ...]) -> None:
        """Work every row out again."""
        self.topology, self.ids = topology, ids
        self.columns = self._texts(range(len(ids)))
        self.columns[FINDINGS] = [""] * len(ids)
        kept = sum(row_id < len(self._loaded.cells) for row_id in ids)
        self.changes = len(self._loaded.cells) - kept
        self.changes += sum(map(self._counted, ids, self.columns[CHANGED]))

    def update(self, topology: Topology) -> tuple[list[int], dict[str, list[str]]]:
        """Take a topology with the same rows over.

        Returns
        -------
        places : list of int
            Rows that look different now, and their neighbours of the same pools.
        columns : dict of str to list of str
            By name, their texts; only columns in which one differs.
        """
        before, self.topology = self.topology, topology
        edited, names = _edited(before, topology)
        places = self._touched(before, edited, names)
        placing = names & _PLACING or before.columns != topology.columns
        fresh = self._texts(places, column_names(topology) if placing else sorted(names))
        different = {}
        for name, texts in fresh.items():
            old = self.columns.setdefault(name, [""] * len(self.ids))
            if any(old[place] != text for place, text in zip(places, texts)):
                different[name] = texts
                if name == CHANGED:
                    ids = [self.ids[place] for place in places]
                    self.changes -= sum(map(self._counted, ids, (old[p] for p in places)))
                    self.changes += sum(map(self._counted, ids, texts))
                for place, text in zip(places, texts):
                    old[place] = text
        return places, different

    def set_findings(
        self, by_server: Mapping[str, str], servers: Iterable[str] | None
    ) -> list[int]:
        """Put the words for the findings of servers in their rows; None means all servers.

        Returns
        -------
        list of int
            The rows whose words differ now.
        """
        texts = self.columns[FINDINGS]
        names = self.columns["server_fqdn"]
        wanted = None if servers is None else set(servers)
        places = [
            place
            for place, name in enumerate(names)
            if (wanted is None or name in wanted) and texts[place] != by_server.get(name, "")
        ]
        for place in places:
            texts[place] = by_server.get(names[place], "")
        return places

    def _counted(self, row_id: int, changed: str) -> int:
        """Count the changes of a row by the names of its changed columns; a new row is one."""
        if row_id >= len(self._loaded.cells):
            return 1
        return changed.count(" ") + 1 if changed else 0

    def changed_columns(self, place: int) -> list[str]:
        """Name the columns in which a row differs from the loaded file; an added row was blank."""
        columns, row_id = self.topology.columns, self.ids[place]
        loaded = self._loaded_rows()
        before = loaded[row_id] if row_id < len(loaded) else ("",) * len(columns)
        return [name for name, a, b in zip(columns, self.topology.cells[place], before) if a != b]

    def _loaded_rows(self) -> Sequence[tuple[str, ...]]:
        """Return the loaded rows under the columns of now."""
        columns = self.topology.columns
        if columns == self._loaded.columns:
            return self._loaded.cells
        if columns not in self._rearranged:
            at = {name: place for place, name in enumerate(self._loaded.columns)}
            self._rearranged[columns] = [
                tuple(row[at[name]] if name in at else "" for name in columns)
                for row in self._loaded.cells
            ]
        return self._rearranged[columns]

    def _touched(self, before: Topology, edited: Sequence[int], names: Set[str]) -> list[int]:
        """Find the rows that may look different: edited ones and all of their pools."""
        after = self.topology
        widely = before.columns != after.columns or any(
            name == "site" or self._scope(name) in ("site", "deployment") for name in names
        )
        if widely:
            return list(range(len(after.cells)))
        known = {id(pool) for pool in before.pools}
        pools = {str(pool.fqdn) for pool in after.pools if id(pool) not in known}
        of_row = self._group_names("pool")
        pools.update(of_row[place] for place in edited)
        return [*compress(count(), map(pools.__contains__, of_row))]

    def _scope(self, name: str) -> str:
        return self._known[name].scope if name in self._known else "server"

    def _texts(
        self, places: Sequence[int], names: Sequence[str] | None = None
    ) -> dict[str, list[str]]:
        topology = self.topology
        rows = [topology.cells[place] for place in places]
        roles_at = topology.columns.index("role")
        roles = [row[roles_at] for row in rows]
        shown = {}
        for name in column_names(topology) if names is None else names:
            at = _place(topology, name)
            column = self._known.get(name)
            if at is None:
                shown[name] = _defaults(self._known[name], roles)
                continue
            texts = [row[at] for row in rows]
            shown[name] = texts if column is None else self._lent(column, texts, roles, places)
        loaded, ids = self._loaded_rows(), self.ids
        changed = [
            ""
            if ids[place] < len(loaded) and row is loaded[ids[place]]
            else " ".join(self.changed_columns(place))
            for place, row in zip(places, rows)
        ]
        return {**shown, CHANGED: changed}

    def _lent(
        self, column: Column, texts: list[str], roles: list[str], places: Sequence[int]
    ) -> list[str]:
        """Fill blanks with what the pool, site or deployment says, or with the default."""
        if "" not in texts:
            return texts
        defaults = _defaults(column, roles)
        if column.scope == "server":
            return [text or default for text, default in zip(texts, defaults)]
        heeded = {role: column.heeded_by(role) for role in set(roles)}
        groups, lenders = self._groups(column, places)
        lent = {group: INHERITED + text for group, text in lenders.items()}
        return [
            text or ((lent.get(group) or default) if heeded[role] else "")
            for text, role, group, default in zip(texts, roles, groups, defaults)
        ]

    def _group_names(self, scope: str) -> list[str]:
        if self._grouped is not self.topology:
            self._grouped, self._names = self.topology, {}
        if scope not in self._names:
            self._names[scope] = group_names(self.topology, scope)
        return self._names[scope]

    def _groups(self, column: Column, places: Sequence[int]) -> tuple[list[str], dict[str, str]]:
        """Give each row the group it shares a column with, and each group its text."""
        whole = range(len(self.topology.cells)) if column.scope != "pool" else places
        names = self._group_names(column.scope)
        at, cells = _place(self.topology, column.name), self.topology.cells
        lenders: dict[str, str] = {}
        if at is not None:
            for place in whole:
                if text := cells[place][at]:
                    lenders.setdefault(names[place], text)
        if column.scope == "site" and len(set(lenders.values())) == 1:
            lenders = dict.fromkeys(names, next(iter(lenders.values())))
        return [names[place] for place in places], lenders


def _defaults(column: Column, roles: Sequence[str]) -> list[str]:
    """Give what a blank cell of a column means in rows of these roles."""
    text = INHERITED + column.default if column.default else ""
    by_role = {role: text if column.heeded_by(role) else "" for role in set(roles)}
    return [by_role[role] for role in roles]


def _edited(before: Topology, after: Topology) -> tuple[list[int], set[str]]:
    """Find the rows whose cells differ, and the columns in which one does."""
    if before.columns != after.columns:
        return list(range(len(after.cells))), set(after.columns)
    places: list[int] = []
    at: set[int] = set()
    old, new = before.cells, after.cells
    for place in compress(count(), map(is_not, old, new)):
        a, b = old[place], new[place]
        if a != b:
            places.append(place)
            at.update(k for k, (x, y) in enumerate(zip(a, b)) if x is not y and x != y)
    return places, {after.columns[k] for k in at}


def pool_names(topology: Topology) -> list[str]:
    """Give each row the name of its pool: the server's own where none is given."""
    server, pool = topology.columns.index("server_fqdn"), _place(topology, "pool_fqdn")
    if pool is None:
        return [row[server] for row in topology.cells]
    return [row[pool] or row[server] for row in topology.cells]


def group_names(topology: Topology, scope: str) -> list[str]:
    """Give each row the name of what it shares a column of this scope with."""
    if scope == "pool":
        return pool_names(topology)
    if scope == "site":
        names = [""] * len(topology.cells)
        for pool, computer in topology.computers:
            names[computer.row] = pool.site
        return names
    return [""] * len(topology.cells)


def column_names(topology: Topology) -> tuple[str, ...]:
    """List the table's columns, then those that it could have."""
    known = [column.name for column in topology_columns()]
    return (*topology.columns, *(name for name in known if name not in topology.columns))


def _place(topology: Topology, name: str) -> int | None:
    return topology.columns.index(name) if name in topology.columns else None
