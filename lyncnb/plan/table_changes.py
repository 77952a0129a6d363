"""What one table of servers has otherwise than another: cells, and whole rows.

Pure. A value of a pool, a site or the deployment may stand in any of its rows: it is compared
where it belongs, whatever row it stands in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ..topology.columns import Column, topology_columns
from ..topology.topology import Topology

# Of which server, pool, site: the cell's owner by its scope.
_OF = {"server": "of", "pool": "of pool", "site": "of site", "deployment": ""}
# What says where a row belongs is told as a row that is new or gone, or one that moved.
_PLACE = ("server_fqdn", "role")


@dataclass(frozen=True, slots=True, kw_only=True)
class TableChange:
    """A cell that is otherwise, or a row that only one table has.

    Attributes
    ----------
    words : str
        As people read it, e.g. ``sip_domains: fabrikam.com added``.
    scope : str
        ``server``, ``pool``, ``site`` or ``deployment``.
    owner : str
        Name of the server, pool or site; "" for the deployment.
    before, after : frozenset of str
        What stands in it, value by value; of a row, the names in it.
    """

    words: str
    scope: str
    owner: str
    before: frozenset[str] = field(default=frozenset())
    after: frozenset[str] = field(default=frozenset())


_Cells = dict[tuple[str, str, str], dict[str, None]]  # by column, scope and owner
_Rows = dict[tuple[str, str], frozenset[str]]  # by server and role: names


def table_changes(old: Topology, new: Topology) -> tuple[TableChange, ...]:
    """List what two tables have otherwise.

    Parameters
    ----------
    old, new : Topology
        Each of n rows.

    Returns
    -------
    tuple of TableChange
        Rows that are gone and new, then cells by column. A cell of a row that only one of them
        has is not told again, unless it says something about a pool, site or deployment that
        both have.
    """
    (before, rows_before), (after, rows_after) = _read(old), _read(new)
    found = [*_row_changes(rows_before, rows_after)]
    owners_before, owners_after = _owners(old), _owners(new)
    columns = {column.name: column for column in topology_columns()}
    for key in dict.fromkeys((*before, *after)):
        name, scope, owner = key
        is_of_both = (scope, owner) in owners_before and (scope, owner) in owners_after
        was, now = (tuple(cells.get(key, ())) for cells in (before, after))
        if was != now and is_of_both and name not in _PLACE:
            found.append(_cell_change(columns[name], scope, owner, was, now))
    return tuple(found)


def _read(topology: Topology) -> tuple[_Cells, _Rows]:
    cells: _Cells = {}
    rows: _Rows = {}
    places = [
        (place, column)
        for column in topology_columns()
        for place, name in enumerate(topology.columns)
        if name == column.name
    ]
    table = topology.cells
    for pool in topology.pools:
        owners = {"pool": pool.fqdn, "site": pool.site, "deployment": ""}
        for computer in pool.computers:
            rows[computer.fqdn, pool.role] = frozenset((computer.fqdn, pool.fqdn))
            texts = table[computer.row] if 0 <= computer.row < len(table) else ()
            for place, column in places if texts else ():
                if texts[place] and column.heeded_by(pool.role):
                    owner = owners.get(column.scope, computer.fqdn)
                    values = cells.setdefault((column.name, column.scope, owner), {})
                    values.update(dict.fromkeys(_values(texts[place])))
    return cells, rows


def _values(text: str) -> list[str]:
    return [part.strip() for part in text.split(";") if part.strip()]


def _owners(topology: Topology) -> set[tuple[str, str]]:
    found = {("deployment", "")}
    for pool in topology.pools:
        found |= {("pool", pool.fqdn), ("site", pool.site)}
        found.update(("server", computer.fqdn) for computer in pool.computers)
    return found


def _row_changes(before: _Rows, after: _Rows) -> Iterator[TableChange]:
    for (server, role), names in before.items():
        if (server, role) not in after:
            words = f"the row of {server}, {role}, is gone"
            yield TableChange(words=words, scope="server", owner=server, before=names)
    for (server, role), names in after.items():
        if (server, role) not in before:
            words = f"the row of {server}, {role}, is new"
            yield TableChange(words=words, scope="server", owner=server, after=names)


def _cell_change(
    column: Column, scope: str, owner: str, was: tuple[str, ...], now: tuple[str, ...]
) -> TableChange:
    of = f" {_OF[scope]} {owner}" if owner else ""
    gone = [value for value in was if value not in now]
    come = [value for value in now if value not in was]
    if column.is_list and (gone or come):
        told = [f"{', '.join(come)} added"] if come else []
        told += [f"{', '.join(gone)} removed"] if gone else []
        words = ", ".join(told)
    else:
        words = f"{'; '.join(was) or 'blank'} -> {'; '.join(now) or 'blank'}"
    return TableChange(
        words=f"{column.name}{of}: {words}",
        scope=scope,
        owner=owner,
        before=frozenset(was),
        after=frozenset(now),
    )
