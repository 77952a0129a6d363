"""Read the sheets in an OpenDocument spreadsheet (.ods; OpenDocument 1.3) as text."""

from __future__ import annotations

import re
from contextlib import suppress

from ..base.disk.zip_file import Archive
from ..errors import TopologyError
from .sheet import (
    DATE,
    ERROR,
    MAX_COLUMNS,
    MAX_ROWS,
    NO_RESULT,
    Area,
    NoTable,
    Sheet,
    add_hidden_range,
    format_plain_number,
    parse_whole_number,
)
from .xml_tree import scan_xml

_TABLE = "urn:oasis:names:tc:opendocument:xmlns:table:1.0"
_OFFICE = "urn:oasis:names:tc:opendocument:xmlns:office:1.0"
_TEXT = "urn:oasis:names:tc:opendocument:xmlns:text:1.0"
_STYLE = "urn:oasis:names:tc:opendocument:xmlns:style:1.0"
# Only an attribute in the namespace of LibreOffice distinguishes an error value from text.
_ERROR_TYPE = "urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0 value-type"

_VALUES = {
    "date": f"{_OFFICE} date-value",
    "time": f"{_OFFICE} time-value",
    "boolean": f"{_OFFICE} boolean-value",
}
_CELLS = (f"{_TABLE} table-cell", f"{_TABLE} covered-table-cell")
# The elements in a cell that are not part of its text, such as comments and pictures.
_BESIDE = (f"{_OFFICE} annotation", f"{_TABLE} shapes", f"{_TABLE} detective")
_BLANKS = re.compile("[ \t\r\n]+")


def read_opendocument_sheets(source: str, archive: Archive) -> list[Sheet]:
    """Read the sheets in an OpenDocument spreadsheet.

    Parameters
    ----------
    source : str
        The file name, for messages.
    archive : Archive
        The spreadsheet.

    Returns
    -------
    list of Sheet
        The sheets in the order of their tabs. A sheet without headings has only its first rows.

    Raises
    ------
    TopologyError, BadArchive
        If the spreadsheet is encrypted, damaged, or too large.

    Notes
    -----
    Source: OpenDocument 1.3 part 3, sections 9 (tables) and 19 (attributes).
    """
    manifest = b"".join(archive.read_pieces("META-INF/manifest.xml"))
    if b"encryption-data" in manifest:
        raise TopologyError(
            f"{source} is protected with a password",
            hint="open the file, choose File > Save As, and clear the Save with password check box",
        )
    scanner = _Scanner(source)
    scan_xml(
        source,
        archive.read_pieces("content.xml"),
        start=scanner.start,
        end=scanner.end,
        text=scanner.text,
    )
    return scanner.sheets


