"""Read a file or DataFrame as a ``Table`` of text, and write rows as CSV.

No other module parses or writes a topology table in CSV. lyncnb detects the format from the
content. It does not convert cells (``NA`` and ``007`` stay text), and reports each row with the
wrong number of cells.
"""

from __future__ import annotations

import csv
import io
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from ..base.disk.files import open_plain
from ..base.disk.system_calls import IN_USE_HINT, is_file_in_use_error
from ..base.pasted_text import shown
from ..base.shown.frames import ConvertibleToPandas, DataFrame, convert_to_frame
from ..errors import Problem, TopologyError
from .columns import find_column_names, list_topology_columns
from .encodings import ENCODINGS, Reading, compare_encodings, get_chosen_encoding
from .source_table import Note, Table, Texts, TextsBuilder, build_table
from .topology_document import read_topology_xml
from .workbook import is_workbook, read_workbook
from .xml_tree import MAX_BYTES as MAX_DOCUMENT_BYTES
from .xml_tree import is_markup

if TYPE_CHECKING:
    import _csv


# --- The following functions decode a file to text, and reject files that are too large or do not
# contain text.

#: The size in bytes at which lyncnb rejects a file without reading it.
MAX_BYTES = 200_000_000

_WORKBOOKS = (".xlsx", ".xlsm", ".xls", ".ods")
_SAVE_AS_WORKBOOK = (
    "open the file in Excel or LibreOffice and save it again, or restore it from a backup"
)
_SAVE_AS = 'in Excel, choose File > Save As > "CSV UTF-8 (Comma delimited)"'
_NAMES = f"use one of these encodings: {', '.join(ENCODINGS)}"
_GIVE_A_PATH = (
    "use the path of a topology table, for example data/contoso.csv, its content as bytes, or "
    "a DataFrame"
)
_LOOK_AT_THE_PATH = (
    "check the path; lyncnb expects a table of servers, for example data/contoso.csv"
)

# The first bytes of files that are not text, with the names of their formats.
_OTHER_FORMATS = (
    (b"%PDF", "a PDF document", "export the table as CSV"),
    (b"\x1f\x8b", "a gzip archive", "extract the files from the archive first"),
)


#: The name that messages use for a table that was not read from a file.
NAME_WITHOUT_FILE = "table"


