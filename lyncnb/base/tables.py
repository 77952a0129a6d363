"""Rows to a DataFrame, to escaped HTML or Markdown. Knows no certificates.

The boundary for text on its way to a page: every value is escaped here, with quotes, and nobody
else writes ``<td>``. pandas is imported only when a DataFrame is asked for, because its import
costs more than everything else a command does.
"""

from __future__ import annotations

import html
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeGuard
from urllib.parse import quote

if TYPE_CHECKING:
    import pandas

    DataFrame = pandas.DataFrame
else:
    DataFrame = "pandas.DataFrame"  # for annotations, which are never evaluated

#: Rows that a table shown in a notebook has at most.
ROWS_SHOWN = 200

# Jupyter aligns every cell to the right, with a selector of two classes; names read from the left.
_TABLE_STYLE = (
    "<style>.lyncnb-table.lyncnb-table th,.lyncnb-table.lyncnb-table td"
    "{text-align:left;vertical-align:top}"
    ".lyncnb-table.lyncnb-table caption{text-align:left;font-weight:bold}</style>"
)

# Characters that mean something to Markdown; the HTML ones become entities.
_MARKDOWN = str.maketrans(
    {
        "&": "&amp;",
        "<": "&lt;",
        ">": "&gt;",
        "|": "\\|",
        "\\": "\\\\",
        "`": "\\`",
        "*": "\\*",
        "_": "\\_",
        "[": "\\[",
        "]": "\\]",
        "~": "\\~",
        "$": "\\$",
        "\r": None,
        "\n": "<br>",
        "\x00": None,
    }
)


class Table:
    """A noun that shows itself: as a DataFrame, as a table in a notebook, as a line in a terminal.

    A subclass says its headings, its rows and one line about them. A dataclass among them is made
    with ``repr=False``, else it would write its own.
    """

    __slots__ = ()

    def _headings(self) -> Sequence[str]:
        raise NotImplementedError

    def _rows(self) -> Iterable[Sequence[Any]]:
        raise NotImplementedError

    def _summary(self) -> str:
        raise NotImplementedError

    def to_frame(self) -> DataFrame:
        """Give it as a DataFrame, a row each, as :func:`to_frame` makes one."""
        return to_frame(self._headings(), self._rows())

    def _repr_html_(self) -> str:
        return rows_to_html(
            self._headings(), [*self._rows()], caption=self._summary(), limit=ROWS_SHOWN
        )

    def __repr__(self) -> str:
        return self._summary()


def cell_text(value: Any) -> str:
    """Write one value as a cell shows it.

    Parameters
    ----------
    value : str, int, bool, None or a sequence of str
        ``None`` is blank, a truth value ``yes`` or ``no``, a sequence is joined by ``"; "``.

    Returns
    -------
    str
        Plain text, not escaped.
    """
    if value is None:
        return ""
    if type(value) is str:  # most cells of most tables
        return value
    if isinstance(value, str):
        return str(value)  # a subclass such as DnsName becomes a plain str
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (tuple, list)):
        return "; ".join(map(str, value))
    return str(value)


def to_frame(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> DataFrame:
    """Make a DataFrame of plain text and whole numbers.

    Parameters
    ----------
    columns : sequence of str
        m distinct headings.
    rows : iterable of sequences
        n rows of m values each, see :func:`cell_text`.

    Returns
    -------
    DataFrame
        n rows, m columns, index 0 … n-1. A column of which every value is an ``int`` is
        ``int64``; every other column is text, with blanks as ``""`` and never NaN.
    """
    import pandas as pd

    by_column = list(zip(*rows, strict=True)) or [()] * len(columns)
    data = {}
    for heading, values in zip(columns, by_column, strict=True):
        if values and all(type(value) is int for value in values):
            data[heading] = pd.Series(values, dtype="int64")
        else:
            data[heading] = pd.Series([cell_text(value) for value in values], dtype="str")
    return pd.DataFrame(data, columns=list(columns))


def is_frame(value: object) -> TypeGuard[DataFrame]:
    """Tell whether a value is a pandas DataFrame, without importing pandas.

    Returns
    -------
    bool
        False for everything as long as nobody has imported pandas.
    """
    pandas_module = sys.modules.get("pandas")
    return pandas_module is not None and isinstance(value, pandas_module.DataFrame)


def rows_to_html(
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    caption: str = "",
    limit: int | None = None,
) -> str:
    """Write rows as an escaped HTML table, without pandas.

    Parameters
    ----------
    columns : sequence of str
        m headings.
    rows : sequence of sequences
        n rows of m values, see :func:`cell_text`. Line breaks inside a value are kept.
    caption, limit
        Heading of the table, plain text; rows written at most, of which a sentence then tells
        (default: all of them).

    Returns
    -------
    str
        ``<style>``, ``<table>…</table>``, and a ``<p>`` if rows were left out.
    """
    lines = [f'{_TABLE_STYLE}<table class="lyncnb-table">']
    if caption:
        lines.append(f"<caption>{_escape(caption)}</caption>")
    headings = "".join(f'<th scope="col">{_escape(heading)}</th>' for heading in columns)
    lines.append(f"<thead><tr>{headings}</tr></thead>\n<tbody>")
    for row in rows if limit is None else rows[:limit]:
        lines.append("<tr>" + "".join(f"<td>{_escape(value)}</td>" for value in row) + "</tr>")
    lines.append("</tbody></table>")
    if limit is not None and len(rows) > limit:
        lines.append(f"<p>{_escape(left_out(limit, len(rows)))}</p>")
    return "\n".join(lines)


def left_out(shown: int, total: int) -> str:
    """Say in a sentence that a table is not complete."""
    return f"The first {shown:,} of {total:,} rows."


def paragraph(text: str) -> str:
    """Write plain text as an escaped ``<p>``."""
    return f"<p>{_escape(text)}</p>"


def link(text: str, path: str) -> str:
    """Write a link to a file by its path relative to the reader's notebook, escaped."""
    address = quote(path.replace("\\", "/"))
    return f'<a href="{_escape(address)}" target="_blank">{_escape(text)}</a>'


def to_markdown(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Write rows as a Markdown pipe table.

    Parameters
    ----------
    columns : sequence of str
        m headings.
    rows : iterable of sequences
        n rows of m values, see :func:`cell_text`.

    Returns
    -------
    str
        One line per row. Pipes, HTML and Markdown's own characters are escaped and line breaks
        written as ``<br>``, so that no value can end its cell or become markup.
    """
    lines = [
        "| " + " | ".join(map(escape_markdown, columns)) + " |",
        "|" + " --- |" * len(columns),
    ]
    lines.extend("| " + " | ".join(map(escape_markdown, row)) + " |" for row in rows)
    return "\n".join(lines) + "\n"


def escape_markdown(value: Any) -> str:
    """Write one value so that Markdown shows it as it stands."""
    return cell_text(value).translate(_MARKDOWN)


def _escape(value: Any) -> str:
    # NUL is not allowed in HTML at all; a browser would show a replacement character.
    return html.escape(cell_text(value).replace("\x00", ""), quote=True)
