"""Separate the cells whose text cannot be used from the other cells of a table.

An editor shows a rejected cell with its text and the reason. The topology is read from the other
cells. It depends only on the texts, so a correct text in the cell gives the topology that a file
with this text gives.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ..errors import Problem
from .encodings import find_uncertain_encoding
from .source_table import Table, Texts, raise_problems

Row = tuple[str, ...]
_CHOOSE = "choose the encoding above the tabs, or type the text again"
Place = tuple[int, str]  # The index of a row, and a column.


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedCell:
    """A cell whose text cannot be used: the index of its row, its column, its text and the reason.

    ``is_of_file`` is True if only the file shows the problem, such as a formula without a value.
    """

    row: int
    column: str
    text: str
    problem: Problem
    is_of_file: bool = False

    @property
    def place(self) -> Place:
        """The index of the row, and the column."""
        return self.row, self.column


def include_long_rows(table: Table) -> Table:
    """Return a table with its rows that have a wrong number of cells, as the text of one cell."""
    unreadable = [p for p in table.problems if p.row not in table.rows and not p.column]
    if lost := [problem for problem in unreadable if problem.row not in table.long_rows]:
        raise_problems(table.source, lost)
    if not table.long_rows:
        return table
    numbers = sorted([*table.rows, *table.long_rows])
    columns = []
    for name, texts in zip(table.columns, table.texts):
        text_of = dict(zip(table.rows, texts.list_cells()))
        text_of |= table.long_rows if name == "server_fqdn" else {}
        columns.append(Texts.from_cells(text_of.get(number, "") for number in numbers))
    problems = tuple(
        replace(p, column="server_fqdn") if p.row in table.long_rows else p for p in table.problems
    )
    return replace(table, texts=tuple(columns), rows=numbers, problems=problems)


def reject_cells(
    table: Table, problems: Iterable[Problem], known: Collection[Place]
) -> list[RejectedCell]:
    """Return the cells that problems name and that are not yet known, each with its text.

    A problem of the whole deployment, such as missing SIP domains, belongs to the first row.
    """
    index_by_row = {number: index for index, number in enumerate(table.rows)}
    cells: dict[Place, RejectedCell] = {}
    for problem in problems:
        place = index_by_row.get(problem.row, 0), problem.column or "server_fqdn"
        if place in known or place in cells:
            continue
        text = ""
        if place[1] in table.columns:
            distinct, codes = table.texts[table.columns.index(place[1])]
            text = distinct[codes[place[0]]]
        cells[place] = RejectedCell(row=place[0], column=place[1], text=text, problem=problem)
    return list(cells.values())


def list_uncertain_cells(table: Table) -> Iterator[Problem]:
    """Yield a problem for each cell whose text depends on an encoding that is not certain."""
    for problem in find_uncertain_encoding(table.source, table.readings):
        for name, texts in zip(table.columns, table.texts):
            for row, text in zip(table.rows, texts.list_cells()):
                if not text.isascii():
                    yield replace(problem, row=row, column=name, value=text, hint=_CHOOSE)


def blank_cells(table: Table, cells: Iterable[RejectedCell]) -> Table:
    """Return a table in which the given cells are blank."""
    by_column: dict[str, list[int]] = {}
    for cell in cells:
        by_column.setdefault(cell.column, []).append(cell.row)
    columns = []
    for name, texts in zip(table.columns, table.texts):
        if name in by_column:
            new = texts.list_cells()
            for index in by_column[name]:
                new[index] = ""
            texts = Texts.from_cells(new)
        columns.append(texts)
    return replace(table, texts=tuple(columns))


def restore_texts(
    columns: Sequence[str], rows: Sequence[Row], rejected: Iterable[RejectedCell]
) -> list[Row]:
    """Return the rows of a table with the texts of rejected cells."""
    restored = list(rows)
    for cell in rejected:
        if cell.column in columns:
            row = list(restored[cell.row])
            row[columns.index(cell.column)] = cell.text
            restored[cell.row] = tuple(row)
    return restored


def move_cells(
    rejected: Iterable[RejectedCell], new_indices: Mapping[int, int]
) -> tuple[RejectedCell, ...]:
    """Return rejected cells with new row indices, without the cells of removed rows."""
    return tuple(
        replace(cell, row=new_indices[cell.row]) for cell in rejected if cell.row in new_indices
    )
