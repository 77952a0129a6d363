"""Read a file or a DataFrame as a ``Table`` of text, and write rows as CSV.

The boundary for CSV: no other file splits or writes a topology table. lyncnb detects the format
from the content. It does not convert cells (``NA`` and ``007`` stay text), and reports each row
that does not fit.
"""

from __future__ import annotations

import csv
import io
import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from ..base.pasted_text import shown
from ..base.shown.tables import DataFrame, is_frame
from ..errors import Problem, TopologyError
from .columns import name_headings, topology_columns
from .source_table import Note, Table, Texts, TextsBuilder, make_table
from .topology_document import read_topology_xml
from .workbook import is_workbook, read_workbook
from .xml_tree import MAX_BYTES as MAX_DOCUMENT_BYTES
from .xml_tree import is_markup

if TYPE_CHECKING:
    import _csv


# Decode a file to text, and reject files that are too large or not text tables.

#: lyncnb rejects a file of this size or more before it reads the file (bytes).
MAX_BYTES = 200_000_000

_WORKBOOKS = (".xlsx", ".xlsm", ".xls", ".ods")
_SAVE_AS_WORKBOOK = "open it in Excel or LibreOffice and save it again, or restore it from a backup"
_SAVE_AS = 'in Excel choose File, Save As, "CSV UTF-8 (Comma delimited)"'
_GIVE_A_PATH = "use the path of a topology table, e.g. data/contoso.csv, its bytes, or a DataFrame"
_LOOK_AT_THE_PATH = "check the path; lyncnb expects a table of servers, e.g. data/contoso.csv"

# The first bytes of files that are not text, with the common names of their formats.
_OTHER_FORMATS = (
    (b"%PDF", "a PDF document", "export the table as CSV"),
    (b"\x1f\x8b", "a gzip archive", "unpack it first"),
)


def load(source: object) -> tuple[str, bytes]:
    """Return a table's bytes.

    Parameters
    ----------
    source : path or bytes
        At most ``MAX_BYTES``.

    Returns
    -------
    tuple of str and bytes
        A name for messages, and the content.

    Raises
    ------
    TopologyError
        If the file does not exist, cannot be read, is too large or empty, or has another format.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        name, data = "table", bytes(source)
        _refuse_size(name, len(data))
    else:
        name, data = _read(source)
    start = data[:128].removeprefix(b"\xef\xbb\xbf").lstrip()
    for magic, kind, hint in _OTHER_FORMATS:
        if start.startswith(magic):
            raise TopologyError(f"{name} is {kind}, not a table of servers", hint=hint)
    return name, data


def decode(name: str, data: bytes) -> tuple[str, bool]:
    """Decode by BOM, then strict UTF-8, then cp950; latin-1 would take anything for text.

    Returns
    -------
    tuple of str and bool
        The text without BOM, and whether it was decoded as cp950, which is a guess.

    Raises
    ------
    TopologyError
        If no encoding fits.
    """
    encoding = "utf-8-sig"
    # A heading has ASCII letters or commas near its start, so UTF-16 without BOM is easy to detect.
    if data[:2] == b"\xff\xfe" or data[1:2] == b"\0":
        encoding = "utf-16-le"
    elif data[:2] == b"\xfe\xff" or data[:1] == b"\0":
        encoding = "utf-16-be"
    try:
        return data.decode(encoding).removeprefix("\ufeff"), False
    except UnicodeDecodeError as error:
        offset = error.start
    if encoding == "utf-8-sig" and not data.startswith(b"\xef\xbb\xbf"):
        try:
            return data.decode("cp950"), True
        except UnicodeDecodeError:
            pass  # then the message names the byte that is not UTF-8
    if Path(name).suffix.casefold() in _WORKBOOKS:
        raise TopologyError(f"{name} is neither a workbook nor text", hint=_SAVE_AS_WORKBOOK)
    line = data.count(b"\n", 0, offset) + 1
    kind = "UTF-16" if encoding != "utf-8-sig" else "UTF-8"
    raise TopologyError(
        f"{name} is not {kind} text: byte 0x{data[offset]:02x} in line {line}", hint=_SAVE_AS
    )


def _read(source: object) -> tuple[str, bytes]:
    if not isinstance(source, (str, os.PathLike)):
        raise TopologyError(f"cannot read a {type(source).__name__}", hint=_GIVE_A_PATH)
    path = Path(source)
    try:
        facts = path.stat()
        if stat.S_ISREG(facts.st_mode):
            _refuse_size(path.name, facts.st_size)
            return path.name, path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or str(error)
        raise TopologyError(
            f"cannot read {shown(str(path))}: {reason}", hint=_LOOK_AT_THE_PATH
        ) from None
    kind = "a folder" if stat.S_ISDIR(facts.st_mode) else "not a regular file"
    raise TopologyError(f"cannot read {shown(str(path))}: it is {kind}", hint=_LOOK_AT_THE_PATH)


def _refuse_size(name: str, size: int) -> None:
    if size >= MAX_BYTES:
        raise TopologyError(
            f"{name} is {size / 1e6:,.0f} MB; lyncnb does not read tables of "
            f"{MAX_BYTES / 1e6:,.0f} MB or more",
            hint="a server needs about 200 bytes; check whether this is the right file",
        )
    if size == 0:
        raise TopologyError(f"{name} is empty", hint="export the table again")


# Rows in one chunk: enough for the work to happen in C, few enough for the CPU caches.
_CHUNK = 2_000

# Characters that end a line for str.splitlines, but not in a table.
_MORE_LINE_ENDS = "\v\f\x1c\x1d\x1e\x85\u2028\u2029"

# The heading must be within this many characters and lines; people put a title above it.
_HEAD = 100_000
_TITLE_ROWS = 50

# The encoding that an XML document declares, e.g. ISO-8859-1.
_DECLARED = re.compile(rb"""\s*<\?xml[^>]{0,100}encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")

