"""Plan, findings and requests for people, in every format, and the plan as a JSON document.

The CSV is one row per certificate with everything; page, workbook, Markdown and document are laid
out for their readers. The same arguments give the same bytes, always.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from dataclasses import replace

from ..base.outputs import OutputKind, first_line, is_page, mentions, packs
from ..errors import PlanError
from ..rules.findings import Finding, Findings
from .figures import FIGURE_FILE
from .model import CertificatePlan
from .plan_json import plan_json
from .summary_content import TITLE, Request, Summary, shortened
from .summary_csv import summary_csv
from .summary_from_plan import summarise
from .summary_markdown import summary_markdown
from .summary_page import summary_page
from .summary_progress import with_requests
from .summary_word import summary_word
from .summary_workbook import summary_workbook

#: What ``write_plan_table`` can write.
PLAN_SUFFIXES = (".csv", ".xlsx", ".html", ".md", ".docx", ".json")

#: Certificates on a page, in Markdown or in a document at most: a browser takes minutes over more.
PAGE_ROWS = 5_000


def write_plan_table(
    plan: CertificatePlan,
    findings: Findings | Sequence[Finding],
    suffix: str,
    *,
    requests: Sequence[Request] | None = None,
    saved_as: str = "",
    sign_line: str = "",
) -> bytes:
    """Write the summary of a plan in one format.

    Parameters
    ----------
    plan : CertificatePlan
        n certificates.
    findings : Findings
        What the checks found.
    suffix : str
        One of ``PLAN_SUFFIXES``; ``.json`` gives the plan document.
    requests : sequence of Request, optional
        Requests of the folder; without them the file names are those that they will have.

    saved_as, sign_line : str, optional
        Where the plan is saved, and what somebody types who approves it; stands on the cover.

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
    told = summarise(plan, findings, pictures=suffix == ".html", table_only=suffix == ".csv")
    told = replace(told, saved_as=saved_as, sign_line=sign_line)
    return write_summary(with_requests(told, requests), suffix)


def write_summary(summary: Summary, suffix: str) -> bytes:
    """Lay a summary out in one format: one of ``PLAN_SUFFIXES`` but ``.json``.

    Raises
    ------
    PlanError
        If the table does not fit into the format.
    """
    if suffix == ".csv":
        return summary_csv(summary)
    if suffix == ".xlsx":
        try:
            return summary_workbook(summary)
        except ValueError as error:
            raise PlanError(f"summary.xlsx: {error}", hint="write the table as .csv") from None
    page = shortened(summary, PAGE_ROWS)
    if suffix == ".docx":
        return summary_word(page, rows_shown=PAGE_ROWS)
    lay_out = summary_page if suffix == ".html" else summary_markdown
    return lay_out(page, rows_shown=PAGE_ROWS).encode("utf-8", "replace")


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
