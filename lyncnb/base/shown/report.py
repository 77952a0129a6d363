"""A report for people: sentences, tables and a picture, written in any format.

``FORMATS`` is the only place where an ending leads to what writes it. The same entry tells how such
a file is recognised, so that a later run replaces it and leaves the files of other programs alone.
This module knows no certificate.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..disk.outputs import OutputKind, Test, check_suffix, first_line, is_page, mentions, packs
from ..records import json_value
from .figure import Figure
from .html_page import to_page
from .spreadsheets import Sheet, to_csv, to_xlsx
from .tables import Column, escape_markdown, folded, headings_of, paragraph, rows_of, rows_to_html
from .tables import to_markdown as table_to_markdown

_PROSE = (".md", ".html")
_WHOLE_DAYS = (
    "<style>.lyncnb-days .lyncnb-table.lyncnb-table td:not(:last-child){white-space:pre}</style>"
)
_HEAD_BYTES = 256  # of a JSON document
_HEADINGS_IN_MARK = 4  # of a CSV file: later versions may add columns after these


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportKind(OutputKind):
    """A kind of report: what its files are called, and how lyncnb recognises them.

    Attributes
    ----------
    title : str
        Of every file that has a title.
    form : str
        The ``format`` of the JSON document with its version, e.g. ``lyncnb-trust/2``.
    columns : sequence of Column
        Those of the CSV file.
    calendar : str
        The product identifier of the calendar, where there is one.
    """

    title: str
    form: str
    columns: Sequence[Column]
    calendar: str


class Sentence(NamedTuple):
    """A paragraph, in the formats with these endings."""

    text: str
    formats: Collection[str] = _PROSE


class Picture(NamedTuple):
    """A picture, drawn when a format with one of these endings is written."""

    draw: Callable[[], Figure]
    formats: Collection[str] = (".html", ".svg")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportTable:
    """A table with a row for each item.

    Attributes
    ----------
    columns : sequence of Column
        What each cell holds.
    items : callable
        Returns the items. It is called when the table is written, for XLSX twice.
    formats : mapping of str to str
        The title that the table has in each format, by ending: a sheet's name, a heading or a
        caption; the short form for a terminal has no ending. The table is in no other format.
    limit : int, optional
        Rows that a page or the short form shows at most.
    is_folded : bool, optional
        Whether a page shows only its caption until the reader opens it, on paper too.
    keeps_days : bool, optional
        Whether no day breaks after a hyphen on a page; then only the last column wraps.
    anchor : callable, optional
        Returns the id that the row of an item has on a page.
    """

    columns: Sequence[Column]
    items: Callable[[], Iterable[Any]]
    formats: Mapping[str, str]
    limit: int | None = None
    is_folded: bool = False
    keeps_days: bool = False
    anchor: Callable[[Any], str] | None = None

    def headings(self) -> list[str]:
        """Return the headings of the columns."""
        return headings_of(self.columns)

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """Yield a row for each item."""
        return rows_of(self.columns, self.items())


Part = Sentence | Picture | ReportTable


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a report says, before a format lays it out.

    Attributes
    ----------
    kind : ReportKind
        What it is.
    about : str
        What it is about, e.g. the name of the table that was planned.
    summary : str
        The report in one line.
    parts : sequence of Part
        In the order in which people read them.
    document : callable
        Returns the values of the JSON document, without its ``format``.
    text : callable
        Returns the paragraphs of the short form for a terminal: lines, or a table.
    own : mapping of str to callable, optional
        By ending, what writes a format that is not made of the parts: a calendar, a document.
    """

    kind: ReportKind
    about: str
    summary: str
    parts: Sequence[Part]
    document: Callable[[], Mapping[str, object]]
    text: Callable[[], Iterable[Iterable[str] | ReportTable]]
    own: Mapping[str, Callable[[], bytes]] = field(default_factory=dict)


def report_kind(
    what: str,
    *,
    title: str,
    form: str,
    columns: Sequence[Column],
    suffixes: Sequence[str],
    calendar: str = "",
) -> ReportKind:
    """Describe a kind of report that is written in the formats with these endings.

    Raises
    ------
    KeyError
        If no format has an ending.
    """
    tests: dict[str, Test] = {}
    kind = ReportKind(
        what=what, is_ours=tests, title=title, form=form, columns=columns, calendar=calendar
    )
    tests.update((suffix, FORMATS[suffix].is_ours(kind)) for suffix in suffixes)
    return kind


def report_document(report: Report) -> dict[str, object]:
    """Return the JSON document of a report; records and days in it are written as JSON has them."""
    return {"format": report.kind.form, **report.document()}


