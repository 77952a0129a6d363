"""The table for the page: the text in each cell, or the value that a blank cell inherits."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence, Set
from itertools import compress, count
from operator import is_not

from ...topology.columns import Column, list_topology_columns
from ...topology.edits import arrange_rows
from ...topology.topology import Topology
from .messages import RowsColumn, TableRows

# The kernel sends rows to the browser as bytes. Each column is encoded as a list of distinct texts
# and one code for each row. 10,000 rows with 20 columns take about 200 kB instead of 3 MB of JSON,
# and are also faster to encode and decode. The rows are not a trait of a widget, so a notebook does
# not save them.

INHERITED = (
    # The prefix that marks a cell as blank. The text after it is the value that the cell inherits
    # from the pool, the site, or a default.
    "\x01"
)


def encode_rows(
    ids: Sequence[int],
    columns: Mapping[str, Sequence[str]],
    *,
    is_complete: bool,
    order: Sequence[int] | None = None,
) -> tuple[TableRows, list[bytes]]:
    """Encode the rows of a table as a message and its binary buffers.

    Parameters
    ----------
    ids : sequence of int
        The n permanent IDs of the rows.
    columns : mapping of str to sequence of str
        The m columns, each with n texts without NUL.
    is_complete : bool
        Whether these are all rows. If not, they replace the rows with the same IDs.
    order : sequence of int, optional
        The IDs of all rows, if rows were added, removed or moved.

    Returns
    -------
    message : dict
        The column names, and the number of bytes per code.
    buffers : list of bytes
        The IDs (4 bytes each). For each column, the distinct texts joined by NUL, and then n
        codes. At the end, the IDs of all rows if ``order`` is given.
    """
    buffers = [_encode_numbers(ids, 4)]
    facts: list[RowsColumn] = []
    for name, texts in columns.items():
        distinct = {text: code for code, text in enumerate(dict.fromkeys(texts))}
        width = 1 if len(distinct) <= 256 else 2 if len(distinct) <= 65536 else 4
        buffers.append("\0".join(distinct).encode("utf-8", "replace"))
        buffers.append(_encode_numbers(map(distinct.__getitem__, texts), width))
        facts.append({"name": name, "width": width})
    if order is not None:
        buffers.append(_encode_numbers(order, 4))
    is_moved = order is not None
    return {"type": "rows", "all": is_complete, "moved": is_moved, "columns": facts}, buffers


def _encode_numbers(values: Iterable[int], width: int) -> bytes:
    code = {array(code).itemsize: code for code in "BHIL"}[width]
    return array(code, values).tobytes()


CHANGED = "_changed"
FINDINGS = "_findings"
# The columns that determine the pool and role of a row. The pool and role determine which columns
# the row uses and which values it inherits.
_PLACING = {"server_fqdn", "role", "pool_fqdn", "site"}


class Sheet:
    """The texts of all table rows as the page shows them. An edit updates only the changed rows.

    Parameters
    ----------
    loaded : Topology
        The loaded topology, with which changes are compared. Its n rows have the IDs 0 … n-1.
    """

    def __init__(self, loaded: Topology):
        self._loaded = loaded
        self._known = {column.name: column for column in list_topology_columns()}
        self._rearranged: dict[tuple[str, ...], Sequence[tuple[str, ...]]] = {}
        self.topology = loaded
        self._grouped: Topology | None = (
            None  # The following attributes belong to the topology that was last processed.
        )
        self._names: dict[str, list[str]] = {}
        self.ids: tuple[int, ...] = ()
        self.columns: dict[str, list[str]] = {}
        self.changes = 0  # The numbers of changed cells, added rows and removed rows.

    def list_initial_texts(
        self, topology: Topology, ids: tuple[int, ...], count: int
    ) -> dict[str, list[str]]:
        """Return the texts of the first rows, by column.

        They are used until :meth:`compute_texts` has computed all rows.
        """
        self.topology, self.ids = topology, ids
        row_indices = range(min(count, len(ids)))
        return {**self._read_texts(row_indices), FINDINGS: [""] * len(row_indices)}

    def compute_texts(self, topology: Topology, ids: tuple[int, ...]) -> None:
        """Set the topology, and compute the texts of all table rows."""
        self.topology, self.ids = topology, ids
        self.columns = self._read_texts(range(len(ids)))
        self.columns[FINDINGS] = [""] * len(ids)
        self._count_all_changes()

    def _count_all_changes(self) -> None:
        remaining_count = sum(row_id < len(self._loaded.cells) for row_id in self.ids)
        self.changes = len(self._loaded.cells) - remaining_count
        self.changes += sum(map(self._count_changes, self.ids, self.columns[CHANGED]))

    def update_texts(
        self, topology: Topology, ids: tuple[int, ...]
    ) -> tuple[list[int], dict[str, list[str]]]:
        """Update the cell texts after an edit to the rows or to the columns, but not to both.

        Returns
        -------
        row_indices : list of int
            The rows with different texts, and all rows in the same pools.
        columns : dict of str to list of str
            The new texts by column name, only for columns with a difference.
        """
        before, self.topology = self.topology, topology
        has_same_rows = ids == self.ids
        edited, names = (
            find_edited_cells(before, topology) if has_same_rows else self._move_rows(before, ids)
        )
        row_indices = self._find_touched_rows(before, edited, names)
        placing = names & _PLACING or before.columns != topology.columns
        fresh = self._read_texts(
            row_indices, list_column_names(topology) if placing else sorted(names)
        )
        different = {}
        for name, texts in fresh.items():
            old = self.columns.setdefault(name, [""] * len(ids))
            if any(old[row_index] != text for row_index, text in zip(row_indices, texts)):
                different[name] = texts
                if name == CHANGED and has_same_rows:
                    changed_ids = [ids[row_index] for row_index in row_indices]
                    self.changes -= sum(
                        map(self._count_changes, changed_ids, (old[p] for p in row_indices))
                    )
                    self.changes += sum(map(self._count_changes, changed_ids, texts))
                for row_index, text in zip(row_indices, texts):
                    old[row_index] = text
        if not has_same_rows:
            self._count_all_changes()
        return row_indices, different

    def _move_rows(
        self, old_topology: Topology, ids: tuple[int, ...]
    ) -> tuple[list[int], set[str]]:
        """Arrange the texts in the new order of the rows. Added rows get blank texts.

        Returns
        -------
        edited : list of int
            The added and the edited rows.
        names : set of str
            The columns with a change, or with a text in an added or removed row.
        """
        columns, cells = old_topology.columns, self.topology.cells
        removed = dict(zip(self.ids, range(len(self.ids))))
        old_indices = [removed.pop(row_id, None) for row_id in ids]
        self.ids = ids
        for name, texts in self.columns.items():
            self.columns[name] = [
                "" if old_index is None else texts[old_index] for old_index in old_indices
            ]
        existing_rows = [row_index for row_index, old in enumerate(old_indices) if old is not None]
        added = [row_index for row_index, old in enumerate(old_indices) if old is None]
        edited, names = find_different_cells(
            columns,
            [old_topology.cells[old] for old in old_indices if old is not None],
            [cells[row_index] for row_index in existing_rows],
        )
        for row in (
            *(cells[row_index] for row_index in added),
            *(old_topology.cells[p] for p in removed.values()),
        ):
            names.update(name for name, text in zip(columns, row) if text)
        return [*(existing_rows[position] for position in edited), *added], names

    def set_findings(
        self, findings_by_server: Mapping[str, str], servers: Iterable[str] | None
    ) -> list[int]:
        """Update the findings of the given servers, or of all servers if ``servers`` is None.

        Returns
        -------
        list of int
            The rows with different texts.
        """
        texts = self.columns[FINDINGS]
        names = self.columns["server_fqdn"]
        server_names = None if servers is None else set(servers)
        row_indices = [
            row_index
            for row_index, name in enumerate(names)
            if (server_names is None or name in server_names)
            and texts[row_index] != findings_by_server.get(name, "")
        ]
        for row_index in row_indices:
            texts[row_index] = findings_by_server.get(names[row_index], "")
        return row_indices

    def _count_changes(self, row_id: int, changed_columns: str) -> int:
        """Return the number of changed cells in a row. A new row counts as one change."""
        if row_id >= len(self._loaded.cells):
            return 1
        return changed_columns.count(" ") + 1 if changed_columns else 0

    def find_changed_columns(self, row_index: int) -> list[str]:
        """Return the columns in which a row differs from its loaded row.

        A new row is compared with a blank row.
        """
        columns, row_id = self.topology.columns, self.ids[row_index]
        loaded = self._arrange_loaded_rows()
        before = loaded[row_id] if row_id < len(loaded) else ("",) * len(columns)
        return [
            name for name, a, b in zip(columns, self.topology.cells[row_index], before) if a != b
        ]

    def _arrange_loaded_rows(self) -> Sequence[tuple[str, ...]]:
        """Return the rows of the loaded file, arranged in the columns of the current table."""
        columns = self.topology.columns
        if columns not in self._rearranged:
            self._rearranged[columns] = arrange_rows(
                self._loaded.columns, self._loaded.cells, columns
            )
        return self._rearranged[columns]

    def _find_touched_rows(
        self, old_topology: Topology, edited_rows: Sequence[int], names: Set[str]
    ) -> list[int]:
        """Return the rows whose texts an edit may change: edited rows, and rows of their pools."""
        after = self.topology
        widely = old_topology.columns != after.columns or any(
            name == "site" or self._find_scope(name) in ("site", "deployment") for name in names
        )
        if widely:
            return list(range(len(after.cells)))
        known = {id(pool) for pool in old_topology.pools}
        pools = {str(pool.fqdn) for pool in after.pools if id(pool) not in known}
        of_row = self._group_names("pool")
        pools.update(of_row[row_index] for row_index in edited_rows)
        return [*compress(count(), map(pools.__contains__, of_row))]

    def _find_scope(self, name: str) -> str:
        return self._known[name].scope if name in self._known else "server"

    def _read_texts(
        self, row_indices: Sequence[int], names: Sequence[str] | None = None
    ) -> dict[str, list[str]]:
        topology = self.topology
        rows = [topology.cells[row_index] for row_index in row_indices]
        roles_at = topology.columns.index("role")
        roles = [row[roles_at] for row in rows]
        texts_by_column = {}
        for name in list_column_names(topology) if names is None else names:
            column_index = _find_column(topology, name)
            column = self._known.get(name)
            if column_index is None:
                texts_by_column[name] = _list_defaults(self._known[name], roles)
                continue
            texts = [row[column_index] for row in rows]
            texts_by_column[name] = (
                texts
                if column is None
                else self._fill_inherited_values(column, texts, roles, row_indices)
            )
        loaded, ids = self._arrange_loaded_rows(), self.ids
        changed = [
            ""
            if ids[row_index] < len(loaded) and row == loaded[ids[row_index]]
            else " ".join(self.find_changed_columns(row_index))
            for row_index, row in zip(row_indices, rows)
        ]
        return {**texts_by_column, CHANGED: changed}

    def _fill_inherited_values(
        self, column: Column, texts: list[str], roles: list[str], row_indices: Sequence[int]
    ) -> list[str]:
        """Fill blank cells with the value of the pool, site or deployment, or with the default."""
        if "" not in texts:
            return texts
        defaults = _list_defaults(column, roles)
        if column.scope == "server":
            return [text or default for text, default in zip(texts, defaults)]
        is_used = {role: column.is_used_by(role) for role in set(roles)}
        groups, values = self._group_rows(column, row_indices)
        inherited = {group: INHERITED + text for group, text in values.items()}
        return [
            text or ((inherited.get(group) or default) if is_used[role] else "")
            for text, role, group, default in zip(texts, roles, groups, defaults)
        ]

    def _group_names(self, scope: str) -> list[str]:
        if self._grouped is not self.topology:
            self._grouped, self._names = self.topology, {}
        if scope not in self._names:
            self._names[scope] = list_group_names(self.topology, scope)
        return self._names[scope]

    def _group_rows(
        self, column: Column, row_indices: Sequence[int]
    ) -> tuple[list[str], dict[str, str]]:
        """Return the pool or site of each row, and a column's text for each pool or site."""
        scope_indices = range(len(self.topology.cells)) if column.scope != "pool" else row_indices
        names = self._group_names(column.scope)
        column_index, cells = _find_column(self.topology, column.name), self.topology.cells
        values: dict[str, str] = {}
        if column_index is not None:
            for row_index in scope_indices:
                if text := cells[row_index][column_index]:
                    values.setdefault(names[row_index], text)
        if column.scope == "site" and len(set(values.values())) == 1:
            values = dict.fromkeys(names, next(iter(values.values())))
        return [names[row_index] for row_index in row_indices], values


