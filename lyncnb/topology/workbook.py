"""Read the sheet with servers of an Excel or LibreOffice workbook as a ``Table`` of text.

lyncnb reads hidden rows and columns, because a filter hides rows that the planner needs. It reads a
hidden sheet only if no other sheet has the headings. It reports both. A cell that is merged over
several rows gives each row its value.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ..base.disk.zip_file import Archive, BadArchive
from ..base.pasted_text import shown, visible
from ..base.shown.spreadsheets import column_letters
from ..base.shown.tables import first_of
from ..errors import Problem, TopologyError
from .columns import name_headings, topology_columns
from .excel_sheets import excel_sheets
from .opendocument_sheets import opendocument_sheets
from .sheet import (
    DATE,
    ERROR,
    NO_RESULT,
    Area,
    Sheet,
    known_headings,
    too_many,
)
from .source_table import Grid, Note, Table, Texts, make_table

#: The first bytes of a workbook, and of files of older Office programs and protected workbooks.
ZIP, OLE = (b"PK\x03\x04", b"PK\x05\x06"), b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

_SAVE_AS = "in Excel or LibreOffice choose File, Save As, and the kind Excel Workbook (.xlsx)"
_ODS = "application/vnd.oasis.opendocument.spreadsheet"
#: Sheets of ``lyncnb template`` without servers, which need no note.
OWN_SHEETS = ("Columns", "Roles")
_LISTED = 5
# The maximum number of cells of a table, including blank ones.
_MAX_TABLE = 10_000_000


def is_workbook(data: bytes) -> bool:
    """Return whether a file begins like a workbook or another archive or Office document."""
    return data.startswith((*ZIP, OLE))


def read_workbook(source: str, data: bytes) -> Table:
    """Read the sheet of a workbook that has the headings of servers.

    Parameters
    ----------
    source : str
        File name for messages.
    data : bytes
        .xlsx, .xlsm or .ods.

    Returns
    -------
    Table
        n rows without the blank ones. ``notes`` lists hidden, merged and omitted parts.

    Raises
    ------
    TopologyError
        If it is not a valid workbook, is protected, damaged or harmful, or more than one sheet has
        the headings.
    """
    if data.startswith(OLE):
        raise _of_old_office(source, data)
    try:
        archive = Archive(data)
        sheets = _reader_of(source, archive)(source, archive)
    except BadArchive as error:
        raise TopologyError(
            f"{source} cannot be opened as a workbook: {error}",
            hint="open it with Excel or LibreOffice and save it again, or send it again",
        ) from None
    sheet, notes = _chosen(source, sheets)
    return _Sheet(source, sheet, notes).table()


# --- Detect the kind of file.


def _of_old_office(source: str, data: bytes) -> TopologyError:
    """Describe an OLE file by the names in its directory ([MS-CFB] 2.6.1)."""

    def holds(name: str) -> bool:
        return name.encode("utf-16-le") + b"\0\0" in data

    if holds("EncryptedPackage"):
        return TopologyError(
            f"{source} is protected with a password, or by a rights policy",
            hint="in Excel choose File, Info, Protect Workbook, Encrypt with Password, remove the "
            "password and save it",
        )
    if holds("Workbook") or holds("Book"):
        return TopologyError(f"{source} is an old Excel workbook (.xls)", hint=_SAVE_AS)
    return TopologyError(f"{source} is an old Office document, not a workbook", hint=_SAVE_AS)


def _reader_of(source: str, archive: Archive) -> Callable[[str, Archive], list[Sheet]]:
    """Detect the kind of archive by its parts."""
    names = archive.names
    if "mimetype" in archive:
        kind = b"".join(archive.pieces("mimetype")).decode("latin-1").strip()
        if kind in (_ODS, f"{_ODS}-template"):
            return opendocument_sheets
        raise TopologyError(f"{source} is {shown(kind)}, not a spreadsheet", hint=_SAVE_AS)
    if "xl/workbook.bin" in archive:
        raise TopologyError(f"{source} is a binary Excel workbook (.xlsb)", hint=_SAVE_AS)
    if any(name.startswith("xl/") for name in names):
        return excel_sheets
    if any(name.startswith(("word/", "ppt/", "visio/")) for name in names):
        raise TopologyError(f"{source} is an Office document, not a workbook", hint=_SAVE_AS)
    listed = ", ".join(shown(name) for name in names[:_LISTED]) or "nothing"
    raise TopologyError(
        f"{source} is a ZIP archive, not a workbook; in it: {listed}", hint="unpack it first"
    )


# --- Choose the sheet with the servers.


def _chosen(source: str, sheets: Sequence[Sheet]) -> tuple[Sheet, list[str]]:
    """Return the sheet with the headings, and notes about the others."""
    filled = [sheet for sheet in sheets if sheet.rows]
    if not filled:
        raise TopologyError(f"{source} has no cells", hint="check whether this is the right file")
    with_servers = [sheet for sheet in filled if sheet.heading_row]
    in_sight = [sheet for sheet in with_servers if not sheet.is_hidden]
    candidates = in_sight or with_servers
    if len(candidates) > 1:
        raise TopologyError(
            f"{source} has the headings of servers on {len(candidates)} sheets: "
            f"{_listed(candidates)}",
            hint="move all servers to one sheet, and hide or delete the others",
        )
    if not candidates:
        return _nearest(filled), []
    notes = []
    if candidates[0].is_hidden:
        notes.append(f"sheet {shown(candidates[0].name)} is hidden, but no other sheet has the "
                     "headings of servers")  # fmt: skip
    left = [sheet for sheet in with_servers if sheet is not candidates[0]]
    if left:
        notes.append(f"not read, because it is hidden: sheet {_listed(left)}")
    others = [
        sheet
        for sheet in filled
        if not sheet.heading_row and not sheet.is_hidden and sheet.name not in OWN_SHEETS
    ]
    if others:
        notes.append(
            f"sheet {shown(candidates[0].name)} was read; without headings of servers: "
            f"{_listed(others)}"
        )
    return candidates[0], notes


def _nearest(sheets: Sequence[Sheet]) -> Sheet:
    """Return the sheet with the most known headings, to report the missing ones."""
    candidates = [
        (known_headings(cells)[0], not sheet.is_hidden, -index, -row)
        for index, sheet in enumerate(sheets)
        for row, cells in sheet.rows.items()
    ]
    _, _, index, row = max(candidates)
    sheets[-index].heading_row = -row
    return sheets[-index]


def _listed(sheets: Sequence[Sheet]) -> str:
    return first_of([shown(sheet.name) for sheet in sheets], _LISTED)


# --- Convert the sheet to a table.

_ODD = {
    ERROR: (
        "contains the error {value} instead of a value",
        "fix the formula, or enter the value",
    ),
    NO_RESULT: (
        "contains a formula that was never calculated",
        "open the workbook in Excel or LibreOffice and save it, or paste the values only",
    ),
    DATE: (
        "contains a date ({value}); spreadsheets convert some texts to dates",
        "format the column as Text, then type it again",
    ),
}


@dataclass(slots=True)
class _Sheet:
    """Converts a sheet to a table."""

    source: str
    sheet: Sheet
    notes: list[str]
    problems: list[Problem] = field(default_factory=list)

    def table(self) -> Table:
        """Return the table."""
        sheet = self.sheet
        heading = sheet.rows[sheet.heading_row]
        rows = sorted(row for row in sheet.rows if row > sheet.heading_row)
        # A column exists if it contains text; blank cells do not count.
        columns = sorted(
            {
                column
                for row in (sheet.heading_row, *rows)
                for column, text in sheet.rows[row].items()
                if text.strip()
            }
        )
        if len(columns) * len(rows) > _MAX_TABLE:
            raise too_many(self.source)
        headings = [heading.get(column, "") for column in columns]
        names = dict(zip(columns, name_headings(headings)))
        self._fill_merged(rows, names)
        self._check_peculiarities(rows, names)
        self._report_hidden(rows, names)
        if any(row < sheet.heading_row for row in sheet.rows):
            self.notes.append(
                f"the headings are in row {sheet.heading_row:,}; lyncnb ignored the rows above"
            )
        return make_table(
            self.source,
            headings,
            [Texts.of(sheet.rows[row].get(column, "") for row in rows) for column in columns],
            rows,
            notes=tuple(_note(text) for text in self.notes),
            problems=tuple(self.problems),
            grid=Grid(
                sheet=visible(sheet.name),
                heading_row=sheet.heading_row,
                letters=tuple(map(column_letters, columns)),
            ),
        )

    def _fill_merged(self, rows: Sequence[int], names: dict[int, str]) -> None:
        """Copy the value of a merged cell to each of its rows."""
        done: dict[int, int] = {}  # by column, the last row covered by an area
        columns = list(names)
        areas = []
        for area in sorted(self.sheet.merged, key=lambda a: (a.first_column, a.first_row)):
            after = max(done.get(area.first_column, 0), self.sheet.heading_row)
            value = self.sheet.rows.get(area.first_row, {}).get(area.first_column, "")
            if area.first_row <= after or area.first_column not in names or not value:
                continue
            done[area.first_column] = area.last_row
            covered = rows[bisect_left(rows, area.first_row) : bisect_right(rows, area.last_row)]
            beside = bisect_right(columns, area.first_column)
            if beside < len(columns) and columns[beside] <= area.last_column:
                self._refuse_wide(area, names[area.first_column], value)
                continue
            self._copy_down(area, covered, value)
            areas.append(_area_name(area))
        if areas:
            self.notes.append(
                f"merged cells {first_of(areas, _LISTED)}: their value was read for each of "
                "their rows"
            )

    def _copy_down(self, area: Area, covered: Sequence[int], value: str) -> None:
        sheet, column = self.sheet, area.first_column
        odd = sheet.odd.get((area.first_row, column), "")
        for row in covered:
            sheet.rows[row] = {**sheet.rows[row], column: value}
            if odd:
                sheet.mark(self.source, row, column, odd)

    def _refuse_wide(self, area: Area, column: str, value: str) -> None:
        self.problems.append(
            Problem(
                file=self.source,
                sheet=visible(self.sheet.name),
                cell=_area_name(area),
                row=area.first_row,
                column=column,
                value=value,
                message=f"{shown(value)} is in cells that are merged across several columns",
                hint="unmerge the cells (Home, Merge & Center), and fill in each column",
            )
        )

    def _check_peculiarities(self, rows: Sequence[int], names: dict[int, str]) -> None:
        """Reject errors, dates and formulas without a result in known columns."""
        known = {column.name for column in topology_columns()}
        wanted = set(rows)
        for (row, column), odd in self.sheet.odd.items():
            name = names.get(column, "")
            if row not in wanted or column not in names:
                continue
            value = self.sheet.rows[row].get(column, "")
            if name in known:
                message, hint = _ODD[odd]
                self.problems.append(
                    Problem(
                        file=self.source,
                        sheet=visible(self.sheet.name),
                        cell=f"{column_letters(column)}{row}",
                        row=row,
                        column=name,
                        value=value,
                        message=message.format(value=visible(value[:80])),
                        hint=hint,
                    )
                )
            if name in known or odd == NO_RESULT:
                self.sheet.rows[row] = {**self.sheet.rows[row], column: ""}

    def _report_hidden(self, rows: Sequence[int], names: dict[int, str]) -> None:
        hidden = [
            (rows[start], rows[end - 1])
            for first, last in self.sheet.hidden_rows
            if (start := bisect_left(rows, first)) < (end := bisect_right(rows, last))
        ]
        if hidden:
            self.notes.append(f"hidden rows that were read: {_runs(hidden)}")
        unseen = {c for first, last in self.sheet.hidden_columns for c in range(first, last + 1)}
        columns = [
            f"{column_letters(column)} ({visible(name)})"
            for column, name in names.items()
            if column in unseen
        ]
        if columns:
            self.notes.append(f"hidden columns that were read: {', '.join(columns)}")


def _runs(runs: Sequence[tuple[int, int]]) -> str:
    return first_of([str(a) if a == b else f"{a} to {b}" for a, b in runs], _LISTED)


def _area_name(area: Area) -> str:
    first = f"{column_letters(area.first_column)}{area.first_row}"
    return f"{first}:{column_letters(area.last_column)}{area.last_row}"


def _note(text: str) -> Note:
    return Note(row=0, column="", before="", after="", message=text)
