"""A workbook of Excel or LibreOffice to a ``Table`` of text: the sheet with servers, and its traps.

Hidden rows and columns are read, since a filter hides what is wanted all the same; a hidden sheet
only if no other has the headings. Both are reported. A cell that is merged over several rows says
the same of each, as it looks.
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

#: How a workbook begins, and what older Office programs and protected workbooks begin with.
ZIP, OLE = (b"PK\x03\x04", b"PK\x05\x06"), b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

_SAVE_AS = "in Excel or LibreOffice choose File, Save As, and the kind Excel Workbook (.xlsx)"
_ODS = "application/vnd.oasis.opendocument.spreadsheet"
#: Sheets of ``lyncnb template`` that hold no servers, of which nothing has to be said.
OWN_SHEETS = ("Columns", "Roles")
_LISTED = 5
# Cells of a table, the blank ones among them.
_MAX_TABLE = 10_000_000


def is_workbook(data: bytes) -> bool:
    """Say whether a file is a workbook, or another archive or Office document, by how it begins."""
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
        n rows without the blank ones. ``notes`` say what is hidden, merged, or was left out.

    Raises
    ------
    TopologyError
        If it is not such a workbook, is protected, damaged or harmful, or more than one sheet has
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


# --- Which kind of file it is.


def _of_old_office(source: str, data: bytes) -> TopologyError:
    """Say what an OLE file is, by the names in its directory ([MS-CFB] 2.6.1)."""

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
    """Find out by its parts what kind of archive it is."""
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


# --- Which sheet holds the servers.


def _chosen(source: str, sheets: Sequence[Sheet]) -> tuple[Sheet, list[str]]:
    """Return the sheet with the headings, and notes about the others."""
    filled = [sheet for sheet in sheets if sheet.rows]
    if not filled:
        raise TopologyError(f"{source} has no cells", hint="check whether this is the right file")
    with_servers = [sheet for sheet in filled if sheet.heading_row]
    in_sight = [sheet for sheet in with_servers if not sheet.is_hidden]
    found = in_sight or with_servers
    if len(found) > 1:
        raise TopologyError(
            f"{source} has the headings of servers on {len(found)} sheets: {_listed(found)}",
            hint="move all servers to one sheet, and hide or delete the others",
        )
    if not found:
        return _nearest(filled), []
    notes = []
    if found[0].is_hidden:
        notes.append(f"sheet {shown(found[0].name)} is hidden, but no other sheet has the "
                     "headings of servers")  # fmt: skip
    left = [one for one in with_servers if one is not found[0]]
    if left:
        notes.append(f"not read, because it is hidden: sheet {_listed(left)}")
    others = [
        one
        for one in filled
        if not one.heading_row and not one.is_hidden and one.name not in OWN_SHEETS
    ]
    if others:
        notes.append(
            f"sheet {shown(found[0].name)} was read; without headings of servers: {_listed(others)}"
        )
    return found[0], notes


def _nearest(sheets: Sequence[Sheet]) -> Sheet:
    """Return the sheet with the most known headings, to report the missing ones."""
    candidates = [
        (known_headings(cells)[0], not sheet.is_hidden, -place, -row)
        for place, sheet in enumerate(sheets)
        for row, cells in sheet.rows.items()
    ]
    _, _, place, row = max(candidates)
    sheets[-place].heading_row = -row
    return sheets[-place]


def _listed(sheets: Sequence[Sheet]) -> str:
    return first_of([shown(sheet.name) for sheet in sheets], _LISTED)


# --- The sheet to a table.

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
    """A sheet on the way to a table."""

    source: str
    sheet: Sheet
    notes: list[str]
    problems: list[Problem] = field(default_factory=list)

    def table(self) -> Table:
        """Make the table."""
        sheet = self.sheet
        heading = sheet.rows[sheet.heading_row]
        rows = sorted(row for row in sheet.rows if row > sheet.heading_row)
        # A column is there if something is written in it; blanks are nothing.
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
        self._look_at_odd(rows, names)
        self._tell_of_hidden(rows, names)
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
        """Give each row what a cell says that is merged over several."""
        done: dict[int, int] = {}  # by column, the last row that an area has covered
        columns = list(names)
        told = []
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
            told.append(_area_name(area))
        if told:
            self.notes.append(
                f"merged cells {first_of(told, _LISTED)}: their value was read for each of "
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

    def _look_at_odd(self, rows: Sequence[int], names: dict[int, str]) -> None:
        """Refuse errors, dates and formulas without a result where a column means something."""
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

    def _tell_of_hidden(self, rows: Sequence[int], names: dict[int, str]) -> None:
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