def read_source(source: object) -> tuple[str, bytes]:
    """Return the content of a file that contains a table.

    Parameters
    ----------
    source : path or bytes
        The file or its content, at most ``MAX_BYTES``.

    Returns
    -------
    tuple of str and bytes
        The name of the table for messages, and the content.

    Raises
    ------
    TopologyError
        If the file does not exist, cannot be read, is too large or empty, or has another format.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        name, data = NAME_WITHOUT_FILE, bytes(source)
        _reject_large_file(name, len(data))
    else:
        name, data = _read_file(source)
    start = data[:128].removeprefix(b"\xef\xbb\xbf").lstrip()
    for magic, kind, hint in _OTHER_FORMATS:
        if start.startswith(magic):
            raise TopologyError(f"{name} is {kind}, not a table of servers", hint=hint)
    return name, data


def decode(name: str, data: bytes, encoding: str = "") -> tuple[str, tuple[Reading, ...]]:
    """Decode the bytes of a table as UTF-8, UTF-16 (with or without BOM), or another encoding.

    Parameters
    ----------
    name : str
        The file name, for messages.
    data : bytes
        The content of the file.
    encoding : str, optional
        The encoding of a file that is neither UTF-8 nor UTF-16: cp950, gb18030, or cp1252.

    Returns
    -------
    tuple of str and tuple of Reading
        The text without BOM, and the encodings that a file without Unicode can have.

    Raises
    ------
    TopologyError
        If the text has none of these encodings.
    """
    if encoding and encoding not in ENCODINGS:
        raise TopologyError(f"lyncnb does not know the encoding {shown(encoding)}", hint=_NAMES)
    unicode = "utf-8-sig"
    # The header row begins with ASCII characters, so UTF-16 without a BOM is easy to detect.
    if data[:2] == b"\xff\xfe" or data[1:2] == b"\0":
        unicode = "utf-16-le"
    elif data[:2] == b"\xfe\xff" or data[:1] == b"\0":
        unicode = "utf-16-be"
    try:
        return data.decode(unicode).removeprefix("\ufeff"), ()
    except UnicodeDecodeError as error:
        offset = error.start
    if unicode == "utf-8-sig" and not _is_damaged_utf_8(data):
        text, readings = compare_encodings(name, data, encoding)
        if readings:
            return text, readings
    if Path(name).suffix.casefold() in _WORKBOOKS:
        raise TopologyError(f"{name} is neither a workbook nor text", hint=_SAVE_AS_WORKBOOK)
    line = data.count(b"\n", 0, offset) + 1
    kind = "UTF-16" if unicode != "utf-8-sig" else "UTF-8"
    raise TopologyError(
        f"{name} is not {kind} text: line {line} contains the byte 0x{data[offset]:02x}",
        hint=_SAVE_AS,
    )


def _is_damaged_utf_8(data: bytes) -> bool:
    """Return whether most bytes that are not ASCII are valid UTF-8."""
    valid = data.decode("utf-8", "ignore").encode()
    count = len(valid) - len(valid.translate(None, bytes(range(128, 256))))
    return data.startswith(b"\xef\xbb\xbf") or count > 3 * (len(data) - len(valid))


def _read_file(source: object) -> tuple[str, bytes]:
    if not isinstance(source, (str, os.PathLike)):
        raise TopologyError(
            f"lyncnb cannot read a topology from an object of the type {type(source).__name__}",
            hint=_GIVE_A_PATH,
        )
    path = Path(source)
    try:
        facts = path.stat()
        if stat.S_ISREG(facts.st_mode):
            _reject_large_file(path.name, facts.st_size)
            with open_plain(path) as file:
                return path.name, file.read()
    # A path that contains the character NUL raises ValueError.
    except (OSError, ValueError) as error:
        is_used = isinstance(error, OSError) and is_file_in_use_error(error)
        reason = getattr(error, "strerror", None) or str(error)
        raise TopologyError(
            f"cannot read {shown(str(path))}: {reason}",
            hint=IN_USE_HINT if is_used else _LOOK_AT_THE_PATH,
        ) from None
    kind = "a folder" if stat.S_ISDIR(facts.st_mode) else "not a regular file"
    raise TopologyError(
        f"cannot read {shown(str(path))}: the path is {kind}", hint=_LOOK_AT_THE_PATH
    )


def _reject_large_file(name: str, size: int) -> None:
    if size >= MAX_BYTES:
        raise TopologyError(
            (
                f"{name} is {size / 1000000.0:,.0f} MB, but lyncnb reads only tables smaller "
                f"than {MAX_BYTES / 1000000.0:,.0f} MB"
            ),
            hint=(
                "check whether you specified the correct file. A table needs about 200 "
                "bytes for each server"
            ),
        )
    if size == 0:
        raise TopologyError(f"{name} is empty", hint="export the table again")


# The number of rows in a chunk. It is large enough for fast processing, but a chunk still fits into
# the caches of the CPU.
_CHUNK = 2_000

# Characters that str.splitlines treats as line endings, although they are not line endings in a
# table.
_MORE_LINE_ENDS = "\v\f\x1c\x1d\x1e\x85\u2028\u2029"

# lyncnb searches for the headings in this number of characters and lines, because users sometimes
# put a title above the headings.
_HEAD = 100_000
_TITLE_ROWS = 50

# The pattern for the encoding in an XML declaration, such as ISO-8859-1.
_DECLARED = re.compile(rb"""\s*<\?xml[^>]{0,100}encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")

