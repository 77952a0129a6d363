"""Plan, findings and requests as a table for people, and the plan as a JSON document.

The summary table goes to whoever submits the requests and whoever installs the certificates:
one row per certificate, headings in Lync's words. What a row's import and assign commands are
is data of the product (``[[summary.command]]`` in its rule file). The same arguments give the
same bytes, always.
"""

from __future__ import annotations

import codecs
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from ..base.html_page import to_page
from ..base.outputs import OutputKind, first_line, is_page, mentions, packs
from ..base.spreadsheets import Sheet, to_csv, to_xlsx
from ..base.tables import (
    DataFrame,
    escape_markdown,
    left_out,
    paragraph,
    rows_to_html,
    to_frame,
    to_markdown,
)
from ..errors import PlanError
from ..rules.findings import Finding, Findings
from .model import CertificatePlan, PlannedCertificate
from .plan_json import plan_json

# What the summary says about importing and assigning a certificate: data of the product.


class Command(NamedTuple):
    """How one certificate gets onto a server, and into use there."""

    import_text: str
    assign_text: str


class CommandTable:
    """The entries of ``[[summary.command]]`` in a product's rules; the first that fits counts.

    ``roles`` and ``usages`` of an entry narrow what it fits. In its texts ``{id}`` and ``{usages}``
    stand for those of the certificate; there are no other placeholders.

    Parameters
    ----------
    settings : Mapping
        ``Rules.settings``; without such entries both texts are blank.
    """

    def __init__(self, settings: Mapping[str, object]) -> None:
        self._entries = tuple(dict(settings.get("summary", {})).get("command", ()))
        self._found: dict[tuple[str, tuple[str, ...]], Command] = {}

    def find(self, certificate: PlannedCertificate, certificate_id: str) -> Command:
        """Give the texts for one certificate, whose id the caller has at hand."""
        key = (certificate.role, certificate.usages)
        command = self._found.get(key)
        if command is None:
            command = self._found[key] = self._first(certificate)
        return Command(
            command.import_text.replace("{id}", certificate_id),
            command.assign_text.replace("{id}", certificate_id),
        )

    def _first(self, certificate: PlannedCertificate) -> Command:
        usages_text = ",".join(certificate.usages)
        for entry in self._entries:
            roles, usages = entry.get("roles", ()), entry.get("usages", ())
            if (not roles or certificate.role in roles) and (
                not usages or set(usages) & set(certificate.usages)
            ):
                return Command(
                    str(entry.get("import", "")).replace("{usages}", usages_text),
                    str(entry.get("assign", "")).replace("{usages}", usages_text),
                )
        return Command("", "")


#: What ``write_plan_table`` can write.
PLAN_SUFFIXES = (".csv", ".xlsx", ".html", ".md", ".json")

#: Rows of an HTML or Markdown table at most: a browser takes minutes over more.
PAGE_ROWS = 5_000

COLUMNS = (
    "ID", "Role", "Servers", "Pool", "Site", "Type", "Subject name",
    "Subject alternative names", "SAN count", "EKU", "Issuer", "CA", "Key", "Hash",
    "Exportable", "Shared by", "CSR file", "Key file", "Import", "Assign", "Warnings",
    "Rule", "Source",
)  # fmt: skip

FINDING_COLUMNS = ("Severity", "Finding", "About", "Message", "Hint", "Source")


class RequestPlaces(Protocol):
    """Where CSR and key of a request stand, relative to the folder."""

    @property
    def csr(self) -> str:
        """File of the CSR."""

    @property
    def key(self) -> str:
        """File of the key."""


class Request(Protocol):
    """What the summary needs to know of a request of the folder."""

    @property
    def id(self) -> str:
        """Its id, that of the planned certificate."""

    @property
    def files(self) -> RequestPlaces:
        """Where it stands."""


