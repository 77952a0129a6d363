"""Read a table of servers from a sheet of an Excel or LibreOffice workbook.

lyncnb reads hidden rows and columns, because a filter can hide rows that the plan needs. It reads a
hidden sheet only if no other sheet has the headings. It reports both cases. If a cell is merged
across several rows, each row gets its value.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ..base.disk.zip_file import Archive, BadArchive
from ..base.pasted_text import show_invisible_characters, shown
from ..base.shown.spreadsheets import convert_to_letters
from ..base.shown.tables import join_first_texts
from ..errors import Problem, TopologyError
from .columns import find_column_names, list_topology_columns
from .excel_sheets import read_excel_sheets
from .opendocument_sheets import read_opendocument_sheets
from .sheet import (
    DATE,
    ERROR,
    NO_RESULT,
    Area,
    Sheet,
    build_too_many_error,
    count_known_headings,
)
from .source_table import Grid, Note, Table, Texts, build_table

#: The first bytes of a workbook, and the first bytes of old Office files and protected workbooks.
ZIP, OLE = (b"PK\x03\x04", b"PK\x05\x06"), b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

_SAVE_AS = (
    "in Excel or LibreOffice, choose File > Save As, and select the type Excel Workbook (.xlsx)"
)
_ODS = "application/vnd.oasis.opendocument.spreadsheet"
#: The sheets without servers in a workbook that ``lyncnb template`` writes. lyncnb ignores these
#: sheets without a note.
OWN_SHEETS = ("Columns", "Roles")
_LISTED = 5
# The largest number of cells in a table, including blank cells.
_MAX_TABLE = 10_000_000


def is_workbook(data: bytes) -> bool:
    """Return whether data begins like a ZIP archive, such as XLSX, or an older Office document."""
    return data.startswith((*ZIP, OLE))


def read_workbook(source: str, data: bytes) -> Table:
    """Read the sheet that contains the table of servers.

    Parameters
    ----------
    source : str
        The file name, for messages.
    data : bytes
        The content of an .xlsx, .xlsm, or .ods file.

    Returns
    -------
    Table
        n rows without blank rows. ``notes`` lists hidden, merged, and omitted parts.

    Raises
    ------
    TopologyError
        If the file is not a valid workbook, is protected, damaged, or malicious, or several sheets
        have the headings.
    """
    if data.startswith(OLE):
        raise _make_ole_file_error(source, data)
    try:
        archive = Archive(data)
        sheets = _find_reader(source, archive)(source, archive)
    except BadArchive as error:
        raise TopologyError(
            f"{source} cannot be opened as a workbook: {error}",
            hint=("open the file in Excel or LibreOffice and save it again, or ask for a new copy"),
        ) from None
    sheet, notes = _choose_sheet(source, sheets)
    return _Sheet(source, sheet, notes).build_table()


# --- The following functions detect the type of a file.


def _make_ole_file_error(source: str, data: bytes) -> TopologyError:
    """Return an error that describes an OLE file by its directory names ([MS-CFB] 2.6.1)."""

    def has_directory_entry(name: str) -> bool:
        return name.encode("utf-16-le") + b"\0\0" in data

    if has_directory_entry("EncryptedPackage"):
        return TopologyError(
            f"{source} is protected with a password or by a rights management policy",
            hint="in Excel, choose File > Info > Protect Workbook > Encrypt with Password, "
            "remove the password, and save the workbook",
        )
    if has_directory_entry("Workbook") or has_directory_entry("Book"):
        return TopologyError(f"{source} is an old Excel workbook (.xls)", hint=_SAVE_AS)
    return TopologyError(
        f"{source} is an old Office file, but not an Excel workbook", hint=_SAVE_AS
    )


def _find_reader(source: str, archive: Archive) -> Callable[[str, Archive], list[Sheet]]:
    """Return the function that can read the type of workbook in an archive."""
    names = archive.names
    if "mimetype" in archive:
        kind = b"".join(archive.read_pieces("mimetype")).decode("latin-1").strip()
        if kind in (_ODS, f"{_ODS}-template"):
            return read_opendocument_sheets
        raise TopologyError(
            f"{source} has the type {shown(kind)}, which is not a spreadsheet", hint=_SAVE_AS
        )
    if "xl/workbook.bin" in archive:
        raise TopologyError(f"{source} is a binary Excel workbook (.xlsb)", hint=_SAVE_AS)
    if any(name.startswith("xl/") for name in names):
        return read_excel_sheets
    if any(name.startswith(("word/", "ppt/", "visio/")) for name in names):
        raise TopologyError(f"{source} is an Office file, but not an Excel workbook", hint=_SAVE_AS)
    contents = ", ".join(shown(name) for name in names[:_LISTED]) or "nothing"
    raise TopologyError(
        f"{source} is a ZIP archive without a workbook; it contains {contents}",
        hint="extract the files from the archive first",
    )


# --- The following functions choose the sheet with the servers.


def _choose_sheet(source: str, sheets: Sequence[Sheet]) -> tuple[Sheet, list[str]]:
    """Return the sheet that has the headings, with notes about all other sheets."""
    filled = [sheet for sheet in sheets if sheet.rows]
    if not filled:
        raise TopologyError(
            f"{source} is empty", hint=("check whether you specified the correct file")
        )
    with_servers = [sheet for sheet in filled if sheet.heading_row]
    in_sight = [sheet for sheet in with_servers if not sheet.is_hidden]
    candidates = in_sight or with_servers
    if len(candidates) > 1:
        raise TopologyError(
            f"{len(candidates)} sheets in {source} have the headings of a table of servers: "
            f"{_join_sheet_names(candidates)}",
            hint="move all servers to one sheet, and hide or delete all other sheets",
        )
    if not candidates:
        return _find_most_likely_sheet(filled), []
    notes = []
    if candidates[0].is_hidden:
        notes.append(f"sheet {shown(candidates[0].name)} is hidden, but no other sheet has the "
                     "headings of a table of servers")  # fmt: skip
    hidden_sheets = [sheet for sheet in with_servers if sheet is not candidates[0]]
    if hidden_sheets:
        notes.append(f"lyncnb did not read hidden sheets: {_join_sheet_names(hidden_sheets)}")
    others = [
        sheet
        for sheet in filled
        if not sheet.heading_row and not sheet.is_hidden and sheet.name not in OWN_SHEETS
    ]
    if others:
        notes.append(
            f"lyncnb read only the sheet {shown(candidates[0].name)}. These sheets do not have "
            f"the column headings of a table of servers: {_join_sheet_names(others)}"
        )
    return candidates[0], notes


def _find_most_likely_sheet(sheets: Sequence[Sheet]) -> Sheet:
    """Return the sheet with the most known headings, so that an error can list the missing ones."""
    candidates = [
        (count_known_headings(cells)[0], not sheet.is_hidden, -index, -row)
        for index, sheet in enumerate(sheets)
        for row, cells in sheet.rows.items()
    ]
    _, _, index, row = max(candidates)
    sheets[-index].heading_row = -row
    return sheets[-index]


def _join_sheet_names(sheets: Sequence[Sheet]) -> str:
    return join_first_texts([shown(sheet.name) for sheet in sheets], _LISTED)


# --- The following functions convert a sheet to a table.

_ODD = {
    ERROR: (
        "the cell contains the error {value} instead of a value",
        "correct the formula, or enter the value",
    ),
    NO_RESULT: (
        "the cell contains a formula that was never calculated",
        (
            "open the workbook in Excel or LibreOffice and save it, or replace the formula with "
            "its value"
        ),
    ),
    DATE: (
        ("the cell contains the date {value}. Spreadsheet programs convert some text to dates"),
        "format the column as Text, then type the value again",
    ),
}


@dataclass(slots=True)
class _Sheet:
    """A workbook's sheet and its conversion to a table of servers."""

    source: str
    sheet: Sheet
    notes: list[str]
    problems: list[Problem] = field(default_factory=list)

    def build_table(self) -> Table:
        """Return the sheet's content as a table."""
        sheet = self.sheet
        heading = sheet.rows[sheet.heading_row]
        rows = sorted(row for row in sheet.rows if row > sheet.heading_row)
        # A column is used if at least one of its cells contains text.
        columns = sorted(
            {
                column
                for row in (sheet.heading_row, *rows)
                for column, text in sheet.rows[row].items()
                if text.strip()
            }
        )
        if len(columns) * len(rows) > _MAX_TABLE:
            raise build_too_many_error(self.source)
        headings = [heading.get(column, "") for column in columns]
        names = dict(zip(columns, find_column_names(headings)))
        self._fill_merged_cells(rows, names)
        self._report_problem_cells(rows, names)
        self._report_hidden_ranges(rows, names)
        if any(row < sheet.heading_row for row in sheet.rows):
            self.notes.append(
                f"the headings are in row {sheet.heading_row:,}; lyncnb ignored the rows above "
                "the headings"
            )
        return build_table(
            self.source,
            headings,
            [
                Texts.from_cells(sheet.rows[row].get(column, "") for row in rows)
                for column in columns
            ],
            rows,
            notes=tuple(_make_note(text) for text in self.notes),
            problems=tuple(self.problems),
            grid=Grid(
                sheet=show_invisible_characters(sheet.name),
                heading_row=sheet.heading_row,
                letters=tuple(map(convert_to_letters, columns)),
            ),
        )

    def _fill_merged_cells(self, rows: Sequence[int], names: dict[int, str]) -> None:
        """Copy the value of a merged cell to all rows of the merged area."""
        # The last row of the merged area in each column.
        last_rows: dict[int, int] = {}
        columns = list(names)
        areas = []
        for area in sorted(self.sheet.merged, key=lambda a: (a.first_column, a.first_row)):
            after = max(last_rows.get(area.first_column, 0), self.sheet.heading_row)
            value = self.sheet.rows.get(area.first_row, {}).get(area.first_column, "")
            if area.first_row <= after or area.first_column not in names or not value:
                continue
            last_rows[area.first_column] = area.last_row
            covered = rows[bisect_left(rows, area.first_row) : bisect_right(rows, area.last_row)]
            next_column = bisect_right(columns, area.first_column)
            if next_column < len(columns) and columns[next_column] <= area.last_column:
                self._reject_wide_area(area, names[area.first_column], value)
                continue
            self._copy_down(area, covered, value)
            areas.append(_format_area(area))
        if areas:
            self.notes.append(
                f"lyncnb used the value in the merged cells {join_first_texts(areas, _LISTED)} "
                "for each of the rows"
            )

    def _copy_down(self, area: Area, covered_rows: Sequence[int], value: str) -> None:
        sheet, column = self.sheet, area.first_column
        oddity = sheet.odd.get((area.first_row, column), "")
        for row in covered_rows:
            sheet.rows[row] = {**sheet.rows[row], column: value}
            if oddity:
                sheet.mark_cell(self.source, row, column, oddity)

    def _reject_wide_area(self, area: Area, column: str, value: str) -> None:
        self.problems.append(
            Problem(
                file=self.source,
                sheet=show_invisible_characters(self.sheet.name),
                cell=_format_area(area),
                row=area.first_row,
                column=column,
                value=value,
                message=(
                    f"the cell with the value {shown(value)} is merged across several columns"
                ),
                hint="unmerge the cell (Home > Merge & Center), and fill in each column",
            )
        )

    def _report_problem_cells(self, rows: Sequence[int], names: dict[int, str]) -> None:
        """Report errors, dates, and formulas without a result in known columns."""
        known = {column.name for column in list_topology_columns()}
        row_numbers = set(rows)
        for (row, column), oddity in self.sheet.odd.items():
            name = names.get(column, "")
            if row not in row_numbers or column not in names:
                continue
            value = self.sheet.rows[row].get(column, "")
            if name in known:
                message, hint = _ODD[oddity]
                self.problems.append(
                    Problem(
                        file=self.source,
                        sheet=show_invisible_characters(self.sheet.name),
                        cell=f"{convert_to_letters(column)}{row}",
                        row=row,
                        column=name,
                        value=value,
                        message=message.format(value=show_invisible_characters(value[:80])),
                        hint=hint,
                    )
                )
            if name in known or oddity == NO_RESULT:
                self.sheet.rows[row] = {**self.sheet.rows[row], column: ""}

    def _report_hidden_ranges(self, rows: Sequence[int], names: dict[int, str]) -> None:
        hidden = [
            (rows[start], rows[end - 1])
            for first, last in self.sheet.hidden_rows
            if (start := bisect_left(rows, first)) < (end := bisect_right(rows, last))
        ]
        if hidden:
            rows_text = "row" if len(hidden) == 1 and len(set(hidden[0])) == 1 else "rows"
            self.notes.append(
                f"lyncnb also read the hidden {rows_text} {_format_number_ranges(hidden)}"
            )
        unseen = {c for first, last in self.sheet.hidden_columns for c in range(first, last + 1)}
        columns = [
            f"{convert_to_letters(column)} ({show_invisible_characters(name)})"
            for column, name in names.items()
            if column in unseen
        ]
        if columns:
            columns_text = "column" if len(columns) == 1 else "columns"
            self.notes.append(
                f"lyncnb also read the hidden {columns_text} "
                f"{join_first_texts(columns, len(columns))}"
            )


def _format_number_ranges(runs: Sequence[tuple[int, int]]) -> str:
    return join_first_texts([str(a) if a == b else f"{a} to {b}" for a, b in runs], _LISTED)


def _format_area(area: Area) -> str:
    first = f"{convert_to_letters(area.first_column)}{area.first_row}"
    return f"{first}:{convert_to_letters(area.last_column)}{area.last_row}"


def _make_note(text: str) -> Note:
    return Note(row=0, column="", before="", after="", message=text)
