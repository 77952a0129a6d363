"""The summary as Markdown that a wiki renders: headings, short lists, narrow tables."""

from __future__ import annotations

from collections.abc import Iterator

from ..base.tables import escape_markdown, left_out, to_markdown
from . import spellings
from .summary_content import Block, Summary
from .summary_page import what_is_left_out


def summary_markdown(summary: Summary, *, findings_shown: int) -> str:
    """Write the summary as Markdown.

    Parameters
    ----------
    summary, findings_shown
        As for :func:`lyncnb.plan.summary_page.summary_page`.

    Returns
    -------
    str
        CommonMark with pipe tables; nothing of a name is taken for markup.
    """
    return "\n".join(part for part in _parts(summary, findings_shown) if part)


def _parts(summary: Summary, findings_shown: int) -> Iterator[str]:
    planned = summary.planned_issue_date or "not set (planned_issue_date in plan.toml)"
    facts = [
        ("Deployment", "; ".join(summary.sip_domains) or "no SIP domain"),
        ("Product", summary.product),
        ("Planned issue date", str(planned)),
        ("Request folder last changed", summary.folder_changed),
    ]
    yield f"# {escape_markdown(summary.title)}\n"
    yield "".join(f"- {name}: {escape_markdown(value)}\n" for name, value in facts if value)
    yield escape_markdown(summary.totals) + "\n"
    if summary.asks:
        yield "## What is asked of whom\n"
        rows = [(ask.who, ask.what, ask.when) for ask in summary.asks]
        yield to_markdown(("Who", "What", "When"), rows)
    found = summary.findings[:findings_shown]
    if found:
        yield "## Findings\n"
        lines = [(one.severity, one.about, one.message, one.hint) for one in found]
        yield to_markdown(("Severity", "About", "What was found", "What to do"), lines)
    if len(summary.findings) > len(found):
        yield left_out(len(found), len(summary.findings)) + "\n"
    if summary.spellings:
        yield f"## {spellings.HEADING}\n"
        yield to_markdown(spellings.COLUMNS, [one.row for one in summary.spellings])
    if summary.blocks:
        yield "## Certificates\n"
    for block in summary.blocks:
        yield from _block(block)
    yield what_is_left_out(summary) + "\n" if summary.left_out else ""
    idle = [(line.server, line.title, line.why_none) for line in summary.servers if line.why_none]
    if idle:
        yield "## Servers without a certificate\n"
        yield to_markdown(("Server", "Role", "Certificate"), idle[:findings_shown])
    if len(idle) > findings_shown:
        yield left_out(findings_shown, len(idle)) + "\n"
    yield f"SHA-256 of the plan: `{summary.plan_sha256}`\n"


def _block(block: Block) -> Iterator[str]:
    yield f"### {block.number} · {escape_markdown(block.whom)}\n"
    site = f", site {block.site}" if block.site else ""
    facts = [
        ("For", f"{block.title}{site}: {block.sharing}"),
        ("In use as", ", ".join(block.usages) or "not assigned by Lync"),
        ("Subject name", block.subject),
        ("Issuer", block.authority),
        ("Key", f"{block.key}, {block.hash}, {', '.join(block.extended_key_usage)}"),
        ("Findings", ", ".join(block.warnings)),
    ]
    yield "".join(f"- {name}: {escape_markdown(value)}\n" for name, value in facts if value)
    rows = [
        ("each server’s own name" if group.is_own else ", ".join(group.names), " ".join(group.why))
        for group in block.names
    ]
    if rows:
        yield to_markdown(("Name", "Who needs it"), rows)
    with_hash = block.has_fingerprints
    columns = ("No.", "Servers", "Request", *(("SHA-256 of the request",) if with_hash else ()))
    members = [
        (m.number, m.servers, m.csr_file, *((m.csr_sha256,) if with_hash else ()))
        for m in block.members
    ]
    yield to_markdown(columns, members)
