"""Change cells in a CSV file, and keep all other bytes of the file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ..errors import TopologyError
from .columns import find_column_names, get_example_server, list_topology_columns
from .csv_file import count_lines_above_table, decode, find_delimiter
from .encodings import ENCODINGS
from .workbook import is_workbook
from .xml_tree import is_markup

_BY_HAND = "edit the table in a spreadsheet program or text editor"


@dataclass(frozen=True, slots=True, kw_only=True)
class CellChange:
    """A changed cell: its row number in a spreadsheet, its column, and the old and new text."""

    row: int
    column: str
    before: str
    after: str

    def __str__(self) -> str:
        before, after = (f'"{text}"' if text else "blank" for text in (self.before, self.after))
        return f"row {self.row}, column {self.column}: {before} changed to {after}"


def edit_csv(
    name: str,
    data: bytes,
    changes: Mapping[int, Mapping[str, str]],
    *,
    headings: Mapping[str, str] = MappingProxyType({}),
    encoding: str = "",
) -> tuple[bytes, tuple[CellChange, ...]]:
    """Change the text of cells in a CSV file.

    Parameters
    ----------
    name : str
        The file name, for messages.
    data : bytes
        The content of a file that :func:`csv_file.read_rows` can read.
    changes : mapping of int to mapping of str to str
        For each index in ``Topology.cells``, the new text by column name.
    headings : mapping of str to str, optional
        For each heading to replace, the new column name.
    encoding : str, optional
        The encoding of a file that is neither UTF-8 nor UTF-16.

    Returns
    -------
    bytes
        The changed file with the same encoding, BOM, separator, and line ends. Rows without a
        change have the same bytes. If a change needs a known column that the file does not
        have, the column is added at the end of every row.
    tuple of CellChange
        The cell changes, sorted by row.

    Raises
    ------
    TopologyError
        If the rest of the file cannot be kept unchanged, or the row or column does not exist.
    """
    if is_markup(data) or is_workbook(data):
        raise TopologyError(f"{name} is not a CSV file", hint=_BY_HAND)
    text, _ = decode(name, data, encoding)
    encoding, mark = _detect_encoding(name, data, text)
    skipped, delimiter = find_delimiter(text)
    out = [mark, skipped]
    changed: list[CellChange] = []
    columns: tuple[str, ...] = ()
    new: list[str] = []
    index, width = -1, 0
    for number, (raw, cells) in enumerate(
        _split_records(text[len(skipped) :], delimiter), start=1 + count_lines_above_table(skipped)
    ):
        if any(cell.strip() for cell in cells):
            if not columns:
                present = find_column_names(headings.get(cell, cell) for cell in cells)
                changed_columns = dict.fromkeys(
                    column for texts in changes.values() for column in texts
                )
                known = {column.name for column in list_topology_columns()}.difference(present)
                new = [column for column in changed_columns if column in known]
                width = len(cells) + len(new)
                raw, cells = _append_cells(raw, cells, new, delimiter)
                row = _Row(name, number, delimiter, tuple(cells), cells, _split_row(raw, delimiter))
                changed += row.change_cells(headings)
                raw = delimiter.join(row.parts) if headings else raw
                columns = find_column_names(headings.get(cell, cell) for cell in cells)
                out.append(raw)
                continue
            if new:
                raw, cells = _append_cells(raw, cells, [""] * (width - len(cells)), delimiter)
            if not _is_example(columns, cells):
                index += 1
                if index in changes:
                    row = _Row(name, number, delimiter, columns, cells, _split_row(raw, delimiter))
                    changed += row.change_cells(changes[index])
                    raw = delimiter.join(row.parts)
        out.append(raw)
    if index < max(changes, default=-1):
        raise TopologyError(
            f"{name} does not contain every row that you want to change", hint=_BY_HAND
        )
    try:
        return "".join(out).encode(encoding), tuple(changed)
    except UnicodeEncodeError:
        raise TopologyError(
            (f"{name} has the encoding {encoding}, which cannot represent all the new characters"),
            hint=_BY_HAND,
        ) from None


def _append_cells(
    raw_row: str, cells: list[str], new_cells: list[str], delimiter: str
) -> tuple[str, list[str]]:
    """Append cells to the end of a CSV row, before its line ending."""
    body = raw_row.rstrip("\r\n")
    return "".join([body, *(delimiter + cell for cell in new_cells), raw_row[len(body) :]]), [
        *cells,
        *new_cells,
    ]


def _is_example(columns: tuple[str, ...], cells: list[str]) -> bool:
    """Return whether a row is the example row from the template."""
    index = columns.index("server_fqdn") if "server_fqdn" in columns else len(cells)
    return cells[index : index + 1] == [get_example_server()]


def _detect_encoding(name: str, data: bytes, text: str) -> tuple[str, str]:
    """Return the encoding and the byte order mark with which a text becomes the file's bytes."""
    for encoding in ("utf-8", "utf-16-le", "utf-16-be", *ENCODINGS):
        for mark in ("", "\ufeff"):
            try:
                if (mark + text).encode(encoding) == data:
                    return encoding, mark
            except UnicodeEncodeError:
                continue
    raise TopologyError(f"lyncnb cannot save {name} without changing its encoding", hint=_BY_HAND)


def _split_records(text: str, delimiter: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each row of a CSV file, as text including its line ending, and as a list of cells."""
    lines = list(io.StringIO(text, newline=""))
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    start = 0
    for cells in reader:
        yield "".join(lines[start : reader.line_num]), cells
        start = reader.line_num


def _split_row(raw_row: str, delimiter: str) -> list[str]:
    """Split the text of a CSV row into the texts of its cells, including their quotation marks."""
    parts, is_quoted = [""], False
    for character in raw_row:
        if character == '"':
            is_quoted = not is_quoted
        if character == delimiter and not is_quoted:
            parts.append("")
        else:
            parts[-1] += character
    return parts


@dataclass(frozen=True, slots=True)
class _Row:
    """A CSV row that is being changed: its cells, and their texts in the file."""

    file: str
    number: int
    delimiter: str
    columns: tuple[str, ...]
    cells: list[str]
    parts: list[str]

    def change_cells(self, texts: Mapping[str, str]) -> Iterator[CellChange]:
        """Change the text of cells in the CSV row, and yield the changes."""
        for column, text in texts.items():
            if column not in self.columns or self.columns.index(column) >= len(self.parts):
                message = f"row {self.number} in {self.file} has no column {column}"
                raise TopologyError(message, hint=_BY_HAND)
            index = self.columns.index(column)
            if self.cells[index] == text:
                continue
            old = self.parts[index]
            end = old[len(old.rstrip("\r\n")) :] if index == len(self.parts) - 1 else ""
            self.parts[index] = self._format_cell(text, old_text=old) + end
            yield CellChange(row=self.number, column=column, before=self.cells[index], after=text)

    def _format_cell(self, text: str, *, old_text: str) -> str:
        """Return the CSV form of a new text, quoted if necessary or if the old text was quoted."""
        if old_text.startswith('"') or any(c in text for c in f'"\r\n{self.delimiter}'):
            return '"' + text.replace('"', '""') + '"'
        return text
