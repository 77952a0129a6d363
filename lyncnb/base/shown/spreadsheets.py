"""Rows to a CSV or XLSX file that a spreadsheet shows and never runs. Knows no certificates.

A cell that starts like a formula is a program to Excel and LibreOffice, and the names in a
topology come from others. This file is the boundary: a table for people goes through it. (The
topology CSV is read again by programs and is written verbatim by ``csv_source``.)
"""

from __future__ import annotations

import codecs
import html
import io
import re
import string
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

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
    that a long table is never completely in memory. ``widths`` are characters per column;
    left out, they are measured. ``form`` makes it one to be filled in. ``links`` are addresses: the
    last cell of each row leads to its own. Nothing else in a workbook is a link.
    """

    title: str
    columns: tuple[str, ...]
    rows: Callable[[], Iterable[Sequence[Any]]]
    widths: tuple[int, ...] = ()
    form: Form | None = None
    links: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What a sheet has that people fill in: its cells are text, whatever is typed.

    ``notes`` are at the m headings. ``choices`` are those of each column, or a range of another
    sheet that lists them (``=Roles!$A$2:$A$9``); none where anything may stand. ``open_choices``
    are columns (from 0) where something else may be typed, too. Rows whose first cell is ``muted``
    are shown in grey.
    """

    notes: tuple[str, ...]
    choices: tuple[tuple[str, ...] | str, ...]
    open_choices: tuple[int, ...] = ()
    muted: str = ""


def neutralise(value: Any) -> str:
    """Write one value so that no spreadsheet takes it for a formula.

    Parameters
    ----------
    value : str, int, bool, None or a sequence of str
        See :func:`lyncnb.base.shown.tables.cell_text`.

    Returns
    -------
    str
        The text, with ``'`` before whatever would start a formula.

    Notes
    -----
    Source: OWASP, CSV Injection.
    """
    # NUL goes first: it would hide the sign behind it, and programs drop it.
    return _FORMULA_START.sub(r"\1'\2", cell_text(value).replace("\x00", ""))


