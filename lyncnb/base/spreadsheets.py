"""Rows to a CSV or XLSX file that a spreadsheet shows and never runs. Knows no certificates.

A cell that starts like a formula is a program to Excel and LibreOffice, and the names in a
topology come from others. This file is the boundary: a table for people goes through it. (The
topology CSV is read again by programs and is written verbatim by ``csv_source``.)
"""

from __future__ import annotations

import codecs
import io
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .tables import cell_text

# OWASP, "CSV Injection": = + - @ TAB CR LF; Excel in East Asian locales also takes the full-width
# forms. After ; , and TAB too, since a list separator other than the comma ends a cell there.
_FORMULA_START = re.compile("(^|[;,\t])([=+\\-@\t\r\n＝＋－＠])")

# Limits of the XLSX format: Microsoft, Excel specifications and limits.
CELL_LENGTH = 32_767
SHEET_ROWS = 1_048_576

# The file's own date, so that the same table gives the same bytes. ZIP knows no earlier year.
_CREATED = datetime(2000, 1, 1)

_WIDEST = 60  # characters; longer cells are cut on screen, not in the file
_MEASURED_ROWS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """One sheet of a workbook.

    ``rows`` is called when the sheet is written, once for the widths and once for the cells, so
    that a long table never stands in memory as a whole. ``widths`` are characters per column;
    left out, they are measured.
    """

    title: str
    columns: tuple[str, ...]
    rows: Callable[[], Iterable[Sequence[Any]]]
    widths: tuple[int, ...] = ()


def neutralise(value: Any) -> str:
    """Write one value so that no spreadsheet takes it for a formula.

    Parameters
    ----------
    value : str, int, bool, None or a sequence of str
        See :func:`lyncnb.base.tables.cell_text`.

    Returns
    -------
    str
        The text, with ``'`` before whatever would start a formula.

    Notes
    -----
    Source: OWASP, CSV Injection.
    """
    # NUL goes first: it would hide the sign behind it and is dropped by whoever reads the file.
    return _FORMULA_START.sub(r"\1'\2", cell_text(value).replace("\x00", ""))


def to_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """Write rows as a CSV for people, with formulas neutralised.

    Parameters
    ----------
    columns : sequence of str
        m headings.
    rows : iterable of sequences
        n rows of m values.

    Returns
    -------
    bytes
        UTF-8 with BOM (Excel reads it as UTF-8 only then), CRLF, every field quoted, at most
        32,767 characters in each (see :func:`fitting`).
    """
    # Encoded row by row: as text, 100,000 rows would stand in memory twice.
    buffer = io.BytesIO(codecs.BOM_UTF8)
    buffer.seek(0, io.SEEK_END)
    buffer.write(_csv_line(columns).encode("utf-8", "replace"))
    for row in rows:
        buffer.write(_csv_line(row).encode("utf-8", "replace"))
    return buffer.getvalue()


# Whatever a row of cells that need no care cannot hold, the cells joined by `","`.
_NEEDS_CARE = re.compile('[";,\t][=+\\-@\t\r\n＝＋－＠]|\0')


def _csv_line(row: Sequence[Any]) -> str:
    texts = [cell_text(value) for value in row]
    line = '"' + '","'.join(texts) + '"\r\n'
    # One look at the whole line instead of three at each cell: most lines are plain names.
    if (
        _NEEDS_CARE.search(line, 0, len(line) - 2) is None
        and line.count('"') == 2 * len(texts)
        and len(line) <= CELL_LENGTH
    ):
        return line
    fields = (fitting(neutralise(text)).replace('"', '""') for text in texts)
    return '"' + '","'.join(fields) + '"\r\n'