def summary_rows(
    plan: CertificatePlan,
    findings: Findings | Sequence[Finding],
    requests: Iterable[Request] | None = None,
) -> Iterator[tuple[object, ...]]:
    """Make the rows of the summary table, one per certificate, in the order of the plan.

    Parameters
    ----------
    plan : CertificatePlan
        n certificates.
    findings : Findings
        What the checks found; a row names the codes about its certificate, pool or servers.
    requests : iterable of Request, optional
        Requests of the folder; without them the file names are those that they will have.

    Yields
    ------
    tuple
        23 values, see ``COLUMNS``: text, lists of text, and one whole number.
    """
    warnings = _codes_by_subject(findings)
    first = {pool.fqdn: pool.computers[0].fqdn for pool in plan.topology.pools}  # findings say so
    files = {request.id: request.files for request in requests or ()}
    sources = {rule.id: rule.source for rule in plan.rules.certificates}
    commands = CommandTable(plan.rules.settings)
    for certificate in plan.certificates:
        request_id = certificate.id
        paths = files.get(request_id)
        csr = paths.csr if paths else f"csr/{request_id}.csr"
        key = paths.key if paths else f"keys/{request_id}.key"
        command = commands.find(certificate, request_id)
        names = certificate.names
        about = dict.fromkeys(
            code
            for key in (request_id, first.get(certificate.pool, ""), *certificate.servers)
            for code in warnings.get(key, ())
        )
        yield (
            request_id, certificate.role, certificate.servers, certificate.pool,
            certificate.site, certificate.usages, certificate.subject.to_rfc4514(), names,
            len(names), certificate.extended_key_usage, certificate.issuer, certificate.ca,
            str(certificate.key), certificate.hash, True,
            certificate.shared_by, csr, key, command.import_text,
            command.assign_text, tuple(about), certificate.rule,
            sources.get(certificate.rule, ""),
        )  # fmt: skip


def _codes_by_subject(findings: Iterable[Finding]) -> dict[str, list[str]]:
    codes: dict[str, list[str]] = {}
    for finding in findings:
        codes.setdefault(finding.about, []).append(f"{finding.severity}: {finding.code}")
    return codes


def finding_rows(findings: Iterable[Finding]) -> list[tuple[str, ...]]:
    """Make the rows of the findings table, see ``FINDING_COLUMNS``."""
    return [
        (item.severity, item.code, item.about, item.message, item.hint, item.source)
        for item in findings
    ]


def summary_frame(
    plan: CertificatePlan,
    findings: Findings | Sequence[Finding],
    requests: Iterable[Request] | None = None,
) -> DataFrame:
    """Make the summary table as a DataFrame.

    Returns
    -------
    DataFrame
        One row per certificate, 23 columns of text and one count.
    """
    return to_frame(COLUMNS, summary_rows(plan, findings, requests))


def write_plan_table(
    plan: CertificatePlan,
    findings: Findings | Sequence[Finding],
    suffix: str,
    *,
    requests: Sequence[Request] | None = None,
) -> bytes:
    """Write the summary in one format.

    Parameters
    ----------
    plan, findings, requests
        As for :func:`summary_rows`.
    suffix : str
        One of ``PLAN_SUFFIXES``; ``.json`` gives the plan document.

    Returns
    -------
    bytes
        The file. HTML and Markdown hold at most 5,000 certificates and say so; the other
        formats hold all.

    Raises
    ------
    PlanError
        If the format is unknown, or the table does not fit into it.
    """
    check_format(suffix)
    if suffix == ".json":
        return plan_json(plan, findings)
    if suffix == ".csv":
        return to_csv(COLUMNS, summary_rows(plan, findings, requests))
    if suffix == ".xlsx":
        return _workbook(plan, findings, requests)
    if suffix == ".html":
        return _page(plan, findings, requests).encode("utf-8", "replace")
    return _markdown(plan, findings, requests).encode("utf-8", "replace")


def check_format(suffix: str) -> None:
    """Refuse an ending that :func:`write_plan_table` knows no format for.

    Raises
    ------
    PlanError
        With the endings that there are.
    """
    if suffix not in PLAN_SUFFIXES:
        raise PlanError(
            f'"{suffix}" is not a format that a plan can be written in',
            hint=f"give the file one of the endings {' '.join(PLAN_SUFFIXES)}",
        )


