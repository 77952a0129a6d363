"""Rows to a DataFrame, to escaped HTML or Markdown. Knows no certificates.

The boundary for text on its way to a page: every value is escaped here, with quotes, and nobody
else writes ``<td>``. pandas is imported only when a DataFrame is asked for, because its import
costs more than everything else a command does.
"""

from __future__ import annotations

import html
import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol, TypeGuard
from urllib.parse import quote

from ...errors import LyncnbError
from .documents import linked_parts

if TYPE_CHECKING:
    import pandas

    DataFrame = pandas.DataFrame
else:
    DataFrame = "pandas.DataFrame"  # for annotations, which are never evaluated

#: Rows that a table shown in a notebook has at most.
ROWS_SHOWN = 200

_CHIPS_OPEN = 6  # of a cell; so that a row is not higher than a screen

#: Rows that stand open; the rest of a longer table is folded under a line with their number.
ROWS_OPEN = 10

#: Part of every table's HTML; for a page that takes ``<style>`` out of what it is given.
# Jupyter aligns every cell to the right, with a selector of two classes; names read from the left.
# Words break only at <wbr>, never at single letters. On paper nothing is folded.
TABLE_STYLE = (
    "<style>.lyncnb-table.lyncnb-table th,.lyncnb-table.lyncnb-table td"
    "{text-align:left;vertical-align:top;white-space:pre-line;overflow-wrap:break-word}"
    ".lyncnb-table.lyncnb-table caption{text-align:left;font-weight:bold}"
    ".lyncnb-table.lyncnb-table{max-width:100%}"
    ".lyncnb-chip{display:inline-block;border:1px solid #8888;border-radius:.6em;"
    "padding:0 .4em;margin:0 .2em .2em 0;color:inherit}"
    "@media print{.lyncnb-more::details-content{content-visibility:visible;height:auto}"
    "td .lyncnb-more>summary{display:none}"
    ".lyncnb-chip{border:0;padding:0;margin:0 .4em 0 0}}</style>"
)

# A name may go on in the next line after these, and a word of Lync's where a capital begins.
_BREAK_AFTER = re.compile(r"(?<=[./_@;,-])(?=[^\s./_@;,-])|(?<=[a-z])(?=[A-Z])")
_LONG = re.compile(r"\S{19,}")  # a shorter word fits anywhere …
_MANY_COLUMNS = 13
_LONG_AMONG_MANY = re.compile(r"\S{9,}")  # … but in a table of so many columns
_LONGEST_PART = 20  # letters; where no label may hold its column open


@dataclass(frozen=True, slots=True)
class Chip:
    """One of many in a cell; ``target`` is the id of what it leads to on the same page."""

    text: str
    target: str = ""
    title: str = ""

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Folded:
    """Lines of a cell under one line of plain text, folded on paper too; then chips."""

    summary: str
    lines: tuple[str, ...]
    chips: tuple[Chip, ...] = ()

    def __str__(self) -> str:
        return "\n".join(self.lines)


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


class PlanMark(NamedTuple):
    """Which plan an output shows; ``name`` is that of a scenario or demonstration, else ""."""

    digest: str
    name: str = ""


class Marked(Protocol):
    """A plan that can be told from others."""

    def mark(self) -> PlanMark:
        """Return its mark."""


#: The class of a paragraph that explains how to see a panel instead of its copy.
NEEDS_CLASS = "lyncnb-needs"
#: The attribute by which an output of a notebook says which plan it shows.
PLAN_ATTRIBUTE = "data-lyncnb-plan"
_DIGITS = 16
_PLAN = re.compile(rf'{PLAN_ATTRIBUTE}="([0-9a-f]+)"')


def marked(page: str, plan: Marked | PlanMark | None) -> str:
    """Say in HTML which plan it shows; one with a name of its own is named above it."""
    if plan is None:
        return page
    digest, name = plan if isinstance(plan, PlanMark) else plan.mark()
    if name:
        return f"<p><strong>{_escape(name)}</strong>, not the plan of the editor:</p>\n{page}"
    return f'<div {PLAN_ATTRIBUTE}="{digest[:_DIGITS]}">{page}</div>'


def shown_plans(page: str) -> list[str]:
    """Return the plans that HTML shows, as marked by :func:`marked`, without exempt ones."""
    return _PLAN.findall(page)


class Column(NamedTuple):
    """A column of a table: its heading, and what returns its value of an item."""

    heading: str
    value: Callable[[Any], Any]


def columns(*described: tuple[str, str | int | Callable[[Any], Any]]) -> tuple[Column, ...]:
    """Make columns of headings and values.

    A value is an attribute (``subject.common_name``), a place in a tuple, or a function.
    """
    return tuple(Column(heading, _getter(value)) for heading, value in described)


def _getter(value: str | int | Callable[[Any], Any]) -> Callable[[Any], Any]:
    if isinstance(value, str):
        return attrgetter(value)
    return itemgetter(value) if isinstance(value, int) else value


