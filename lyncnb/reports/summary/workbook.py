"""Write the summary as a workbook, with one sheet for each question."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any

from ...base.shown import spreadsheets
from ...base.shown.languages import make_translator, translate_title
from ...base.shown.spreadsheets import Sheet, to_xlsx
from ...base.shown.tables import columns, list_headings, rows_of
from ...plan import spellings
from ...rules.findings import grouped
from .columns import CERTIFICATES, FILES, RENEWALS, columns_of, described
from .content import Line, ServerLine, Summary, cover_facts

Row = tuple[object, ...]


def summary_workbook(summary: Summary) -> bytes:
    """Write the summary as XLSX.

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
    say = make_translator(summary.lang)
    told = [
        replace(sheet, title=say(sheet.title), columns=tuple(map(say, sheet.columns)))
        for sheet in map(partial(_convert_numbers, summary), sheets_of(summary))
        if next(iter(sheet.rows()), None) is not None
    ]
    return to_xlsx(told, title=summary.title, origin=summary.origin)


def _convert_numbers(summary: Summary, sheet: Sheet) -> Sheet:
    """Return a sheet whose column "No." has numbers, or none if no certificate has a number."""
    if "No." not in sheet.columns:
        return sheet
    place = sheet.columns.index("No.")

    def left(row: Sequence[Any]) -> tuple[Any, ...]:
        return (*row[:place], *row[place + 1 :])

    def numbered(row: Sequence[Any]) -> tuple[Any, ...]:
        # Several certificates have text, such as "1 to 7".
        number = int(row[place]) if str(row[place]).isdigit() else row[place]
        return (*row[:place], number, *row[place + 1 :])

    if summary.is_numbered:
        return replace(sheet, rows=lambda: map(numbered, sheet.rows()))
    return replace(
        sheet,
        columns=left(sheet.columns),
        widths=left(sheet.widths),
        rows=lambda: map(left, sheet.rows()),
    )


def sheets_of(summary: Summary) -> tuple[Sheet, ...]:
    """Return every sheet, including empty ones, with titles in English."""
    return (
        _cover_sheet(summary),
        _sheet("Certificates", lambda: summary.members, *described(CERTIFICATES)),
        _sheet(
            "Names",
            lambda: _names(summary),
            ("No.", 0, 6),
            ("For", 1, 24),
            ("Name", 2, 34),
            ("Where", 3, 16),
            ("Who needs it", 4, 56),
            ("Rule", 5, 22),
            ("Source", 6, 44),
        ),
        _sheet(
            "Servers",
            lambda: summary.servers,
            ("Server", "server", 32),
            ("Role", "title", 30),
            ("Pool", "pool", 28),
            ("Site", "site", 16),
            ("Windows", "target_os", 10),
            ("Certificates", partial(_needs, summary.labels), 52),
        ),
        _inventory_sheet(summary),
        _sheet(
            "Findings",
            # A row for each code, to filter by.
            lambda: grouped(summary.findings, by_subject=False),
            ("Severity", lambda one: translate_title(one.severity, summary.lang), 10),
            ("Finding", lambda one: one.codes[0], 26),
            ("About", "about", 32),
            ("Message", "words", 52),
            ("What to do", "hint", 46),
            ("Source", "source", 36),
        ),
        _sheet(
            "Spellings",
            lambda: [one.row for one in summary.spellings],
            *zip(spellings.COLUMNS, range(4), (24, 44, 44, 56), strict=True),
        ),
        _sheet("Renewals", lambda: _renewals(summary), *described(RENEWALS)),
        _sheet(
            "Approval",
            lambda: summary.approval,
            ("What", 0, 20),
            ("On record", 1, 120),
            has_filter=False,
        ),
        _sheet(
            "Documents",
            lambda: summary.documents,
            ("Document", 0, 90),
            ("Address", 1, 110),
            # A source may name several documents, but a cell can have only one link.
            links=tuple(address for _, address in summary.documents),
        ),
        _sheet("Files", lambda: summary.members, *described(FILES)),
    )


def _sheet(
    title: str,
    items: Callable[[], Iterable[Any]],
    *described: tuple[str, str | int | Callable[[Any], Any], int],
    links: tuple[str, ...] = (),
    has_filter: bool = True,
) -> Sheet:
    """Return a sheet with a row for each item; a column has a heading, a value and a width."""
    made = columns(*((heading, value) for heading, value, _ in described))
    return Sheet(
        title=title,
        columns=tuple(list_headings(made)),
        rows=lambda: rows_of(made, items()),
        widths=tuple(width for *_, width in described),
        links=links,
        has_filter=has_filter,
    )


def _cover_sheet(summary: Summary) -> Sheet:
    return _sheet(
        "Cover",
        lambda: _cover(summary),
        ("About", 0, 26),
        ("What", 1, 110),
        ("By when", 2, 34),
        has_filter=False,
    )


def _cover(summary: Summary) -> Iterator[Row]:
    """Yield the facts of the plan, then who does what."""
    yield ("Plan", f"{summary.title}{': ' * bool(summary.deployment)}{summary.deployment}", "")
    for name, text in cover_facts(summary):
        yield (translate_title(name, summary.lang), text, "")
    for ask in summary.asks:
        yield (f"Task: {ask.who}", ask.what, ask.when)


def _names(summary: Summary) -> Iterator[Row]:
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
            where = ("subject and names" if group.is_alternative else "subject") * group.is_subject
            because = (" ".join(group.why), group.rules, "; ".join(group.sources))
            if group.is_own:
                for member in block.members:
                    yield (member.number, block.owner, member.servers[0], "names", *because)
            for name in group.names:
                yield (block.numbers, block.owner, name, where or "names", *because)


def _inventory_sheet(summary: Summary) -> Sheet:
    """Return the sheet of the certificates in use, a row for each server and type."""
    return _sheet(
        "Inventory",
        lambda: _inventory(summary),
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


def _inventory(summary: Summary) -> list[Row]:
    """Return a row for each server and type of the certificates in use, by server."""
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


def _needs(labels: Mapping[str, str], line: ServerLine) -> tuple[str, ...]:
    pairs = zip(line.named(labels), line.usages, strict=True)
    told = (usage if label == usage else f"{label} {usage}" for (_, label), usage in pairs)
    return tuple(told) or (line.why_none,)


def _renewals(summary: Summary) -> list[Line]:
    """Return the certificates with a known end, in the order of the sheet's columns."""
    values = [column.value for column in columns_of(RENEWALS)]
    back = (line for line in summary.members if line.member.valid_until)
    return sorted(back, key=lambda line: [value(line) for value in values])
