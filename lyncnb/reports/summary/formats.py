"""Plan, findings and requests for people, in every format, and the plan as a JSON document.

The CSV has one complete row for each certificate; page, workbook, Markdown and document are laid
out for their readers. The same arguments always give the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from ...base.shown.report import report_kind
from ...base.shown.spreadsheets import to_csv
from ...base.shown.tables import list_headings, rows_of
from ...errors import PlanError
from ...plan.model import CertificatePlan
from ...plan.plan_json import FORMAT, plan_json
from ...rules.findings import Finding, Findings
from .columns import CSV, columns_of
from .content import TITLE, Request, SavedFile, Summary, shortened
from .from_plan import summarise
from .markdown import summary_markdown
from .page import summary_page
from .progress import with_requests
from .word import summary_word
from .workbook import summary_workbook

#: The most certificates on a page, in Markdown or in a document: browsers need minutes for more.
PAGE_ROWS = 5_000


def write_plan_table(
    plan: CertificatePlan,
    findings: Findings | Sequence[Finding],
    suffix: str,
    *,
    requests: Sequence[Request] | None = None,
    saved: SavedFile | None = None,
) -> bytes:
    """Write the summary of a plan in one format.

    Parameters
    ----------
    plan : CertificatePlan
        n certificates.
    findings : Findings
        The findings of the checks.
    suffix : str
        One of ``PLAN_SUFFIXES``; ``.json`` gives the plan document.
    requests : sequence of Request, optional
        Requests of the folder; without them, the summary shows the names of future files.
    saved : SavedFile, optional
        The saved plan: its digest is on the cover, and its approval sheet is the last page.

    Returns
    -------
    bytes
        The file. HTML, Markdown and DOCX contain at most 5,000 certificates and say so; the other
        formats contain all.

    Raises
    ------
    PlanError
        If the format is unknown, or the table does not fit into it.
    """
    check_format(suffix)
    if suffix == ".json":
        return plan_json(plan, findings)
    told = summarise(plan, findings, pictures=suffix == ".html", table_only=suffix == ".csv")
    told = replace(told, saved=saved)
    return write_summary(with_requests(told, requests), suffix)


def write_summary(summary: Summary, suffix: str) -> bytes:
    """Write a summary in one format: any of ``PLAN_SUFFIXES`` except ``.json``.

    Raises
    ------
    PlanError
        If the table does not fit into the format.
    """
    return _WRITERS[suffix](summary)


def _csv(summary: Summary) -> bytes:
    made = columns_of(CSV)
    return to_csv(list_headings(made), rows_of(made, summary.lines()))


def _xlsx(summary: Summary) -> bytes:
    try:
        return summary_workbook(summary)
    except ValueError as error:
        raise PlanError(f"summary.xlsx: {error}", hint="write the table as .csv") from None


def _in_short(lay_out: Callable[..., str | bytes], summary: Summary) -> bytes:
    made = lay_out(shortened(summary, PAGE_ROWS), rows_shown=PAGE_ROWS)
    return made if isinstance(made, bytes) else made.encode("utf-8", "replace")


# The formats of the summary; a plan's JSON is not a summary.
_WRITERS: Mapping[str, Callable[[Summary], bytes]] = {
    ".csv": _csv,
    ".xlsx": _xlsx,
    ".html": partial(_in_short, summary_page),
    ".md": partial(_in_short, summary_markdown),
    ".docx": partial(_in_short, summary_word),
}

#: What ``write_plan_table`` can write.
PLAN_SUFFIXES = (*_WRITERS, ".json")


def check_format(suffix: str) -> None:
    """Check that :func:`write_plan_table` supports the format.

    Raises
    ------
    PlanError
        If it does not; the hint lists the formats.
    """
    if suffix not in PLAN_SUFFIXES:
        raise PlanError(
            f"lyncnb cannot write a plan as a {suffix} file",
            hint=f"use one of the file extensions {' '.join(PLAN_SUFFIXES)}",
        )


#: The kind of file that a plan is written to.
PLAN_FILE = report_kind(
    "a plan",
    title=TITLE,
    form=FORMAT,
    columns=columns_of(CSV),
    earlier_key="ID",
    suffixes=(*PLAN_SUFFIXES, ".svg"),
)
