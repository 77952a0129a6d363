"""Bytes of a CSV file, or a DataFrame, to a ``Table`` of text; and rows back to bytes.

The boundary for CSV: no other file decodes, splits or writes one. Nothing is guessed: every cell
stays the text that it is (``NA``, ``007``), a broken table is refused with its row, and the only
encodings are UTF-8, UTF-16 and, with a warning, cp950.
"""

from __future__ import annotations

import csv
import io
import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .columns import name_headings, topology_columns
from .errors import Problem, TopologyError
from .names import shown
from .tables import DataFrame, is_frame

#: A file of this size or more is refused before it is read (bytes).
MAX_BYTES = 200_000_000

# Below this size the csv module is done before pyarrow is even imported.
_FAST_FROM = 1_000_000

_SAVE_AS = 'in Excel choose File, Save As, "CSV UTF-8 (Comma delimited)"'

# What begins like this is no text; each with the name planners know it by.
_OTHER_FORMATS = (
    (b"PK\x03\x04", "an Excel workbook (.xlsx) or another ZIP archive", _SAVE_AS),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook (.xls)", _SAVE_AS),
    (b"%PDF", "a PDF document", "export the table as CSV"),
    (b"\x1f\x8b", "a gzip archive", "unpack it first"),
    (b"<", "an XML or HTML document", "make a table of it with: lyncnb convert FILE OUT.csv"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A clean-up that reading made, or something odd that it saw.

    ``row`` is the row in a spreadsheet (the heading is row 1), 0 for the whole file.
    """

    row: int
    column: str
    before: str
    after: str
    message: str

    @property
    def where(self) -> str:
        """Place in words, e.g. ``row 7, column pool_fqdn``."""
        parts = (f"row {self.row}" if self.row else "", f"column {self.column}" * bool(self.column))
        return ", ".join(part for part in parts if part) or "file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Text by column, as it was written.

    Parameters
    ----------
    source : str
        File name for messages.
    columns : tuple of str
        m distinct names: those of ``topology.toml``, other headings verbatim.
    values : tuple of lists of str
        m lists of n cells.
    rows : sequence of int
        n row numbers as a spreadsheet shows them.
    notes : tuple of Note
        What was odd about the file.
    """

    source: str
    columns: tuple[str, ...]
    values: tuple[list[str], ...]
    rows: Sequence[int]
    notes: tuple[Note, ...] = ()


def read_rows(source: str | os.PathLike | bytes | DataFrame) -> Table:
    """Read a table.

    Parameters
    ----------
    source : path, bytes or DataFrame
        CSV as Excel, PowerShell or lyncnb writes it, at most ``MAX_BYTES``.

    Returns
    -------
    Table
        n rows without the blank ones.

    Raises
    ------
    TopologyError
        If it cannot be read; with every problem of the table.
    """
    if is_frame(source):
        return _from_frame(source)
    if isinstance(source, (bytes, bytearray, memoryview)):
        name, data = "table", bytes(source)
        _refuse_size(name, len(data))
    else:
        name, data = _load(source)
    _refuse_other_formats(name, data)
    text, notes = _decode(name, data)
    skipped, delimiter = _delimiter(text)
    columns = None
    if len(data) >= _FAST_FROM:
        columns = split_fast(text, delimiter, skipped)
    if columns is None:
        columns = split_careful(text, delimiter, skipped, name)
    return _table(name, *columns, notes)


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
    writer = csv.writer(out)
    writer.writerow(columns)
    # A row of one blank cell would be a blank line, which reading leaves out.
    writer.writerows(rows)
    return b"\xef\xbb\xbf" + out.getvalue().encode("utf-8")


def _load(source: str | os.PathLike) -> tuple[str, bytes]:
    path = Path(source)
    try:
        facts = path.stat()
        if stat.S_ISREG(facts.st_mode):
            _refuse_size(path.name, facts.st_size)
            return path.name, path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise TopologyError(
            f"cannot read {shown(str(path))}: {reason}",
            hint="give the path of a topology table, e.g. data/contoso.csv",
        ) from None
    kind = "a folder" if stat.S_ISDIR(facts.st_mode) else "no regular file"
    raise TopologyError(
        f"cannot read {shown(str(path))}: it is {kind}",
        hint="give the path of a topology table, e.g. data/contoso.csv",
    )


def _refuse_size(name: str, size: int) -> None:
    if size >= MAX_BYTES:
        raise TopologyError(
            f"{name} is {size / 1e6:,.0f} MB; a table of {MAX_BYTES / 1e6:,.0f} MB or more "
            "is not read",
            hint="a row per server is about 200 bytes; is this the right file?",
        )
    if size == 0:
        raise TopologyError(f"{name} is empty", hint="export the table again")


def _refuse_other_formats(name: str, data: bytes) -> None:
    start = data[:64].removeprefix(b"\xef\xbb\xbf").lstrip()
    for magic, kind, hint in _OTHER_FORMATS:
        if start.startswith(magic):
            raise TopologyError(f"{name} is {kind}, not CSV text", hint=hint)


def _decode(name: str, data: bytes) -> tuple[str, tuple[Note, ...]]:
    """Decode by BOM, then strict UTF-8, then cp950; latin-1 would take anything for text."""
    encoding = "utf-8-sig"
    # Every topology has ASCII headings or commas, so UTF-16 without BOM shows at once.
    if data[:2] == b"\xff\xfe" or data[1:2] == b"\0":
        encoding = "utf-16-le"
    elif data[:2] == b"\xfe\xff" or data[:1] == b"\0":
        encoding = "utf-16-be"
    try:
        return data.decode(encoding).removeprefix("\ufeff"), ()
    except UnicodeDecodeError as error:
        first_error = error
    if encoding == "utf-8-sig":
        try:
            text = data.decode("cp950")
        except UnicodeDecodeError:
            pass
        else:
            message = "not UTF-8; read as cp950 (Traditional Chinese Windows), check the text"
            return text, (Note(row=0, column="", before="", after="", message=message),)
    row = data.count(b"\n", 0, first_error.start) + 1
    raise TopologyError(
        f"{name} is not UTF-8 text: byte 0x{data[first_error.start]:02x} in line {row}",
        hint=_SAVE_AS,
    )


def _delimiter(text: str) -> tuple[int, str]:
    """Find the delimiter; also the number of characters of a ``sep=;`` line in front."""
    declared = re.match(r"sep=(.)\r?\n", text, re.IGNORECASE)
    if declared:
        return declared.end(), declared[1]
    header = next((line for line in io.StringIO(text[:100_000]) if line.strip()), "")

    def known_and_all(delimiter: str) -> tuple[int, int]:
        cells = next(csv.reader([header], delimiter=delimiter), [])
        known = {column.name for column in topology_columns()}
        return len(known.intersection(name_headings(cells))), len(cells)

    return 0, max(",;\t", key=known_and_all)


def split_fast(
    text: str, delimiter: str, skipped: int
) -> tuple[list[str], list[list[str]], Sequence[int]] | None:
    """Split a large, tidy table with pyarrow; None if anything in it needs a closer look.

    Returns
    -------
    tuple of headings, columns of cells and row numbers, or None
        The same as :func:`split_careful` gives.
    """
    import pyarrow
    import pyarrow.csv

    body = text[skipped:].encode("utf-8")
    # What the two parsers may see differently: NUL, lone CR, blank lines, quotes inside a cell.
    if b"\0" in body or body.count(b"\r") not in (0, body.count(b"\r\n")):
        return None
    header_line = body[: body.find(b"\n") + 1]
    width = header_line.count(delimiter.encode()) + 1
    names = [f"f{place}" for place in range(width)]
    try:
        read = pyarrow.csv.read_csv(
            io.BytesIO(body),
            # One thread: the figure that counts is CPU time, and reading is a tenth of a second.
            read_options=pyarrow.csv.ReadOptions(use_threads=False, column_names=names),
            parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter, ignore_empty_lines=False),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(names, pyarrow.string()), strings_can_be_null=False
            ),
        )
    except (pyarrow.ArrowInvalid, ValueError):
        return None
    lines = body.count(b"\n") + (not body.endswith(b"\n"))
    if read.num_rows != lines or read.num_rows < 2:
        return None
    columns = [column.to_pylist() for column in read.columns]
    headings = [column[0] for column in columns]
    if b'"' in body and any('"' in cell for column in columns for cell in column):
        return None
    for column in columns:
        del column[0]
    first_row = 2 + (skipped > 0)
    rows = range(first_row, first_row + read.num_rows - 1)
    if any("" not in column for column in columns):  # then no row is blank
        return headings, columns, rows
    return None