def headings_of(columns: Iterable[Column]) -> list[str]:
    """Return the headings of columns."""
    return [column.heading for column in columns]


def rows_of(columns: Iterable[Column], items: Iterable[Any]) -> Iterator[tuple[Any, ...]]:
    """Yield a row for each item: a value for each column."""
    values = [column.value for column in columns]
    if len(values) > 1 and all(isinstance(value, attrgetter) for value in values):
        # One call for a row instead of one for each cell: a large table has millions.
        return map(attrgetter(*(value.__reduce__()[1][0] for value in values)), items)
    return (tuple([value(item) for value in values]) for item in items)


class Table(ABC):
    """A noun that shows itself: as a DataFrame, as a table in a notebook, as a line in a terminal.

    A subclass has columns and items, or returns its headings and rows itself, and one line about
    them. A dataclass among them is made with ``repr=False``, else it would write its own.
    """

    __slots__ = ()

    _columns: ClassVar[Sequence[Column]] = ()

    def _items(self) -> Iterable[Any]:
        return ()

    def _headings(self) -> Sequence[str]:
        return headings_of(self._columns)

    def _rows(self) -> Iterable[Sequence[Any]]:
        return rows_of(self._columns, self._items())

    @abstractmethod
    def _summary(self) -> str: ...

    def _shown_plan(self) -> Marked | PlanMark | None:
        """Return the plan that it is about, where it is about one."""
        return None

    def to_frame(self) -> DataFrame:
        """Give it as a DataFrame, a row each, as :func:`to_frame` makes one."""
        return to_frame(self._headings(), self._rows())

    def only(self, *headings: str) -> Table:
        """Give some of the columns, to be shown in a notebook.

        Parameters
        ----------
        *headings : str
            As the table has them, in the order wanted.

        Raises
        ------
        LyncnbError
            If the table has no such column.
        """
        known = list(self._headings())
        for heading in headings:
            if heading not in known:
                raise LyncnbError(
                    f'the table has no column "{heading}"', hint=f"it has {', '.join(known)}"
                )
        return _Columns(self, headings)

    def _repr_html_(self) -> str:
        page = rows_to_html(
            self._headings(), [*self._rows()], caption=self._summary(), limit=ROWS_SHOWN
        )
        return marked(page, self._shown_plan())

    def __repr__(self) -> str:
        return self._summary()


class _Columns(Table):
    """Some columns of a table."""

    def __init__(self, whole: Table, headings: Sequence[str]):
        self._whole, self._names = whole, headings

    def _headings(self) -> Sequence[str]:
        return self._names

    def _rows(self) -> Iterable[Sequence[Any]]:
        at = [list(self._whole._headings()).index(name) for name in self._names]
        return ([row[place] for place in at] for row in self._whole._rows())

    def _summary(self) -> str:
        return self._whole._summary()

    def _shown_plan(self) -> Marked | PlanMark | None:
        return self._whole._shown_plan()


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


