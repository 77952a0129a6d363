"""Declare the columns of a table, and convert its rows to a DataFrame, HTML, or Markdown.

All text in HTML tables is escaped by this module, and no other module writes ``<td>``.
"""

from __future__ import annotations

import html
import inspect
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter, itemgetter
from typing import Any, ClassVar, NamedTuple, Protocol, TypeVar
from urllib.parse import quote

from ...errors import LyncnbError
from .documents import split_source
from .frames import DataFrame, Kind, build_frame

#: The largest number of rows that a table in a notebook shows.
ROWS_SHOWN = 200

# The largest number of items that a cell shows, so that a row fits on the screen.
_CHIPS_OPEN = 6

#: The number of rows that a long table shows at first. A line with the number of hidden rows
#: expands the table.
ROWS_OPEN = 10

#: The style is part of the HTML of every table, because some pages remove ``<style>`` from the
#: content. Jupyter aligns cells to the right with a selector of two classes, but names must be
#: aligned to the left. Words break only at <wbr>. On paper, all rows are visible.
TABLE_STYLE = (
    "<style>.lyncnb-table.lyncnb-table th,.lyncnb-table.lyncnb-table td"
    "{text-align:left;vertical-align:top;white-space:pre-line;overflow-wrap:break-word}"
    ".lyncnb-table.lyncnb-table caption{text-align:left;font-weight:bold}"
    ".lyncnb-table.lyncnb-table{max-width:100%}"
    ".lyncnb-table.lyncnb-table .lyncnb-below{padding-left:2em}"
    ".lyncnb-chip{display:inline-block;border:1px solid #8888;border-radius:.6em;"
    "padding:0 .4em;margin:0 .2em .2em 0;color:inherit}"
    "@media print{.lyncnb-more::details-content{content-visibility:visible;height:auto}"
    "td .lyncnb-more>summary,.lyncnb-rows{display:none}"
    ".lyncnb-chip{border:0;padding:0;margin:0 .4em 0 0}}</style>"
)

# The places where a name can break: after a character such as a dot, and before a capital letter in
# a word such as WebServicesInternal.
_BREAK_AFTER = re.compile(r"(?<=[./_@;,-])(?=[^\s./_@;,-])|(?<=[a-z])(?=[A-Z])")
_LONG = re.compile(r"\S{19,}")  # The minimum length of a word that can break.
# If a table has at least this number of columns, line breaks are also allowed in shorter words.
_MANY_COLUMNS = 13
_LONG_AMONG_MANY = re.compile(r"\S{9,}")
# A long word, such as a thumbprint, can break into parts of at most 20 letters.
_PART = re.compile(r".{1,20}[./_@;,-]?")
# If a table has at least this number of columns, a column is too narrow for long texts. Its texts
# are then shown below the rows. Lists of names stay in their column.
_TOO_MANY_FOR_LONG_TEXTS = 9
_LONG_TEXT = 120
_SENTENCE = re.compile(r"(?=\S+ ).{60,}")


@dataclass(frozen=True, slots=True)
class Chip:
    """One of several values in a cell. ``target`` is the HTML ID to which the value links."""

    text: str
    target: str = ""
    title: str = ""

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Folded:
    """Collapsed lines in a cell, with the text of the visible line above them.

    The lines are also collapsed on paper.
    """

    summary: str
    lines: tuple[str, ...]
    chips: tuple[Chip, ...] = ()

    def __str__(self) -> str:
        return "\n".join(self.lines)


# The characters with a special meaning in Markdown. Characters that are special in HTML become
# entities.
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
    """The mark that identifies the plan in an output.

    ``name`` is the name of a scenario or a demonstration, or blank.
    """

    digest: str
    name: str = ""


class Marked(Protocol):
    """A plan with a mark that identifies the plan in the outputs of a notebook."""

    def mark(self) -> PlanMark:
        """Return the mark that identifies the plan in outputs."""


#: The CSS class of a paragraph that explains how to show a panel in place of its static copy.
NEEDS_CLASS = "lyncnb-needs"
#: The HTML attribute that identifies the plan of an output in a notebook.
PLAN_ATTRIBUTE = "data-lyncnb-plan"
_DIGITS = 16
_PLAN = re.compile(rf'{PLAN_ATTRIBUTE}="([0-9a-f]+)"')


