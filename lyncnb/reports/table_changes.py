"""Find the differences between two tables of servers: changed cells, and complete rows.

The functions have no side effects. A value of a pool, a site or the deployment can be in any of its
rows. Therefore, it is compared for its owner and not for its row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field

from ..topology.columns import Column, list_topology_columns
from ..topology.model import Computer, Pool
from ..topology.topology import Topology

# For each scope of a column, the words before the owner of a cell in a message.
_OF = {"server": "of", "pool": "of pool", "site": "of site", "deployment": ""}
# The columns that identify a row. If such a column changes, the row counts as added, removed or
# moved.
_PLACE = ("server_fqdn", "role")


@dataclass(frozen=True, slots=True, kw_only=True)
class TableChange:
    """A cell with a different value, or a row that only one of two tables contains.

    Attributes
    ----------
    words : str
        The text for readers, for example ``sip_domains: fabrikam.com added``.
    scope : str
        ``server``, ``pool``, ``site`` or ``deployment``.
    owner : str
        Name of the server, pool or site; "" for the deployment.
    before, after : frozenset of str
        Its values. For a row, its names, and its cells about owners that only its table has.
    """

    words: str
    scope: str
    owner: str
    before: frozenset[str] = field(default=frozenset())
    after: frozenset[str] = field(default=frozenset())


# The values by column, scope and owner.
_Cells = dict[tuple[str, str, str], dict[str, None]]
# The pool and the texts of each row, by server and role.
_RowKey = tuple[str, str]
_Rows = dict[_RowKey, tuple[str, list[str]]]
_Owner = tuple[str, str]  # scope and name


def list_table_changes(old_topology: Topology, new_topology: Topology) -> tuple[TableChange, ...]:
    """Return the differences between two tables of servers.

    Parameters
    ----------
    old_topology, new_topology : Topology
        Each of n rows.

    Returns
    -------
    tuple of TableChange
        Removed and added rows, then cells by column. The cells of a row that only one table has
        are not listed, except values of a pool, site or deployment that both have.
    """
    rows_before, rows_after = _index_rows(old_topology), _index_rows(new_topology)
    owners_before, owners_after = _list_owners(old_topology), _list_owners(new_topology)
    removed = _collect_rows(old_topology, rows_before.keys() - rows_after.keys(), owners_after)
    added = _collect_rows(new_topology, rows_after.keys() - rows_before.keys(), owners_before)
    changes = [*_list_row_changes(removed, added)]
    changed = {
        key
        for key in rows_before.keys() | rows_after.keys()
        if rows_before.get(key) != rows_after.get(key)
    }
    touched = _list_owners(old_topology, changed) | _list_owners(new_topology, changed)
    before, after = _collect_cells(old_topology, touched), _collect_cells(new_topology, touched)
    columns = {column.name: column for column in list_topology_columns()}
    for key in dict.fromkeys((*before, *after)):
        name, scope, owner = key
        is_of_both = (scope, owner) in owners_before and (scope, owner) in owners_after
        was, now = (tuple(cells.get(key, ())) for cells in (before, after))
        if was != now and is_of_both and name not in _PLACE:
            changes.append(_make_cell_change(columns[name], scope, owner, was, now))
    return tuple(changes)


def _index_rows(topology: Topology) -> _Rows:
    # The comparison includes only known columns. Their order can differ between the tables.
    indices = [index for index, _ in _list_known_columns(topology)]
    table = topology.cells
    return {
        (computer.fqdn, pool.role): (pool.fqdn, [table[computer.row][index] for index in indices])
        for pool, computer in topology.computers
    }


def _collect_cells(topology: Topology, changed_rows: Set[_Owner]) -> _Cells:
    """Return the cell values in a table by server, pool, site and deployment."""
    cells: _Cells = {}
    for _, column, owner, text in _iterate_cells(topology):
        if owner in changed_rows:
            values = cells.setdefault((column.name, *owner), {})
            values.update(dict.fromkeys(_split_values(text)))
    return cells


def _collect_rows(
    topology: Topology, keys: Set[_RowKey], other_owners: Set[_Owner]
) -> dict[_RowKey, set[str]]:
    """Return the values of the given rows, which the other table does not contain.

    A row's names are always included. The other cells are included if only this table has their
    owner, for example a new pool. The cells of other owners are compared by owner.
    """
    rows: dict[_RowKey, set[str]] = {
        (computer.fqdn, pool.role): {computer.fqdn, pool.fqdn}
        for pool, computer in topology.computers
        if (computer.fqdn, pool.role) in keys
    }
    for key, _, owner, text in _iterate_cells(topology):
        if key in rows and owner not in other_owners:
            rows[key].update(_split_values(text))
    return rows


def _iterate_cells(topology: Topology) -> Iterator[tuple[_RowKey, Column, _Owner, str]]:
    """Yield each cell that has a value and a meaning for its role, with its row and owner."""
    columns = _list_known_columns(topology)
    for pool, computer in topology.computers:
        owners = _find_owners(pool, computer)
        row = topology.cells[computer.row]
        for index, column in columns:
            if row[index] and column.is_used_by(pool.role):
                owner = (column.scope, owners[column.scope])
                yield (computer.fqdn, pool.role), column, owner, row[index]


def _list_known_columns(topology: Topology) -> list[tuple[int, Column]]:
    """Return the known columns in a fixed order, with their indices in the table."""
    return [
        (topology.columns.index(column.name), column)
        for column in list_topology_columns()
        if column.name in topology.columns
    ]


def _find_owners(pool: Pool, computer: Computer) -> dict[str, str]:
    """Return the possible owners of a row's cells, by scope: server, pool, site, deployment."""
    return {"server": computer.fqdn, "pool": pool.fqdn, "site": pool.site, "deployment": ""}


def _split_values(text: str) -> list[str]:
    return [part.strip() for part in text.split(";") if part.strip()]


def _list_owners(topology: Topology, keys: Set[_RowKey] | None = None) -> set[_Owner]:
    """Return the owners of the cells in a table, or only of those in the given rows."""
    owners: set[_Owner] = set()
    for pool, computer in topology.computers:
        if keys is None or (computer.fqdn, pool.role) in keys:
            owners.update(_find_owners(pool, computer).items())
    return owners


def _list_row_changes(
    removed: Mapping[_RowKey, Set[str]], added: Mapping[_RowKey, Set[str]]
) -> Iterator[TableChange]:
    for (server, role), values in removed.items():
        words = f"the row for {server} ({role}) was removed"
        yield TableChange(words=words, scope="server", owner=server, before=frozenset(values))
    for (server, role), values in added.items():
        words = f"the row for {server} ({role}) was added"
        yield TableChange(words=words, scope="server", owner=server, after=frozenset(values))


def _make_cell_change(
    column: Column, scope: str, owner: str, old_value: tuple[str, ...], new_value: tuple[str, ...]
) -> TableChange:
    owner_words = f" {_OF[scope]} {owner}" if owner else ""
    removed = [value for value in old_value if value not in new_value]
    added = [value for value in new_value if value not in old_value]
    if column.is_list and (removed or added):
        parts = [f"{', '.join(added)} added"] if added else []
        parts += [f"{', '.join(removed)} removed"] if removed else []
        words = ", ".join(parts)
    else:
        words = f"{'; '.join(old_value) or 'blank'} -> {'; '.join(new_value) or 'blank'}"
    return TableChange(
        words=f"{column.name}{owner_words}: {words}",
        scope=scope,
        owner=owner,
        before=frozenset(old_value),
        after=frozenset(new_value),
    )
