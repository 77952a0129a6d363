"""Read the sheets in an Excel workbook (.xlsx, .xlsm; ECMA-376) as text.

lyncnb does not use a library for this. Some libraries omit facts that users must know, such as
hidden rows, merged cells, and formulas that were never calculated. Others store every cell in the
sheet, so that a file of 5 KB with a cell in the last row needs all memory.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ..base.disk.zip_file import Archive
from ..errors import TopologyError
from .sheet import (
    DATE,
    ERROR,
    MAX_COLUMNS,
    MAX_ROWS,
    NO_RESULT,
    NoTable,
    Sheet,
    add_hidden_range,
    format_plain_number,
    parse_area,
    parse_column_letters,
    parse_whole_number,
)
from .xml_tree import scan_xml


class _Local(dict[str, str]):
    """A cache of XML names without namespaces. "Strict" workbooks use other namespaces."""

    def __missing__(self, name: str) -> str:
        local = self[name] = name.rpartition(" ")[2]
        return local


def _do_nothing(*_: object) -> None:
    pass


@dataclass(slots=True)
class _Reader:
    """A reader for parts of an open Excel workbook. ``source`` is the file name for messages."""

    source: str
    archive: Archive
    local: _Local = field(default_factory=_Local)

    def scan_part(
        self,
        part: str,
        handle_element: Callable[[str, dict[str, str]], None],
        *,
        max_elements: int = 100_000,
    ) -> None:
        """If a part of the workbook exists, call a function for each of its XML elements."""
        if part in self.archive:
            scan_xml(
                self.source,
                self.archive.read_pieces(part),
                start=lambda name, attributes: handle_element(self.local[name], attributes),
                end=_do_nothing,
                text=_do_nothing,
                max_elements=max_elements,
            )

    def read_relationships(self, part: str) -> dict[str, tuple[str, str]]:
        """Return the type and target of a workbook part's relationships, by relationship ID."""
        folder, name = posixpath.split(part)
        relations = {}

        def read_relationship(element: str, attributes: dict[str, str]) -> None:
            if element == "Relationship" and attributes.get("TargetMode") != "External":
                kind = attributes.get("Type", "").rpartition("/")[2]
                target = posixpath.normpath(
                    posixpath.join("/", folder, attributes.get("Target", ""))
                )
                relations[attributes.get("Id", "")] = (kind, target.lstrip("/"))

        self.scan_part(posixpath.join(folder, "_rels", f"{name}.rels"), read_relationship)
        return relations


def read_excel_sheets(source: str, archive: Archive) -> list[Sheet]:
    """Read the sheets in an Excel workbook.

    Parameters
    ----------
    source : str
        The file name, for messages.
    archive : Archive
        The workbook.

    Returns
    -------
    list of Sheet
        The sheets in the order of their tabs. A sheet without headings has only its first rows.

    Raises
    ------
    TopologyError, BadArchive
        If the workbook is damaged or too large.

    Notes
    -----
    Source: ECMA-376 part 1, section 18 (SpreadsheetML).
    """
    reader = _Reader(source, archive)
    main = next(
        (t for kind, t in reader.read_relationships("").values() if kind == "officeDocument"), ""
    )
    main = main or "xl/workbook.xml"
    relations = reader.read_relationships(main)
    of_kind = dict(relations.values())
    book = _Book(relations)
    reader.scan_part(main, book.read_element)
    strings = _read_shared_strings(reader, of_kind.get("sharedStrings", ""))
    formats = _read_formats(reader, of_kind.get("styles", ""), is_1904=book.is_1904)
    for sheet, target in book.sheets:
        scanner = _SheetScanner(source, sheet, strings, formats, is_stale=book.is_stale)
        with suppress(NoTable):
            scan_xml(
                source,
                archive.read_pieces(target),
                start=scanner.start,
                end=scanner.end,
                text=scanner.text,
            )
    return [sheet for sheet, _ in book.sheets]


class _Book:
    """A collector for the sheets and settings in the main part of an Excel workbook."""

    def __init__(self, relations: Mapping[str, tuple[str, str]]):
        self.relations = relations
        self.sheets: list[tuple[Sheet, str]] = []
        self.is_1904 = False
        # Whether programs must calculate all formulas when they open the workbook.
        self.is_stale = False

    def read_element(self, element: str, attributes: dict[str, str]) -> None:
        if element == "workbookPr":
            self.is_1904 = attributes.get("date1904") in ("1", "true")
        elif element == "calcPr":
            self.is_stale = attributes.get("fullCalcOnLoad") in ("1", "true")
        elif element == "sheet":
            link = next((text for name, text in attributes.items() if name.endswith(" id")), "")
            kind, target = self.relations.get(link, ("", ""))
            if kind == "worksheet":
                is_hidden = attributes.get("state", "visible") != "visible"
                self.sheets.append((Sheet(attributes.get("name", ""), is_hidden), target))