def mark_plan(page: str, plan: Marked | PlanMark | None) -> str:
    """Add to HTML an attribute that identifies the plan.

    A plan with a name is also shown in a line of text.
    """
    if plan is None:
        return page
    digest, name = plan if isinstance(plan, PlanMark) else plan.mark()
    if name:
        return (
            f"<p>This table shows <strong>{_escape_html(name)}</strong>, not the plan in the "
            f"editor.</p>\n{page}"
        )
    return f'<div {PLAN_ATTRIBUTE}="{digest[:_DIGITS]}">{page}</div>'


def find_shown_plans(page: str) -> list[str]:
    """Return the plans that an HTML text shows, as :func:`mark_plan` marked them.

    Demonstrations are left out.
    """
    return _PLAN.findall(page)


class Column(NamedTuple):
    """A column of a table: its heading, a function that returns the value, and the type."""

    heading: str
    value: Callable[[Any], Any]
    kind: Kind = Kind.TEXT


Value = str | int | Callable[[Any], Any]


def columns(*described: tuple[str, Value] | tuple[str, Value, Kind]) -> tuple[Column, ...]:
    """Return table columns from headings, values, and types. Without a type, a column is text.

    A value is an attribute (``subject.common_name``), an index in a tuple, or a function.
    """
    return tuple(Column(heading, _make_getter(value), *kind) for heading, value, *kind in described)


Function = TypeVar("Function", bound=Callable[..., Any])


def document_columns(
    columns: Iterable[Column], subject: str = ""
) -> Callable[[Function], Function]:
    """Return a decorator that adds a list of the table's columns to a docstring.

    Parameters
    ----------
    columns : iterable of Column
        The columns.
    subject : str, optional
        Which frame has the columns, if the function has several; it is part of the heading.
    """

    def decorate(function: Function) -> Function:
        heading = f"Columns of {subject}" if subject else "Columns"
        lines = [
            heading,
            "-" * len(heading),
            *(f"{column.heading} : {column.kind.value}" for column in columns),
        ]
        text = "\n".join(lines)
        function.__doc__ = f"{inspect.cleandoc(function.__doc__ or '')}\n\n{text}\n"
        return function

    return decorate


def _make_getter(value: Value) -> Callable[[Any], Any]:
    if isinstance(value, str):
        return attrgetter(value)
    return itemgetter(value) if isinstance(value, int) else value


def list_headings(columns: Iterable[Column]) -> list[str]:
    """Return the headings of table columns."""
    return [column.heading for column in columns]


def number_equal_headings(headings: Iterable[str], other: Iterable[str] = ()) -> tuple[str, ...]:
    """Return headings in which each repeated heading gets a number: ``a.csv``, ``a.csv (2)``.

    ``other`` are the headings of the table's other columns.
    """
    unique: list[str] = []
    known = set(other)
    for heading in headings:
        number, name = 1, heading
        while name in known:
            number += 1
            name = f"{heading} ({number})"
        known.add(name)
        unique.append(name)
    return tuple(unique)


def build_rows(columns: Iterable[Column], items: Iterable[Any]) -> Iterator[tuple[Any, ...]]:
    """Yield a row for each item, with the value in each column."""
    values = [column.value for column in columns]
    if len(values) > 1 and all(isinstance(value, attrgetter) for value in values):
        # A large table has millions of cells, so one call must return a complete row.
        return map(attrgetter(*(value.__reduce__()[1][0] for value in values)), items)
    return (tuple([value(item) for value in values]) for item in items)