class _Scanner:
    """A scanner that reads the sheets in the XML of an OpenDocument spreadsheet as a stream."""

    def __init__(self, source: str):
        self.source = source
        self.sheets: list[Sheet] = []
        self.hidden_styles: set[str] = set()
        self.style = ""
        self.sheet: Sheet | None = None  # The current sheet, or None between two sheets.
        self.row, self.rows_alike, self.column = 0, 1, 0
        self.cells: dict[int, str] = {}
        self.odd: dict[int, str] = {}
        self.facts: dict[str, str] = {}
        self.parts: list[str] = []  # The text of the current cell.
        # The depth of nested elements that are not part of the cell's text.
        self.beside = 0
        # Whether the scanner is inside a paragraph, and whether the current cell already has a
        # paragraph.
        self.is_text = self.is_filled = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        space, _, kind = name.rpartition(" ")
        if self.beside or name in _BESIDE or "drawing" in space:
            self.beside += 1
        elif space == _TEXT:
            self._start_text_element(kind, attributes)
        elif space == _TABLE:
            self._start_table(kind, attributes)
        elif name == f"{_STYLE} style":
            self.style = attributes.get(f"{_STYLE} name", "")
        elif (
            name == f"{_STYLE} table-properties" and attributes.get(f"{_TABLE} display") == "false"
        ):
            self.hidden_styles.add(self.style)

    def _start_table(self, kind: str, attributes: dict[str, str]) -> None:
        if kind == "table":
            is_hidden = attributes.get(f"{_TABLE} style-name", "") in self.hidden_styles
            self.sheet = Sheet(attributes.get(f"{_TABLE} name", ""), is_hidden)
            self.sheets.append(self.sheet)
            self.row, self.rows_alike, self.column = 0, 1, 0
        elif self.sheet is None:
            return
        elif kind == "table-column":
            count = self._read_count(attributes, "number-columns-repeated", MAX_COLUMNS)
            if _is_hidden(attributes):
                add_hidden_range(self.sheet.hidden_columns, self.column, self.column + count - 1)
            self.column += count
        elif kind == "table-row":
            self.row += self.rows_alike
            self.rows_alike = self._read_count(attributes, "number-rows-repeated", MAX_ROWS)
            if _is_hidden(attributes):
                add_hidden_range(self.sheet.hidden_rows, self.row, self.row + self.rows_alike - 1)
            self.column, self.cells, self.odd = 0, {}, {}
        elif kind in ("table-cell", "covered-table-cell"):
            self.facts, self.is_filled = attributes, False
            self.parts.clear()

    def _start_text_element(self, kind: str, attributes: dict[str, str]) -> None:
        if kind == "p":
            if self.is_filled:
                self.parts.append("\n")
            self.is_text = self.is_filled = True
        elif self.is_text and kind == "s":
            count = attributes.get(f"{_TEXT} c", "1")
            self.parts.append(" " * (int(count) if re.fullmatch("[0-9]{1,3}", count) else 1))
        elif self.is_text and kind in ("tab", "line-break"):
            self.parts.append("\t" if kind == "tab" else "\n")

    def text(self, text: str) -> None:
        if self.is_text and not self.beside:
            self.parts.append(_BLANKS.sub(" ", text))

    def end(self, name: str) -> None:
        if self.beside:
            self.beside -= 1
        elif name == f"{_TEXT} p":
            self.is_text = False
        elif self.sheet is None:
            return
        elif name in _CELLS:
            self._end_cell(is_covered=name == _CELLS[1])
        elif name == f"{_TABLE} table-row":
            for column, oddity in self.odd.items():
                self.sheet.mark_cell(self.source, self.row, column, oddity)
            with suppress(NoTable):
                self.sheet.add_row(self.source, self.row, self.cells, self.rows_alike)
                return
            self.sheet = None  # The parser skips the remaining rows of this sheet.
        elif name == f"{_TABLE} table":
            self.sheet = None

    def _end_cell(self, *, is_covered: bool) -> None:
        count = self._read_count(self.facts, "number-columns-repeated", MAX_COLUMNS)
        if self.column + count > MAX_COLUMNS:
            raise self._build_damaged_error()
        text, oddity = ("", "") if is_covered else self._read_value()
        if text:
            columns = range(self.column, self.column + count)
            self.cells.update(dict.fromkeys(columns, text))
            if oddity:
                self.odd.update(dict.fromkeys(columns, oddity))
        down = self._read_count(self.facts, "number-rows-spanned", MAX_ROWS)
        across = self._read_count(self.facts, "number-columns-spanned", MAX_COLUMNS)
        if self.sheet and (down, across) != (1, 1):
            last_row, last_column = self.row + down - 1, self.column + across - 1
            area = Area(self.row, self.column, last_row, last_column)
            self.sheet.add_merged_area(self.source, area)
        self.column += count

    def _read_value(self) -> tuple[str, str]:
        """Return the current cell's text, and whether it is an error, a date, or not calculated."""
        facts, text = self.facts, "".join(self.parts)
        kind = facts.get(f"{_OFFICE} value-type", "")
        has_formula = f"{_TABLE} formula" in facts
        if facts.get(_ERROR_TYPE) == "error" or (has_formula and text.startswith(("#", "Err:"))):
            return text or "?", ERROR
        if has_formula and not kind and not text:
            return "?", NO_RESULT
        if kind in ("float", "currency", "percentage"):
            return _format_number(facts.get(f"{_OFFICE} value", ""), text), ""
        if kind == "boolean":
            return facts.get(_VALUES[kind], "").upper(), ""
        if kind in _VALUES:
            return facts.get(_VALUES[kind], "").removesuffix("T00:00:00").replace("T", " "), DATE
        return text or facts.get(f"{_OFFICE} string-value", ""), ""

    def _read_count(self, attributes: dict[str, str], name: str, max_value: int) -> int:
        number = parse_whole_number(attributes.get(f"{_TABLE} {name}", "1"), max_value)
        if number is None:
            raise self._build_damaged_error()
        return number

    def _build_damaged_error(self) -> TopologyError:
        return TopologyError(
            f"{self.source} is damaged: it has more rows or columns than a sheet can contain",
            hint="open the file in LibreOffice and save it again",
        )


def _format_number(value: str, shown_text: str) -> str:
    """Return the displayed text of a number if it is only digits and a point, such as 007 or 1.0.

    Otherwise, return the number in plain form.
    """
    with suppress(ValueError):
        if re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", shown_text) and float(shown_text) == float(value):
            return shown_text
    return format_plain_number(value)


def _is_hidden(attributes: dict[str, str]) -> bool:
    return attributes.get(f"{_TABLE} visibility", "visible") != "visible"