def split_careful(
    text: str, delimiter: str, skipped: int, name: str
) -> tuple[list[str], list[list[str]], Sequence[int]]:
    """Split a table with the csv module, naming each row that does not fit.

    Returns
    -------
    tuple of headings, columns of cells and row numbers
        m headings, m lists of n cells, n row numbers; blank rows are left out but counted.

    Raises
    ------
    TopologyError
        For rows with too few or too many cells, and for quotation marks that do not close.
    """
    reader = csv.reader(io.StringIO(text[skipped:], newline=""), delimiter=delimiter, strict=True)
    number = int(skipped > 0)
    headings: list[str] = []
    width = 0
    problems: list[Problem] = []
    rows: list[list[str]] = []
    numbers: list[int] = []
    try:
        for cells in reader:
            number += 1
            if not any(cell.strip() for cell in cells):
                continue
            if not headings:
                headings = _without_blank_end(cells)
                width = len(headings)
                continue
            if len(cells) != width:
                if len(cells) < width or any(cell.strip() for cell in cells[width:]):
                    problems.append(_ragged(name, number, cells, width))
                    continue
                del cells[width:]
            rows.append(cells)
            numbers.append(number)
    except csv.Error as error:
        problems.append(
            Problem(
                file=name,
                row=number + 1,
                message=f"the table breaks off here ({error})",
                hint="a quotation mark in this row or above does not close; check the quotes",
            )
        )
    _raise_if(problems, name)
    return headings, [list(column) for column in zip(*rows)], numbers


