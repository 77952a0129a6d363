"""A CSV file or a DataFrame to a ``Table`` of text; and rows back to bytes.

The boundary for CSV: no other file splits or writes a topology table. Nothing is guessed: every
cell stays the text that it is (``NA``, ``007``), and a row that does not fit is named.
"""

from __future__ import annotations

import csv
import io
import os
import re
import stat
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..base.pasted_text import shown
from ..base.tables import DataFrame, is_frame
from ..errors import Problem, TopologyError
from .columns import name_headings, topology_columns
from .source_table import Note, Table, Texts, make_table

if TYPE_CHECKING:
    import pyarrow


# A file to text: its size, its format, its encoding. Refuses what is no text table.

#: A file of this size or more is refused before it is read (bytes).
MAX_BYTES = 200_000_000

_SAVE_AS = 'in Excel choose File, Save As, "CSV UTF-8 (Comma delimited)"'
_GIVE_A_PATH = "give the path of a topology table, e.g. data/contoso.csv, its bytes or a DataFrame"

# What begins like this is no text; each with the name that planners know it by.
_OTHER_FORMATS = (
    (b"PK\x03\x04", "an Excel workbook (.xlsx) or another ZIP archive", _SAVE_AS),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook (.xls)", _SAVE_AS),
    (b"%PDF", "a PDF document", "export the table as CSV"),
    (b"\x1f\x8b", "a gzip archive", "unpack it first"),
    (b"<", "an XML or HTML document", "make a table of it with: lyncnb convert FILE OUT.csv"),
)


