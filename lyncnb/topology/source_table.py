"""Define ``Table``: text in named columns. Missing or duplicate headings are errors."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count, repeat
from types import MappingProxyType
from typing import NamedTuple

from ..base.dns_name import INTERNATIONAL
from ..base.pasted_text import INVISIBLE, shown
from ..base.shown.tables import format_count, join_first_texts
from ..errors import Problem, TopologyError
from .columns import find_column_names, get_example_server, list_topology_columns
from .encodings import Reading, find_uncertain_encoding

#: What looks like the name of a host with a domain.
HOST_NAME = re.compile(r"[\w*-]+(\.[\w-]+)+\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A note about a correction in a table of servers, or a remark about the table.

    ``row`` is the row in a spreadsheet (the heading is row 1), or 0 for the complete file. ``cell``
    is
    the cell in a workbook, such as B7.
    """

    row: int
    column: str
    before: str
    after: str
    message: str
    cell: str = ""

    @property
    def looks_different(self) -> bool:
        """Whether the text in the table looks different on the screen from the requested name.

        This is true for removed invisible characters and for international names, so that every
        summary
        lists them.
        """
        return INVISIBLE in self.message or INTERNATIONAL in self.message

    def __str__(self) -> str:
        row = f"cell {self.cell}" if self.cell else f"row {self.row}" if self.row else ""
        column = f"column {self.column}" if self.column else ""
        value = shown(self.before) if self.before else ""
        location = ", ".join(part for part in (row, column, value) if part)
        return f"{location}: {self.message}" if location else self.message


class Texts(NamedTuple):
    """A column of texts. Each distinct text is stored once, and each row stores its index."""

    distinct: Sequence[str]
    codes: Sequence[int]

    @classmethod
    def from_cells(cls, cells: Iterable[str]) -> Texts:
        """Create a column from the texts of its cells."""
        column = TextsBuilder()
        column.add_cells(tuple(cells))
        return column.build_column()

    def list_cells(self) -> list[str]:
        """Return the text of each cell in the column."""
        if len(self.distinct) == len(self.codes):
            return list(self.distinct)
        if len(self.distinct) == 1:
            return list(self.distinct) * len(self.codes)
        return list(map(self.distinct.__getitem__, self.codes))