# The lines that can precede the headings: the separator line for Excel, and the first line from
# Export-Csv without -NoTypeInformation.
_FIRST_LINE = re.compile(r'(?:"?sep=([,;\t|])"?|#TYPE [^\r\n]*)(?:\r\n?|\n)', re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """A CSV table that is split into m headings, m columns of n cells, and n row numbers."""

    headings: list[str]
    texts: list[Texts]
    rows: Sequence[int]
    problems: tuple[Problem, ...] = ()
    long_rows: Mapping[int, str] = field(default_factory=dict)


#: What a table can be read from.
TableSource = str | os.PathLike[str] | bytes | DataFrame | ConvertibleToPandas


def read_rows(source: TableSource, encoding: str = "") -> Table:
    """Read a table of servers from a file or DataFrame.

    Parameters
    ----------
    source : path, bytes or DataFrame
        CSV from Excel, PowerShell, or lyncnb (with commas, semicolons, or tabs), a workbook, a
        topology document, or an object with ``to_pandas``.
    encoding : str, optional
        As for :func:`decode`.

    Returns
    -------
    Table
        n rows without blank rows.

    Raises
    ------
    TopologyError
        If the content is not a valid table.
    """
    frame = convert_to_frame(source)
    if frame is not None:
        return _read_frame(frame)
    name, data = read_source(source)
    if is_workbook(data):
        return read_workbook(name, data)
    if is_markup(data):
        return read_topology_xml(name, _decode_document(name, data))
    notes: tuple[Note, ...] = ()
    text, readings = decode(name, data, encoding)
    if text[:100].lstrip()[:1] == "{":
        raise TopologyError(
            f"{name} is a JSON file, not a table of servers",
            hint="to create requests from a saved plan, run lyncnb request --plan FILE FOLDER; "
            "to compare the plan with another, run lyncnb compare",
        )
    if chosen := get_chosen_encoding(readings):
        message = (
            f"the file is not UTF-8, so lyncnb read it as {chosen} ({ENCODINGS[chosen]}). Check "
            "the names in the table"
        )
        notes = (Note(row=0, column="", before="", after="", message=message),)
    if title := _find_title(text):
        message = f"lyncnb ignored the text above the headings: {shown(title)}"
        notes += (Note(row=0, column="", before="", after="", message=message),)
    split = split_csv(text, source=name)
    return build_table(
        name,
        split.headings,
        split.texts,
        split.rows,
        notes=notes,
        problems=split.problems,
        long_rows=split.long_rows,
        readings=readings,
    )


def _decode_document(name: str, data: bytes) -> str:
    if len(data) >= MAX_DOCUMENT_BYTES:
        raise TopologyError(
            f"{name} is {len(data) / 1000000.0:,.0f} MB, which is too large for a topology",
            hint="check whether you specified the correct file",
        )
    try:
        text, readings = decode(name, data)
        is_unicode = not readings
    except TopologyError:
        is_unicode = False
    if not is_unicode:
        declared = _DECLARED.match(data)
        message = f"{name} is an XML document that is encoded neither in UTF-8 nor in UTF-16"
        if declared:
            message = f"{message}; the declared encoding is {declared[1].decode('ascii')}"
        raise TopologyError(
            message,
            hint=("open the file in a text editor and save it as UTF-8, or export the file again"),
        )
    return text


def write_csv(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> bytes:
    """Return a table as CSV (UTF-8 with BOM, commas, CRLF), which Excel can open directly.

    Parameters
    ----------
    columns : sequence of str
        m headings.
    rows : sequence of sequences of str
        n rows of m cells, which are written unchanged.
    """
    out = io.StringIO(newline="")
    csv.writer(out).writerows([columns, *rows])
    return b"\xef\xbb\xbf" + out.getvalue().encode("utf-8")


def find_delimiter(text: str) -> tuple[str, str]:
    """Find the headings of a table, and return the text above them and the delimiter."""
    first_line = _FIRST_LINE.match(text)
    skipped = first_line[0] if first_line else ""
    delimiters = first_line[1] if first_line and first_line[1] else ",;\t"
    known = {column.name for column in list_topology_columns()}
    required = {column.name for column in list_topology_columns() if column.required}
    body = io.StringIO(text[len(skipped) : len(skipped) + _HEAD], newline="")
    first, above = "", ""
    # Without the required headings, the headings are the line with the most known ones.
    most, best = 1, ("", "")
    for line in islice(body, _TITLE_ROWS):
        for delimiter in delimiters:
            names = known.intersection(find_column_names(_split_line(line, delimiter)))
            if required <= names:
                return skipped + above, delimiter
            if len(names) > most:
                most, best = len(names), (skipped + above, delimiter)
        above += line
        if not first and line.strip():
            first = line

    if most > 1:
        return best

    def rate_delimiter(delimiter: str) -> tuple[int, int]:
        cells = _split_line(first, delimiter)
        return len(known.intersection(find_column_names(cells))), len(cells)

    return skipped, max(delimiters, key=rate_delimiter)


def count_lines_above_table(text: str) -> int:
    """Return the number of lines above the table."""
    return sum(1 for _ in io.StringIO(text, newline=""))


def _find_title(text: str) -> str:
    """Return the text above the headings, or "" if there is none."""
    skipped, _ = find_delimiter(text)
    lines = io.StringIO(_FIRST_LINE.sub("", skipped, count=1), newline="")
    return " ".join(line.strip(' ,;\t\r\n"') for line in lines).strip()


def _split_line(line: str, delimiter: str) -> list[str]:
    """Split a line into cells. If its row continues in the next line, return an empty list."""
    try:
        return next(csv.reader([line], delimiter=delimiter, strict=True), [])
    except csv.Error:
        return []


def split_csv(text: str, *, source: str) -> Split:
    """Split a CSV table into columns. Blank rows are skipped, but they count in the row numbers.

    Rows with too few or too many cells, quotation marks that are not closed, and cells that are
    much too long are reported in ``problems``.
    """
    skipped, delimiter = find_delimiter(text)
    first = 1 + count_lines_above_table(skipped)
    problems: list[Problem] = []
    rows = _read_valid_rows(
        text[len(skipped) :], delimiter, first_row=first, source=source, problems=problems
    )
    headings: list[str] = []
    for row, cells in enumerate(rows, start=first):
        first = row + 1
        if _is_filled(cells):
            headings = cells
            break
    splitter = _Splitter(headings, source, problems)
    while chunk := [*islice(rows, _CHUNK)]:
        splitter.add(chunk, first_row=first)
        first += len(chunk)
    columns = [column.build_column() for column in splitter.columns]
    # Excel writes a delimiter for every column that has ever contained text.
    used = [
        index
        for index, heading in enumerate(headings)
        if heading.strip() or any(map(str.strip, columns[index].distinct))
    ]
    return Split(
        headings=[headings[index] for index in used],
        texts=[columns[index] for index in used],
        rows=splitter.rows,
        problems=tuple(sorted(problems, key=lambda problem: problem.row)),
        long_rows=splitter.long_rows,
    )


def _read_valid_rows(
    text: str, delimiter: str, *, first_row: int, source: str, problems: list[Problem]
) -> Iterator[list[str]]:
    """Yield the rows before the first row that cannot be read, and report that row as a problem."""
    try:
        yield from _make_reader(text, delimiter)
    except csv.Error:
        problems.append(_describe_broken_row(text, delimiter, first_row=first_row, source=source))


def _make_reader(text: str, delimiter: str) -> _csv.Reader:
    # Reading from a list of lines takes half the time of StringIO. The text is split only if
    # splitlines() finds the same line endings as StringIO.
    alike = not any(end in text for end in _MORE_LINE_ENDS)
    lines = text.splitlines(keepends=True) if alike else io.StringIO(text, newline="")
    return csv.reader(lines, delimiter=delimiter, strict=True)


def _describe_broken_row(text: str, delimiter: str, *, first_row: int, source: str) -> Problem:
    """Return a problem for the first row that cannot be read, with its row number."""
    reader = _make_reader(text, delimiter)
    row, line = first_row, 0
    try:
        for _ in reader:
            row, line = row + 1, reader.line_num
    except csv.Error as error:
        message = f"the table ends unexpectedly in this row ({error})"
        hint = (
            "check the quotation marks. Either a closing quotation mark is missing, "
            "or a cell contains a quotation mark"
        )
        if "field larger" in str(error) and (lines := reader.line_num - line) > 1:
            message = f"a cell that starts in this row spans {lines:,} lines"
            hint = "add the closing quotation mark, or remove the opening one"
        elif "field larger" in str(error):
            message = f"a cell in this row has more than {csv.field_size_limit():,} characters"
            hint = "shorten the text. No value in the table needs this many characters"
    return Problem(file=source, row=row, message=message, hint=hint)


class _Splitter:
    """The columns that result from a table's rows, and the rows with a wrong number of cells."""

    def __init__(self, headings: Sequence[str], source: str, problems: list[Problem]):
        self.headings = headings
        self.source = source
        self.columns = [TextsBuilder() for _ in headings]
        self.rows: list[int] = []
        self.long_rows: dict[int, str] = {}
        self.problems = problems
        self._needed = max(
            (number for number, h in enumerate(headings, start=1) if h.strip()), default=0
        )

    def add(self, chunk: list[list[str]], *, first_row: int) -> None:
        """Add rows to the columns. ``first_row`` is the number of the first row."""
        numbers: Sequence[int] = range(first_row, first_row + len(chunk))
        width = len(self.headings)
        by_column = [*zip(*chunk)] if {*map(len, chunk)} == {width} else []
        # In nearly all chunks, every row has all cells, and at least one column has no blank cells.
        if not any(all(map(str.strip, cells)) for cells in by_column):
            valid_rows = [
                (n, cells) for n, cells in zip(numbers, chunk) if self._has_all_cells(n, cells)
            ]
            numbers = [number for number, _ in valid_rows]
            blanks = [""] * width
            by_column = [*zip(*(tuple([*cells, *blanks][:width]) for _, cells in valid_rows))]
        self.rows.extend(numbers)
        for column, cells in zip(self.columns, by_column):
            column.add_cells(cells)

    def _has_all_cells(self, number: int, cells: list[str]) -> bool:
        """Return whether a row is not blank and has a cell for every heading."""
        if not _is_filled(cells):
            return False
        if len(cells) >= self._needed and not _is_filled(cells[len(self.headings) :]):
            return True
        self.long_rows[number] = ", ".join(text for text in cells if text.strip())
        self.problems.append(_make_length_problem(self.source, number, cells, self.headings))
        return False


def _is_filled(cells: Sequence[str]) -> bool:
    return any(map(str.strip, cells))


def _make_length_problem(
    source: str, number: int, cells: Sequence[str], headings: Sequence[str]
) -> Problem:
    first = next(filter(str.strip, cells))
    return Problem(
        file=source,
        row=number,
        value=first,
        message=f"the row has {len(cells)} cells, but the heading row has {len(headings)} "
        f"(first cell: {shown(first)})",
        hint="if a list contains the table's delimiter, enclose the list in quotation marks",
    )


def _read_frame(frame: DataFrame) -> Table:
    labels = frame.index.tolist()
    # The method ``set_index`` turns a column into a named index. With drop=False, the column also
    # remains in the table.
    levels = [name for name in frame.index.names if name is not None and name not in frame.columns]
    if levels:
        frame = frame.reset_index(level=levels)
    columns = []
    for index in range(frame.shape[1]):
        column = frame.iloc[:, index]
        columns.append([*map(_format_cell_value, column.tolist(), column.isna().tolist())])
    filled = [
        position for position, cells in enumerate(zip(*columns)) if any(map(str.strip, cells))
    ]
    # pandas keeps the attributes of a DataFrame that is filtered or changed, so a plan must not
    # depend on them.
    source = frame.attrs.get("source")
    return build_table(
        Path(source).name if isinstance(source, (str, os.PathLike)) and source else "DataFrame",
        [str(heading) for heading in frame.columns],
        [Texts.from_cells(column[position] for position in filled) for column in columns],
        [position + 2 for position in filled],
        labels=labels,
    )


def _format_cell_value(value: object, is_missing: object) -> str:
    """Convert a value in a DataFrame to the text that a CSV file would contain."""
    if isinstance(value, str):
        return str(value)
    if hasattr(value, "tolist"):  # The value is a numpy or pyarrow array, or a numpy number.
        value = value.tolist()
    if isinstance(value, (list, tuple, set, frozenset)):
        return ";".join(_format_cell_value(item, item is None) for item in value)
    if is_missing is True:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    # If a column has blank cells, pandas converts integers to floats, such as 2012 to 2012.0.
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