def totals(plan: CertificatePlan, findings: Iterable[Finding]) -> str:
    """Say in one sentence how much a plan holds and how much was found."""
    servers = {server for certificate in plan.certificates for server in certificate.servers}
    counts = Counter(finding.severity for finding in findings)
    found = ", ".join(
        count_of(counts[severity], severity) for severity in ("error", "warning", "notice")
    )
    return (
        f"{count_of(len(plan.certificates), 'certificate')} for "
        f"{count_of(len(servers), 'server')}; findings: {found}."
    )


def count_of(number: int, noun: str) -> str:
    """Write a number and its noun, in the plural where it needs one."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


_TITLE = "Certificates for "

#: What a plan is written as under a name of the planner's own.
PLAN_FILE = OutputKind(
    what="a plan",
    is_ours={
        ".csv": first_line(codecs.BOM_UTF8 + b'"ID","Role","Servers","Pool","Site","Type",'),
        ".xlsx": packs("docProps/core.xml", mentions(f"<dc:title>{_TITLE}".encode())),
        ".html": is_page(f"<title>{_TITLE}".encode()),
        ".md": first_line(f"# {_TITLE}".encode()),
        ".json": mentions(b'"format": "lyncnb-plan/'),
    },
)


def _title(plan: CertificatePlan) -> str:
    return f"{_TITLE}{plan.rules.title}"


def _workbook(
    plan: CertificatePlan,
    findings: Sequence[Finding],
    requests: Sequence[Request] | None,
) -> bytes:
    sheets = (
        Sheet(
            title="Certificates",
            columns=COLUMNS,
            rows=lambda: summary_rows(plan, findings, requests),
        ),
        Sheet(title="Findings", columns=FINDING_COLUMNS, rows=lambda: finding_rows(findings)),
    )
    try:
        return to_xlsx(sheets, title=_title(plan))
    except ValueError as error:
        raise PlanError(f"summary.xlsx: {error}", hint="write the table as .csv") from None


def _shown(rows: Iterator[tuple[object, ...]], total: int) -> tuple[list[tuple], str]:
    kept = [row for row, _ in zip(rows, range(PAGE_ROWS), strict=False)]
    if total <= PAGE_ROWS:
        return kept, ""
    return kept, f"{left_out(PAGE_ROWS, total)} The CSV and XLSX tables hold all."


def _page(
    plan: CertificatePlan,
    findings: Sequence[Finding],
    requests: Sequence[Request] | None,
) -> str:
    rows, note = _shown(summary_rows(plan, findings, requests), len(plan.certificates))
    by_line = [
        tuple("\n".join(value) if isinstance(value, tuple) else value for value in row)
        for row in rows
    ]
    found = finding_rows(findings)
    parts = [
        paragraph(totals(plan, findings)),
        rows_to_html(COLUMNS, by_line, caption="Certificates"),
        paragraph(note) if note else "",
        rows_to_html(FINDING_COLUMNS, found, caption="Findings", limit=PAGE_ROWS),
    ]
    return to_page(_title(plan), parts)


def _markdown(
    plan: CertificatePlan,
    findings: Sequence[Finding],
    requests: Sequence[Request] | None,
) -> str:
    rows, note = _shown(summary_rows(plan, findings, requests), len(plan.certificates))
    found = finding_rows(findings)
    parts = [
        f"# {escape_markdown(_title(plan))}\n",
        totals(plan, findings) + "\n",
        to_markdown(COLUMNS, rows),
        f"{note}\n" if note else "",
        "## Findings\n",
        to_markdown(FINDING_COLUMNS, found[:PAGE_ROWS]),
        f"{left_out(PAGE_ROWS, len(found))}\n" if len(found) > PAGE_ROWS else "",
    ]
    return "\n".join(part for part in parts if part)
