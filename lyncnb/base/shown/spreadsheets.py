"""Write rows to a CSV or XLSX file, so that no cell is a formula.

Excel and LibreOffice run a cell that starts like a formula, and the names in a topology can come
from other people. All tables for people are written by this module. (``csv_file`` writes the
topology as CSV without changes, because programs read it again.)
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
from datetime import date, datetime
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from .languages import translate_title
from .origin import UNKNOWN, Origin
from .tables import format_cell

# The first characters of a formula: = + - @ TAB CR LF (OWASP, "CSV Injection"), or the full-width
# forms of these characters in East Asian versions of Excel. These characters can also start a
# formula after ; , or TAB, because a list separator ends a cell.
_FORMULA_START = re.compile("(^|[;,\t])([=+\\-@\t\r\n＝＋－＠])")

# The limits of the XLSX format. Source: Microsoft, Excel specifications and limits.
CELL_LENGTH = 32_767
SHEET_ROWS = 1_048_576

# The creation date of all workbooks. It is fixed, so that identical tables produce identical bytes,
# and it is late enough for ZIP archives.
_CREATED = datetime(2000, 1, 1)

# The maximum width of a column in characters. Longer cells are truncated on the screen but not in
# the file.
_WIDEST = 60
_MEASURED_ROWS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A sheet of a workbook.

    ``rows`` is called twice when the sheet is written, for the widths and for the cells, so that a
    long table is never completely in memory. ``widths`` are the column widths in characters;
    without
    them, lyncnb measures the cells. ``form`` makes the sheet a form. ``links`` contains a web
    address
    for the last cell in each row. Workbooks contain no other links. ``has_filter`` is False for a
    sheet that users read from top to bottom, such as a cover.
    """

    title: str
    columns: tuple[str, ...]
    rows: Callable[[], Iterable[Sequence[Any]]]
    widths: tuple[int, ...] = ()
    form: Form | None = None
    links: tuple[str, ...] = ()
    has_filter: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """The properties of a sheet in which users enter values. All cells contain text.

    ``notes`` are comments for the m headings. ``choices`` are the values for each column, a range
    in
    another sheet (``=Roles!$A$2:$A$9``), or blank if any text is allowed. ``open_choices`` are the
    numbers of columns, from 0, that also accept other values. Rows are gray if their first cell is
    ``muted``.
    """

    notes: tuple[str, ...]
    choices: tuple[tuple[str, ...] | str, ...]
    open_choices: tuple[int, ...] = ()
    muted: str = ""


def escape_formula(value: Any) -> str:
    """Return a value as text that no spreadsheet program interprets as a formula.

    Parameters
    ----------
    value : str, int, bool, None or a sequence of str
        See :func:`lyncnb.base.shown.tables.format_cell`.

    Returns
    -------
    str
        The text, with ``'`` before any character that would start a formula.

    Notes
    -----
    Source: OWASP, CSV Injection.
    """
    # Programs ignore NUL but interpret the character after it, so lyncnb removes NUL first.
    return _FORMULA_START.sub(r"\1'\2", format_cell(value).replace("\x00", ""))


def find_formula_cells(
    columns: Sequence[str], rows: Iterable[Sequence[str]]
) -> list[tuple[int, str, str]]:
    """Return the cells that a spreadsheet program would interpret as formulas.

    Returns
    -------
    list of (int, str, str)
        Row number in a spreadsheet, heading, and value.
    """
    return [
        (number, heading, value)
        for number, row in enumerate(rows, 2)
        for heading, value in zip(columns, row, strict=False)
        if _FORMULA_START.search(value)
    ]


def to_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """Return rows as a CSV file in which no cell is a formula.

    Parameters
    ----------
    columns : sequence of str
        m headings.
    rows : iterable of sequences
        n rows of m values.

    Returns
    -------
    bytes
        UTF-8 with BOM (without it, Excel does not detect UTF-8), CRLF, with quotation marks around
        every cell, and at most 32,767 characters in each cell (see :func:`truncate_text`).
    """
    # Each row is encoded separately. Otherwise, the text of all 100,000 rows would be in memory
    # twice.
    buffer = io.BytesIO(codecs.BOM_UTF8)
    buffer.seek(0, io.SEEK_END)
    buffer.write(_format_csv_line(columns).encode("utf-8", "replace"))
    for row in rows:
        buffer.write(_format_csv_line(row).encode("utf-8", "replace"))
    return buffer.getvalue()


