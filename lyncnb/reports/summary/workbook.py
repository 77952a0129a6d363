"""Write the summary as an Excel workbook, with one sheet for each topic."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any

from ...base.shown import spreadsheets
from ...base.shown.languages import make_translator, translate_title
from ...base.shown.spreadsheets import Sheet, to_xlsx
from ...base.shown.tables import build_rows, columns, list_headings
from ...plan import spellings
from ...rules.findings import group_findings
from .columns import CERTIFICATES, FILES, RENEWALS, describe_columns, list_columns
from .content import Line, ServerLine, Summary, list_cover_entries

Row = tuple[object, ...]


def write_workbook(summary: Summary) -> bytes:
    """Write a summary as an Excel workbook.

    Parameters
    ----------
    summary : Summary
        All n certificates.

    Returns
    -------
    bytes
        Sheets Cover, Certificates, Names, Servers, Inventory, Findings, Spellings, Renewals,
        Approval, Documents, Files, without empty sheets. If there are more names than a sheet
        holds, Names ends with a sentence about it.

    Raises
    ------
    ValueError
        If there are more certificates than a sheet holds.
    """
    translate = make_translator(summary.lang)
    sheets = [
        replace(sheet, title=translate(sheet.title), columns=tuple(map(translate, sheet.columns)))
        for sheet in map(partial(_convert_numbers, summary), list_sheets(summary))
        if next(iter(sheet.rows()), None) is not None
    ]
    return to_xlsx(sheets, title=summary.title, origin=summary.origin)


def _convert_numbers(summary: Summary, sheet: Sheet) -> Sheet:
    """Return a copy of a sheet in which the column "No." contains numbers instead of text.

    If the certificates have no numbers, the column is removed.
    """
    if "No." not in sheet.columns:
        return sheet
    index = sheet.columns.index("No.")

    def remove_number(row: Sequence[Any]) -> tuple[Any, ...]:
        return (*row[:index], *row[index + 1 :])

    def convert_row(row: Sequence[Any]) -> tuple[Any, ...]:
        # If a row is for several certificates, the cell contains text such as "1 to 7".
        number = int(row[index]) if str(row[index]).isdigit() else row[index]
        return (*row[:index], number, *row[index + 1 :])

    if summary.is_numbered:
        return replace(sheet, rows=lambda: map(convert_row, sheet.rows()))
    return replace(
        sheet,
        columns=remove_number(sheet.columns),
        widths=remove_number(sheet.widths),
        rows=lambda: map(remove_number, sheet.rows()),
    )


def list_sheets(summary: Summary) -> tuple[Sheet, ...]:
    """Return every sheet of the workbook with its English title, including empty sheets."""
    return (
        _build_cover_sheet(summary),
        _build_sheet("Certificates", lambda: summary.members, *describe_columns(CERTIFICATES)),
        _build_sheet(
            "Names",
            lambda: _list_names(summary),
            ("No.", 0, 6),
            ("For", 1, 24),
            ("Name", 2, 34),
            ("Where", 3, 16),
            ("Who needs it", 4, 56),
            ("Rule", 5, 22),
            ("Source", 6, 44),
        ),
        _build_sheet(
            "Servers",
            lambda: summary.servers,
            ("Server", "server", 32),
            ("Role", "title", 30),
            ("Pool", "pool", 28),
            ("Site", "site", 16),
            ("Windows", "target_os", 10),
            ("Certificates", partial(_format_needed_certificates, summary.labels), 52),
        ),
        _build_inventory_sheet(summary),
        _build_sheet(
            "Findings",
            # The sheet has one row for each finding code, so that users can filter by code.
            lambda: group_findings(summary.findings, is_by_subject=False),
            ("Severity", lambda group: translate_title(group.severity, summary.lang), 10),
            ("Finding", lambda group: group.codes[0], 26),
            ("About", "about", 32),
            ("Message", "words", 52),
            ("What to do", "hint", 46),
            ("Source", "source", 36),
        ),
        _build_sheet(
            "Spellings",
            lambda: [spelling.row for spelling in summary.spellings],
            *zip(spellings.COLUMNS, range(4), (24, 44, 44, 56), strict=True),
        ),
        _build_sheet("Renewals", lambda: _list_renewals(summary), *describe_columns(RENEWALS)),
        _build_sheet(
            "Approval",
            lambda: summary.approval,
            ("What", 0, 20),
            ("On record", 1, 120),
            has_filter=False,
        ),
        _build_sheet(
            "Documents",
            lambda: summary.documents,
            ("Document", 0, 90),
            ("Address", 1, 110),
            # A source can contain several documents, but a cell can have only one link.
            links=tuple(address for _, address in summary.documents),
        ),
        _build_sheet("Files", lambda: summary.members, *describe_columns(FILES)),
    )


def _build_sheet(
    title: str,
    items: Callable[[], Iterable[Any]],
    *described: tuple[str, str | int | Callable[[Any], Any], int],
    links: tuple[str, ...] = (),
    has_filter: bool = True,
) -> Sheet:
    """Return a sheet with a row for each item. The parameter ``described`` defines the columns."""
    sheet_columns = columns(*((heading, value) for heading, value, _ in described))
    return Sheet(
        title=title,
        columns=tuple(list_headings(sheet_columns)),
        rows=lambda: build_rows(sheet_columns, items()),
        widths=tuple(width for *_, width in described),
        links=links,
        has_filter=has_filter,
    )


def _build_cover_sheet(summary: Summary) -> Sheet:
    return _build_sheet(
        "Cover",
        lambda: _list_cover_rows(summary),
        ("About", 0, 26),
        ("What", 1, 110),
        ("By when", 2, 34),
        has_filter=False,
    )


def _list_cover_rows(summary: Summary) -> Iterator[Row]:
    """Yield the rows of the cover sheet: first the facts of the plan, then the tasks."""
    translate = make_translator(summary.lang)
    domain = f": {summary.deployment}" if summary.deployment else ""
    yield (translate("Plan"), summary.translate_title(translate) + domain, "")
    for name, text in list_cover_entries(summary):
        yield (translate(name), text, "")
    for ask in summary.asks:
        yield (translate("Task: {}").format(translate(ask.who)), ask.what, ask.when)


def _list_names(summary: Summary) -> Iterator[Row]:
    most = spreadsheets.SHEET_ROWS - 2
    rows = _list_all_names(summary)
    yield from islice(rows, most - 1)
    if next(rows, None) is not None:
        yield (
            "",
            "",
            "… more names than a sheet can contain",
            "",
            "the JSON document contains all names",
            "",
            "",
        )


def _list_all_names(summary: Summary) -> Iterator[Row]:
    for block in summary.blocks:
        for group in block.names:
            location = (
                "subject and names" if group.is_alternative else "subject"
            ) * group.is_subject
            because = (" ".join(group.why), group.rules, "; ".join(group.sources))
            if group.is_own:
                for member in block.members:
                    yield (member.number, block.owner, member.servers[0], "names", *because)
            for name in group.names:
                yield (block.numbers, block.owner, name, location or "names", *because)


def _build_inventory_sheet(summary: Summary) -> Sheet:
    """Return the inventory sheet: certificates in use, with a row for each server and usage."""
    return _build_sheet(
        "Inventory",
        lambda: _list_inventory_rows(summary),
        ("Server", 0, 30),
        ("Type", 1, 26),
        ("No.", 2, 6),
        ("Subject name", 3, 30),
        ("Thumbprint", 4, 44),
        ("Serial number", 5, 40),
        ("Issuer", 6, 34),
        ("Valid until", 7, 12),
        ("On the server since", 8, 14),
    )


def _list_inventory_rows(summary: Summary) -> list[Row]:
    """Return the inventory's rows by server: one for each usage of each certificate in use."""
    return sorted(
        (
            *(server, usage, line.member.number, line.block.subject_words),
            *(line.member.thumbprint, line.member.serial),
            line.member.issued_by or line.block.authority,
            *(line.member.valid_until, line.member.deployed_on),
        )
        for line in summary.members
        if line.member.valid_until
        for server in line.member.servers
        for usage in line.block.usages or (line.block.role,)
    )


def _format_needed_certificates(labels: Mapping[str, str], line: ServerLine) -> tuple[str, ...]:
    pairs = zip(line.list_labels(labels), line.usages, strict=True)
    entries = (usage if label == usage else f"{label} {usage}" for (_, label), usage in pairs)
    return tuple(entries) or (line.why_none,)


def _list_renewals(summary: Summary) -> list[Line]:
    """Return the certificates with a known expiration date, in the order of the columns."""
    values = [column.value for column in list_columns(RENEWALS)]
    dated_lines = (line for line in summary.members if line.member.valid_until)
    return sorted(dated_lines, key=lambda line: [value(line) for value in values])