def load(source: str | os.PathLike | bytes) -> tuple[str, bytes]:
    """Get a table's bytes.

    Parameters
    ----------
    source : path or bytes
        At most ``MAX_BYTES``.

    Returns
    -------
    tuple of str and bytes
        A name for messages, and what is in it.

    Raises
    ------
    TopologyError
        If there is no such file, it cannot be read, is too large, empty, or another format.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        name, data = "table", bytes(source)
        _refuse_size(name, len(data))
    else:
        name, data = _read(source)
    start = data[:64].removeprefix(b"\xef\xbb\xbf").lstrip()
    for magic, kind, hint in _OTHER_FORMATS:
        if start.startswith(magic):
            raise TopologyError(f"{name} is {kind}, not CSV text", hint=hint)
    return name, data


def decode(name: str, data: bytes) -> tuple[str, bool]:
    """Decode by BOM, then strict UTF-8, then cp950; latin-1 would take anything for text.

    Returns
    -------
    tuple of str and bool
        The text without BOM, and whether it was taken for cp950, which is a guess.

    Raises
    ------
    TopologyError
        If it is none of them.
    """
    encoding = "utf-8-sig"
    # A heading has ASCII letters or commas near its start, so UTF-16 without BOM shows at once.
    if data[:2] == b"\xff\xfe" or data[1:2] == b"\0":
        encoding = "utf-16-le"
    elif data[:2] == b"\xfe\xff" or data[:1] == b"\0":
        encoding = "utf-16-be"
    try:
        return data.decode(encoding).removeprefix("\ufeff"), False
    except UnicodeDecodeError as error:
        place = error.start
    if encoding == "utf-8-sig" and not data.startswith(b"\xef\xbb\xbf"):
        try:
            return data.decode("cp950"), True
        except UnicodeDecodeError:
            pass  # then the byte that is not UTF-8 is what to tell
    line = data.count(b"\n", 0, place) + 1
    kind = "UTF-16" if encoding != "utf-8-sig" else "UTF-8"
    raise TopologyError(
        f"{name} is no {kind} text: byte 0x{data[place]:02x} in line {line}", hint=_SAVE_AS
    )


def _read(source: str | os.PathLike) -> tuple[str, bytes]:
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
            f"cannot read {shown(str(path))}: {reason}", hint=_GIVE_A_PATH
        ) from None
    kind = "a folder" if stat.S_ISDIR(facts.st_mode) else "no regular file"
    raise TopologyError(f"cannot read {shown(str(path))}: it is {kind}", hint=_GIVE_A_PATH)


def _refuse_size(name: str, size: int) -> None:
    if size >= MAX_BYTES:
        raise TopologyError(
            f"{name} is {size / 1e6:,.0f} MB; a table of {MAX_BYTES / 1e6:,.0f} MB or more "
            "is not read",
            hint="a server takes about 200 bytes; is this the right file?",
        )
    if size == 0:
        raise TopologyError(f"{name} is empty", hint="export the table again")


# Bytes that pyarrow reads at a time; the fewer, the fewer dictionaries have to be made one.
_BLOCK = 4 << 20
# Below this size (bytes) the csv module is done before pyarrow has been imported.
_FAST_FROM = 12_000_000

# The heading is within so many characters.
_HEAD = 100_000

# What Excel is told, and what PowerShell's Export-Csv says without -NoTypeInformation.
_FIRST_LINE = re.compile(r'(?:"?sep=([,;\t|])"?|#TYPE [^\r\n]*)(?:\r\n?|\n)', re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """A table split into m headings and m columns of n cells; ``rows`` numbers the n rows."""

    headings: list[str]
    texts: list[Texts]
    rows: Sequence[int]
    problems: tuple[Problem, ...] = ()


def read_rows(source: str | os.PathLike | bytes | DataFrame) -> Table:
    """Read a table.

    Parameters
    ----------
    source : path, bytes or DataFrame
        CSV as Excel, PowerShell or lyncnb writes it: UTF-8, UTF-16 or cp950, with comma,
        semicolon or tab.

    Returns
    -------
    Table
        n rows without the blank ones.

    Raises
    ------
    TopologyError
        If it is no such table.
    """
    if is_frame(source):
        return _from_frame(source)
    name, data = load(source)
    notes = ()
    split = split_fast(data) if len(data) >= _FAST_FROM else None
    if split is None:
        text, is_cp950 = decode(name, data)
        if is_cp950:
            message = "not UTF-8; read as cp950 (Traditional Chinese Windows), check the names"
            notes = (Note(row=0, column="", before="", after="", message=message),)
        split = split_careful(text, source=name)
    return make_table(
        name, split.headings, split.texts, split.rows, notes=notes, problems=split.problems
    )


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


def split_fast(data: bytes) -> Split | None:
    """Split a large and tidy table with pyarrow; None if anything needs a closer look.

    What it gives is what :func:`split_careful` gives. It takes only what both read alike: UTF-8,
    each line one row, no row blank, no quotation mark inside a cell.
    """
    data = data.removeprefix(b"\xef\xbb\xbf")
    skipped, delimiter = _find_delimiter(data[:_HEAD].decode("utf-8", "ignore"))
    begin = len(skipped.encode("utf-8"))
    start = data.find(b"\n", begin) + 1
    headings = _split_line(data[begin:start].decode("utf-8", "replace"), delimiter)
    if not all(headings) or b"\0" in data:
        return None
    rest = memoryview(data)[start:]
    if data.find(b'"', start) >= 0 and not _are_quotes_tidy(rest, delimiter):
        return None
    texts = _dictionaries(rest, len(headings), delimiter)
    if not texts:
        return None
    # One column without blanks is enough to know that no row is blank.
    if not any(all(map(str.strip, distinct)) for distinct, _ in sorted(texts, key=_size)):
        return None
    first = 3 if skipped else 2
    rows = range(first, first + len(texts[0].codes))
    return Split(headings=headings, texts=texts, rows=rows)


def _are_quotes_tidy(data: memoryview, delimiter: str) -> bool:
    """Say whether quotation marks enclose whole cells of one line; on others parsers disagree."""
    edge = re.escape(delimiter.encode())
    pair = rb'(?:(?<=[%b\n])|\A)"[^"\r\n]*+"(?=[%b\r\n]|\Z)' % (edge, edge)
    return re.compile(rb'(?:[^"]*+%b)*+[^"]*+' % pair).fullmatch(data) is not None


def _dictionaries(data: memoryview, width: int, delimiter: str) -> list[Texts]:
    """Let pyarrow split lines into columns and number their texts; nothing if a row is ragged."""
    import pyarrow
    import pyarrow.csv

    names = [f"f{place}" for place in range(width)]
    text_type = pyarrow.dictionary(pyarrow.int32(), pyarrow.string())
    # Arrow's default allocator costs 0.1 s of kernel time in some runs, for 100,000 rows.
    memory = pyarrow.system_memory_pool()
    try:
        read = pyarrow.csv.read_csv(
            pyarrow.BufferReader(pyarrow.py_buffer(data)),
            # CPU time is what counts when a kernel works beside, so one thread.
            read_options=pyarrow.csv.ReadOptions(
                use_threads=False, column_names=names, block_size=_BLOCK
            ),
            parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter, ignore_empty_lines=False),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(names, text_type), strings_can_be_null=False
            ),
            memory_pool=memory,
        )
    except pyarrow.ArrowInvalid:
        return []
    whole = [c.unify_dictionaries(memory).combine_chunks(memory) for c in read.columns]
    return [Texts(c.dictionary.to_pylist(), _numbers(c.indices)) for c in whole]


def _numbers(codes: pyarrow.Int32Array) -> array[int]:
    # Out of the buffer itself: to_numpy imports all of pandas, which takes longer than reading.
    whole = memoryview(codes.buffers()[1]).cast("i")
    return array("i", whole[codes.offset : codes.offset + len(codes)].tobytes())


def _find_delimiter(text: str) -> tuple[str, str]:
    """Find a line in front of the heading, and what stands between the cells."""
    first_line = _FIRST_LINE.match(text)
    skipped = first_line[0] if first_line else ""
    if first_line and first_line[1]:
        return skipped, first_line[1]
    body = io.StringIO(text[len(skipped) : len(skipped) + _HEAD])
    heading = next((line for line in body if line.strip()), "")

    def known_and_all(delimiter: str) -> tuple[int, int]:
        cells = _split_line(heading, delimiter)
        known = {column.name for column in topology_columns()}
        return len(known.intersection(name_headings(cells))), len(cells)

    return skipped, max(",;\t", key=known_and_all)


def _size(texts: Texts) -> int:
    return len(texts.distinct)


def _split_line(line: str, delimiter: str) -> list[str]:
    """Split one line; nothing if it is no row of its own, e.g. breaks off inside quotes."""
    try:
        return next(csv.reader([line], delimiter=delimiter, strict=True), [])
    except csv.Error:
        return []


def split_careful(text: str, *, source: str) -> Split:
    """Split a table with the csv module; blank rows are left out but counted.

    Rows with too few or too many cells, and quotation marks that do not close, are ``problems``.
    """
    skipped, delimiter = _find_delimiter(text)
    lines = io.StringIO(text[len(skipped) :], newline="")
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    number = 1 if skipped else 0
    headings: list[str] = []
    rows: dict[int, list[str]] = {}
    problems: list[Problem] = []
    try:
        for cells in reader:
            number += 1
            if not any(map(str.strip, cells)):
                continue
            if not headings:
                headings = cells
            elif _fits(cells, headings):
                rows[number] = cells
            else:
                problems.append(_ragged(source, number, cells, headings))
    except csv.Error as error:
        problems.append(
            Problem(
                file=source,
                row=number + 1,
                message=f"the table breaks off here ({error})",
                hint="a quotation mark in this row does not close, or stands inside a cell",
            )
        )
    columns = [
        Texts.of(cells[at] if at < len(cells) else "" for cells in rows.values())
        for at in range(len(headings))
    ]
    # Excel writes a delimiter for every column that ever held something.
    used = [
        at
        for at, heading in enumerate(headings)
        if heading.strip() or any(map(str.strip, columns[at].distinct))
    ]
    return Split(
        headings=[headings[at] for at in used],
        texts=[columns[at] for at in used],
        rows=[*rows],
        problems=tuple(problems),
    )


def _fits(cells: list[str], headings: list[str]) -> bool:
    """Say whether a row has a cell for every heading, and none that is filled beyond."""
    needed = max(at for at, heading in enumerate(headings, start=1) if heading.strip())
    return len(cells) >= needed and not any(map(str.strip, cells[len(headings) :]))


def _ragged(source: str, number: int, cells: list[str], headings: list[str]) -> Problem:
    first = next(filter(str.strip, cells))
    return Problem(
        file=source,
        row=number,
        value=first,
        message=f"the row has {len(cells)} cells and the heading {len(headings)} "
        f"(first cell {shown(first)})",
        hint="a list that holds the table's own delimiter must stand in quotation marks",
    )


def _from_frame(frame: DataFrame) -> Table:
    # An index with a name was a column before somebody called set_index; with drop=False it is one
    # still.
    gone = [name for name in frame.index.names if name is not None and name not in frame.columns]
    if gone:
        frame = frame.reset_index(level=gone)
    columns = []
    for place in range(frame.shape[1]):
        column = frame.iloc[:, place]
        columns.append([*map(_cell_text, column.tolist(), column.isna().tolist())])
    filled = [at for at, cells in enumerate(zip(*columns)) if any(map(str.strip, cells))]
    return make_table(
        "DataFrame",
        [str(heading) for heading in frame.columns],
        [Texts.of(column[at] for at in filled) for column in columns],
        [at + 2 for at in filled],
    )


def _cell_text(value: object, missing: object) -> str:
    """Write what a DataFrame holds as the text that a CSV file would have."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, (list, tuple, set, frozenset)):
        return ";".join(map(str, value))
    if missing is True:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    # A column with blanks makes floats of whole numbers: 2012 comes as 2012.0.
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