class Table(ABC):
    """An object that can be shown as a DataFrame, a notebook table, or a line in a terminal.

    A subclass defines columns and items, or its headings, types and rows, and a summary line. A
    dataclass needs ``repr=False``, because its own ``__repr__`` would replace the summary line.
    """

    __slots__ = ()

    _columns: ClassVar[Sequence[Column]] = ()

    def __init_subclass__(cls) -> None:
        """Give each subclass that has columns a documented method ``to_frame``."""
        super().__init_subclass__()
        if cls.__dict__.get("_columns") and "to_frame" not in cls.__dict__:

            def to_frame(self: Table) -> DataFrame:
                return Table.to_frame(self)

            to_frame.__doc__ = Table.to_frame.__doc__
            to_frame.__qualname__ = f"{cls.__qualname__}.to_frame"
            cls.to_frame = document_columns(cls._columns)(to_frame)  # type: ignore[method-assign]

    def _list_items(self) -> Iterable[Any]:
        return ()

    def _list_headings(self) -> Sequence[str]:
        return list_headings(self._columns)

    def _list_kinds(self) -> Sequence[Kind]:
        return [column.kind for column in self._columns] or [Kind.TEXT] * len(self._list_headings())

    def _list_rows(self) -> Iterable[Sequence[Any]]:
        return build_rows(self._columns, self._list_items())

    @abstractmethod
    def _summarize(self) -> str: ...

    def _get_shown_plan(self) -> Marked | PlanMark | None:
        """Return the plan that the table shows, or None if it shows no plan."""
        return None

    def to_frame(self) -> DataFrame:
        """Return a DataFrame with a row for each item.

        The types of the columns do not depend on the rows. Blank text is ``""``. Blank days, times
        (UTC), counts, and yes/no values are missing values.
        """
        return to_frame(self._list_headings(), self._list_rows(), kinds=self._list_kinds())

    def by_server(self) -> Table:
        """Return a table with a row for each server of an item.

        The column ``Servers`` becomes ``Server``. An item without servers keeps one row.

        Raises
        ------
        LyncnbError
            If the table does not have the column ``Servers``.
        """
        index = self._find_column("Servers")
        headings = ["Server" if name == "Servers" else name for name in self._list_headings()]
        return _View(
            self,
            headings,
            self._list_kinds(),
            lambda: (
                (*row[:index], server, *row[index + 1 :])
                for row in self._list_rows()
                for server in row[index] or ("",)
            ),
        )

    def _find_column(self, heading: str) -> int:
        known = list(self._list_headings())
        if heading not in known:
            raise LyncnbError(
                f'the table has no column "{heading}"',
                hint=f"the columns are {', '.join(known)}",
            )
        return known.index(heading)

    def only(self, *headings: str) -> Table:
        """Return a table with only some of the columns, for display in a notebook.

        Parameters
        ----------
        *headings : str
            The headings of the columns, in the order in which to show them.

        Raises
        ------
        LyncnbError
            If the table does not have one of the columns.
        """
        indices = [self._find_column(heading) for heading in headings]
        kinds = self._list_kinds()
        return _View(
            self,
            headings,
            [kinds[index] for index in indices],
            lambda: ([row[index] for index in indices] for row in self._list_rows()),
        )

    def _repr_html_(self) -> str:
        instants = {i for i, kind in enumerate(self._list_kinds()) if kind is Kind.INSTANT}
        rows = [
            [_format_instant(value) if i in instants else value for i, value in enumerate(row)]
            if instants
            else row
            for row in self._list_rows()
        ]
        page = rows_to_html(
            self._list_headings(), rows, caption=self._summarize(), limit=ROWS_SHOWN
        )
        return mark_plan(page, self._get_shown_plan())

    def __repr__(self) -> str:
        return self._summarize()


class _View(Table):
    """The rows or columns of another table in another form."""

    def __init__(
        self,
        whole: Table,
        headings: Sequence[str],
        kinds: Sequence[Kind],
        rows: Callable[[], Iterable[Sequence[Any]]],
    ):
        self._whole, self._headings, self._kinds, self._rows = whole, headings, kinds, rows

    def _list_headings(self) -> Sequence[str]:
        return self._headings

    def _list_kinds(self) -> Sequence[Kind]:
        return self._kinds

    def _list_rows(self) -> Iterable[Sequence[Any]]:
        return self._rows()

    def _summarize(self) -> str:
        return self._whole._summarize()

    def _get_shown_plan(self) -> Marked | PlanMark | None:
        return self._whole._get_shown_plan()


def _format_instant(value: object) -> str:
    """Return a time in ISO 8601 (UTC) as a date and a time of day, which can wrap."""
    text = format_cell(value)
    return f"{text[:10]} {text[11:16]} UTC" if text[10:11] == "T" else text


