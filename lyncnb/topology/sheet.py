"""Represent a sheet of an Excel or OpenDocument workbook as text.

The sheet stores only cells with content, so a single cell in the last row needs little memory.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..errors import TopologyError
from .columns import find_column_names, list_topology_columns

#: The limits of the file formats. Source: Microsoft, Excel specifications and limits. LibreOffice
#: has the same limits.
MAX_ROWS, MAX_COLUMNS = 1_048_576, 16_384
#: The largest number of cells. It allows 100,000 servers with all columns.
MAX_CELLS = 3_000_000
#: The headings must be in one of the first 50 rows that are not blank.
HEADING_WITHIN = 50
# The largest number of merged areas, and the largest number of cells with errors. Users could not
# check a longer list.
_MAX_ODD = 100_000

#: The marks for a cell with an error, for a formula without a result, and for a date.
ERROR, NO_RESULT, DATE = "error", "no result", "date"


@dataclass(frozen=True, slots=True)
class Area:
    """A rectangle of cells in a sheet.

    Both ends are included. Rows start at 1, and columns at 0.
    """

    first_row: int
    first_column: int
    last_row: int
    last_column: int


class NoTable(Exception):
    """The exception that is raised if a sheet is not a table of servers."""


@dataclass(slots=True)
class Sheet:
    """A sheet of a workbook, with its texts by row (from 1) and column (from 0).

    ``odd`` marks cells, by row and column, as ERROR, NO_RESULT, or DATE. ``heading_row`` is 0 if
    none
    of the first rows contains the headings for server and role. lyncnb then reads only these rows.
    """

    name: str
    is_hidden: bool = False
    rows: dict[int, dict[int, str]] = field(default_factory=dict)
    odd: dict[tuple[int, int], str] = field(default_factory=dict)
    hidden_rows: list[tuple[int, int]] = field(default_factory=list)
    hidden_columns: list[tuple[int, int]] = field(default_factory=list)
    merged: list[Area] = field(default_factory=list)
    heading_row: int = 0
    _cells: int = 0

    def add_row(self, source: str, number: int, cells: dict[int, str], repeat: int = 1) -> None:
        """Add a row to the sheet, or several identical rows.

        Raises
        ------
        NoTable
            If the first rows with content did not contain the headings.
        TopologyError
            If the sheet has too many cells.
        """
        if not any(map(str.strip, cells.values())):
            return
        self._cells += len(cells) * repeat
        if self._cells > MAX_CELLS or number + repeat - 1 > MAX_ROWS:
            raise build_too_many_error(source)
        for row in range(number, number + repeat):
            self.rows[row] = cells
            if self.heading_row:
                continue
            if count_known_headings(cells)[1]:
                self.heading_row = row
            elif len(self.rows) >= HEADING_WITHIN:
                raise NoTable

    def mark_cell(self, source: str, row: int, column: int, peculiarity: str) -> None:
        """Mark a cell that contains an error, a formula without a result, or a date."""
        self.odd[row, column] = peculiarity
        if len(self.odd) > _MAX_ODD:
            raise build_too_many_error(source)

    def add_merged_area(self, source: str, area: Area) -> None:
        """Add a merged area to the sheet."""
        self.merged.append(area)
        if len(self.merged) > _MAX_ODD:
            raise build_too_many_error(source)


def add_hidden_range(hidden_ranges: list[tuple[int, int]], first: int, last: int) -> None:
    """Add hidden rows or columns to an ordered list of ranges, and merge adjacent ranges."""
    if hidden_ranges and first <= hidden_ranges[-1][1] + 1:
        hidden_ranges[-1] = (hidden_ranges[-1][0], max(last, hidden_ranges[-1][1]))
    else:
        hidden_ranges.append((first, last))


def build_too_many_error(source: str) -> TopologyError:
    """Return the error for a sheet that has too many cells."""
    return TopologyError(
        f"{source} has more cells than lyncnb accepts in a table of servers",
        hint="delete the cells outside the table, or save the table as CSV",
    )


def count_known_headings(cells: Mapping[int, str]) -> tuple[int, bool]:
    """Return how many known headings a row has, and whether all required ones are among them."""
    names = set(find_column_names(cells.values()))
    columns = list_topology_columns()
    count = sum(column.name in names for column in columns)
    return count, all(column.name in names for column in columns if column.required)


_REFERENCE = re.compile(r"\A([A-Z]{1,3})([0-9]{1,7})\Z")


def parse_cell_name(reference: str) -> tuple[int, int] | None:
    """Return the row (from 1) and column (from 0) for a cell name such as B7, or else None."""
    match = _REFERENCE.match(reference)
    if match is None:
        return None
    row, column = int(match[2]), parse_column_letters(match[1])
    return (row, column) if 1 <= row <= MAX_ROWS and column < MAX_COLUMNS else None


def parse_column_letters(letters: str) -> int:
    """Convert the letters of a column to its number, counted from 0."""
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1


def parse_area(reference: str) -> Area | None:
    """Convert a cell reference such as ``B2:C7`` to an area, or return None if it is invalid."""
    first, _, last = reference.partition(":")
    start, end = parse_cell_name(first), parse_cell_name(last or first)
    return Area(*start, *end) if start and end else None


def parse_whole_number(text: str, max_value: int) -> int | None:
    """Return a text as a whole number from 1 to a maximum, or None if it is not such a number."""
    # int() cannot convert some characters that Unicode classifies as digits.
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        return None
    return int(text) if 1 <= int(text) <= max_value else None


def format_plain_number(text: str) -> str:
    """Return a number as text, without rounding errors. Integers have no decimal point."""
    if text.isdigit():
        return text
    try:
        value = float(text)
    except ValueError:
        return text
    if value.is_integer() and abs(value) < 1e16:
        return str(int(value))
    return f"{value:.15g}"  # The number of significant digits that spreadsheet programs show.
