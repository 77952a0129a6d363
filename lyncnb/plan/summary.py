"""Plan, findings and requests for people, in every format, and the plan as a JSON document.

The CSV is one row per certificate with everything, headings in Lync's words; page, workbook,
Markdown and document are laid out for their readers. The same arguments give the same bytes,
always.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator, Sequence

from ..base.outputs import OutputKind, first_line, is_page, mentions, packs
from ..base.spreadsheets import to_csv
from ..base.tables import DataFrame, to_frame
from ..errors import PlanError
from ..rules.findings import Finding, Findings
from .figures import FIGURE_FILE
from .model import CertificatePlan
from .plan_json import plan_json
from .summary_commands import Command, CommandTable
from .summary_content import (
    TITLE,
    Block,
    Member,
    Request,
    codes_by_subject,
    first_servers,
    summarise,
)
from .summary_markdown import summary_markdown
from .summary_page import summary_page
from .summary_word import summary_word
from .summary_workbook import summary_workbook

#: What ``write_plan_table`` can write.
PLAN_SUFFIXES = (".csv", ".xlsx", ".html", ".md", ".docx", ".json")

#: Certificates on a page, in Markdown or in a document at most: a browser takes minutes over more.
PAGE_ROWS = 5_000

COLUMNS = (
    "ID", "Role", "Servers", "Pool", "Site", "Type", "Subject name",
    "Subject alternative names", "SAN count", "EKU", "Issuer", "CA", "Key", "Hash",
    "Exportable", "Shared by", "CSR file", "Key file", "Import", "Assign", "Warnings",
    "Rule", "Source",
)  # fmt: skip

FINDING_COLUMNS = ("Severity", "Finding", "About", "Message", "Hint", "Source")


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
    warnings = codes_by_subject(findings)
    first = first_servers(plan.topology)
    files = {request.id: request.files for request in requests or ()}
    sources = {rule.id: rule.source for rule in plan.rules.certificates}
    commands = CommandTable(plan.rules.summary)
    for certificate in plan.certificates:
        request_id = certificate.id
        paths = files.get(request_id)
        csr = paths.csr if paths else f"csr/{request_id}.csr"
        key = paths.key if paths else f"keys/{request_id}.key"
        command = commands.find(certificate.role, certificate.usages, request_id)
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
        The file. HTML, Markdown and DOCX hold at most 5,000 certificates and say so; the other
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
    content = summarise(plan, findings, requests, limit=PAGE_ROWS)
    if suffix == ".docx":
        return summary_word(content, findings_shown=PAGE_ROWS)
    lay_out = summary_page if suffix == ".html" else summary_markdown
    return lay_out(content, findings_shown=PAGE_ROWS).encode("utf-8", "replace")


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


#: What a plan is written as under a name of the planner's own.
PLAN_FILE = OutputKind(
    what="a plan",
    is_ours={
        ".csv": first_line(codecs.BOM_UTF8 + b'"ID","Role","Servers","Pool","Site","Type",'),
        ".xlsx": packs("docProps/core.xml", mentions(f"<dc:title>{TITLE}".encode())),
        ".html": is_page(f"<title>{TITLE}".encode()),
        ".md": first_line(f"# {TITLE}".encode()),
        ".docx": packs("docProps/core.xml", mentions(f"<dc:title>{TITLE}".encode())),
        ".json": mentions(b'"format": "lyncnb-plan/'),
        **FIGURE_FILE.is_ours,
    },
)


def _workbook(
    plan: CertificatePlan,
    findings: Sequence[Finding],
    requests: Sequence[Request] | None,
) -> bytes:
    table = CommandTable(plan.rules.summary)

    def commands(block: Block, member: Member) -> Command:
        return table.find(block.role, block.usages, member.id)

    try:
        return summary_workbook(summarise(plan, findings, requests), commands)
    except ValueError as error:
        raise PlanError(f"summary.xlsx: {error}", hint="write the table as .csv") from None
