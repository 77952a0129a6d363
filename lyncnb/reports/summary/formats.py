"""Plan, findings and requests for people, in every format, and the plan as a JSON document.

The CSV is one row per certificate with everything; page, workbook, Markdown and document are laid
out for their readers. The same arguments give the same bytes, always.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from ...base.shown.report import report_kind
from ...base.shown.spreadsheets import to_csv
from ...base.shown.tables import headings_of, rows_of
from ...errors import PlanError
from ...plan.model import CertificatePlan
from ...plan.plan_json import FORMAT, plan_json
from ...rules.findings import Finding, Findings
from .columns import CSV, columns_of
from .content import TITLE, Request, Summary, shortened
from .from_plan import summarise
from .markdown import summary_markdown
from .page import summary_page
from .progress import with_requests
from .word import summary_word
from .workbook import summary_workbook

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
    return _WRITERS[suffix](summary)


def _csv(summary: Summary) -> bytes:
    made = columns_of(CSV)
    return to_csv(headings_of(made), rows_of(made, summary.lines()))


def _xlsx(summary: Summary) -> bytes:
    try:
        return summary_workbook(summary)
    except ValueError as error:
        raise PlanError(f"summary.xlsx: {error}", hint="write the table as .csv") from None


def _in_short(lay_out: Callable[..., str | bytes], summary: Summary) -> bytes:
    made = lay_out(shortened(summary, PAGE_ROWS), rows_shown=PAGE_ROWS)
    return made if isinstance(made, bytes) else made.encode("utf-8", "replace")


# The formats of the summary; a plan's JSON is no summary.
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
PLAN_FILE = report_kind(
    "a plan",
    title=TITLE,
    form=FORMAT,
    columns=columns_of(CSV),
    suffixes=(*PLAN_SUFFIXES, ".svg"),
)