# The start of a cell that must be escaped, or a null character. The cells of the row are already
# joined by `","`.
_NEEDS_CARE = re.compile('[";,\t][=+\\-@\t\r\n＝＋－＠]|\0')


def _format_csv_line(row: Sequence[Any]) -> str:
    texts = [format_cell(value) for value in row]
    line = '"' + '","'.join(texts) + '"\r\n'
    # One check of the complete line is faster than three checks of each cell.
    if (
        _NEEDS_CARE.search(line, 0, len(line) - 2) is None
        and line.count('"') == 2 * len(texts)
        and len(line) <= CELL_LENGTH
    ):
        return line
    fields = (truncate_text(escape_formula(text)).replace('"', '""') for text in texts)
    return '"' + '","'.join(fields) + '"\r\n'


def to_xlsx(sheets: Sequence[Sheet], *, title: str, origin: Origin = UNKNOWN) -> bytes:
    """Return sheets as an XLSX workbook of text, numbers, and dates, without formulas.

    Web addresses are text, except for :attr:`Sheet.links`. A text that is only a date
    (``2027-03-15``) or a time in UTC (``2027-03-15 08:00 UTC``) becomes a date cell that shows the
    same text, except in a form.

    Parameters
    ----------
    sheets : sequence of Sheet
        Each sheet with rows has a filter, unless :attr:`Sheet.has_filter` is False, and a heading
        that stays visible. Text wraps, and each item of a list has a separate line. On paper, text
        has at least 8 points. A sheet is one A4 landscape page wide if it fits. Otherwise it
        continues on more pages, each with the heading row and the first column.
    title : str
        The title of the document.
    origin : Origin, optional
        Its source, for the properties of the file and for each printed sheet.

    Returns
    -------
    bytes
        The workbook; equal sheets have equal bytes.

    Raises
    ------
    ValueError
        If a sheet has more rows than the format allows (1,048,575 below the heading).

    Notes
    -----
    Cells with more than 32,767 characters are truncated (see :func:`truncate_text`).
    """
    buffer = io.BytesIO()
    layouts = tuple(map(_lay_out, sheets))
    frame = ZipFile(io.BytesIO(_build_frame(layouts, title, origin)))
    with frame, ZipFile(buffer, "w", ZIP_DEFLATED) as packed:
        for name in frame.namelist():
            entry, part = _build_zip_entry(name), frame.read(name)
            if name == _PROPERTIES and origin.created is None:
                # By default, xlsxwriter would write the current date, which is not the date of the
                # document.
                part = _DATES.sub(b"", part)
            match = _SHEET_FILE.fullmatch(name)
            if match is None:
                packed.writestr(entry, part)
                continue
            with packed.open(entry, "w") as stream:
                for text in _fill_sheet(part.decode(), sheets[int(match[1]) - 1]):
                    stream.write(text.encode("utf-8", "replace"))
    return buffer.getvalue()


def _build_zip_entry(name: str) -> ZipInfo:
    # The earliest date that ZIP archives support. It replaces the current date.
    entry = ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    entry.compress_type = ZIP_DEFLATED
    entry.create_system = (
        3  # A fixed operating system, so that the file is identical on all operating systems.
    )
    return entry


class _Layout(NamedTuple):
    """The layout of a sheet, without its rows."""

    title: str
    columns: tuple[str, ...]
    widths: tuple[int, ...]
    form: Form | None
    links: tuple[str, ...]
    is_filtered: bool


_PROPERTIES = "docProps/core.xml"
_DATES = re.compile(rb"<dcterms:(created|modified)\b[^>]*>[^<]*</dcterms:\1>")
_SHEET_FILE = re.compile(r"xl/worksheets/sheet(\d+)\.xml")


