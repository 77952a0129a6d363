"""The summary as a workbook: one sheet for each question that somebody comes with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

from ..base import spreadsheets
from ..base.spreadsheets import Sheet, to_xlsx
from ..rules.findings import Finding
from . import spellings
from .summary_content import Block, Member, Summary

CERTIFICATES = (
    "No.", "For", "Role", "Servers", "Type", "Subject name", "Subject alternative names",
    "Issuer", "Key", "CSR file", "Findings",
)  # fmt: skip
NAMES = ("No.", "For", "Name", "Where", "Who needs it", "Rule", "Source")
SERVERS = ("Server", "Role", "Pool", "Site", "Windows", "Certificates")
FINDINGS = ("Severity", "Finding", "About", "Message", "What to do", "Source")
RENEWALS = ("Valid until", "Valid from", "No.", "For", "Servers", "Subject name", "Issuer", "ID")
FILES = (
    "No.", "ID", "CSR file", "SHA-256 of the CSR", "Key file", "SHA-256 of the public key",
    "Import", "Assign", "Rule",
)  # fmt: skip

Row = tuple[object, ...]
#: Gives import and assign text of a member of a block.
Commands = Callable[[Block, Member], tuple[str, str]]


def summary_workbook(summary: Summary, commands: Commands) -> bytes:
    """Write the summary as XLSX.

    Parameters
    ----------
    summary : Summary
        All n certificates.
    commands : callable
        How a certificate gets onto a server, and into use there.

    Returns
    -------
    bytes
        Sheets Certificates, Names, Servers, Findings, Spellings, Renewals, Files; those with
        nothing to say are left out. Names ends with a sentence where there are more than a sheet
        holds.

    Raises
    ------
    ValueError
        If there are more certificates than a sheet holds.
    """
    sheets = (
        Sheet(
            title="Certificates",
            columns=CERTIFICATES,
            rows=lambda: _certificates(summary),
            widths=(6, 22, 18, 22, 23, 24, 34, 13, 10, 25, 15),
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
            rows=lambda: _findings(summary.findings),
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
            widths=(12, 12, 6, 26, 28, 32, 24, 44),
        ),
        Sheet(
            title="Files",
            columns=FILES,
            rows=lambda: _files(summary, commands),
            widths=(6, 30, 30, 34, 30, 34, 40, 30, 18),
        ),
    )
    told = [sheet for sheet in sheets if next(iter(sheet.rows()), None) is not None]
    return to_xlsx(told or sheets[:1], title=summary.title)


def _members(summary: Summary) -> Iterator[tuple[Block, Member]]:
    return ((block, member) for block in summary.blocks for member in block.members)


def _certificates(summary: Summary) -> Iterator[Row]:
    for block, member in _members(summary):
        yield (
            member.number, block.whom, block.title, member.servers, block.usages, block.subject,
            tuple(names_of(block, member)), block.authority, block.key, member.csr_file,
            block.warnings,
        )  # fmt: skip


def names_of(block: Block, member: Member) -> Iterator[str]:
    """Yield the alternative names of one certificate of a block, by reason."""
    for group in block.names:
        if not group.is_subject or group.is_alternative:
            yield from member.servers if group.is_own else group.names


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
        needs = line.certificates or (line.why_none,)
        yield (line.server, line.title, line.pool, line.site, line.target_os, needs)


def _findings(findings: tuple[Finding, ...]) -> Iterator[Row]:
    for one in findings:
        yield (one.severity, one.code, one.about, one.message, one.hint, one.source)


def _renewals(summary: Summary) -> list[Row]:
    return sorted(
        (
            member.valid_until, member.valid_from, member.number, block.whom, member.servers,
            block.subject, block.authority, member.id,
        )
        for block, member in _members(summary)
        if member.valid_until
    )  # fmt: skip


def _files(summary: Summary, commands: Commands) -> Iterator[Row]:
    for block, member in _members(summary):
        yield (
            member.number, member.id, member.csr_file, member.csr_sha256, member.key_file,
            member.spki_sha256, *commands(block, member), block.rule,
        )  # fmt: skip