def write_report(report: Report, suffix: str) -> bytes:
    """Write a report in the format with an ending; the same report gives the same bytes.

    Raises
    ------
    OutputError
        If reports of this kind have no such format.
    """
    check_suffix(suffix, report.kind)
    return FORMATS[suffix].write(report)


def lines_left(number: int) -> list[str]:
    """Return the line that says how much more there is, if there is more."""
    return [f"… and {number:,} more; with --json or -o FILE all are listed"] if number > 0 else []


def parts_html(parts: Iterable[Part]) -> Iterator[str]:
    """Yield those of some parts that a page has, as escaped fragments."""
    for part in parts:
        if ".html" not in part.formats:
            continue
        if isinstance(part, Sentence):
            yield paragraph(part.text)
        elif isinstance(part, Picture):
            yield part.draw().to_html()
        else:
            items = [*part.items()]
            rows = [*rows_of(part.columns, items[: part.limit])]
            caption = part.formats[".html"]
            table = rows_to_html(
                part.headings(),
                [*rows, *[()] * (len(items) - len(rows))],  # counted, not shown
                caption="" if part.is_folded else caption,
                limit=part.limit,
                ids=[*map(part.anchor, items)] if part.anchor else (),
            )
            if part.is_folded:
                table = folded(caption, table, on_paper=False)
            yield (
                f'{_WHOLE_DAYS}<div class="lyncnb-days">{table}</div>' if part.keeps_days else table
            )


def _tables(report: Report, suffix: str) -> Iterator[ReportTable]:
    return (
        part for part in report.parts if isinstance(part, ReportTable) and suffix in part.formats
    )


def _csv(report: Report) -> bytes:
    (table,) = _tables(report, ".csv")
    return to_csv(table.headings(), table.rows())


def _xlsx(report: Report) -> bytes:
    sheets = [
        Sheet(title=table.formats[".xlsx"], columns=tuple(table.headings()), rows=table.rows)
        for table in _tables(report, ".xlsx")
    ]
    return to_xlsx(sheets, title=report.kind.title)


def _markdown(report: Report) -> bytes:
    texts = [f"# {report.kind.title}\n"]
    for part in report.parts:
        if ".md" not in part.formats:
            continue
        if isinstance(part, Sentence):
            texts.append(f"{escape_markdown(part.text)}\n")
        elif isinstance(part, ReportTable):
            title = part.formats[".md"]
            texts += [f"## {title}\n"] if title else []
            texts.append(table_to_markdown(part.headings(), part.rows()))
    return _encoded("\n".join(texts))


def _page(report: Report) -> bytes:
    return _encoded(to_page(f"{report.kind.title}: {report.about}", parts_html(report.parts)))


def _json(report: Report) -> bytes:
    document = {"format": report.kind.form, **report.document()}
    return _encoded(f"{json.dumps(document, ensure_ascii=False, indent=1, default=json_value)}\n")


def _svg(report: Report) -> bytes:
    (picture,) = (part for part in report.parts if isinstance(part, Picture))
    return picture.draw().to_svg()


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _has_headings(kind: ReportKind) -> Test:
    line = to_csv(headings_of(kind.columns)[:_HEADINGS_IN_MARK], ())
    return first_line(line.rstrip() + b",")


def _is_titled(kind: ReportKind) -> Test:
    return packs("docProps/core.xml", mentions(f"<dc:title>{kind.title}".encode()))


def _has_format(kind: ReportKind) -> Test:
    # Of any version. Further down it may stand in a report of another kind, which holds this one.
    start = re.compile(rf'\{{\s*"format": "{kind.form.partition("/")[0]}/'.encode())
    return lambda file: start.match(file.read(_HEAD_BYTES)) is not None


class Format(NamedTuple):
    """How a report is written in one format, and how a file of a kind of reports is recognised."""

    write: Callable[[Report], bytes]
    is_ours: Callable[[ReportKind], Test]


#: Every format of reports, by ending.
FORMATS: Mapping[str, Format] = {
    ".csv": Format(_csv, _has_headings),
    ".xlsx": Format(_xlsx, _is_titled),
    ".html": Format(_page, lambda kind: is_page(f"<title>{kind.title}".encode())),
    ".md": Format(_markdown, lambda kind: first_line(f"# {kind.title}".encode())),
    ".json": Format(_json, _has_format),
    ".svg": Format(_svg, lambda kind: mentions(*Figure.MARKS)),
    ".docx": Format(lambda report: report.own[".docx"](), _is_titled),
    ".ics": Format(
        lambda report: report.own[".ics"](),
        lambda kind: mentions(b"BEGIN:VCALENDAR", kind.calendar.encode()),
    ),
}