# The layout is cached, because lyncnb often writes the workbook of a folder again with other rows.
@lru_cache(maxsize=8)
def _build_frame(layouts: tuple[_Layout, ...], title: str, origin: Origin) -> bytes:
    """Return a workbook with headings, layout, and one blank row, which the real rows replace."""
    import xlsxwriter

    buffer = io.BytesIO()
    # With in_memory, xlsxwriter writes no temporary files, which would remain if the process were
    # killed.
    with xlsxwriter.Workbook(buffer, {"in_memory": True}) as workbook:
        created = origin.created or _CREATED
        workbook.set_properties({"title": title, "author": origin.author, "created": created})
        heading = workbook.add_format(
            {"bold": True, "valign": "top", "text_wrap": True, "bottom": 1, "bg_color": "#EEF1F5"}
        )
        # Vertical lines separate the columns. Without them, the text in a full cell would touch the
        # next text.
        lines = {"valign": "top", "bottom": 1, "bottom_color": "#B9C0CA"}
        lines |= {"right": 1, "right_color": "#B9C0CA"}
        wrapped = workbook.add_format({**lines, "text_wrap": True})
        text = workbook.add_format({**lines, "num_format": "@"})
        grey = workbook.add_format({"italic": True, "font_color": "#6B7280"})
        blue = workbook.add_format({**lines, "text_wrap": True, "font_color": "#0B57D0"})
        days = [workbook.add_format({**lines, "num_format": code}) for code in _DAY_FORMATS]
        for layout in layouts:
            form, last = layout.form, len(layout.columns) - 1
            body = text if form else wrapped
            worksheet = workbook.add_worksheet(layout.title)
            _lay_out_for_paper(worksheet, layout.widths, origin)
            for column, width in enumerate(layout.widths):
                worksheet.set_column(column, column, width, body if form else None)
            worksheet.freeze_panes(1, 1)
            for column, title_text in enumerate(layout.columns):
                worksheet.write_string(0, column, title_text, heading)
            worksheet.write_blank(1, 0, None, body)
            # In the blank row, cells to the right of the last column add the date formats to the
            # workbook.
            for column, day in enumerate(() if form else days, start=last + 1):
                worksheet.write_blank(1, column, None, day)
            for number, address in enumerate(layout.links, start=1):
                worksheet.write_url(number, last, address, blue)
            if layout.is_filtered:
                worksheet.autofilter(0, 0, 1, last)
            if form:
                _make_form(worksheet, form, grey)
    return buffer.getvalue()


# The last row in which the form offers choices. The rows below it accept any text.
_FORM_ROWS = 5_000


def _make_form(worksheet: Any, form: Form, gray_format: Any) -> None:
    columns = len(form.notes)
    for column, note in enumerate(form.notes):
        if not note:
            continue
        lines = len(note) // 30 + note.count("\n") + 2
        worksheet.write_comment(0, column, note, {"x_scale": 2, "y_scale": lines / 4.5})
    for column, choices in enumerate(form.choices):
        source = choices if isinstance(choices, str) else list(choices)
        # The longest list of choices in a cell. Source: Microsoft, Excel specifications and limits.
        if choices and (isinstance(choices, str) or len(",".join(choices)) <= 255):
            is_open = column in form.open_choices
            worksheet.data_validation(
                1, column, _FORM_ROWS, column,
                {"validate": "list", "source": source, "show_error": not is_open},
            )  # fmt: skip
    worksheet.ignore_errors(
        {"number_stored_as_text": f"A2:{convert_to_letters(columns - 1)}{SHEET_ROWS}"}
    )
    if form.muted:
        rule = {"type": "formula", "criteria": f'=$A2="{form.muted}"', "format": gray_format}
        worksheet.conditional_format(1, 0, _FORM_ROWS, columns - 1, rule)


def convert_to_letters(column: int) -> str:
    """Return the letters of a spreadsheet column, such as A or AA.

    The first column has the number 0.
    """
    before, letter = divmod(column, 26)
    return (convert_to_letters(before - 1) if before else "") + string.ascii_uppercase[letter]


_A4 = 9  # The number for the paper size A4 in the XLSX format.

# Cells use the default font of the XLSX format, Calibri at 11 points. In print, the font size is at
# least 8 points.
_LEAST_SCALE = 73  # The smallest scale in percent for printing: 8 points divided by 11 points.

# The width of a landscape A4 page without its margins, in pixels of 1/96 inch.
_PAGE_PIXELS = int((297 / 25.4 - 2 * 0.35) * 96 * 0.99)

# The widths of a character in pixels: in the font that programs use if Calibri is not installed,
# and in Calibri. Each column also has a margin of 5 pixels.
_WIDE_CHARACTER, _CHARACTER = 9.5, 7
_COLUMN_MARGIN = 5


