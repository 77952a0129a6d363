"""Edit many cells at once, as in a spreadsheet, without any widget.

The user pastes, clears or fills a block in one step. lyncnb uses the valid texts and reports a
reason for each rejected cell. If servers move to another pool, the values of the old pool
stay in the old pool.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ...base.shown.tables import format_count, join_first_texts
from ...errors import LyncnbError, Problem, TopologyError
from ...topology.columns import list_topology_columns
from ...topology.topology import Topology
from .sheet import find_edited_cells, list_differences, list_group_names, list_pool_names

_NAMED_BY = ("server_fqdn", "role")  # The columns in which a new row must have a value.
_NUMBER = re.compile(r"(\d+)(\D*)$")
_SERVERS_NAMED = 3


@dataclass(frozen=True, slots=True)
class CellText:
    """The new text of a table cell. ``place`` is the index of the cell's row in the table."""

    place: int
    column: str
    text: str


@dataclass(frozen=True, slots=True)
class RefusedCell:
    """A table cell that keeps its value, with the rejected text and the reason."""

    place: int
    column: str
    text: str
    problem: Problem


@dataclass(slots=True, kw_only=True)
class TakenBlock:
    """The result of setting a block of cells in a topology.

    ``added`` is the number of new rows. ``refused_rows`` contains the rejected rows by their
    number in the block, starting at 1.
    """

    topology: Topology
    refused: list[RefusedCell] = field(default_factory=list)
    refused_rows: list[tuple[int, Problem]] = field(default_factory=list)
    added: int = 0


def apply_block(
    topology: Topology, cells: Iterable[CellText], new_rows: Sequence[Mapping[str, str]] = ()
) -> TakenBlock:
    """Set the valid texts of a block of cells, and add its new rows at the end of the table.

    Parameters
    ----------
    topology : Topology
        The current table of n rows.
    cells : iterable of CellText
        The texts to set. If a column belongs to a pool, a site or the deployment, the text goes
        to the row that contains the value. If two texts set the same value, the first one is
        used.
    new_rows : sequence of mapping of str to str, optional
        The texts of each new row, by column name. A row without a valid server and role is
        rejected.

    Returns
    -------
    TakenBlock
        The new topology, and the rejected cells and rows with the reasons.
    """
    result = TakenBlock(topology=topology)
    _apply_cells(result, list(cells))
    if new_rows:
        _apply_rows(result, [(number, dict(row)) for number, row in enumerate(new_rows, start=1)])
    return result


def describe_block(old_topology: Topology, applied_block: TakenBlock, description: str) -> str:
    """Describe how a pasted or filled block changed the table, such as which servers it added.

    Parameters
    ----------
    old_topology : Topology
        The table of n rows before the block.
    applied_block : TakenBlock
        The result of the block.
    description : str
        What the user did, such as "pasted", or "".
    """
    after, old = applied_block.topology, len(old_topology.cells)
    server = after.columns.index("server_fqdn")
    replaced, servers, count = [], set(), 0
    for index in find_edited_cells(old_topology, after)[0]:
        changes = list_differences(old_topology, after, index) if index < old else []
        if name := next((was for column, was, _ in changes if column == "server_fqdn"), ""):
            replaced.append(f"{name} with {after.cells[index][server]}")
        elif changes:
            servers.add(after.cells[index][server])
            count += len(changes)
    cells = (
        f"{format_count(count, 'cell')} of {format_count(len(servers), 'server')}" if count else ""
    )
    if not applied_block.added and not replaced:
        return f"{description} {cells}".strip()
    parts = (
        _describe_changed_servers("added", [str(row[server]) for row in after.cells[old:]]),
        _describe_changed_servers("replaced", replaced),
        f"changed {cells}" if cells else "",
    )
    described = "; ".join(part for part in parts if part)
    return f"{description}: {described}" if description else described


def _describe_changed_servers(verb: str, names: Sequence[str]) -> str:
    if len(names) <= 1:
        return f"{verb} {names[0]}" if names else ""
    return (
        f"{verb} {format_count(len(names), 'server')} ({join_first_texts(names, _SERVERS_NAMED)})"
    )