class TextsBuilder:
    """A column that is built from chunks of cells. Equal texts are stored only once."""

    def __init__(self) -> None:
        # The dictionary assigns the next index to each new text.
        self._places: defaultdict[str, int] = defaultdict(count().__next__)
        self._codes: list[int] = []

    def add_cells(self, cells: Sequence[str]) -> None:
        """Add a chunk of cells to the column."""
        # Many rows contain the same values for a deployment or pool.
        if cells and cells[0] == cells[-1] and cells.count(cells[0]) == len(cells):
            self._codes.extend(repeat(self._places[cells[0]], len(cells)))
        else:
            self._codes.extend(map(self._places.__getitem__, cells))

    def build_column(self) -> Texts:
        """Return the column with the cells that were added."""
        return Texts(list(self._places), self._codes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """The location of a table in a workbook: the sheet, the heading row, and the column letters."""

    sheet: str
    heading_row: int
    letters: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table of servers as text, before any corrections.

    Parameters
    ----------
    source : str
        The file name, for messages.
    columns : tuple of str
        m distinct names: column names in ``column_rules.toml``, or other headings unchanged.
    texts : tuple of Texts
        m columns of n cells.
    rows : sequence of int
        n row numbers in a spreadsheet.
    notes : tuple of Note
        Remarks about the file.
    problems : tuple of Problem
        Rows that cannot be read, which the table does not contain.
    heading_problems : tuple of Problem
        Headings that are blank, duplicate or missing, and an encoding that is not certain. The
        table has other headings instead.
    long_rows : mapping of int to str
        The texts of rows with a wrong number of cells, by row number. `problems` has the reasons.
    product : str
        The product of the topology, if the file contains it.
    grid : Grid or None
        The place in a workbook.
    labels : sequence
        The index labels of a DataFrame, for all rows below the heading; empty for a file.
    readings : tuple of Reading
        The encodings that a file without Unicode can have.
    single_labels : bool
        Whether servers and pools can have names without a domain, which a check reports.
    """

    source: str
    columns: tuple[str, ...]
    texts: tuple[Texts, ...]
    rows: Sequence[int]
    notes: tuple[Note, ...] = ()
    problems: tuple[Problem, ...] = ()
    heading_problems: tuple[Problem, ...] = ()
    long_rows: Mapping[int, str] = field(default_factory=dict)
    product: str = ""
    grid: Grid | None = None
    labels: Sequence[object] = ()
    readings: tuple[Reading, ...] = ()
    single_labels: bool = False

    def find_cell(self, column: str, row: int) -> tuple[str, str]:
        """Return the cell name in a workbook, and the row label in a DataFrame.

        Both are blank for other files.
        """
        if self.labels and row > 1:
            label = self.labels[row - 2]
            return "", f"index {shown(label) if isinstance(label, str) else label}"
        if self.grid is None:
            return "", ""
        index = self.columns.index(column) if row and column in self.columns else -1
        is_in_sheet = 0 <= index < len(self.grid.letters)
        return self.grid.sheet, f"{self.grid.letters[index]}{row}" if is_in_sheet else ""


def build_table(
    source: str,
    headings: Sequence[str],
    texts: Sequence[Texts],
    rows: Sequence[int],
    *,
    notes: tuple[Note, ...] = (),
    problems: tuple[Problem, ...] = (),
    long_rows: Mapping[int, str] = MappingProxyType({}),
    product: str = "",
    grid: Grid | None = None,
    labels: Sequence[object] = (),
    readings: tuple[Reading, ...] = (),
    single_labels: bool = False,
) -> Table:
    """Create a table, and recognize its columns by their headings.

    Parameters
    ----------
    source : str
        The file name, for messages.
    headings : sequence of str
        m headings as in the file.
    texts : sequence of Texts
        m columns of n cells.
    rows : sequence of int
        n row numbers in a spreadsheet.
    notes, problems : tuple, optional
        Notes and problems from reading the file.
    long_rows : mapping of int to str, optional
        The texts of rows with a wrong number of cells, by row number.
    product : str, optional
        The product of the topology.
    grid : Grid, optional
        The place in a workbook.
    labels : sequence, optional
        The index labels of a DataFrame.
    readings : tuple of Reading, optional
        The encodings that a file without Unicode can have.
    single_labels : bool, optional
        Whether servers and pools can have names without a domain.

    Raises
    ------
    TopologyError
        If there are no rows, or the table has no known column at all.
    """
    columns = find_column_names(headings)
    heading_problems = find_uncertain_encoding(source, readings)
    heading_problems += _check_headings(source, headings, columns, grid)
    if "server_fqdn" in columns:
        texts, rows, example_notes = _remove_example(texts, rows, columns.index("server_fqdn"))
        notes += example_notes
    if not heading_problems and not rows and not problems:
        heading_problems = [
            Problem(
                file=source,
                message="the table has headings, but no servers",
                hint="enter a row for each server",
            )
        ]
    known = {column.name for column in list_topology_columns()}
    if heading_problems and not (rows and (known.intersection(columns) or _has_hosts(texts))):
        raise_problems(source, [*heading_problems, *problems])
    columns, added = _repair_headings(headings, columns) if heading_problems else (columns, 0)
    return Table(
        source=source,
        columns=columns,
        texts=(*texts, *(Texts.from_cells([""] * len(rows)) for _ in range(added))),
        rows=rows,
        notes=notes,
        problems=problems,
        heading_problems=tuple(heading_problems),
        long_rows=long_rows,
        product=product,
        grid=grid,
        labels=labels,
        readings=readings,
        single_labels=single_labels,
    )


def _has_hosts(texts: Sequence[Texts]) -> bool:
    """Return whether most texts of a column look like host names."""
    return any(
        2 * sum(HOST_NAME.match(text.strip()) is not None for text in column.distinct)
        > sum(bool(text.strip()) for text in column.distinct)
        for column in texts
    )


def _repair_headings(
    headings: Sequence[str], columns: Sequence[str]
) -> tuple[tuple[str, ...], int]:
    """Return distinct headings, then the missing required columns, and the number of these.

    A blank or duplicate heading becomes one that lyncnb does not read.
    """
    repaired: list[str] = []
    for number, (heading, name) in enumerate(zip(headings, columns), start=1):
        plain = heading.encode("utf-8", "replace").decode().strip()
        is_kept = name not in repaired and bool(plain) and (name != heading or plain == name)
        repaired.append(name if is_kept else f"{plain} (column {number})".strip())
    required = [column.name for column in list_topology_columns() if column.required]
    missing = [name for name in required if name not in repaired]
    return (*repaired, *missing), len(missing)


def _remove_example(
    texts: Sequence[Texts], rows: Sequence[int], server: int
) -> tuple[Sequence[Texts], Sequence[int], tuple[Note, ...]]:
    """Remove the example row that ``lyncnb template`` has written."""
    example = get_example_server()
    if example not in texts[server].distinct:
        return texts, rows, ()
    code = texts[server].distinct.index(example)
    indices = [index for index, column in enumerate(texts[server].codes) if column != code]
    numbers = [row for row, column in zip(rows, texts[server].codes) if column == code]
    message = f"lyncnb ignored row {numbers[0]}, which is the example from the template"
    note = Note(row=0, column="", before="", after="", message=message)
    columns = [column.list_cells() for column in texts]
    return (
        [Texts.from_cells(cells[index] for index in indices) for cells in columns],
        [rows[index] for index in indices],
        (note,),
    )


def raise_problems(source: str, problems: Iterable[Problem], *, hint: str = "") -> None:
    """Raise an error that lists all problems in a table, sorted by row."""
    ordered = tuple(dict.fromkeys(sorted(problems, key=lambda problem: problem.row)))
    count = format_count(len(ordered), "problem")
    raise TopologyError(f'lyncnb cannot use "{source}": {count}', problems=ordered, hint=hint)


def _check_headings(
    source: str, headings: Sequence[str], columns: Sequence[str], grid: Grid | None
) -> Iterable[Problem]:
    row, sheet = (grid.heading_row, grid.sheet) if grid else (1, "")
    first: dict[str, str] = {}
    for number, (heading, name) in enumerate(zip(headings, columns), start=1):
        cell = f"{grid.letters[number - 1]}{row}" if grid else ""
        if not heading.strip():
            yield Problem(
                file=source,
                row=row,
                sheet=sheet,
                cell=cell,
                message=f"column {number} contains values, but has no heading",
                hint="enter a heading, or delete the column",
            )
        elif any("\ud800" <= character <= "\udfff" for character in heading):
            yield Problem(
                file=source,
                row=row,
                sheet=sheet,
                cell=cell,
                message=f"the heading {shown(heading)} contains an unpaired surrogate",
                hint="type the heading again",
            )
        elif name in first:
            yield Problem(
                file=source,
                row=row,
                column=name,
                sheet=sheet,
                cell=cell,
                value=heading,
                message=f"two headings refer to the same column: {shown(first[name])} and "
                f"{shown(heading)}",
                hint="keep only one of the columns, or change a heading",
            )
        first.setdefault(name, heading)
    headings_text = join_first_texts([*map(shown, headings)], len(headings)) or "none"
    for facts in list_topology_columns():
        if facts.required and facts.name not in first:
            yield Problem(
                file=source,
                row=row,
                column=facts.name,
                sheet=sheet,
                message=f"the table has no column {shown(facts.name)}; headings in the table: "
                f"{headings_text}",
                hint="enter the headings in the first row; server_fqdn and role are required",
            )
