"""The summary as a workbook: one sheet for each question that somebody comes with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from ..base import spreadsheets
from ..base.languages import translated, translator
from ..base.spreadsheets import Sheet, to_xlsx
from ..rules.findings import grouped
from . import spellings
from .summary_content import Summary, cover_facts

COVER = ("About", "What", "By when")
CERTIFICATES = (
    "No.", "For", "Role", "Servers", "Type", "Subject name", "Subject alternative names",
    "Issuer", "Key", "Exportable", "CSR file", "Findings",
)  # fmt: skip
NAMES = ("No.", "For", "Name", "Where", "Who needs it", "Rule", "Source")
SERVERS = ("Server", "Role", "Pool", "Site", "Windows", "Certificates")
FINDINGS = ("Severity", "Finding", "About", "Message", "What to do", "Source")
RENEWALS = (
    *("Renew from", "Valid until", "Valid from", "No.", "For", "Servers", "Subject name"),
    *("Issuer", "ID"),
)
APPROVAL = ("What", "On record")
DOCUMENTS = ("Document", "Address")
FILES = (
    "No.", "ID", "CSR file", "SHA-256 of the CSR", "Key file", "SHA-256 of the public key",
    "Import", "Assign", "Rule",
)  # fmt: skip

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
        Sheets Cover, Certificates, Names, Servers, Findings, Spellings, Renewals, Approval,
        Documents, Files; those with nothing to say are left out. Names ends with a sentence where
        there are more than a sheet holds.

    Raises
    ------
    ValueError
        If there are more certificates than a sheet holds.
    """
    say = translator(summary.lang)
    told = [
        replace(sheet, title=say(sheet.title), columns=tuple(map(say, sheet.columns)))
        for sheet in _sheets(summary)
        if next(iter(sheet.rows()), None) is not None
    ]
    return to_xlsx(told, title=summary.title)


def _sheets(summary: Summary) -> tuple[Sheet, ...]:
    """Give every sheet, titles in English, those with nothing to say too."""
    return (
        Sheet(
            title="Cover",
            columns=COVER,
            rows=lambda: _cover(summary),
            widths=(26, 110, 34),
        ),
        Sheet(
            title="Certificates",
            columns=CERTIFICATES,
            rows=lambda: _certificates(summary),
            widths=(6, 22, 18, 22, 23, 24, 34, 13, 10, 13, 25, 15),
        ),
        Sheet(
            title="Names",
            columns=NAMES,
            rows=lambda: _names(summary),
            widths=(6, 24, 34, 16, 56, 22, 44),
        ),
        Sheet(
            title="Servers",
            columns=SERVERS,
            rows=lambda: _servers(summary),
            widths=(32, 30, 28, 16, 10, 52),
        ),
        Sheet(
            title="Findings",
            columns=FINDINGS,
            rows=lambda: _findings(summary),
            widths=(10, 26, 32, 52, 46, 36),
        ),
        Sheet(
            title="Spellings",
            columns=spellings.COLUMNS,
            rows=lambda: [one.row for one in summary.spellings],
            widths=(24, 44, 44, 56),
        ),
        Sheet(
            title="Renewals",
            columns=RENEWALS,
            rows=lambda: _renewals(summary),
            widths=(12, 12, 12, 6, 26, 28, 32, 24, 44),
        ),
        Sheet(
            title="Approval",
            columns=APPROVAL,
            rows=lambda: iter(summary.approval),
            widths=(20, 120),
        ),
        _documents(summary),
        Sheet(
            title="Files",
            columns=FILES,
            rows=lambda: _files(summary),
            widths=(6, 30, 30, 34, 30, 34, 40, 30, 18),
        ),
    )


def _documents(summary: Summary) -> Sheet:
    # The cell of a source may name several documents, and a cell can be one link only.
    return Sheet(
        title="Documents",
        columns=DOCUMENTS,
        rows=lambda: iter(summary.documents),
        widths=(90, 110),
        links=tuple(address for _, address in summary.documents),
    )


def _cover(summary: Summary) -> Iterator[Row]:
    """Tell what is planned, then who is asked for what."""
    yield ("Plan", f"{summary.title}{': ' * bool(summary.deployment)}{summary.deployment}", "")
    for name, text in cover_facts(summary):
        yield (translated(name, summary.lang), text, "")
    for ask in summary.asks:
        yield (f"Asked: {ask.who}", ask.what, ask.when)


def _certificates(summary: Summary) -> Iterator[Row]:
    for block, member in summary.members:
        # Notices of the whole deployment would fill the row of the first that they are about.
        concerns = tuple(code for code in member.warnings if not code.startswith("notice: "))
        yield (
            member.number, block.whom, block.title, member.servers, block.usages,
            block.subject_words, block.names_of(member), block.authority, block.key,
            member.exportable, member.csr_file, concerns,
        )  # fmt: skip


def _names(summary: Summary) -> Iterator[Row]:
    most = spreadsheets.SHEET_ROWS - 2
    rows = _all_names(summary)
    yield from islice(rows, most - 1)
    if next(rows, None) is not None:
        yield ("", "", "… and more than a sheet holds", "", "the JSON document has all", "", "")


def _all_names(summary: Summary) -> Iterator[Row]:
    for block in summary.blocks:
        for group in block.names:
            where = ("subject and names" if group.is_alternative else "subject") * group.is_subject
            because = (" ".join(group.why), group.rules, "; ".join(group.sources))
            if group.is_own:
                for member in block.members:
                    yield (member.number, block.whom, member.servers[0], "names", *because)
            for name in group.names:
                yield (str(block.number), block.whom, name, where or "names", *because)


def _servers(summary: Summary) -> Iterator[Row]:
    for line in summary.servers:
        pairs = zip(line.certificates, line.usages, strict=True)
        needs = tuple(f"{number} {usage}" for number, usage in pairs) or (line.why_none,)
        yield (line.server, line.title, line.pool, line.site, line.target_os, needs)


def _findings(summary: Summary) -> Iterator[Row]:
    for one in grouped(summary.findings, by_subject=False):  # a row for each code, to filter by
        yield (one.severity, one.codes[0], one.about, one.words, one.hint, one.source)


def _renewals(summary: Summary) -> list[Row]:
    return sorted(
        (
            member.renew_from, member.valid_until, member.valid_from, member.number, block.whom,
            member.servers, block.subject_words, block.authority, member.id,
        )
        for block, member in summary.members
        if member.valid_until
    )  # fmt: skip


def _files(summary: Summary) -> Iterator[Row]:
    for block, member in summary.members:
        yield (
            member.number, member.id, member.csr_file, member.csr_sha256, member.key_file,
            member.spki_sha256, *member.install_cells, block.rule,
        )  # fmt: skip