# --- The following classes and functions read the shared strings of an Excel workbook.


class _Strings:
    """The text of each ``si`` element, without its phonetic text (``rPh``)."""

    def __init__(self, local: _Local):
        self.local = local
        self.texts: list[str] = []
        self.parts: list[str] = []
        self.is_text = self.is_spoken = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        kind = self.local[name]
        if kind == "si":
            self.parts.clear()
        elif kind == "rPh":
            self.is_spoken = True
        self.is_text = kind == "t" and not self.is_spoken

    def end(self, name: str) -> None:
        kind = self.local[name]
        self.is_text = False
        if kind == "si":
            self.texts.append(_unescape("".join(self.parts)))
        elif kind == "rPh":
            self.is_spoken = False

    def text(self, text: str) -> None:
        if self.is_text:
            self.parts.append(text)


def _read_shared_strings(reader: _Reader, part: str) -> list[str]:
    strings = _Strings(reader.local)
    if part in reader.archive:
        scan_xml(
            reader.source,
            reader.archive.read_pieces(part),
            start=strings.start,
            end=strings.end,
            text=strings.text,
        )
    return strings.texts


_ESCAPE = re.compile("_x([0-9A-Fa-f]{4})_")


def _unescape(text: str) -> str:
    """Decode the escape sequences of ST_Xstring (ECMA-376 part 1, section 22.9.2.19)."""
    if "_x" not in text:
        return text
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)


# --- The following functions format numbers as Excel does.

# The built-in date and time formats (ECMA-376 part 1, section 18.8.30). The numbers 27 to 36 and 50
# to 58 are for East Asian versions of Excel.
_DATE_IDS = frozenset([*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)])
_ZERO_IDS = {"1": "0", "2": "0.00"}
_LITERAL = re.compile(r'"[^"]*"|\\.|\[(?!h+\]|m+\]|s+\])[^\]]*\]|_.|\*.', re.IGNORECASE)
_ZEROS = re.compile(r"\A(0{1,30})(?:\.(0{1,30}))?\Z")

Written = Callable[[str], tuple[str, str]]


def _read_formats(reader: _Reader, part: str, *, is_1904: bool) -> dict[str, Written]:
    """Return the functions that write numbers in the formats of cell styles.

    The keys are the indexes of the styles. Styles that do not change numbers have no function.
    """
    codes: dict[str, str] = dict(_ZERO_IDS)
    formats: dict[str, Written] = {}
    start = datetime(1904, 1, 1) if is_1904 else datetime(1899, 12, 30)
    is_cell = False
    index = 0

    def read_format(element: str, attributes: dict[str, str]) -> None:
        nonlocal is_cell, index
        number = attributes.get("numFmtId", "")
        if element == "numFmt":
            codes[number] = attributes.get("formatCode", "")
        elif element in ("cellXfs", "cellStyleXfs", "cellStyles", "dxfs"):
            is_cell = element == "cellXfs"
        elif element == "xf" and is_cell:
            writer = _make_formatter(number, codes.get(number, ""), start)
            if writer:
                formats[str(index)] = writer
            index += 1

    reader.scan_part(part, read_format, max_elements=500_000)
    return formats


def _make_formatter(number: str, code: str, epoch: datetime) -> Written | None:
    if number in {str(date_id) for date_id in _DATE_IDS}:
        return lambda text: (_format_date(text, epoch), DATE)
    zeros = _ZEROS.match(code)
    if zeros:
        width, decimals = len(zeros[1]), len(zeros[2] or "")
        full = width + decimals + 1 if decimals else width
        return lambda text: (_pad_zeros(text, full, decimals), "")
    if re.search("[ymdhs]", _LITERAL.sub("", code.partition(";")[0]), re.IGNORECASE):
        return lambda text: (_format_date(text, epoch), DATE)
    return None


def _pad_zeros(text: str, width: int, decimals: int) -> str:
    """Format a number with a fixed number of digits, as in 007 or 1.0."""
    try:
        return f"{float(text):0{width}.{decimals}f}"
    except (ValueError, OverflowError):
        return text


def _format_date(text: str, epoch: datetime) -> str:
    """Format an Excel date as 2026-01-02, and an Excel time as 13:30:00."""
    try:
        days = float(text)
        moment = epoch + timedelta(seconds=round(days * 86_400))
    except (ValueError, OverflowError):
        return text
    if 0 <= days < 1:
        return moment.strftime("%H:%M:%S")
    is_day = not (moment.hour or moment.minute or moment.second)
    return moment.date().isoformat() if is_day else moment.isoformat(" ")


# --- The following functions read a sheet of an Excel workbook.


