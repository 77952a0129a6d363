"""Build reports from sentences, tables, and a picture, and write them in several file formats.

``FORMATS`` defines, for each file name extension, how to write a report and how to recognize such a
file. A later run replaces only files that it recognizes, not the files of other programs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..disk.outputs import (
    OutputKind,
    Test,
    check_suffix,
    match_content,
    match_first_line,
    match_packed_file,
    match_page,
)
from ..records import convert_to_json
from .figure import Figure
from .html_page import make_page
from .origin import UNKNOWN, Origin
from .spreadsheets import Sheet, to_csv, to_xlsx
from .tables import (
    Column,
    build_rows,
    collapse_html,
    escape_markdown,
    format_paragraph,
    list_headings,
    rows_to_html,
)
from .tables import to_markdown as table_to_markdown

_PROSE = (".md", ".html")
_WHOLE_DAYS = (
    "<style>.lyncnb-days .lyncnb-table.lyncnb-table td:not(:last-child){white-space:pre}</style>"
)
# The number of bytes at the start of a JSON document that lyncnb reads to recognize its type.
_HEAD_BYTES = 256
# The number of columns that every version of a CSV report has. Later versions can add columns.
_HEADINGS_IN_MARK = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportKind(OutputKind):
    """A type of report, with the data by which lyncnb recognizes its files.

    Attributes
    ----------
    title : str
        The title of every file that has a title.
    form : str
        The ``format`` of the JSON document with its version, such as ``lyncnb-trust/2``.
    columns : sequence of Column
        The columns in the CSV file.
    earlier_key : str
        The heading of the first column in the CSV files of earlier versions; "" if unchanged.
    calendar : str
        The product identifier of the calendar, if the report has a calendar.
    """

    title: str
    form: str
    columns: Sequence[Column]
    earlier_key: str
    calendar: str


class Sentence(NamedTuple):
    """A paragraph of a report, and the file name extensions of the formats that contain it."""

    text: str
    formats: Collection[str] = _PROSE


class Picture(NamedTuple):
    """A picture in a report.

    It is drawn only for the file formats with the extensions in ``formats``.
    """

    draw: Callable[[], Figure]
    formats: Collection[str] = (".html", ".svg")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportTable:
    """A table in a report, with one row for each item.

    Attributes
    ----------
    columns : sequence of Column
        The columns, with their headings and values.
    items : callable
        Returns the items. It is called when the table is written, and twice for XLSX.
    formats : mapping of str to str
        The title of the table in each format, by file name extension: a sheet name, heading, or
        caption. The extension is blank for a terminal. Other formats do not contain the table.
    limit : int, optional
        The maximum number of rows on a page or in a terminal.
    is_folded : bool, optional
        Whether a page shows only the caption until the reader expands the table, also on paper.
    keeps_days : bool, optional
        Whether dates do not break after a hyphen; then only the last column wraps.
    anchor : callable, optional
        Returns the HTML id for the row of an item.
    """

    columns: Sequence[Column]
    items: Callable[[], Iterable[Any]]
    formats: Mapping[str, str]
    limit: int | None = None
    is_folded: bool = False
    keeps_days: bool = False
    anchor: Callable[[Any], str] | None = None

    def headings(self) -> list[str]:
        """Return the headings of the table's columns."""
        return list_headings(self.columns)

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """Yield a table row for each item."""
        return build_rows(self.columns, self.items())