# A line for Excel, and the first line of PowerShell's Export-Csv without -NoTypeInformation.
_FIRST_LINE = re.compile(r'(?:"?sep=([,;\t|])"?|#TYPE [^\r\n]*)(?:\r\n?|\n)', re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """A table split into m headings and m columns of n cells; ``rows`` numbers the n rows."""

    headings: list[str]
    texts: list[Texts]
    rows: Sequence[int]
    problems: tuple[Problem, ...] = ()


def read_rows(source: str | os.PathLike[str] | bytes | DataFrame) -> Table:
    """Read a table.

    Parameters
    ----------
    source : path, bytes or DataFrame
        CSV as Excel, PowerShell or lyncnb writes it: UTF-8, UTF-16 or cp950, with comma,
        semicolon or tab. Or a workbook, or a topology document.

    Returns
    -------
    Table
        n rows without the blank ones.

    Raises
    ------
    TopologyError
        If it is not a valid table.
    """
    if is_frame(source):
        return _from_frame(source)
    name, data = load(source)
    if is_workbook(data):
        return read_workbook(name, data)
    if is_markup(data):
        return read_topology_xml(name, _document_text(name, data))
    notes: tuple[Note, ...] = ()
    text, is_cp950 = decode(name, data)
    if text[:100].lstrip()[:1] == "{":
        raise TopologyError(
            f"{name} is a JSON file, not a table of servers",
            hint="to request a saved plan, use lyncnb request --plan FILE FOLDER; to "
            "compare it, use lyncnb compare",
        )
    if is_cp950:
        message = "not UTF-8; read as cp950 (Traditional Chinese Windows), check the names"
        notes = (Note(row=0, column="", before="", after="", message=message),)
    if title := _title(text):
        message = f"ignored above the headings: {shown(title)}"
        notes += (Note(row=0, column="", before="", after="", message=message),)
    split = split_csv(text, source=name)
    return make_table(
        name, split.headings, split.texts, split.rows, notes=notes, problems=split.problems
    )


def _document_text(name: str, data: bytes) -> str:
    if len(data) >= MAX_DOCUMENT_BYTES:
        raise TopologyError(
            f"{name} is {len(data) / 1e6:,.0f} MB; no topology is that large",
            hint="check whether this is the right file",
        )
    try:
        text, is_cp950 = decode(name, data)
    except TopologyError:
        is_cp950 = True
    if is_cp950:
        declared = _DECLARED.match(data)
        says = f"; it declares {declared[1].decode('ascii')}" if declared else ""
        raise TopologyError(
            f"{name} is an XML document whose text is neither UTF-8 nor UTF-16{says}",
            hint="open it in an editor and save it as UTF-8, or export it again",
        )
    return text


def write_csv(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> bytes:
    """Write a table as UTF-8 with BOM, commas and CRLF, which Excel opens as it is.

    Parameters
    ----------
    columns : sequence of str
        m headings.
    rows : sequence of sequences of str
        n rows of m cells, written verbatim.
    """
    out = io.StringIO(newline="")
    csv.writer(out).writerows([columns, *rows])
    return b"\xef\xbb\xbf" + out.getvalue().encode("utf-8")


def find_delimiter(text: str) -> tuple[str, str]:
    """Find the lines before the heading, and the delimiter."""
    first_line = _FIRST_LINE.match(text)
    skipped = first_line[0] if first_line else ""
    delimiters = first_line[1] if first_line and first_line[1] else ",;\t"
    known = {column.name for column in topology_columns()}
    required = {column.name for column in topology_columns() if column.required}
    body = io.StringIO(text[len(skipped) : len(skipped) + _HEAD], newline="")
    first, above = "", ""
    for line in islice(body, _TITLE_ROWS):
        for delimiter in delimiters:
            if required <= {*name_headings(_split_line(line, delimiter))}:
                return skipped + above, delimiter
        above += line
        if not first and line.strip():
            first = line

    def known_and_all(delimiter: str) -> tuple[int, int]:
        cells = _split_line(first, delimiter)
        return len(known.intersection(name_headings(cells))), len(cells)

    return skipped, max(delimiters, key=known_and_all)


def count_lines(text: str) -> int:
    """Count the lines of the text before a table."""
    return sum(1 for _ in io.StringIO(text, newline=""))


def _title(text: str) -> str:
    """Return the text above the headings, "" if there is none."""
    skipped, _ = find_delimiter(text)
    lines = io.StringIO(_FIRST_LINE.sub("", skipped, count=1), newline="")
    return " ".join(line.strip(' ,;\t\r\n"') for line in lines).strip()


def _split_line(line: str, delimiter: str) -> list[str]:
    """Split one line; return an empty list for an incomplete row, e.g. with an open quote."""
    try:
        return next(csv.reader([line], delimiter=delimiter, strict=True), [])
    except csv.Error:
        return []


def split_csv(text: str, *, source: str) -> Split:
    """Split a table into columns; skip blank rows, but count them.

    Rows with too few or too many cells, quotation marks that do not close and cells that are far
    too long are ``problems``.
    """
    skipped, delimiter = find_delimiter(text)
    first = 1 + count_lines(skipped)
    problems: list[Problem] = []
    rows = _rows(text[len(skipped) :], delimiter, first=first, source=source, problems=problems)
    headings: list[str] = []
    for row, cells in enumerate(rows, start=first):
        first = row + 1
        if _is_filled(cells):
            headings = cells
            break
    splitter = _Splitter(headings, source, problems)
    while chunk := [*islice(rows, _CHUNK)]:
        splitter.add(chunk, first=first)
        first += len(chunk)
    columns = [column.texts() for column in splitter.columns]
    # Excel writes a delimiter for every column that was ever used.
    used = [
        at
        for at, heading in enumerate(headings)
        if heading.strip() or any(map(str.strip, columns[at].distinct))
    ]
    return Split(
        headings=[headings[at] for at in used],
        texts=[columns[at] for at in used],
        rows=splitter.rows,
        problems=tuple(sorted(problems, key=lambda problem: problem.row)),
    )


def _rows(
    text: str, delimiter: str, *, first: int, source: str, problems: list[Problem]
) -> Iterator[list[str]]:
    """Yield the rows up to the first unreadable one, which becomes a problem."""
    try:
        yield from _reader(text, delimiter)
    except csv.Error:
        problems.append(_broken_row(text, delimiter, first=first, source=source))


def _reader(text: str, delimiter: str) -> _csv.Reader:
    # A list of lines takes half the time of StringIO. It is used if both end lines at the same
    # places.
    alike = not any(end in text for end in _MORE_LINE_ENDS)
    lines = text.splitlines(keepends=True) if alike else io.StringIO(text, newline="")
    return csv.reader(lines, delimiter=delimiter, strict=True)


def _broken_row(text: str, delimiter: str, *, first: int, source: str) -> Problem:
    """Describe the unreadable row; reads the text again to count the rows."""
    reader = _reader(text, delimiter)
    row, line = first, 0
    try:
        for _ in reader:
            row, line = row + 1, reader.line_num
    except csv.Error as error:
        message = f"the table ends unexpectedly here ({error})"
        hint = "a quotation mark in this row is not closed, or is inside a cell"
        if "field larger" in str(error) and (lines := reader.line_num - line) > 1:
            message = f"a cell that begins here runs over {lines:,} lines"
            hint = "its quotation mark is not closed; close it, or remove it"
        elif "field larger" in str(error):
            message = f"a cell of this row has more than {csv.field_size_limit():,} characters"
            hint = "shorten it; the values of a server are never that long"
    return Problem(file=source, row=row, message=message, hint=hint)


class _Splitter:
    """Splits rows into columns, chunk by chunk; collects rows that do not fit as problems."""

    def __init__(self, headings: Sequence[str], source: str, problems: list[Problem]):
        self.headings = headings
        self.source = source
        self.columns = [TextsBuilder() for _ in headings]
        self.rows: list[int] = []
        self.problems = problems
        self._needed = max((at for at, h in enumerate(headings, start=1) if h.strip()), default=0)

    def add(self, chunk: list[list[str]], *, first: int) -> None:
        """Add rows; ``first`` is the number of the first one."""
        numbers: Sequence[int] = range(first, first + len(chunk))
        width = len(self.headings)
        by_column = [*zip(*chunk)] if {*map(len, chunk)} == {width} else []
        # In nearly all chunks every row has all cells, and one column has no blanks.
        if not any(all(map(str.strip, cells)) for cells in by_column):
            kept = [(n, cells) for n, cells in zip(numbers, chunk) if self._fits(n, cells)]
            numbers = [number for number, _ in kept]
            blanks = [""] * width
            by_column = [*zip(*(tuple([*cells, *blanks][:width]) for _, cells in kept))]
        self.rows.extend(numbers)
        for column, cells in zip(self.columns, by_column):
            column.add(cells)

    def _fits(self, number: int, cells: list[str]) -> bool:
        """Return whether a row is not blank and has a cell for every heading."""
        if not _is_filled(cells):
            return False
        if len(cells) >= self._needed and not _is_filled(cells[len(self.headings) :]):
            return True
        self.problems.append(_ragged(self.source, number, cells, self.headings))
        return False


def _is_filled(cells: Sequence[str]) -> bool:
    return any(map(str.strip, cells))


def _ragged(source: str, number: int, cells: Sequence[str], headings: Sequence[str]) -> Problem:
    first = next(filter(str.strip, cells))
    return Problem(
        file=source,
        row=number,
        value=first,
        message=f"the row has {len(cells)} cells and the heading {len(headings)} "
        f"(first cell {shown(first)})",
        hint="put a list that contains the delimiter of the table in quotation marks",
    )


def _from_frame(frame: DataFrame) -> Table:
    # A named index was a column before a call of set_index; with drop=False it still is one.
    gone = [name for name in frame.index.names if name is not None and name not in frame.columns]
    if gone:
        frame = frame.reset_index(level=gone)
    columns = []
    for index in range(frame.shape[1]):
        column = frame.iloc[:, index]
        columns.append([*map(_cell_text, column.tolist(), column.isna().tolist())])
    filled = [at for at, cells in enumerate(zip(*columns)) if any(map(str.strip, cells))]
    # pandas keeps the attrs of a filtered or changed frame, so no plan depends on them.
    source = frame.attrs.get("source")
    return make_table(
        Path(source).name if isinstance(source, (str, os.PathLike)) and source else "DataFrame",
        [str(heading) for heading in frame.columns],
        [Texts.of(column[at] for at in filled) for column in columns],
        [at + 2 for at in filled],
    )


def _cell_text(value: object, missing: object) -> str:
    """Return a value of a DataFrame as the text that a CSV file would contain."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, (list, tuple, set, frozenset)):
        return ";".join(map(str, value))
    if missing is True:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    # pandas converts the integers of a column with blanks to floats: 2012 becomes 2012.0.
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