def _without_blank_end(cells: list[str]) -> list[str]:
    # Excel writes a delimiter for every column that ever held something.
    while cells and not cells[-1].strip():
        cells = cells[:-1]
    return cells


def _ragged(name: str, number: int, cells: list[str], width: int) -> Problem:
    return Problem(
        file=name,
        row=number,
        value=shown(cells[0]),
        message=f"has {len(cells)} cells, the heading has {width} (first cell {shown(cells[0])})",
        hint="a list with the table's own delimiter inside must stand in quotation marks",
    )


def _from_frame(frame: DataFrame) -> Table:
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()
    columns = [frame.iloc[:, place] for place in range(frame.shape[1])]
    values = [
        [_cell_text(value, gone) for value, gone in zip(column.tolist(), column.isna().tolist())]
        for column in columns
    ]
    headings = [str(heading) for heading in frame.columns]
    rows = range(2, len(frame) + 2)
    blank = [not any(cells) for cells in zip(*values)]
    if any(blank):
        rows = [row for row, gone in zip(rows, blank) if not gone]
        values = [[v for v, gone in zip(column, blank) if not gone] for column in values]
    return _table("DataFrame", headings, values, rows, ())


def _cell_text(value: object, missing: object) -> str:
    """Write what a DataFrame holds as the text that a CSV file would have."""
    if isinstance(value, str):
        return value
    if isinstance(value, (list, tuple)):
        return ";".join(map(str, value))
    if missing is True:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    # A column with blanks makes floats of whole numbers: 2012 comes as 2012.0.
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _table(
    name: str,
    headings: list[str],
    values: list[list[str]],
    rows: Sequence[int],
    notes: tuple[Note, ...],
) -> Table:
    """Name the columns and refuse a heading that is missing, blank or there twice."""
    names = name_headings(headings)
    first = {}
    problems = []
    for place, (heading, column) in enumerate(zip(headings, names)):
        if not column.strip():
            problems.append(
                Problem(
                    file=name,
                    row=1,
                    message=f"column {place + 1} has no heading",
                    hint="give it one, or remove the column",
                )
            )
        elif column in first:
            problems.append(
                Problem(
                    file=name,
                    row=1,
                    column=column,
                    value=heading,
                    message=f"two headings for one column: {shown(first[column])} and "
                    f"{shown(heading)}",
                    hint="keep one of them, or rename the other",
                )
            )
        first.setdefault(column, heading)
    found = ", ".join(shown(heading) for heading in headings) or "none"
    problems += [
        Problem(
            file=name,
            row=1,
            column=column.name,
            message=f"there is no column {column.name}; headings found: {found}",
            hint="the first row names the columns, at least server_fqdn and role",
        )
        for column in topology_columns()
        if column.required and column.name not in first
    ]
    if not problems and not rows:
        problems = [
            Problem(
                file=name,
                message="has a heading and no servers",
                hint="write one row for each server",
            )
        ]
    _raise_if(problems, name)
    return Table(source=name, columns=names, values=tuple(values), rows=rows, notes=notes)


def _raise_if(problems: list[Problem], name: str) -> None:
    if problems:
        count = f"{len(problems)} problems" if len(problems) > 1 else "1 problem"
        raise TopologyError(f"{name} cannot be read: {count}", problems=tuple(problems))