def _list_defaults(column: Column, roles: Sequence[str]) -> list[str]:
    """Return the default value of a blank cell in a column, for each of the given roles."""
    text = INHERITED + column.default if column.default else ""
    by_role = {role: text if column.is_used_by(role) else "" for role in set(roles)}
    return [by_role[role] for role in roles]


def find_edited_cells(old_topology: Topology, new_topology: Topology) -> tuple[list[int], set[str]]:
    """Return the rows and the columns in which two tables differ.

    If the tables have different columns, the result is all rows and columns.
    """
    if old_topology.columns != new_topology.columns:
        return list(range(len(new_topology.cells))), set(new_topology.columns)
    return find_different_cells(new_topology.columns, old_topology.cells, new_topology.cells)


def find_different_cells(
    columns: tuple[str, ...],
    old_rows: Sequence[tuple[str, ...]],
    new_rows: Sequence[tuple[str, ...]],
) -> tuple[list[int], set[str]]:
    """Return the rows and the columns in which two tables with the same columns differ."""
    row_indices: list[int] = []
    column_indices: set[int] = set()
    for row_index in compress(count(), map(is_not, old_rows, new_rows)):
        a, b = old_rows[row_index], new_rows[row_index]
        if a != b:
            row_indices.append(row_index)
            column_indices.update(k for k, (x, y) in enumerate(zip(a, b)) if x is not y and x != y)
    return row_indices, {columns[k] for k in column_indices}


