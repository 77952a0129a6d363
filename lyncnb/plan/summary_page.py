"""The summary as one HTML page, to be read at a screen, sent, and printed."""

from __future__ import annotations

from ..base.html_page import render
from ..base.tables import left_out
from . import spellings
from .summary_content import Summary


def summary_page(summary: Summary, *, findings_shown: int) -> str:
    """Lay the summary out as a page.

    Parameters
    ----------
    summary : Summary
        n blocks of certificates.
    findings_shown : int
        Findings listed at most; a sentence says so.

    Returns
    -------
    str
        An HTML document that stands alone.
    """
    sources = dict.fromkeys(
        source for block in summary.blocks for names in block.names for source in names.sources
    )
    idle = [line for line in summary.servers if line.why_none]
    members = [member for block in summary.blocks for member in block.members]
    return render(
        "plan/summary.html.j2",
        title=summary.title,
        s=summary,
        spellings=spellings,
        findings=summary.findings[:findings_shown],
        findings_note=left_out(findings_shown, len(summary.findings)),
        note=what_is_left_out(summary),
        number={source: place for place, source in enumerate(sources, start=1)},
        idle=idle[:findings_shown],
        idle_note=left_out(findings_shown, len(idle)) if len(idle) > findings_shown else "",
        has_records=any(member.spki_sha256 for member in members),
        has_issued=any(member.certificate_sha256 for member in members),
    )


def what_is_left_out(summary: Summary) -> str:
    """Say in two sentences that not every certificate is on the page; blank if all are."""
    if not summary.left_out:
        return ""
    shown = sum(len(block.members) for block in summary.blocks)
    return (
        f"The first {shown:,} of {shown + summary.left_out:,} certificates. "
        "The CSV and XLSX tables hold all."
    )