def _lay_out_for_paper(worksheet: Any, widths: Sequence[int], origin: Origin) -> None:
    worksheet.set_paper(_A4)
    worksheet.set_landscape()
    # The scale is set here, because a spreadsheet program could calculate a scale that is too small
    # to read. If the columns need several pages, these pages follow each other, and each page
    # repeats the first column.
    scale = int(100 * _PAGE_PIXELS / _measure_pixels(widths, _WIDE_CHARACTER))
    worksheet.set_print_scale(max(_LEAST_SCALE, min(scale, 100)))
    worksheet.repeat_columns(0)
    worksheet.print_across()
    worksheet.repeat_rows(0)
    worksheet.set_margins(left=0.35, right=0.35, top=0.45, bottom=0.6)
    # A footer has at most 255 characters. The character "&" begins a code, so it is written as
    # "&&".
    words = origin.one_line_text.replace("&", "&&")[:180]
    page_number = translate_title("Page {} of {}", origin.lang).format("&P", "&N")
    worksheet.set_footer(f"&L&A{' · ' * bool(words)}{words}&R{page_number}")


def _measure_pixels(widths: Iterable[int], character_width: float) -> float:
    return sum(character_width * width + _COLUMN_MARGIN for width in widths)


def _fits_page(widths: Iterable[int], character_width: float) -> bool:
    """Return whether the columns fit on a page that is printed at the smallest allowed scale."""
    return _measure_pixels(widths, character_width) * _LEAST_SCALE <= 100 * _PAGE_PIXELS


# The thread makes many small writes and rarely releases the interpreter lock. Without pauses, a
# notebook with 10,000 rows would not respond for a second.
_ROWS_IN_ONE_GO = 100


# Patterns for the parts of a sheet that lyncnb replaces: the dimension, the blank row with the
# styles of its cells, and the range of the filter. The dimension is optional, and is not known
# before the rows are written.
_DIMENSION = re.compile(r"<dimension [^>]*>")
_BLANK_ROWS = re.compile(r'<row r="2".*(?=</sheetData>)', re.DOTALL)
_STYLE = re.compile(r'<c r="([A-Z]+)2" s="(\d+)"')
_FILTER = re.compile(r'(?<=<autoFilter ref="A1:)([A-Z]+)2(?=")')


def _fill_sheet(frame: str, sheet: Sheet) -> Iterator[str]:
    """Yield the XML of a sheet in parts, with its rows.

    The library needs 7 microseconds for a cell, and a large plan has millions of cells. This
    function needs 1 microsecond.
    """
    head, tail = _BLANK_ROWS.split(_DIMENSION.sub("", frame))
    yield head
    cells = _CellWriter(len(sheet.columns), styles=dict(_STYLE.findall(frame)))
    number, lines = 1, []
    for number, row in enumerate(sheet.rows(), start=2):
        if number > SHEET_ROWS:
            raise ValueError(f"a sheet can have at most {SHEET_ROWS - 1:,} rows below the heading")
        lines.append(cells.write_row(number, row))
        if number % _ROWS_IN_ONE_GO == 0:
            time.sleep(0.0001)
            yield "".join(lines)
            lines.clear()
    yield "".join(lines)
    yield _FILTER.sub(rf"\g<1>{max(number, 2)}", tail)


# The characters that XML does not allow, or that have a special meaning. ECMA-376 part 1, section
# 22.9.2.19 (ST_Xstring) encodes such a character as _x0001_.
_XML_CARE = re.compile(r"[&<>\x00-\x08\x0b-\x1f\ufffe\uffff]|_x[0-9A-Fa-f]{4}_|^\s|\s$")
_NO_XML = re.compile(r"[\x00-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")


# The patterns for dates and UTC times as lyncnb shows them, and the formats of their cells.
_DAY = re.compile(r"[1-9]\d{3}-[01]\d-[0-3]\d(?: [0-2]\d:[0-5]\d UTC)?")
_DAY_FORMATS = ("yyyy-mm-dd", 'yyyy-mm-dd hh:mm "UTC"')

# A spreadsheet stores a date as the number of days since 1899-12-30. This is correct only from
# 1900-03-01, because Excel also counts the nonexistent day 1900-02-29.
_DAY_ZERO = datetime(1899, 12, 30)
_FIRST_DAY = datetime(1900, 3, 1)


