"""A ``Table`` of text to ``Cells`` of values: each distinct text of a column is read once.

A table of 100,000 rows holds far fewer distinct texts than cells. Problems and clean-ups are
collected in a ``Report`` with the rows where they stand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from .base.dns_name import DnsName, odd_names
from .base.pasted_text import BadName
from .columns import Column, topology_columns
from .errors import Problem
from .headings import Note, Table, Texts, raise_problems
from .kinds import read_cell, refuse_breaks


@dataclass(slots=True)
class Report:
    """What reading has to say about a table so far."""

    source: str
    problems: list[Problem] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)

    def problem(
        self, message: str, hint: str = "", *, row: int = 0, column: str = "", value: str = ""
    ) -> None:
        """Add a problem at a place."""
        self.problems.append(
            Problem(
                message=message, file=self.source, row=row, column=column, value=value, hint=hint
            )
        )

    def raise_if_any(self) -> None:
        """Raise all problems at once, by row."""
        if self.problems:
            raise_problems(self.source, self.problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """The columns of n rows, cleaned.

    Parameters
    ----------
    columns : tuple of str
        m names.
    texts : dict of list of str
        By name, n clean texts; host names are ``DnsName`` already.
    values : dict of dict
        By name of a column, the value of each distinct text where that is not the text itself
        (lists, URLs, truth values, issuers).
    rows : sequence of int
        n row numbers as a spreadsheet shows them.
    indices : sequence of int
        n indices into ``Topology.cells``.
    """

    columns: tuple[str, ...]
    texts: Mapping[str, list[str]]
    values: Mapping[str, Mapping[str, object]]
    rows: Sequence[int]
    indices: Sequence[int]

    def column(self, name: str) -> list[str]:
        """Give a column's n texts; blanks if the table has no such column."""
        return self.texts.get(name) or [""] * len(self.rows)

    def value(self, name: str, text: str) -> object:
        """Give the value that a clean text has in a column."""
        return self.values[name][text] if name in self.values else text

    def tuples(self) -> tuple[tuple[str, ...], ...]:
        """Give the n rows as tuples of m texts."""
        return tuple(zip(*(self.texts[name] for name in self.columns)))


def read_cells(table: Table, report: Report, *, indices: Sequence[int] | None = None) -> Cells:
    """Clean a table and read its known columns.

    Parameters
    ----------
    table : Table
        n rows.
    report : Report
        Gets the problems and the notes.
    indices : sequence of int, optional
        n indices of the rows in the whole table (default 0 … n-1).
    """
    known = {column.name: column for column in topology_columns()}
    texts, values = {}, {}
    for name, written in zip(table.columns, table.texts):
        if name in known:
            texts[name], read = _read_column(known[name], written, table.rows, report)
            if read:
                values[name] = read
        else:
            _refuse_breaks(name, written, table.rows, report)
            texts[name] = written.cells()
    return Cells(
        columns=table.columns,
        texts=texts,
        values=values,
        rows=table.rows,
        indices=range(len(table.rows)) if indices is None else indices,
    )


def _read_column(
    column: Column, written: Texts, rows: Sequence[int], report: Report
) -> tuple[list[str], dict[str, object]]:
    distinct = written.distinct
    clean: list[str] = list(distinct)
    difficult: Iterable[str] = distinct
    if column.kind == "fqdn":
        # Nearly all names are plain: one scan finds the others, and C makes the rest.
        clean = list(map(DnsName, distinct))
        difficult = odd_names(distinct)
    read: dict[str, str] = {}
    values: dict[str, object] = {}
    said: dict[str, tuple[str, ...]] = {}
    bad: dict[str, BadName] = {}
    for text in difficult:
        try:
            read[text], value, notes = read_cell(text, column)
        except BadName as error:
            bad[text] = error
            read[text] = ""
            continue
        if read[text] and value != read[text]:
            values[read[text]] = value
        if notes:
            said[text] = notes
    if read:
        clean = [read.get(text, name) for text, name in zip(distinct, clean)]
    if bad or said:
        _tell(column.name, written, rows, bad, said, read, report)
    return Texts(clean, written.codes).cells(), values


def _tell(
    name: str,
    written: Texts,
    rows: Sequence[int],
    bad: Mapping[str, BadName],
    said: Mapping[str, tuple[str, ...]],
    read: Mapping[str, str],
    report: Report,
) -> None:
    """Report every bad cell, and every clean-up once with the number of its rows."""
    rows_of: dict[str, list[int]] = {}
    for row, text in zip(rows, written.cells()):
        if text in bad:
            report.problem(bad[text].message, bad[text].hint, row=row, column=name, value=text)
        elif text in said:
            rows_of.setdefault(text, []).append(row)
    for text, places in rows_of.items():
        more = f" ({len(places)} rows)" if len(places) > 1 else ""
        report.notes.append(
            Note(
                row=places[0],
                column=name,
                before=text,
                after=str(read[text]),
                message="; ".join(said[text]) + more,
            )
        )


def _refuse_breaks(name: str, written: Texts, rows: Sequence[int], report: Report) -> None:
    """Refuse line breaks and NUL in a column that is only kept."""
    joined = "".join(written.distinct)
    if not any(character in joined for character in "\n\r\0"):
        return
    for row, text in zip(rows, written.cells()):
        try:
            refuse_breaks(text)
        except BadName as error:
            report.problem(error.message, error.hint, row=row, column=name, value=text)