def formula_cells(
    columns: Sequence[str], rows: Iterable[Sequence[str]]
) -> list[tuple[int, str, str]]:
    """List the cells that a spreadsheet takes for a formula.

    Returns
    -------
    list of (int, str, str)
        Row as a spreadsheet counts, heading, value.
    """
    return [
        (number, heading, value)
        for number, row in enumerate(rows, 2)
        for heading, value in zip(columns, row, strict=False)
        if _FORMULA_START.search(value)
    ]


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
    # Encoded row by row: as text, 100,000 rows would be in memory twice.
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
    """Write sheets as an XLSX workbook that holds text and numbers, no formulas.

    Addresses are text, but for :attr:`Sheet.links`.

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
    buffer = io.BytesIO()
    layouts = tuple(
        (one.title, one.columns, one.widths or _widths(one), one.form, one.links) for one in sheets
    )
    frame = ZipFile(io.BytesIO(_frame(layouts, title)))
    with frame, ZipFile(buffer, "w", ZIP_DEFLATED) as packed:
        for name in frame.namelist():
            entry, part = _entry(name), frame.read(name)
            place = _SHEET_FILE.fullmatch(name)
            if place is None:
                packed.writestr(entry, part)
                continue
            with packed.open(entry, "w") as stream:
                for text in _filled(part.decode(), sheets[int(place[1]) - 1]):
                    stream.write(text.encode("utf-8", "replace"))
    return buffer.getvalue()


def _entry(name: str) -> ZipInfo:
    entry = ZipInfo(name, (1980, 1, 1, 0, 0, 0))  # the earliest that ZIP knows: no day of today
    entry.compress_type = ZIP_DEFLATED
    return entry


# Of a sheet: title, headings, widths of the columns, what a form has in addition, and its links.
_Layout = tuple[str, tuple[str, ...], tuple[int, ...], Form | None, tuple[str, ...]]
_SHEET_FILE = re.compile(r"xl/worksheets/sheet(\d+)\.xml")


@lru_cache(maxsize=8)  # a folder's workbook is written again and again, with other rows alone
def _frame(layouts: tuple[_Layout, ...], title: str) -> bytes:
    """Write the workbook with headings and layout, and one blank row where the rows belong."""
    import xlsxwriter

    buffer = io.BytesIO()
    # Else its parts are files of the system's temporary folder, which a killed process leaves.
    with xlsxwriter.Workbook(buffer, {"in_memory": True}) as workbook:
        workbook.set_properties({"title": title, "created": _CREATED})
        heading = workbook.add_format(
            {"bold": True, "valign": "top", "text_wrap": True, "bottom": 1, "bg_color": "#EEF1F5"}
        )
        # Lines between columns, too: what fills its cell would run into the next one's text.
        lines = {"valign": "top", "bottom": 1, "bottom_color": "#B9C0CA"}
        lines |= {"right": 1, "right_color": "#B9C0CA"}
        wrapped = workbook.add_format({**lines, "text_wrap": True})
        text = workbook.add_format({**lines, "num_format": "@"})
        grey = workbook.add_format({"italic": True, "font_color": "#6B7280"})
        blue = workbook.add_format({**lines, "text_wrap": True, "font_color": "#0B57D0"})
        for name, columns, widths, form, links in layouts:
            body = text if form else wrapped
            worksheet = workbook.add_worksheet(name)
            _lay_out_for_paper(worksheet)
            for place, width in enumerate(widths):
                worksheet.set_column(place, place, width, body if form else None)
            worksheet.freeze_panes(1, 1)
            for place, title_text in enumerate(columns):
                worksheet.write_string(0, place, title_text, heading)
            worksheet.write_blank(1, 0, None, body)
            for number, address in enumerate(links, start=1):
                worksheet.write_url(number, len(columns) - 1, address, blue)
            worksheet.autofilter(0, 0, 1, len(columns) - 1)
            if form:
                _make_form(worksheet, form, grey)
    return buffer.getvalue()


# As far down as a form asks for choices; below, anything may be typed.
_FORM_ROWS = 5_000


def _make_form(worksheet: Any, form: Form, grey: Any) -> None:
    columns = len(form.notes)
    for place, note in enumerate(form.notes):
        if not note:
            continue
        lines = len(note) // 30 + note.count("\n") + 2
        worksheet.write_comment(0, place, note, {"x_scale": 2, "y_scale": lines / 4.5})
    for place, choices in enumerate(form.choices):
        source = choices if isinstance(choices, str) else list(choices)
        # Longer lists than this make no drop-down: Microsoft, Excel specifications and limits.
        if choices and (isinstance(choices, str) or len(",".join(choices)) <= 255):
            is_open = place in form.open_choices
            worksheet.data_validation(
                1, place, _FORM_ROWS, place,
                {"validate": "list", "source": source, "show_error": not is_open},
            )  # fmt: skip
    worksheet.ignore_errors(
        {"number_stored_as_text": f"A2:{column_letters(columns - 1)}{SHEET_ROWS}"}
    )
    if form.muted:
        rule = {"type": "formula", "criteria": f'=$A2="{form.muted}"', "format": grey}
        worksheet.conditional_format(1, 0, _FORM_ROWS, columns - 1, rule)


def column_letters(place: int) -> str:
    """Name a column, counted from 0, as a spreadsheet does: A, Z, AA."""
    before, letter = divmod(place, 26)
    return (column_letters(before - 1) if before else "") + string.ascii_uppercase[letter]


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


# The row that waits for the others (several where links have cells), and the filter's range.
# What the sheet holds would have to be known before its rows; it may be left out.
_DIMENSION = re.compile(r"<dimension [^>]*>")
_BLANK_ROWS = re.compile(r'<row r="2".*(?=</sheetData>)', re.DOTALL)
_STYLE = re.compile(r'<c r="([A-Z]+)2" s="(\d+)"')
_FILTER = re.compile(r'(?<=<autoFilter ref="A1:)([A-Z]+)2(?=")')


def _filled(frame: str, sheet: Sheet) -> Iterator[str]:
    """Yield a sheet's document with its rows, a part at a time.

    A library writes a cell in 7 us, of which there are millions in a large plan; here it takes 1.
    """
    head, tail = _BLANK_ROWS.split(_DIMENSION.sub("", frame))
    yield head
    cells = _Cells(len(sheet.columns), styles=dict(_STYLE.findall(frame)))
    number, lines = 1, []
    for number, row in enumerate(sheet.rows(), start=2):
        if number > SHEET_ROWS:
            raise ValueError(f"a sheet holds at most {SHEET_ROWS - 1:,} rows below its heading")
        lines.append(cells.row(number, row))
        if number % _ROWS_IN_ONE_GO == 0:
            time.sleep(0.0001)
            yield "".join(lines)
            lines.clear()
    yield "".join(lines)
    yield _FILTER.sub(rf"\g<1>{max(number, 2)}", tail)


# Characters that XML cannot contain, or would be taken for something else there: ECMA-376 part 1,
# section 22.9.2.19 (ST_Xstring) writes a character that XML has not as _x0001_.
_XML_CARE = re.compile(r"[&<>\x00-\x08\x0b-\x1f\ufffe\uffff]|_x[0-9A-Fa-f]{4}_|^\s|\s$")
_NO_XML = re.compile(r"[\x00-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")


class _Cells:
    """Writes rows of cells; a column without a style of its own has that of column A."""

    def __init__(self, columns: int, *, styles: Mapping[str, str]) -> None:
        letters = [*map(column_letters, range(columns))]
        self._columns = [(letter, styles.get(letter, styles["A"])) for letter in letters]

    def row(self, number: int, values: Sequence[Any]) -> str:
        parts = [f'<row r="{number}">']
        for (letter, style), value in zip(self._columns, values, strict=True):
            cell = f'<c r="{letter}{number}" s="{style}"'
            if type(value) is int:
                parts.append(f"{cell}><v>{value}</v></c>")
            elif value:
                text = "\n".join(value) if isinstance(value, tuple) else cell_text(value)
                parts.append(f'{cell} t="inlineStr"><is>{_xml_text(fitting(text))}</is></c>')
            else:
                parts.append(f"{cell}/>")
        parts.append("</row>")
        return "".join(parts)


def _xml_text(text: str) -> str:
    if _XML_CARE.search(text) is None:
        return f"<t>{text}</t>"
    escaped = html.escape(_NO_XML.sub(lambda found: f"_x{ord(found[0]):04X}_", text), quote=False)
    return f'<t xml:space="preserve">{escaped}</t>'


def fitting(text: str) -> str:
    """Cut a text that no spreadsheet cell can hold, and say so in the cell.

    Excel refuses a longer cell in an XLSX file and spills that of a CSV file over the rows below.
    """
    if len(text) <= CELL_LENGTH:
        return text
    ending = " … (cut here: a cell holds no more; the JSON document has the whole text)"
    return text[: CELL_LENGTH - len(ending)] + ending


def _widths(sheet: Sheet) -> tuple[int, ...]:
    longest = [len(text) + 3 for text in sheet.columns]  # 3 for the filter's arrow
    for number, row in enumerate(sheet.rows()):
        if number == _MEASURED_ROWS:
            break
        longest = [
            max(width, len(cell_text(value))) for width, value in zip(longest, row, strict=True)
        ]
    return tuple(min(width + 1, _WIDEST) for width in longest)
