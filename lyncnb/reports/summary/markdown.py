"""Write the summary as Markdown for a wiki: headings, short lists, and narrow tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from ...base.shown.languages import make_translator
from ...base.shown.tables import describe_shown_rows, escape_markdown, to_markdown
from ...plan import spellings
from .content import (
    LEAD,
    STORY,
    Block,
    ServerLine,
    Summary,
    build_approval_sheet,
    group_with_headings,
    list_cover_entries,
)
from .page import describe_omissions, group_requests


def write_markdown_summary(summary: Summary, *, rows_shown: int) -> str:
    """Write a summary as Markdown.

    Parameters
    ----------
    summary, rows_shown
        As for :func:`lyncnb.reports.summary.page.build_summary_page`.

    Returns
    -------
    str
        CommonMark with pipe tables; names are escaped.
    """
    return "\n".join(part for part in _list_parts(summary, rows_shown) if part)


def _list_parts(summary: Summary, rows_shown: int) -> Iterator[str]:
    translate = make_translator(summary.lang)
    domain = f": {summary.deployment}" if summary.deployment else ""
    yield f"# {escape_markdown(summary.translate_title(translate) + domain)}\n"
    yield f"{LEAD}\n"
    facts = list_cover_entries(summary)
    yield "".join(
        f"- {translate(name)}: {escape_markdown(value)}\n" for name, value in facts if value
    )
    if summary.asks:
        yield _format_heading("Who does what", translate)
        rows = [ask.build_row(translate) for ask in summary.asks]
        yield to_markdown(_list_titles(translate, "Who", "What", "By when", "See"), rows)
    parts, number = group_with_headings(summary.findings, rows_shown)
    for heading, groups in parts:
        yield _format_heading(heading, translate)
        lines = [
            (translate(group.severity), group.places, group.paragraph, group.hint)
            for group in groups
        ]
        yield to_markdown(
            _list_titles(translate, "Severity", "About", "What was found", "What to do"), lines
        )
    if number > rows_shown:
        yield describe_shown_rows(rows_shown, number) + "\n"
    if summary.spellings:
        yield _format_heading(spellings.HEADING, translate)
        yield to_markdown(
            _list_titles(translate, *spellings.COLUMNS),
            [spelling.row for spelling in summary.spellings],
        )
    servers, labels = summary.servers[:rows_shown], summary.labels
    if servers:
        yield _format_heading("Servers", translate)
        yield to_markdown(
            _list_titles(
                translate, "Server", "Role", f"Certificates{', no.' if summary.is_numbered else ''}"
            ),
            [_format_server(line, labels) for line in servers],
        )
    if len(summary.servers) > rows_shown:
        yield describe_shown_rows(rows_shown, len(summary.servers)) + "\n"
    for request_list in group_requests(summary):
        yield f"## {escape_markdown(request_list.build_heading(translate))}\n"
        for block in request_list.blocks:
            yield from _format_block(block, translate)
    yield describe_omissions(summary) + "\n" if summary.left_out else ""
    yield _format_heading("What happens to a request", translate)
    yield f"{STORY}\n"
    if sheet := build_approval_sheet(summary):
        yield _format_heading("Approval", translate)
        yield "".join(
            f"- {translate(name)}: {escape_markdown(text)}\n" for name, text in sheet.facts
        )
    yield f"{translate('Planned certificates (plan_sha256)')}: `{summary.plan_sha256}`\n"


def _format_heading(text: str, translate: Callable[[str], str]) -> str:
    return f"## {translate(text)}\n"


def _list_titles(translate: Callable[[str], str], *titles: str) -> tuple[str, ...]:
    return tuple(map(translate, titles))


def _format_server(line: ServerLine, labels: Mapping[str, str]) -> tuple[str, str, str]:
    return line.server, line.title, line.join_labels(labels) or line.why_none


def _format_block(block: Block, translate: Callable[[str], str]) -> Iterator[str]:
    yield f"### {escape_markdown(block.build_heading(translate))}\n"
    site = f", site {block.site}" if block.site else ""
    facts = [
        ("For", f"{block.title}{site}: {block.sharing}"),
        ("In use as", block.assigned_usages),
        ("Subject name", block.subject_words),
        ("Issuer", translate(block.authority)),
        ("Key", f"{block.key}, {block.hash}"),
        ("Exportable", translate(block.exportable)),
        ("EKU", ", ".join(block.extended_key_usage)),
        ("Valid", "; ".join(block.validity)),
        ("Findings", ", ".join(block.list_concerns(translate))),
    ]
    yield "".join(
        f"- {translate(name)}: {escape_markdown(value)}\n" for name, value in facts if value
    )
    own_name = translate("each server’s own name")
    rows = [
        (own_name if group.is_own else ", ".join(group.names), " ".join(group.why))
        for group in block.names
    ]
    if rows:
        yield to_markdown(_list_titles(translate, "Name", "Who needs it"), rows)
    with_hash = block.has_fingerprints
    columns = ("No.", "Servers", "Request", *(("SHA-256 of the request",) if with_hash else ()))
    members = [
        (m.number, m.servers, m.csr_file, *((m.csr_sha256,) if with_hash else ()))
        for m in block.members
    ]
    first = 0 if block.numbers else 1
    yield to_markdown(_list_titles(translate, *columns[first:]), [row[first:] for row in members])
