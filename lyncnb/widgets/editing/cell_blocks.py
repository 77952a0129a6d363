"""Edits of many cells at once, as planners know them from spreadsheets. Knows no widget.

A block is pasted, cleared or filled as one step: what can be taken is taken, and each cell that
cannot says why. Servers change their pool with what belongs to a pool staying with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ...errors import LyncnbError, Problem, TopologyError
from ...topology.columns import topology_columns
from ...topology.topology import Topology
from .sheet import group_names, pool_names

_NAMED_BY = ("server_fqdn", "role")  # without these there is no row
_NUMBER = re.compile(r"(\d+)(\D*)$")


@dataclass(frozen=True, slots=True)
class CellText:
    """A text for a cell: ``place`` is an index into the table's rows."""

    place: int
    column: str
    text: str


@dataclass(frozen=True, slots=True)
class RefusedCell:
    """A cell that keeps what it had, the text that was meant for it, and why not."""

    place: int
    column: str
    text: str
    problem: Problem


@dataclass(slots=True, kw_only=True)
class TakenBlock:
    """What a block made of a topology.

    ``added`` counts the rows that came to its end; ``refused_rows`` are those that did not, by
    their number in the block (from 1).
    """

    topology: Topology
    refused: list[RefusedCell] = field(default_factory=list)
    refused_rows: list[tuple[int, Problem]] = field(default_factory=list)
    added: int = 0


def take_block(
    topology: Topology, cells: Iterable[CellText], add: Sequence[Mapping[str, str]] = ()
) -> TakenBlock:
    """Put texts into cells and rows at the end, as far as they can be taken.

    Parameters
    ----------
    topology : Topology
        n rows.
    cells : iterable of CellText
        A text for a column that a pool, a site or the deployment has goes where that value
        stands; of two texts for the same value the first counts.
    add : sequence of mapping of str to str, optional
        For each new row its texts by column name. A row without a server or a role that can be
        is refused as a whole.

    Returns
    -------
    TakenBlock
        What was not taken is in it, with the reason.
    """
    taken = TakenBlock(topology=topology)
    _take_cells(taken, list(cells))
    if add:
        _take_rows(taken, [(number, dict(row)) for number, row in enumerate(add, start=1)])
    return taken