def list_differences(
    old_topology: Topology, new_topology: Topology, row_index: int
) -> list[tuple[str, str, str]]:
    """Return the columns in which a row was changed, each with its old and new text."""
    old = dict(zip(old_topology.columns, old_topology.cells[row_index]))
    new = dict(zip(new_topology.columns, new_topology.cells[row_index]))
    return [
        (name, str(old.get(name, "")), str(new.get(name, "")))
        for name in dict.fromkeys((*new_topology.columns, *old_topology.columns))
        if old.get(name, "") != new.get(name, "")
    ]


def describe_origin(topology: Topology, row_index: int, name: str) -> str:
    """Return the origin of a cell's value: its own row, another row of the pool, or a default.

    Parameters
    ----------
    topology : Topology
        The current table of n rows.
    row_index : int
        The index of the row.
    name : str
        The column.
    """
    columns, cells = topology.columns, topology.cells
    row, column_index = cells[row_index], _find_column(topology, name)
    column = next(
        (candidate for candidate in list_topology_columns() if candidate.name == name), None
    )
    if column is None or column.scope == "server":
        whose, group = "", ""
    else:
        names = list_group_names(topology, column.scope)
        group = names[row_index]
        whose = f"This column belongs to the {' '.join(filter(None, (column.scope, group)))}. "
    if column_index is not None and row[column_index]:
        return f"{whose}The value is specified in this server's row."
    if column is None:
        return "The cell is blank."
    role = row[columns.index("role")]
    if not column.is_used_by(role):
        return f"Servers with the role {role} do not use this column."
    if whose and column_index is not None:
        server = columns.index("server_fqdn")
        for other, its_group in zip(cells, names):
            if other[column_index] and its_group == group:
                return f"{whose}The value is in the row of {other[server]}."
    if column.default:
        return f"{whose}The cell is blank, so the default value {column.default} applies."
    return f"{whose}The cell is blank, and there is no default value."


def list_pool_names(topology: Topology) -> list[str]:
    """Return the pool of each row. A row without a pool has its server's name as the pool."""
    server, pool = topology.columns.index("server_fqdn"), _find_column(topology, "pool_fqdn")
    if pool is None:
        return [row[server] for row in topology.cells]
    return [row[pool] or row[server] for row in topology.cells]


def list_group_names(topology: Topology, scope: str) -> list[str]:
    """Return the name of each row's pool or site, depending on the scope, or "" otherwise."""
    if scope == "pool":
        return list_pool_names(topology)
    if scope == "site":
        names = [""] * len(topology.cells)
        for pool, computer in topology.computers:
            names[computer.row] = pool.site
        return names
    return [""] * len(topology.cells)


def list_column_names(topology: Topology) -> tuple[str, ...]:
    """Return the columns of the table, followed by the known columns that the table lacks."""
    known = [column.name for column in list_topology_columns()]
    return (*topology.columns, *(name for name in known if name not in topology.columns))


def _find_column(topology: Topology, name: str) -> int | None:
    return topology.columns.index(name) if name in topology.columns else None
