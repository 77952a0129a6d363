"""Format paragraphs, tables, and reports as plain text for a terminal.

wcwidth measures the text: wide East Asian characters need two columns, and combining characters
none.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any

import wcwidth

from .report import Report, ReportTable, describe_hidden_rows
from .tables import format_cell

_GAP = "  "
_INDENT = "  "
# The minimum width of text, even in a narrow terminal or with a deep indentation.
_NARROWEST = 20


def escape_controls(text: str) -> str:
    r"""Replace characters that can control a terminal, such as escape sequences.

    Returns
    -------
    str
        The text with replacements such as ``\x1b`` or ``\u202e``. Line breaks and tabs are kept.
    """
    if text.isascii() and text.replace("\n", "").replace("\t", "").isprintable():
        return text
    return "".join(
        character
        if character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cf", "Cs")
        else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def wrap_line(line: str, width: int) -> list[str]:
    """Wrap a line of text at spaces. Continuation lines are indented by two more spaces.

    Returns
    -------
    list of str
        One or more lines of at most ``width`` columns. Only a single longer word makes a longer
        line,
        so that users can copy complete host names and paths.
    """
    text = escape_controls(line).replace("\n", " ")
    if wcwidth.width(text) <= width:
        return [text]
    indent = text[: len(text) - len(text.lstrip(" "))]
    return wcwidth.wrap(
        text.lstrip(" "),
        max(width, len(indent) + _NARROWEST),
        initial_indent=indent,
        subsequent_indent=indent + _INDENT,
        break_long_words=False,
        break_on_hyphens=False,
    )


def format_table(
    columns: Sequence[str], rows: Sequence[Sequence[Any]], *, width: int, optional: int = 0
) -> Iterator[str]:
    """Yield the lines of a table.

    Parameters
    ----------
    columns : sequence of str
        m headings.
    rows : sequence of sequences
        n rows of m values.
    width : int
        The width of the terminal in columns.
    optional : int, optional
        The number of columns that are left out, from the last one, if they do not fit.

    Yields
    ------
    str
        A line without trailing spaces. If the longest words do not fit next to each other, each row
        becomes a paragraph of headings and values.
    """
    cells = [
        [escape_controls(format_cell(value)).replace("\n", " ") for value in row] for row in rows
    ]
    by_column = list(zip(columns, *cells, strict=True))
    preferred_widths = [max(map(wcwidth.width, column)) for column in by_column]
    minimum_widths = [max(map(_measure_longest_word, column)) for column in by_column]
    for shown_count in range(len(columns), len(columns) - optional - 1, -1):
        widths = _divide_width(
            preferred_widths[:shown_count],
            minimum_widths[:shown_count],
            width - len(_GAP) * (shown_count - 1),
        )
        if widths is not None:
            break
    if widths is None:
        for row in cells:
            yield from _format_paragraph(columns, row, width)
        return
    for line in (columns, *cells):
        wrapped = [_wrap_cell(cell, size) for cell, size in zip(line, widths, strict=False)]
        for parts in zip_longest(*wrapped, fillvalue=""):
            yield _GAP.join(map(wcwidth.ljust, parts, widths)).rstrip()


def _measure_longest_word(text: str) -> int:
    return max(map(wcwidth.width, text.split(" ")))


def _divide_width(
    preferred_widths: Sequence[int], minimum_widths: Sequence[int], available_width: int
) -> list[int] | None:
    """Divide the width among the columns of a table, or return None if the words do not fit."""
    widths = [*minimum_widths]
    spare = available_width - sum(widths)
    if spare < 0:
        return None
    # Narrow columns get their full width, and wide columns share the rest equally.
    needs = sorted(
        range(len(widths)), key=lambda column: preferred_widths[column] - minimum_widths[column]
    )
    for columns_left, column in zip(range(len(needs), 0, -1), needs, strict=True):
        extra = min(preferred_widths[column] - minimum_widths[column], spare // columns_left)
        widths[column] += extra
        spare -= extra
    return widths


def _wrap_cell(cell: str, width: int) -> list[str]:
    # Most cells fit, and measuring a cell is much faster than wrapping its text.
    if wcwidth.width(cell) <= width:
        return [cell]
    return wcwidth.wrap(cell, width, break_long_words=False, break_on_hyphens=False)


def _format_paragraph(columns: Sequence[str], row: Sequence[str], width: int) -> Iterator[str]:
    """Format a table row as a paragraph: ``first value: Heading value; Heading value``.

    Blank values are omitted.
    """
    pairs = zip(columns[1:], row[1:], strict=True)
    text = "; ".join(f"{heading} {value}" for heading, value in pairs if value)
    yield from wrap_line(f"{row[0]}: {text}", width)


def format_report(report: Report, *, width: int) -> Iterator[str]:
    """Yield the lines of a report for a terminal. An empty line separates paragraphs.

    Parameters
    ----------
    report : Report
        Any report.
    width : int
        The width of the terminal in columns. Tables fit into it; sentences are not wrapped yet.
    """
    for number, block in enumerate(report.text()):
        if number:
            yield ""
        if not isinstance(block, ReportTable):
            yield from block
            continue
        if title := block.formats[""]:
            yield title
        rows = [*block.rows()]
        visible_rows = rows[: block.limit]
        yield from format_table(block.headings(), visible_rows, width=width)
        yield from describe_hidden_rows(len(rows) - len(visible_rows))