class _SheetScanner:
    """A scanner that reads the XML of an Excel sheet as a stream."""

    def __init__(
        self,
        source: str,
        sheet: Sheet,
        strings: list[str],
        formats: Mapping[str, Written],
        *,
        is_stale: bool,
    ):
        self.source, self.sheet = source, sheet
        self.strings, self.formats, self.is_stale = strings, formats, is_stale
        self.local = _Local()
        self.columns: dict[str, int] = {}
        self.row, self.column = 0, -1
        self.cells: dict[int, str] = {}
        self.facts: Mapping[str, str] = {}  # The XML attributes of the current cell.
        self.has_formula = self.has_value = self.is_text = self.is_spoken = False
        self.parts: list[str] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        kind = self.local[name]
        if kind == "c":
            reference = attributes.get("r")
            self.column = self._find_column(reference) if reference else self.column + 1
            self.facts = attributes
            self.has_formula = self.has_value = False
            if self.parts:
                self.parts.clear()
        elif kind in ("v", "t"):
            self.has_value = self.is_text = not self.is_spoken
        elif kind == "f":
            self.has_formula = True
        elif kind == "row":
            self.row = self._find_row_number(attributes.get("r", ""))
            self.column = -1
            self.cells = {}
            if _is_hidden(attributes, "ht"):
                add_hidden_range(self.sheet.hidden_rows, self.row, self.row)
        elif kind == "rPh":
            self.is_spoken = True
        elif kind == "col" and _is_hidden(attributes, "width"):
            first, last = (
                self._read_number(attributes.get(end, "1"), MAX_COLUMNS) for end in ("min", "max")
            )
            add_hidden_range(self.sheet.hidden_columns, first - 1, last - 1)
        elif kind == "mergeCell" and (area := parse_area(attributes.get("ref", ""))):
            self.sheet.add_merged_area(self.source, area)

    def end(self, name: str) -> None:
        kind = self.local[name]
        if kind == "c":
            if self.parts or self.has_formula:
                self._end_cell()
        elif kind in ("v", "t"):
            self.is_text = False
        elif kind == "rPh":
            self.is_spoken = False
        elif kind == "row":
            self.sheet.add_row(self.source, self.row, self.cells)

    def text(self, text: str) -> None:
        if self.is_text:
            self.parts.append(text)

    def _end_cell(self) -> None:
        if self.column >= MAX_COLUMNS:
            raise self._build_damaged_error()
        text, oddity = "".join(self.parts), ""
        kind = self.facts.get("t", "n")
        if kind == "s" and text:
            text = self._get_shared_text(text)
        elif kind in ("str", "inlineStr"):
            text = _unescape(text)
        elif kind == "b" and text:
            text = "FALSE" if text.strip() in ("0", "false") else "TRUE"
        elif kind == "e":
            oddity = ERROR
        elif kind == "d":
            oddity = DATE if text else ""
        elif text:
            is_guess = self.is_stale and self.has_formula and text == "0"
            writer = self.formats.get(self.facts.get("s", ""))
            text, oddity = writer(text) if writer else (format_plain_number(text), "")
            text, oddity = ("", NO_RESULT) if is_guess else (text, oddity)
        if self.has_formula and not text and not (kind == "str" and self.has_value):
            oddity = NO_RESULT
        if oddity:
            self.sheet.mark_cell(self.source, self.row, self.column, oddity)
            text = text or "?"
        if text:
            self.cells[self.column] = text

    def _get_shared_text(self, index: str) -> str:
        if (
            index.isascii()
            and index.isdigit()
            and len(index) < 10
            and int(index) < len(self.strings)
        ):
            return self.strings[int(index)]
        raise self._build_damaged_error()

    def _find_column(self, reference: str) -> int:
        """Return the column number of a cell. The cell's row must match the row element."""
        letters = reference.rstrip("0123456789")
        number = self.columns.get(letters, -1)
        if number < 0:
            if not (len(letters) <= 3 and letters.isascii() and letters.isalpha()):
                raise self._build_damaged_error()
            self.columns[letters] = number = parse_column_letters(letters.upper())
        return number

    def _find_row_number(self, text: str) -> int:
        """Return the number of a row. It must be higher than the number of the previous row."""
        number = self._read_number(text, MAX_ROWS) if text else self.row + 1
        if number <= self.row:
            raise self._build_damaged_error()
        return number

    def _read_number(self, text: str, max_value: int) -> int:
        number = parse_whole_number(text, max_value)
        if number is None:
            raise self._build_damaged_error()
        return number

    def _build_damaged_error(self) -> TopologyError:
        return TopologyError(
            f"{self.source} is damaged: a cell refers to content that is missing",
            hint="open the file in Excel or LibreOffice and save it again",
        )


def _is_hidden(attributes: Mapping[str, str], size: str) -> bool:
    return attributes.get("hidden") in ("1", "true") or attributes.get(size) == "0"