def to_xlsx(sheets: Sequence[Sheet], *, title: str) -> bytes:
    """Write sheets as an XLSX workbook that holds text and numbers, no formulas and no links.

    Parameters
    ----------
    sheets : sequence of Sheet
        Each with a filter and a heading that stays in sight. Cells wrap, a sequence one item a
        line. On paper each is one A4 page wide, lying, with the heading on every page.
    title : str
        Title of the document.

    Returns
    -------
    bytes
        The same bytes for the same sheets.

    Raises
    ------
    ValueError
        If a sheet has more rows than the format allows (1,048,575 below the heading).

    Notes
    -----
    Cells over 32,767 characters are cut, see :func:`fitting`.
    """
    import xlsxwriter

    buffer = io.BytesIO()
    options = {
        "constant_memory": True,  # rows go to a temporary file: 100,000 rows must not fill memory
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
    }
    with xlsxwriter.Workbook(buffer, options) as workbook:
        workbook.set_properties({"title": title, "created": _CREATED})
        heading = workbook.add_format(
            {"bold": True, "valign": "top", "text_wrap": True, "bottom": 1, "bg_color": "#EEF1F5"}
        )
        body = workbook.add_format(
            {"valign": "top", "text_wrap": True, "bottom": 1, "bottom_color": "#B9C0CA"}
        )
        for sheet in sheets:
            worksheet = workbook.add_worksheet(sheet.title)
            _lay_out_for_paper(worksheet)
            _write_sheet(worksheet, sheet, heading, body)
    return buffer.getvalue()


_A4 = 9  # as the format counts paper sizes


def _lay_out_for_paper(worksheet: Any) -> None:
    worksheet.set_paper(_A4)
    worksheet.set_landscape()
    worksheet.fit_to_pages(1, 0)  # one page wide, as many as it takes
    worksheet.repeat_rows(0)
    worksheet.set_margins(left=0.35, right=0.35, top=0.45, bottom=0.6)
    worksheet.set_footer("&L&A&RPage &P of &N")


# A notebook's cell waits while this thread writes, which gives the interpreter up so rarely (its
# many small writes keep it) that 10,000 rows held everything up for a second.
_ROWS_IN_ONE_GO = 100


def _write_sheet(worksheet: Any, sheet: Sheet, heading: Any, body: Any) -> None:
    for place, width in enumerate(sheet.widths or _widths(sheet)):
        worksheet.set_column(place, place, width)
    worksheet.freeze_panes(1, 1)
    for place, text in enumerate(sheet.columns):
        worksheet.write_string(0, place, text, heading)
    row_number = 0
    for row_number, row in enumerate(sheet.rows(), start=1):
        if row_number >= SHEET_ROWS:
            raise ValueError(f"a sheet holds at most {SHEET_ROWS - 1:,} rows below its heading")
        if row_number % _ROWS_IN_ONE_GO == 0:
            time.sleep(0.0001)
        for place, value in enumerate(row):
            if type(value) is int:
                worksheet.write_number(row_number, place, value, body)
            elif value:
                text = "\n".join(value) if isinstance(value, tuple) else cell_text(value)
                worksheet.write_string(row_number, place, fitting(text), body)
            else:
                worksheet.write_blank(row_number, place, None, body)
    worksheet.autofilter(0, 0, max(row_number, 1), len(sheet.columns) - 1)


def fitting(text: str) -> str:
    """Cut a text that no spreadsheet cell can hold, and say so in the cell.

    Excel refuses a longer cell in an XLSX file and spills that of a CSV file over the rows below.
    """
    if len(text) <= CELL_LENGTH:
        return text
    ending = " … (cut here: a cell holds no more; the JSON document has the whole text)"
    return text[: CELL_LENGTH - len(ending)] + ending


def _widths(sheet: Sheet) -> Iterator[int]:
    longest = [len(text) + 3 for text in sheet.columns]  # 3 for the filter's arrow
    for number, row in enumerate(sheet.rows()):
        if number == _MEASURED_ROWS:
            break
        longest = [
            max(width, len(cell_text(value))) for width, value in zip(longest, row, strict=True)
        ]
    return (min(width + 1, _WIDEST) for width in longest)