Part = Sentence | Picture | ReportTable


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The content of a report, independent of the file format.

    Attributes
    ----------
    kind : ReportKind
        The type of the report.
    about : str
        The subject of the report, such as the name of the planned table.
    summary : str
        The report in one line.
    parts : sequence of Part
        The sections, in reading order.
    document : callable
        Returns the values of the JSON document, without ``format``.
    text : callable
        Returns the paragraphs for a terminal: lines or a table.
    own : mapping of str to callable, optional
        By file name extension, a function that writes a special format, such as a calendar.
    origin : Origin, optional
        The deployment, planner, table and dates, for every document and printed sheet.
    """

    kind: ReportKind
    about: str
    summary: str
    parts: Sequence[Part]
    document: Callable[[], Mapping[str, object]]
    text: Callable[[], Iterable[Iterable[str] | ReportTable]]
    own: Mapping[str, Callable[[], bytes]] = field(default_factory=dict)
    origin: Origin = UNKNOWN


def build_report_kind(
    kind_name: str,
    *,
    title: str,
    format_id: str,
    columns: Sequence[Column],
    suffixes: Sequence[str],
    earlier_key: str = "",
    calendar: str = "",
) -> ReportKind:
    """Return the type of a report that can be written to files with the given file name extensions.

    Raises
    ------
    KeyError
        If no format has one of the extensions.
    """
    tests: dict[str, Test] = {}
    kind = ReportKind(
        what=kind_name,
        is_ours=tests,
        title=title,
        form=format_id,
        columns=columns,
        earlier_key=earlier_key,
        calendar=calendar,
    )
    tests.update((suffix, FORMATS[suffix].is_ours(kind)) for suffix in suffixes)
    return kind


def build_report_document(report: Report) -> dict[str, object]:
    """Return a report as a JSON document. Records and dates become JSON values."""
    return {"format": report.kind.form, **report.document()}


def write_report(report: Report, suffix: str) -> bytes:
    """Write a report in the format that belongs to a file name extension.

    Equal reports result in equal bytes.

    Raises
    ------
    OutputError
        If this type of report does not have the format.
    """
    check_suffix(suffix, report.kind)
    return FORMATS[suffix].write(report)


def describe_hidden_rows(number: int) -> list[str]:
    """Return a line with the number of hidden table rows, or no line if all rows are shown."""
    return (
        [f"… and {number:,} more rows; to show all rows, use --json or -o FILE"]
        if number > 0
        else []
    )


def render_sections(parts: Iterable[Part]) -> Iterator[str]:
    """Yield the sections of a report as escaped HTML for a page."""
    for part in parts:
        if ".html" not in part.formats:
            continue
        if isinstance(part, Sentence):
            yield format_paragraph(part.text)
        elif isinstance(part, Picture):
            yield part.draw().to_html()
        else:
            items = [*part.items()]
            rows = [*build_rows(part.columns, items[: part.limit])]
            caption = part.formats[".html"]
            table = rows_to_html(
                part.headings(),
                # Empty rows stand for the hidden rows, so that the table counts these rows but does
                # not show them.
                [*rows, *[()] * (len(items) - len(rows))],
                caption="" if part.is_folded else caption,
                limit=part.limit,
                ids=[*map(part.anchor, items)] if part.anchor else (),
            )
            if part.is_folded:
                table = collapse_html(caption, table, expand_on_paper=False)
            yield (
                f'{_WHOLE_DAYS}<div class="lyncnb-days">{table}</div>' if part.keeps_days else table
            )


def _select_tables(report: Report, suffix: str) -> Iterator[ReportTable]:
    return (
        part for part in report.parts if isinstance(part, ReportTable) and suffix in part.formats
    )


def _write_csv(report: Report) -> bytes:
    (table,) = _select_tables(report, ".csv")
    return to_csv(table.headings(), table.rows())


def _write_xlsx(report: Report) -> bytes:
    sheets = [
        Sheet(title=table.formats[".xlsx"], columns=tuple(table.headings()), rows=table.rows)
        for table in _select_tables(report, ".xlsx")
    ]
    return to_xlsx(sheets, title=report.kind.title, origin=report.origin)


def _write_markdown(report: Report) -> bytes:
    texts = [f"# {report.kind.title}\n"]
    texts += (
        [f"{escape_markdown(report.origin.one_line_text)}\n"] if report.origin.one_line_text else []
    )
    for part in report.parts:
        if ".md" not in part.formats:
            continue
        if isinstance(part, Sentence):
            texts.append(f"{escape_markdown(part.text)}\n")
        elif isinstance(part, ReportTable):
            title = part.formats[".md"]
            texts += [f"## {title}\n"] if title else []
            texts.append(table_to_markdown(part.headings(), part.rows()))
    return _encode_lines("\n".join(texts))


def _write_page(report: Report) -> bytes:
    title, parts = f"{report.kind.title}: {report.about}", render_sections(report.parts)
    return _encode_lines(make_page(title, parts, origin=report.origin))


def _write_json(report: Report) -> bytes:
    document = {"format": report.kind.form, **report.document()}
    return _encode_lines(
        f"{json.dumps(document, ensure_ascii=False, indent=1, default=convert_to_json)}\n"
    )


def _write_svg(report: Report) -> bytes:
    (picture,) = (part for part in report.parts if isinstance(part, Picture))
    return picture.draw().to_svg()


def _encode_lines(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _match_headings(kind: ReportKind) -> Test:
    headings = list_headings(kind.columns)[:_HEADINGS_IN_MARK]
    earlier = [kind.earlier_key, *headings[1:]] if kind.earlier_key else headings
    lines = (to_csv(first, ()) for first in (headings, earlier))
    return match_first_line(tuple(line.rstrip() + b"," for line in lines))


def _build_title_test(kind: ReportKind) -> Test:
    return match_packed_file("docProps/core.xml", match_content(f"<dc:title>{kind.title}".encode()))


def _build_format_test(kind: ReportKind) -> Test:
    # The pattern matches any version of the format, but only at the start of the file, because a
    # report can also contain another report.
    start = re.compile(rf'\{{\s*"format": "{kind.form.partition("/")[0]}/'.encode())
    return lambda file: start.match(file.read(_HEAD_BYTES)) is not None


class Format(NamedTuple):
    """A file format for reports: the functions that write it and recognize its files."""

    write: Callable[[Report], bytes]
    is_ours: Callable[[ReportKind], Test]


#: All file formats for reports, by file name extension.
FORMATS: Mapping[str, Format] = {
    ".csv": Format(_write_csv, _match_headings),
    ".xlsx": Format(_write_xlsx, _build_title_test),
    ".html": Format(_write_page, lambda kind: match_page(f"<title>{kind.title}".encode())),
    ".md": Format(_write_markdown, lambda kind: match_first_line(f"# {kind.title}".encode())),
    ".json": Format(_write_json, _build_format_test),
    ".svg": Format(_write_svg, lambda kind: match_content(*Figure.MARKS)),
    ".docx": Format(lambda report: report.own[".docx"](), _build_title_test),
    ".ics": Format(
        lambda report: report.own[".ics"](),
        lambda kind: match_content(b"BEGIN:VCALENDAR", kind.calendar.encode()),
    ),
}
