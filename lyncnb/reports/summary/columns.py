"""Define the columns that describe a certificate in the summary tables.

The tables have their columns in the order of the list. A column that has the same heading but
different values in two tables is listed twice, one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ...base.certificate_fields import NAMES_HEADING
from ...base.shown.frames import Kind
from ...base.shown.tables import Column, columns
from .content import Line

# The tables that can contain a column: ``summary.csv``, its short form in a notebook, and three
# sheets of the workbook.
CSV, NOTEBOOK, CERTIFICATES, RENEWALS, FILES = range(5)


class _Described(NamedTuple):
    """The description of a column: its heading, its type, and how to get its values.

    ``widths`` has each table that has the column. Only the sheets of the workbook use the width.
    """

    heading: str
    value: str | Callable[[Any], Any]
    widths: Mapping[int, int]
    kind: Kind = Kind.TEXT


def _format_findings(line: Line) -> tuple[str, ...]:
    # Omit notices about the whole deployment. They would otherwise all appear in the row of the
    # first certificate.
    return tuple(code for code in line.member.warnings if not code.startswith("notice: "))


# The widths of columns in the output formats: for columns that only ``summary.csv`` contains, and
# for columns that notebooks show too.
_TABLE, _SHOWN = {CSV: 0}, {CSV: 0, NOTEBOOK: 0}

_COLUMNS = (
    _Described("Renew from", "member.renew_from", {RENEWALS: 12}),
    _Described("Valid until", "member.valid_until", {RENEWALS: 12}),
    _Described("Valid from", "member.valid_from", {RENEWALS: 12}),
    _Described("No.", "member.number", {CERTIFICATES: 6, RENEWALS: 6, FILES: 6}),
    _Described("Certificate", "member.id", _TABLE),
    _Described("ID", "member.id", {FILES: 30}),
    _Described("For", "block.owner", {CERTIFICATES: 22, RENEWALS: 26}),
    _Described("Role", "block.role", _TABLE),
    _Described("Role", "block.title", {CERTIFICATES: 18}),
    _Described("Servers", "member.servers", {**_SHOWN, CERTIFICATES: 22, RENEWALS: 28}),
    _Described("Pool", "block.pool", _TABLE),
    _Described("Site", "block.site", _TABLE),
    _Described("Type", "block.usages", {**_SHOWN, CERTIFICATES: 20}),
    _Described("Subject", "block.subject", _SHOWN),
    _Described("Subject name", "block.subject_words", {CERTIFICATES: 24, RENEWALS: 32}),
    _Described(NAMES_HEADING, "names", {**_SHOWN, CERTIFICATES: 34}),
    _Described("SAN count", lambda line: len(line.names), _TABLE, Kind.COUNT),
    _Described("EKU", "block.extended_key_usage", _TABLE),
    _Described("Issuer", "block.issuer", _SHOWN),
    _Described("Issuer", "block.authority", {CERTIFICATES: 12, RENEWALS: 24}),
    _Described("ID", "member.id", {RENEWALS: 44}),
    _Described("CA", "block.ca", _TABLE),
    _Described("Key", "block.key", {CSV: 0, CERTIFICATES: 10}),
    _Described("Hash", "block.hash", _TABLE),
    _Described("Exportable", "member.exportable", {**_SHOWN, CERTIFICATES: 11}),
    _Described("Shared by", "block.shared_by", _TABLE),
    _Described("CSR file", "member.csr_file", {**_SHOWN, CERTIFICATES: 16, FILES: 30}),
    _Described("SHA-256 of the CSR", "member.csr_sha256", {FILES: 34}),
    _Described("Key file", "member.key_file", {CSV: 0, FILES: 30}),
    _Described("SHA-256 of the public key", "member.spki_sha256", {FILES: 34}),
    _Described("Import", lambda line: line.member.install_cells[0], {CSV: 0, FILES: 40}),
    _Described("Assign", lambda line: line.member.install_cells[1], {CSV: 0, FILES: 30}),
    _Described("Findings", _format_findings, {CERTIFICATES: 12}),
    _Described("Warnings", "member.warnings", _TABLE),
    _Described("Rule", "block.rule", {CSV: 0, FILES: 18}),
    _Described("Source", "block.source", _TABLE),
    _Described("No.", "member.number", _TABLE, Kind.COUNT),
)


def describe_columns(table: int) -> tuple[tuple[str, str | Callable[[Any], Any], int], ...]:
    """Return the heading, value and width of each column in a table."""
    return tuple(
        (column.heading, column.value, column.widths[table])
        for column in _COLUMNS
        if table in column.widths
    )


def list_columns(table: int) -> tuple[Column, ...]:
    """Return the columns of a summary table. Each row of the table is a :class:`Line`."""
    return columns(
        *(
            (column.heading, column.value, column.kind)
            for column in _COLUMNS
            if table in column.widths
        )
    )
