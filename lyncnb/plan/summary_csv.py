"""The summary as one table: everything about a certificate in one row, headings in Lync's words."""

from __future__ import annotations

from collections.abc import Iterator

from ..base.spreadsheets import to_csv
from .summary_content import Block, Member, Summary

COLUMNS = (
    "ID", "Role", "Servers", "Pool", "Site", "Type", "Subject name",
    "Subject alternative names", "SAN count", "EKU", "Issuer", "CA", "Key", "Hash",
    "Exportable", "Shared by", "CSR file", "Key file", "Import", "Assign", "Warnings",
    "Rule", "Source",
)  # fmt: skip


def summary_csv(summary: Summary) -> bytes:
    """Write the summary as CSV for people.

    Parameters
    ----------
    summary : Summary
        All n certificates.

    Returns
    -------
    bytes
        n rows below the headings.
    """
    return to_csv(COLUMNS, summary_rows(summary))


def summary_rows(summary: Summary) -> Iterator[tuple[object, ...]]:
    """Yield a row per certificate, in the order of the plan.

    Yields
    ------
    tuple
        23 values, see ``COLUMNS``: text, lists of text, and one whole number.
    """
    for block, member in _in_plan_order(summary):
        names = block.names_of(member)
        yield (
            member.id, block.role, member.servers, block.pool, block.site, block.usages,
            block.subject, names, len(names), block.extended_key_usage, block.issuer, block.ca,
            block.key, block.hash, member.exportable, block.shared_by, member.csr_file,
            member.key_file, *member.install_cells, member.warnings, block.rule, block.source,
        )  # fmt: skip


def _in_plan_order(summary: Summary) -> list[tuple[Block, Member]]:
    # A block gathers what is alike: of separate certificates, those of one usage.
    return sorted(summary.members, key=lambda pair: pair[1].place)