def count_of(number: int, noun: str) -> str:
    """Write a number and its noun, in the plural where it needs one."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def first_of(texts: Sequence[str], shown: int, *, separator: str = ", ") -> str:
    """Join the first of some texts, and count the others: "a, b and 3 more"."""
    left = len(texts) - shown
    return separator.join(texts[:shown]) + (f" and {left:,} more" if left > 0 else "")


def count_same(
    noun: str, statements: Iterable[tuple[str, str]], *, shown: int = 3
) -> Iterator[str]:
    """Yield each statement once, with what it is about.

    Parameters
    ----------
    noun : str
        What the statements are about, in the singular: ``package``.
    statements : iterable of (str, str)
        The statement (``written``), and the name of what it is about.
    shown : int, optional
        Names that a line has at most.

    Yields
    ------
    str
        The number, the statement and the first names: ``5 packages written: a, b, c and 2 more``.
    """
    names_of: dict[str, list[str]] = {}
    for statement, name in statements:
        names_of.setdefault(statement, []).append(name)
    for statement, names in names_of.items():
        yield f"{count_of(len(names), noun)} {statement}: {first_of(names, shown)}"


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
    ids: Sequence[str] = (),
    remarks: Sequence[str] = (),
    linked: Sequence[str] = ("Source",),
) -> str:
    """Write rows as an escaped HTML table, without pandas.

    Parameters
    ----------
    columns : sequence of str
        m headings.
    rows : sequence of sequences
        n rows of m values, see :func:`cell_text`. Line breaks inside a value are kept, several
        values in one stand side by side as chips, and names may wrap.
    caption, limit
        Heading of the table, plain text; rows written at most, of which a sentence then tells
        (default: all of them).
    ids : sequence of str, optional
        n anchors, one for each row, for the chips of another table to lead to.
    remarks : sequence of str, optional
        Sentences below the table, plain text.
    linked : sequence of str, optional
        Headings of columns in which documents that have an address are links.

    Returns
    -------
    str
        ``<style>`` and ``<table>…</table>``; rows after the 10th folded under their number; a
        ``<p>`` if rows were left out.
    """
    shown = rows if limit is None else rows[:limit]
    lines = [TABLE_STYLE, *_table(columns, shown[:ROWS_OPEN], ids[:ROWS_OPEN], caption, linked)]
    if len(shown) > ROWS_OPEN:
        more = f"Show all {len(shown):,} rows ({len(shown) - ROWS_OPEN:,} more)"
        lines.append(f'<details class="lyncnb-more"><summary>{more}</summary>')
        lines += _table(columns, shown[ROWS_OPEN:], ids[ROWS_OPEN:], "", linked)
        lines.append("</details>")
    if len(shown) < len(rows):
        lines.append(f"<p>{_escape(left_out(len(shown), len(rows)))}</p>")
    lines += [f"<p>{_escape(remark)}</p>" for remark in remarks]
    return "\n".join(lines)


def _table(
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    ids: Sequence[str],
    caption: str,
    linked: Sequence[str],
) -> Iterator[str]:
    yield '<table class="lyncnb-table">'
    if caption:
        yield f"<caption>{_escape(caption)}</caption>"
    long = _LONG_AMONG_MANY if len(columns) >= _MANY_COLUMNS else _LONG
    headings = "".join(f'<th scope="col">{_breakable(name, long)}</th>' for name in columns)
    yield f"<thead><tr>{headings}</tr></thead>\n<tbody>"
    for place, row in enumerate(rows):
        mark = f' id="{_escape(ids[place])}"' if ids else ""
        cells = (
            f"<td>{_linked(value) if heading in linked else _cell(value, long)}</td>"
            for heading, value in zip(columns, row, strict=True)
        )
        yield f"<tr{mark}>{''.join(cells)}</tr>"
    yield "</tbody></table>"


def _cell(value: Any, long: re.Pattern[str]) -> str:
    if isinstance(value, Folded):
        text = "<br>".join(_breakable(line, long) for line in value.lines)
        marks = " ".join(_chip(chip, long) for chip in value.chips)
        return folded(value.summary, f"{text}<br>{marks}" if marks else text, on_paper=False)
    if not isinstance(value, (tuple, list)):
        return _breakable(cell_text(value), long)
    if len(value) == 1 and not isinstance(value[0], Chip):
        return _breakable(str(value[0]), long)
    chips = [_chip(item if isinstance(item, Chip) else Chip(str(item)), long) for item in value]
    if len(chips) <= _CHIPS_OPEN + 2:
        return " ".join(chips)
    rest = len(chips) - _CHIPS_OPEN
    return " ".join(chips[:_CHIPS_OPEN]) + folded(f"{rest} more", " ".join(chips[_CHIPS_OPEN:]))


def _chip(chip: Chip, long: re.Pattern[str]) -> str:
    title = f' title="{_escape(chip.title)}"' if chip.title else ""
    text = _breakable(chip.text, long)
    if not chip.target:
        return f'<span class="lyncnb-chip"{title}>{text}</span>'
    return f'<a class="lyncnb-chip" href="#{_escape(quote(chip.target))}"{title}>{text}</a>'


def _breakable(text: str, long: re.Pattern[str]) -> str:
    parts, place = [], 0
    for word in long.finditer(text):
        most = _LONGEST_PART if long is _LONG_AMONG_MANY else len(word[0])
        pieces = "<wbr>".join(_pieces(word[0], most))
        parts += [_escape(text[place : word.start()]), pieces]
        place = word.end()
    return "".join(parts) + _escape(text[place:])


def _pieces(word: str, most: int) -> Iterator[str]:
    for piece in _BREAK_AFTER.split(word):
        yield from (_escape(piece[at : at + most]) for at in range(0, len(piece), most))


def _linked(value: Any) -> str:
    parts = []
    for text, address in linked_parts(cell_text(value)):
        told = _escape(text)
        if address:
            told = f'<a href="{_escape(address)}" target="_blank" rel="noreferrer">{told}</a>'
        parts.append(told)
    return "".join(parts)


def folded(summary: str, fragment: str, *, on_paper: bool = True) -> str:
    """Fold an escaped fragment under a line of plain text; on paper it stands open, or stays so."""
    mark = ' class="lyncnb-more"' if on_paper else ""
    return f"<details{mark}><summary>{_escape(summary)}</summary>{fragment}</details>"


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


def linked_markdown(source: str) -> str:
    """Write a source as Markdown, its documents as links where they have an address."""
    return "".join(
        f"[{escape_markdown(text)}](<{address}>)" if address else escape_markdown(text)
        for text, address in linked_parts(source)
    )


def _escape(value: Any) -> str:
    # NUL is not allowed in HTML at all; a browser would show a replacement character.
    return html.escape(cell_text(value).replace("\x00", ""), quote=True)