def _take_cells(taken: TakenBlock, cells: list[CellText]) -> None:
    while cells:
        changes, doubled = _changes(taken.topology, cells)
        if doubled:
            taken.refused += doubled
            gone = {(one.place, one.column) for one in doubled}
            cells = [cell for cell in cells if (cell.place, cell.column) not in gone]
            continue
        try:
            taken.topology = taken.topology.with_cells(changes)
        except TopologyError as error:
            blamed = {(problem.row - 2, problem.column): problem for problem in error.problems}
            wrong = [cell for cell in cells if (cell.place, cell.column) in blamed]
            if not wrong and len(cells) == 1:
                taken.refused.append(_refused(cells[0], _problem(error)))
                return
            if not wrong:  # a contradiction that shows elsewhere: find out whose
                _take_cells(taken, cells[: len(cells) // 2])
                _take_cells(taken, cells[len(cells) // 2 :])
                return
            taken.refused += [_refused(cell, blamed[cell.place, cell.column]) for cell in wrong]
            cells = [cell for cell in cells if cell not in set(wrong)]
        else:
            return


def _take_rows(taken: TakenBlock, rows: list[tuple[int, dict[str, str]]]) -> None:
    start = len(taken.topology.cells)
    found: list[RefusedCell] = []
    while rows:
        try:
            taken.topology = taken.topology.with_rows(
                add=[{name: text for name, text in row.items() if text} for _, row in rows]
            )
        except TopologyError as error:
            blamed = [(problem.row - 2 - start, problem) for problem in error.problems]
            blamed = [(n, problem) for n, problem in blamed if 0 <= n < len(rows)]
            if not blamed and len(rows) == 1:
                blamed = [(0, _problem(error))]
            if not blamed:
                _take_rows(taken, rows[: len(rows) // 2])
                _take_rows(taken, rows[len(rows) // 2 :])
                return
            gone: dict[int, Problem] = {}
            for n, problem in blamed:
                row = rows[n][1]
                if problem.column in row and problem.column not in _NAMED_BY:
                    text = row.pop(problem.column)
                    found.append(RefusedCell(rows[n][0], problem.column, text, problem))
                else:
                    gone.setdefault(n, problem)
            taken.refused_rows += [(rows[n][0], problem) for n, problem in gone.items()]
            rows = [row for n, row in enumerate(rows) if n not in gone]
        else:
            taken.added += len(rows)
            place_of = {number: start + n for n, (number, _) in enumerate(rows)}
            taken.refused += [
                RefusedCell(place_of[one.place], one.column, one.text, one.problem)
                for one in found
                if one.place in place_of
            ]
            return


def _refused(cell: CellText, problem: Problem) -> RefusedCell:
    return RefusedCell(cell.place, cell.column, cell.text, problem)


def _problem(error: TopologyError) -> Problem:
    return error.problems[0] if error.problems else Problem(message=error.message, hint=error.hint)


def _changes(
    topology: Topology, cells: Sequence[CellText]
) -> tuple[dict[int, dict[str, str]], list[RefusedCell]]:
    """Find where each text goes; what contradicts an earlier text of the block is refused."""
    scopes = {column.name: column.scope for column in topology_columns()}
    moves = {cell.place: cell.text for cell in cells if cell.column == "pool_fqdn"}
    changes = pool_moves(topology, moves)
    by_column: dict[str, list[CellText]] = {}
    for cell in cells:
        if cell.column != "pool_fqdn":
            by_column.setdefault(cell.column, []).append(cell)
    doubled = []
    for name, of_column in by_column.items():
        holders = _Holders(topology, name, scopes.get(name, "server"))
        said: dict[str, str] = {}
        for cell in of_column:
            group = "" if cell.place in moves else holders.group(cell.place)
            if group and said.setdefault(group, cell.text) != cell.text:
                words = f'"{said[group]}" stands above for the same {scopes[name]}'
                problem = Problem(message=words, value=cell.text, hint=f"a {scopes[name]} has one")
                doubled.append(_refused(cell, problem))
                continue
            for place in holders.places(cell.place) if group else (cell.place,):
                changes.setdefault(place, {})[name] = cell.text
    return changes, doubled


class _Holders:
    """The rows that hold a column's value for those that share it."""

    def __init__(self, topology: Topology, name: str, scope: str):
        self._groups = group_names(topology, scope) if scope != "server" else []
        self._scope = scope
        self._holders: dict[str, list[int]] = {}
        if self._groups and name in topology.columns:
            at = topology.columns.index(name)
            for place, row in enumerate(topology.cells):
                if row[at]:
                    self._holders.setdefault(self._groups[place], []).append(place)

    def group(self, place: int) -> str:
        """Name what the row shares the column with; "" if it has it alone."""
        return f"{self._scope} {self._groups[place]}" if self._groups else ""

    def places(self, place: int) -> Sequence[int]:
        """Give the rows to write in so that this row has the value."""
        return self._holders.get(self._groups[place], (place,))


def pool_moves(topology: Topology, moves: Mapping[int, str]) -> dict[int, dict[str, str]]:
    """Move servers to other pools: what belongs to a pool stays with it.

    Parameters
    ----------
    topology : Topology
        n rows.
    moves : mapping of int to str
        By index of a row the name of its pool; "" means a pool of its own.

    Returns
    -------
    dict
        By index, the texts to put in: the pool; and for columns of pools the values that only a
        leaving row held, handed to a row that stays. A pool that leaves whole takes its own along,
        unless the pool that it joins says otherwise.
    """
    changes: dict[int, dict[str, str]] = {place: {"pool_fqdn": to} for place, to in moves.items()}
    if not moves:
        return changes
    before = pool_names(topology)
    server = topology.columns.index("server_fqdn")
    after = list(before)
    for place, to in moves.items():
        after[place] = to.strip().lower() or topology.cells[place][server]
    moved = {place for place in moves if before[place] != after[place]}
    if not moved:
        return changes
    members: dict[str, list[int]] = {}
    for place, pool in enumerate(before):
        members.setdefault(pool, []).append(place)
    for column in topology_columns():
        if column.scope != "pool" or column.name not in topology.columns:
            continue
        at = topology.columns.index(column.name)
        texts = [row[at] for row in topology.cells]
        for place in sorted(moved):
            staying = [p for p in members[before[place]] if p not in moved]
            joined = [p for p in members.get(after[place], ()) if p not in moved]
            if not texts[place] or not (staying or any(texts[p] for p in joined)):
                continue
            changes[place][column.name] = ""
            if staying and not any(texts[p] for p in staying):
                heir = changes.setdefault(staying[0], {})
                heir.setdefault(column.name, texts[place])
    return changes


def copied_rows(topology: Topology, places: Sequence[int]) -> list[dict[str, str]]:
    """Copy servers, each under its name with the next free number.

    Parameters
    ----------
    topology : Topology
        n rows.
    places : sequence of int
        Indices of the rows to copy.

    Returns
    -------
    list of dict
        For each new row its texts by column name. In a pool of several servers it takes what the
        pool has; a server that is a pool of its own is copied with all of it.

    Raises
    ------
    LyncnbError
        If a name has no number to go on from.
    """
    columns = topology.columns
    scopes = {column.name: column.scope for column in topology_columns()}
    at = columns.index("server_fqdn")
    taken = {row[at] for row in topology.cells}
    rows = []
    for place in places:
        row = dict(zip(columns, topology.cells[place]))
        in_pool = row.get("pool_fqdn", "") not in ("", row["server_fqdn"])
        blank = ("site", "deployment", "pool") if in_pool else ("site", "deployment")
        row = {name: text for name, text in row.items() if scopes.get(name) not in blank}
        row["server_fqdn"] = next_name(row["server_fqdn"], taken)
        if not in_pool:
            row.pop("pool_fqdn", None)
        taken.add(row["server_fqdn"])
        rows.append({name: str(text) for name, text in row.items() if text})
    return rows


def next_name(name: str, taken: Iterable[str]) -> str:
    """Give a server's name with the next number that is free: fe03 after fe02.

    Raises
    ------
    LyncnbError
        If its first label has no number.
    """
    label, dot, domain = str(name).partition(".")
    found = _NUMBER.search(label)
    if found is None:
        raise LyncnbError(
            f"{name} has no number to go on from", hint="add the server with a name of your choice"
        )
    used = set(taken)
    number, width = int(found[1]), len(found[1])
    while True:
        number += 1
        candidate = f"{label[: found.start()]}{number:0{width}}{found[2]}{dot}{domain}"
        if candidate not in used:
            return candidate