def _compute_day_number(value: Any) -> int | float | None:
    """Return the serial number of a date or time in a spreadsheet, or None for other values."""
    if isinstance(value, date):
        text = f"{value:%Y-%m-%d}" if type(value) is date else f"{value:%Y-%m-%d %H:%M} UTC"
    elif isinstance(value, str) and _DAY.fullmatch(value):
        text = value
    else:
        return None
    try:
        moment = datetime.fromisoformat(text.removesuffix(" UTC"))
    except ValueError:
        return None
    if moment < _FIRST_DAY:
        return None
    passed = moment - _DAY_ZERO
    return passed.days if len(text) == len("2027-03-15") else passed.total_seconds() / 86_400


class _CellWriter:
    """A converter of table rows to the XML of spreadsheet cells.

    A column without a separate style uses the style of column A. The styles of dates are those of
    the cells after the last column. A form has no such styles, and its dates are text.
    """

    def __init__(self, columns: int, *, styles: Mapping[str, str]) -> None:
        letters = [*map(convert_to_letters, range(columns + len(_DAY_FORMATS)))]
        self._columns = [(letter, styles.get(letter, styles["A"])) for letter in letters[:columns]]
        self._days = [styles[letter] for letter in letters[columns:] if letter in styles]

    def write_row(self, row_number: int, values: Sequence[Any]) -> str:
        parts = [f'<row r="{row_number}">']
        for (letter, style), value in zip(self._columns, values, strict=True):
            cell = f'<c r="{letter}{row_number}" s="{style}"'
            if type(value) is int or type(value) is float:
                parts.append(f"{cell}><v>{value}</v></c>")
            elif not value:
                parts.append(f"{cell}/>")
            elif self._days and (day := _compute_day_number(value)) is not None:
                style = self._days[isinstance(day, float)]
                parts.append(f'<c r="{letter}{row_number}" s="{style}"><v>{day!r}</v></c>')
            else:
                text = "\n".join(value) if isinstance(value, tuple) else format_cell(value)
                parts.append(
                    f'{cell} t="inlineStr"><is>{_escape_xml(truncate_text(text))}</is></c>'
                )
        parts.append("</row>")
        return "".join(parts)


def _escape_xml(text: str) -> str:
    if _XML_CARE.search(text) is None:
        return f"<t>{text}</t>"
    escaped = html.escape(_NO_XML.sub(lambda match: f"_x{ord(match[0]):04X}_", text), quote=False)
    return f'<t xml:space="preserve">{escaped}</t>'


def truncate_text(text: str) -> str:
    """Truncate text that is too long for a spreadsheet cell, and add a note.

    Excel rejects longer cells in an XLSX file. In a CSV file, it moves the excess text to the next
    rows.
    """
    if len(text) <= CELL_LENGTH:
        return text
    note = (
        " … (the text is longer than a cell can contain; the JSON document contains the "
        "complete text)"
    )
    return text[: CELL_LENGTH - len(note)] + note


def _lay_out(sheet: Sheet) -> _Layout:
    """Measure the first rows of a sheet, and return the sheet's layout."""
    # The filter's arrow in a heading is as wide as 3 characters.
    longest = [len(text) + 3 for text in sheet.columns]
    words = [max(map(len, text.split()), default=0) + 3 for text in sheet.columns]
    rows = [*islice(sheet.rows(), _MEASURED_ROWS)]
    for row in rows:
        for index, value in enumerate(row):
            for line in map(str, value) if isinstance(value, tuple) else (format_cell(value),):
                longest[index] = max(longest[index], len(line))
                # A line that is not wider than the longest word so far cannot contain a longer
                # word.
                if len(line) > words[index]:
                    parts = [line] if _DAY.fullmatch(line) else [*line.split(), ""]
                    words[index] = max(words[index], *map(len, parts), 0)
    widths = sheet.widths or tuple(min(width + 1, _WIDEST) for width in longest)
    if not sheet.form:
        widths = _narrow_columns(widths, [width + 1 for width in words])
    is_filtered = sheet.has_filter and bool(rows)
    return _Layout(sheet.title, sheet.columns, widths, sheet.form, sheet.links, is_filtered)


def _narrow_columns(widths: tuple[int, ...], words: Sequence[int]) -> tuple[int, ...]:
    """Make columns narrower if the sheet then fits on a page. Their longest words still fit."""
    least = [*map(min, widths, words)]
    for character in (_WIDE_CHARACTER, _CHARACTER):
        for share in range(100, -1, -1):
            narrowed = [low + (wide - low) * share // 100 for low, wide in zip(least, widths)]
            if _fits_page(narrowed, character):
                return tuple(narrowed)
    return widths