def format_cell(value: Any) -> str:
    """Return a value as the text of a cell.

    Parameters
    ----------
    value : str, int, bool, None or a sequence of str
        ``None`` becomes blank, a boolean ``yes`` or ``no``, and a sequence is joined by ``"; "``.

    Returns
    -------
    str
        Plain text, not escaped.
    """
    if value is None:
        return ""
    if type(value) is str:  # Text is checked first, because most cells contain text.
        return value
    if isinstance(value, str):
        # An object whose class is derived from str, such as DnsName, is converted to a plain str.
        return str(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (tuple, list)):
        return "; ".join(map(str, value))
    return str(value)


def format_count(number: int, noun: str) -> str:
    """Return a number and its noun, in the singular or plural."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def join_first_texts(texts: Sequence[str], max_shown: int, *, separator: str = ", ") -> str:
    """Join the first texts as in a sentence: "a and b", "a, b, and c", or "a, b and 3 more"."""
    hidden_count = len(texts) - max_shown
    if hidden_count > 0:
        return f"{separator.join(texts[:max_shown])} and {hidden_count:,} more"
    if separator != ", " or len(texts) < 2:
        return separator.join(texts)
    return f"{', '.join(texts[:-1])}{',' if len(texts) > 2 else ''} and {texts[-1]}"


def group_statements(
    noun: str, statements: Iterable[tuple[str, str]], *, max_shown: int = 3
) -> Iterator[str]:
    """Yield each distinct statement once, with the number and names of the objects it applies to.

    Parameters
    ----------
    noun : str
        The type of the named objects, in the singular: ``package``.
    statements : iterable of (str, str)
        The statement (``written``), and the name to which it applies.
    max_shown : int, optional
        The maximum number of names in a line.

    Yields
    ------
    str
        The number, the statement, and the first names: ``5 packages written: a, b, c and 2 more``.
    """
    names_of: dict[str, list[str]] = {}
    for statement, name in statements:
        names_of.setdefault(statement, []).append(name)
    for statement, names in names_of.items():
        yield f"{format_count(len(names), noun)} {statement}: {join_first_texts(names, max_shown)}"


def to_frame(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], *, kinds: Sequence[Kind] = ()
) -> DataFrame:
    """Return a DataFrame with the given columns and rows.

    Parameters
    ----------
    columns : sequence of str
        m distinct headings.
    rows : iterable of sequences
        n rows of m values (see :func:`format_cell`).
    kinds : sequence of Kind, optional
        The m types. By default, all columns contain text.

    Returns
    -------
    DataFrame
        n rows, m columns, index 0 … n-1. Blank text is ``""``. Other blank values are missing.
    """
    kinds = kinds or [Kind.TEXT] * len(columns)
    by_column = list(zip(*rows, strict=True)) or [()] * len(columns)
    cells = [
        list(map(format_cell, values)) if kind is Kind.TEXT else values
        for kind, values in zip(kinds, by_column, strict=True)
    ]
    return build_frame(columns, kinds, cells)


def rows_to_html(
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    caption: str = "",
    limit: int | None = None,
    ids: Sequence[str] = (),
    remarks: Sequence[str] = (),
    linked_columns: Sequence[str] = ("Source",),
) -> str:
    """Return rows as an escaped HTML table, without using pandas.

    Parameters
    ----------
    columns : sequence of str
        m headings.
    rows : sequence of sequences
        n rows of m values (see :func:`format_cell`). Line breaks in a value are kept. Several
        values in a cell are shown as separate items, and names can wrap.
    caption, limit
        The heading of the table as plain text, and the maximum number of rows (default: all). If
        rows are omitted, a sentence shows the number.
    ids : sequence of str, optional
        n HTML ids, one for each row, to which items in another table can link.
    remarks : sequence of str, optional
        Sentences below the table, as plain text.
    linked_columns : sequence of str, optional
        Headings of columns in which the titles of documents are links.

    Returns
    -------
    str
        The elements ``<style>`` and ``<table>``. Rows after the 10th are collapsed. If rows are
        omitted, a ``<p>`` follows. In a table with many columns, the texts of a column with long
        sentences are below the rows.
    """
    visible_rows = rows if limit is None else rows[:limit]
    form = _TableForm(
        tuple(columns),
        tuple(linked_columns),
        _find_columns_below(columns, visible_rows, linked_columns),
    )
    lines = [
        TABLE_STYLE,
        *form.format_table(visible_rows[:ROWS_OPEN], ids[:ROWS_OPEN], caption),
    ]
    if len(visible_rows) > ROWS_OPEN:
        summary_text = (
            f"Show all {len(visible_rows):,} rows ({len(visible_rows) - ROWS_OPEN:,} more)"
        )
        lines.append(
            f'<details class="lyncnb-more"><summary class="lyncnb-rows">{summary_text}</summary>'
        )
        lines += form.format_table(visible_rows[ROWS_OPEN:], ids[ROWS_OPEN:], "")
        lines.append("</details>")
    if len(visible_rows) < len(rows):
        lines.append(f"<p>{_escape_html(describe_shown_rows(len(visible_rows), len(rows)))}</p>")
    lines += [f"<p>{_escape_html(remark)}</p>" for remark in remarks]
    return "\n".join(lines)


def _find_columns_below(
    columns: Sequence[str], rows: Sequence[Sequence[Any]], linked_columns: Sequence[str]
) -> frozenset[int]:
    """Return the indices of the columns whose texts are shown below the rows of a table."""
    if len(columns) < _TOO_MANY_FOR_LONG_TEXTS:
        return frozenset()
    return frozenset(
        index
        for row in rows
        for index, value in enumerate(row)
        if index and columns[index] not in linked_columns and _is_long_text(value)
    )


def _is_long_text(value: Any) -> bool:
    if isinstance(value, Folded) or len(format_cell(value)) < _LONG_TEXT:
        return False
    texts = value if isinstance(value, (tuple, list)) else (value,)
    return any(_SENTENCE.match(str(text)) for text in texts)


@dataclass(frozen=True, slots=True)
class _TableForm:
    """The headings of an HTML table, and the columns with links and with texts below the rows."""

    columns: tuple[str, ...]
    linked_columns: tuple[str, ...]
    below: frozenset[int]

    def format_table(
        self, rows: Sequence[Sequence[Any]], ids: Sequence[str], caption: str
    ) -> Iterator[str]:
        yield '<table class="lyncnb-table">'
        if caption:
            yield f"<caption>{_escape_html(caption)}</caption>"
        headings = "".join(
            f'<th scope="col">{_allow_breaks(name, self._get_long())}</th>'
            for index, name in enumerate(self.columns)
            if index not in self.below
        )
        yield f"<thead><tr>{headings}</tr></thead>\n<tbody>"
        for index, row in enumerate(rows):
            mark = f' id="{_escape_html(ids[index])}"' if ids else ""
            yield f"<tr{mark}>{self._format_cells(row)}</tr>"
            yield from self._format_texts_below(row)
        yield "</tbody></table>"

    def _get_long(self) -> re.Pattern[str]:
        return _LONG_AMONG_MANY if len(self.columns) >= _MANY_COLUMNS else _LONG

    def _format_cells(self, row: Sequence[Any]) -> str:
        return "".join(
            f"<td>{self._format_content(index, value)}</td>"
            for index, value in enumerate(row)
            if index not in self.below
        )

    def _format_texts_below(self, row: Sequence[Any]) -> Iterator[str]:
        span = len(self.columns) - len(self.below)
        for index in sorted(self.below):
            if format_cell(row[index]):
                yield (
                    f'<tr><td class="lyncnb-below" colspan="{span}">'
                    f"<strong>{_escape_html(self.columns[index])}:</strong> "
                    f"{self._format_content(index, row[index])}</td></tr>"
                )

    def _format_content(self, index: int, value: Any) -> str:
        if self.columns[index] in self.linked_columns:
            return _add_links(value)
        return _format_cell(value, self._get_long())


def _format_cell(value: Any, is_long: re.Pattern[str]) -> str:
    if isinstance(value, Folded):
        text = "<br>".join(_allow_breaks(line, is_long) for line in value.lines)
        marks = " ".join(_format_chip(chip, is_long) for chip in value.chips)
        return collapse_html(
            value.summary, f"{text}<br>{marks}" if marks else text, expand_on_paper=False
        )
    if not isinstance(value, (tuple, list)):
        return _allow_breaks(format_cell(value), is_long)
    if len(value) == 1 and not isinstance(value[0], Chip):
        return _allow_breaks(str(value[0]), is_long)
    chips = [
        _format_chip(item if isinstance(item, Chip) else Chip(str(item)), is_long) for item in value
    ]
    if len(chips) <= _CHIPS_OPEN + 2:
        return " ".join(chips)
    hidden_count = len(chips) - _CHIPS_OPEN
    return " ".join(chips[:_CHIPS_OPEN]) + collapse_html(
        f"{hidden_count} more", " ".join(chips[_CHIPS_OPEN:])
    )


def _format_chip(chip: Chip, is_long: re.Pattern[str]) -> str:
    title = f' title="{_escape_html(chip.title)}"' if chip.title else ""
    text = _allow_breaks(chip.text, is_long)
    if not chip.target:
        return f'<span class="lyncnb-chip"{title}>{text}</span>'
    return f'<a class="lyncnb-chip" href="#{_escape_html(quote(chip.target))}"{title}>{text}</a>'


def _allow_breaks(text: str, is_long: re.Pattern[str]) -> str:
    parts, end = [], 0
    for word in is_long.finditer(text):
        pieces = "<wbr>".join(_split_word(word[0]))
        parts += [_escape_html(text[end : word.start()]), pieces]
        end = word.end()
    return "".join(parts) + _escape_html(text[end:])


def _split_word(word: str) -> Iterator[str]:
    for piece in _BREAK_AFTER.split(word):
        yield from map(_escape_html, _PART.findall(piece))


def _add_links(value: Any) -> str:
    parts = []
    for text, address in split_source(format_cell(value)):
        escaped = _escape_html(text)
        if address:
            escaped = (
                f'<a href="{_escape_html(address)}" target="_blank" rel="noreferrer">{escaped}</a>'
            )
        parts.append(escaped)
    return "".join(parts)


def collapse_html(summary: str, fragment: str, *, expand_on_paper: bool = True) -> str:
    """Return an HTML element in which a fragment is collapsed below a line of text.

    By default, the fragment is expanded on paper.
    """
    mark = ' class="lyncnb-more"' if expand_on_paper else ""
    return f"<details{mark}><summary>{_escape_html(summary)}</summary>{fragment}</details>"


def describe_shown_rows(visible_count: int, total: int) -> str:
    """Return a sentence that says how many rows of a table are visible."""
    return f"This table shows only the first {visible_count:,} of {total:,} rows."


def format_paragraph(text: str) -> str:
    """Return plain text as an escaped ``<p>`` element."""
    return f"<p>{_escape_html(text)}</p>"


def format_link(text: str, path: str) -> str:
    """Return an escaped HTML link to a file, with a path relative to the notebook."""
    address = quote(path.replace("\\", "/"))
    return f'<a href="{_escape_html(address)}" target="_blank">{_escape_html(text)}</a>'


def to_markdown(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return rows as a Markdown table.

    Parameters
    ----------
    columns : sequence of str
        m headings.
    rows : iterable of sequences
        n rows of m values (see :func:`format_cell`).

    Returns
    -------
    str
        A line for each row. Pipes, HTML, and other special characters are escaped, and line breaks
        are written as ``<br>``, so that no value can end its cell or become markup.
    """
    lines = [
        "| " + " | ".join(map(escape_markdown, columns)) + " |",
        "|" + " --- |" * len(columns),
    ]
    lines.extend("| " + " | ".join(map(escape_markdown, row)) + " |" for row in rows)
    return "\n".join(lines) + "\n"


def escape_markdown(value: Any) -> str:
    """Escape text so that Markdown shows it unchanged."""
    return format_cell(value).translate(_MARKDOWN)


def _escape_html(value: Any) -> str:
    # HTML does not allow the character NUL. A browser would show it as a replacement character.
    return html.escape(format_cell(value).replace("\x00", ""), quote=True)
