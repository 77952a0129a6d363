"""Write the summary of a plan, its findings and requests in every format, and the plan as JSON.

The CSV has one complete row for each certificate. The page, workbook, Markdown and document are
arranged for their readers. The same arguments always result in the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import IO

from ...base.shown.languages import LANGUAGES, translate_title
from ...base.shown.report import build_report_kind
from ...base.shown.spreadsheets import to_csv
from ...base.shown.tables import build_rows, list_headings
from ...errors import PlanError
from ...plan.acceptances import mark_accepted_findings
from ...plan.model import CertificatePlan
from ...plan.plan_json import FORMAT, plan_json
from ...rules.findings import Finding, Findings
from .columns import CSV, list_columns
from .content import LEAD, TITLE, SavedFile, Summary, shorten_summary
from .from_plan import build_summary
from .markdown import write_markdown_summary
from .page import build_summary_page
from .progress import add_requests
from .word import write_word_summary
from .workbook import write_workbook

#: The largest number of certificates in a page, a Markdown file or a document. Browsers would need
#: minutes to show more.
PAGE_ROWS = 5_000
# The number of bytes that lyncnb reads to recognize the first line of a Markdown file.
_LINE_BYTES = 4_096


def write_plan_table(
    plan: CertificatePlan,
    findings: Findings | Sequence[Finding],
    suffix: str,
    *,
    saved: SavedFile | None = None,
) -> bytes:
    """Write the summary of a plan in one file format.

    Parameters
    ----------
    plan : CertificatePlan
        n certificates.
    findings : Findings
        The findings of the checks.
    suffix : str
        One of ``PLAN_SUFFIXES``; ``.json`` gives the plan document.
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
    plan.topology.reject_incomplete()
    if suffix == ".json":
        return plan_json(plan, findings)
    if isinstance(findings, Findings):
        findings = mark_accepted_findings(findings, plan.options)
    summary = build_summary(plan, findings, pictures=suffix == ".html", table_only=suffix == ".csv")
    summary = replace(summary, saved=saved)
    return write_summary(add_requests(summary), suffix)


def write_summary(summary: Summary, suffix: str) -> bytes:
    """Write a summary in any format of ``PLAN_SUFFIXES`` except ``.json``.

    Raises
    ------
    PlanError
        If the table does not fit into the format.
    """
    return _WRITERS[suffix](summary)


def _write_csv(summary: Summary) -> bytes:
    csv_columns = list_columns(CSV)
    return to_csv(list_headings(csv_columns), build_rows(csv_columns, summary.lines()))


def _write_xlsx(summary: Summary) -> bytes:
    try:
        return write_workbook(summary)
    except ValueError as error:
        raise PlanError(f"summary.xlsx: {error}", hint="write a .csv file instead") from None


def _write_shortened_summary(write: Callable[..., str | bytes], summary: Summary) -> bytes:
    output = write(shorten_summary(summary, PAGE_ROWS), rows_shown=PAGE_ROWS)
    return output if isinstance(output, bytes) else output.encode("utf-8", "replace")


# The formats of the summary. The JSON document of a plan is not a summary.
_WRITERS: Mapping[str, Callable[[Summary], bytes]] = {
    ".csv": _write_csv,
    ".xlsx": _write_xlsx,
    ".html": partial(_write_shortened_summary, build_summary_page),
    ".md": partial(_write_shortened_summary, write_markdown_summary),
    ".docx": partial(_write_shortened_summary, write_word_summary),
}

#: The formats in which the function ``write_plan_table`` writes a plan.
PLAN_SUFFIXES = (*_WRITERS, ".json")


def check_format(suffix: str) -> None:
    """Check that :func:`write_plan_table` supports a file format.

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


def _is_markdown_summary(file: IO[bytes]) -> bool:
    """Return whether a file begins as a summary does: with its title and the text below it.

    An English title is sufficient, because earlier versions had a different text below it. The
    Chinese title begins with any text, so a note by a user could have the same form.
    """
    line, _, lead = (file.readline(_LINE_BYTES).decode("utf-8", "replace") for _ in range(3))
    if line.startswith(f"# {TITLE}"):
        return True
    titles = (translate_title(f"{TITLE}{{}}", language).split("{}") for language in LANGUAGES)
    is_title = any(line.startswith(f"# {start}") and end in line for start, end in titles)
    return is_title and lead.rstrip() == LEAD


_PLAN_REPORT = build_report_kind(
    "a plan",
    title=TITLE,
    format_id=FORMAT,
    columns=list_columns(CSV),
    earlier_key="ID",
    suffixes=(*PLAN_SUFFIXES, ".svg"),
)
#: The type of file in which a plan is written.
PLAN_FILE = replace(_PLAN_REPORT, is_ours={**_PLAN_REPORT.is_ours, ".md": _is_markdown_summary})