def _apply_cells(applied_block: TakenBlock, cells: list[CellText]) -> None:
    while cells:
        changes, doubled = _list_changes(applied_block.topology, cells)
        if doubled:
            applied_block.refused += doubled
            doubled_keys = {(cell.place, cell.column) for cell in doubled}
            cells = [cell for cell in cells if (cell.place, cell.column) not in doubled_keys]
            continue
        try:
            applied_block.topology = applied_block.topology.with_cells(changes)
        except TopologyError as error:
            blamed = {(problem.row - 2, problem.column): problem for problem in error.problems}
            wrong = [cell for cell in cells if (cell.place, cell.column) in blamed]
            if not wrong and len(cells) == 1:
                applied_block.refused.append(_build_refused_cell(cells[0], _describe_error(error)))
                return
            if not wrong:
                # The error can name a cell other than the one that causes it. To find the cause,
                # divide the cells into halves, and try each half separately.
                _apply_cells(applied_block, cells[: len(cells) // 2])
                _apply_cells(applied_block, cells[len(cells) // 2 :])
                return
            applied_block.refused += [
                _build_refused_cell(cell, blamed[cell.place, cell.column]) for cell in wrong
            ]
            cells = [cell for cell in cells if cell not in set(wrong)]
        else:
            return


def _apply_rows(applied_block: TakenBlock, rows: list[tuple[int, dict[str, str]]]) -> None:
    start = len(applied_block.topology.cells)
    refused: list[RefusedCell] = []
    while rows:
        try:
            applied_block.topology = applied_block.topology.with_rows(
                add=[{name: text for name, text in row.items() if text} for _, row in rows]
            )
        except TopologyError as error:
            blamed = [(problem.row - 2 - start, problem) for problem in error.problems]
            blamed = [(n, problem) for n, problem in blamed if 0 <= n < len(rows)]
            if not blamed and len(rows) == 1:
                blamed = [(0, _describe_error(error))]
            if not blamed:
                _apply_rows(applied_block, rows[: len(rows) // 2])
                _apply_rows(applied_block, rows[len(rows) // 2 :])
                return
            problems: dict[int, Problem] = {}
            for n, problem in blamed:
                row = rows[n][1]
                if problem.column in row and problem.column not in _NAMED_BY:
                    text = row.pop(problem.column)
                    refused.append(RefusedCell(rows[n][0], problem.column, text, problem))
                else:
                    problems.setdefault(n, problem)
            applied_block.refused_rows += [(rows[n][0], problem) for n, problem in problems.items()]
            rows = [row for n, row in enumerate(rows) if n not in problems]
        else:
            applied_block.added += len(rows)
            place_of = {number: start + n for n, (number, _) in enumerate(rows)}
            applied_block.refused += [
                RefusedCell(place_of[cell.place], cell.column, cell.text, cell.problem)
                for cell in refused
                if cell.place in place_of
            ]
            return


def _build_refused_cell(cell: CellText, problem: Problem) -> RefusedCell:
    return RefusedCell(cell.place, cell.column, cell.text, problem)


def _describe_error(error: TopologyError) -> Problem:
    return error.problems[0] if error.problems else Problem(message=error.message, hint=error.hint)


def _list_changes(
    topology: Topology, cells: Sequence[CellText]
) -> tuple[dict[int, dict[str, str]], list[RefusedCell]]:
    """Return the new cell texts by row index, and the edits that contradict another edit."""
    scopes = {column.name: column.scope for column in list_topology_columns()}
    # The text of a rejected cell changes nothing else, because the plan does not use the cell yet.
    rejected = {cell.place for cell in topology.rejected}
    moves = {
        cell.place: cell.text
        for cell in cells
        if cell.column == "pool_fqdn" and (cell.place, cell.column) not in rejected
    }
    changes = plan_pool_moves(topology, moves)
    by_column: dict[str, list[CellText]] = {}
    for cell in cells:
        if (cell.place, cell.column) in rejected:
            changes.setdefault(cell.place, {})[cell.column] = cell.text
        elif cell.column != "pool_fqdn":
            by_column.setdefault(cell.column, []).append(cell)
    doubled = []
    for name, of_column in by_column.items():
        holders = _Holders(topology, name, scopes.get(name, "server"))
        texts: dict[str, str] = {}
        for cell in of_column:
            group = "" if cell.place in moves else holders.describe_group(cell.place)
            if group and texts.setdefault(group, cell.text) != cell.text:
                scope = scopes[name]
                problem = Problem(
                    message=(
                        f'another cell that you changed sets "{texts[group]}" for the same {scope}'
                    ),
                    value=cell.text,
                    hint=f"enter the same value for the whole {scope}",
                )
                doubled.append(_build_refused_cell(cell, problem))
                continue
            for index in holders.list_rows_to_change(cell.place) if group else (cell.place,):
                changes.setdefault(index, {})[name] = cell.text
    return changes, doubled


class _Holders:
    """The table rows that contain a value for several rows, such as all rows of a pool."""

    def __init__(self, topology: Topology, name: str, scope: str):
        self._groups = list_group_names(topology, scope) if scope != "server" else []
        self._scope = scope
        self._holders: dict[str, list[int]] = {}
        if self._groups and name in topology.columns:
            column_index = topology.columns.index(name)
            for index, row in enumerate(topology.cells):
                if row[column_index]:
                    self._holders.setdefault(self._groups[index], []).append(index)

    def describe_group(self, row_index: int) -> str:
        """Return the pool, site or deployment whose rows share the value of a column."""
        return f"{self._scope} {self._groups[row_index]}" if self._groups else ""

    def list_rows_to_change(self, row_index: int) -> Sequence[int]:
        """Return the indices of all rows to change when a shared column of one row changes."""
        return self._holders.get(self._groups[row_index], (row_index,))


def plan_pool_moves(topology: Topology, moves: Mapping[int, str]) -> dict[int, dict[str, str]]:
    """Plan how to move servers to other pools, so that the old pools keep their values.

    Parameters
    ----------
    topology : Topology
        The current table of n rows.
    moves : mapping of int to str
        The new pool by row index. "" removes the server from its pool.

    Returns
    -------
    dict
        The texts to set, by row index: the new pools, and values of an old pool. If only a
        moved row contains such a value, the value is copied to a row that stays in the pool. If
        all rows of a pool move, its values move too, unless the new pool already has values. If
        they move to the same pool, the pools that use the old pool as backup use the new one.
    """
    changes: dict[int, dict[str, str]] = {index: {"pool_fqdn": to} for index, to in moves.items()}
    if not moves:
        return changes
    before = list_pool_names(topology)
    server = topology.columns.index("server_fqdn")
    after = list(before)
    for index, to in moves.items():
        after[index] = to.strip().lower() or topology.cells[index][server]
    moved = {index for index in moves if before[index] != after[index]}
    if not moved:
        return changes
    members: dict[str, list[int]] = {}
    for index, pool in enumerate(before):
        members.setdefault(pool, []).append(index)
    for column in list_topology_columns():
        if column.scope != "pool" or column.name not in topology.columns:
            continue
        column_index = topology.columns.index(column.name)
        texts = [row[column_index] for row in topology.cells]
        for index in sorted(moved):
            staying = [p for p in members[before[index]] if p not in moved]
            joined = [p for p in members.get(after[index], ()) if p not in moved]
            if not texts[index] or not (staying or any(texts[p] for p in joined)):
                continue
            changes[index][column.name] = ""
            if staying and not any(texts[p] for p in staying):
                heir = changes.setdefault(staying[0], {})
                heir.setdefault(column.name, texts[index])
    renamed = {}
    for old in {before[index] for index in moved}:
        new = {after[index] for index in members[old]}
        if moved.issuperset(members[old]) and len(new) == 1:
            renamed[old] = new.pop()
    if renamed and "backup_pool" in topology.columns:
        column_index = topology.columns.index("backup_pool")
        for index, row in enumerate(topology.cells):
            if row[column_index] in renamed:
                changes.setdefault(index, {}).setdefault("backup_pool", renamed[row[column_index]])
    return changes


def copy_rows(topology: Topology, row_indices: Sequence[int]) -> list[dict[str, str]]:
    """Return copies of server rows, each with the next free number in the server name.

    Parameters
    ----------
    topology : Topology
        The current table of n rows.
    row_indices : sequence of int
        Indices of the rows to copy.

    Returns
    -------
    list of dict
        The texts of each new row, by column name. In a pool of several servers, the copy uses
        the values of the pool. A server without a shared pool is copied with all its values.

    Raises
    ------
    LyncnbError
        If a server name contains no number.
    """
    columns = topology.columns
    scopes = {column.name: column.scope for column in list_topology_columns()}
    server_column = columns.index("server_fqdn")
    used_names = {row[server_column] for row in topology.cells}
    rows: list[dict[str, str]] = []
    new_names: dict[str, str] = {}
    for index in row_indices:
        row = dict(zip(columns, topology.cells[index]))
        in_pool = row.get("pool_fqdn", "") not in ("", row["server_fqdn"])
        blank = ("site", "deployment", "pool") if in_pool else ("site", "deployment")
        row = {name: text for name, text in row.items() if scopes.get(name) not in blank}
        # The rows of a server with several roles get the same new name.
        server = row["server_fqdn"]
        row["server_fqdn"] = new_names.setdefault(server, find_next_name(server, used_names))
        if not in_pool:
            row.pop("pool_fqdn", None)
        used_names.add(row["server_fqdn"])
        rows.append({name: str(text) for name, text in row.items() if text})
    return rows


def find_next_name(name: str, used_names: Iterable[str]) -> str:
    """Return a server name with the next free number, such as fe03 after fe02.

    Raises
    ------
    LyncnbError
        If the first label of the name contains no number.
    """
    label, dot, domain = str(name).partition(".")
    match = _NUMBER.search(label)
    if match is None:
        raise LyncnbError(
            f"lyncnb cannot create a numbered copy of {name}, because the name contains no number",
            hint="choose Add a server, and enter a name",
        )
    used = set(used_names)
    number, width = int(match[1]), len(match[1])
    while True:
        number += 1
        candidate = f"{label[: match.start()]}{number:0{width}}{match[2]}{dot}{domain}"
        if candidate not in used:
            return candidate
