"""Write the summary as an HTML page for the screen, for mail, and for printing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import groupby

from ...base.shown.figure import format_picture
from ...base.shown.html_page import link_sources, render_template
from ...base.shown.languages import get_html_language, make_translator, translate_title
from ...base.shown.tables import describe_shown_rows
from ...plan import spellings
from ...rules.findings import group_findings
from ...rules.model import NOT_DOCUMENTED
from ..timeline_figure import draw_timeline
from .content import (
    LEAD,
    STORY,
    Block,
    Picture,
    ServerLine,
    Summary,
    build_approval_sheet,
    group_by_authority,
    list_cover_entries,
)

_DAYS = "Important dates"


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestList:
    """A section of the summary page: the requests to one CA."""

    anchor: str
    title: str
    blocks: tuple[Block, ...]

    @property
    def size(self) -> int:
        """The number of requests to the CA, not counting requests during server setup."""
        return sum(not m.is_at_set_up for block in self.blocks for m in block.members)

    def build_heading(self, translate: Callable[[str], str]) -> str:
        """Return the section's heading in a language: the CA and the number of its requests."""
        at_set_up = sum(len(block.members) for block in self.blocks) - self.size
        later = translate(", {} at set-up").format(f"{at_set_up:,}") if at_set_up else ""
        counted = translate("{}: {} request" if self.size == 1 else "{}: {} requests")
        return counted.format(translate(self.title), f"{self.size:,}") + later

    @property
    def common(self) -> tuple[tuple[str, str], ...]:
        """The facts that apply to all blocks of the section.

        In print, the blocks do not repeat these facts.
        """
        first, *others = map(list_common_facts, self.blocks)
        return tuple(fact for fact in first if others and all(fact in other for other in others))


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerGroup:
    """Servers with the same role, or servers that need no certificate for the same reason."""

    title: str
    lines: tuple[ServerLine, ...]


def list_common_facts(block: Block) -> tuple[tuple[str, str], ...]:
    """Return the facts that are usually the same for all requests to one CA."""
    facts = (
        ("Issuer", block.authority),
        ("Key", f"{block.key}, {block.hash}"),
        ("Exportable", block.exportable),
        ("EKU", ", ".join(block.extended_key_usage)),
        ("Valid", "; ".join(block.validity)),
    )
    return tuple((name, text) for name, text in facts if text)


def group_requests(summary: Summary) -> tuple[RequestList, ...]:
    """Group the requests by CA, in the order of the tasks."""
    return tuple(
        RequestList(anchor=f"ca{number}", title=name, blocks=tuple(blocks))
        for number, (name, blocks) in enumerate(group_by_authority(summary.blocks).items(), start=1)
    )


def group_servers(lines: Iterable[ServerLine]) -> tuple[ServerGroup, ...]:
    """Group the servers by role. The last group contains the servers that need no certificate."""
    ordered = sorted(lines, key=lambda line: (line.why_none, line.title))
    groups = groupby(ordered, key=_format_heading)
    return tuple(ServerGroup(title=title, lines=tuple(group)) for title, group in groups)


def _format_heading(line: ServerLine) -> str:
    return f"No certificate{line.why_none.removeprefix('none')}" if line.why_none else line.title


def draw_days(summary: Summary) -> Picture | None:
    """Draw when certificates are issued and expire, or return None if no date is known."""
    if summary.planned_issue_date is None and not any(m.valid_until for _, m in summary.members):
        return None
    description = (
        "The picture shows when certificates are issued, when they expire, and which limits apply."
    )
    title = translate_title(_DAYS, summary.lang)
    svg = draw_timeline(summary.facts, title=title, description=description, lang=summary.lang)
    return Picture(title=title, description=description, svg=svg)


def build_summary_page(summary: Summary, *, rows_shown: int) -> str:
    """Return a summary as an HTML page.

    Parameters
    ----------
    summary : Summary
        n blocks of certificates.
    rows_shown : int
        The most findings and servers to list; a sentence says if some are left out.

    Returns
    -------
    str
        A self-contained HTML document.
    """
    sources = summary.sources_of_names
    # The sources of content that is shown only on a screen are numbered last, so that the numbers
    # in print have no gaps.
    statements = (
        statement
        for rule in summary.reasons
        for statement in (rule, rule.clients, rule.without)
        if statement
    )
    numbered = dict.fromkeys([*sources, *(statement.source for statement in statements)])
    members = [member for _, member in summary.members]
    groups = group_findings(summary.findings)
    shown_groups = groups[:rows_shown]
    translate = make_translator(summary.lang)
    days = draw_days(summary) if summary.picture else None
    return render_template(
        "reports/summary/summary.html.j2",
        say=translate,
        page_language=get_html_language(summary.lang),
        title=summary.title,
        running=summary.origin.one_line_text,
        s=summary,
        lead=LEAD,
        facts=list(list_cover_entries(summary)),
        sheet=build_approval_sheet(summary),
        story=STORY,
        facts_of_all=list_common_facts,
        spellings=spellings,
        labels=summary.labels,
        places={member.id: block.place for block, member in summary.members},
        is_numbered=summary.is_numbered,
        findings=[group for group in shown_groups if group.severity != "notice"],
        has_more_findings=len(groups) > len(shown_groups),
        notices=[group for group in shown_groups if group.severity == "notice"],
        findings_note=describe_shown_rows(rows_shown, len(groups)),
        note=describe_omissions(summary),
        number={source: number for number, source in enumerate(numbered, start=1)},
        refs=link_sources(numbered),
        on_paper=len(sources),
        undocumented=NOT_DOCUMENTED,
        anchors={rule.id for rule in summary.reasons},
        lists=group_requests(summary),
        groups=group_servers(summary.servers[:rows_shown]),
        servers_note=describe_shown_rows(rows_shown, len(summary.servers)),
        has_more_servers=len(summary.servers) > rows_shown,
        has_records=any(member.spki_sha256 for member in members),
        has_issued=any(member.certificate_sha256 for member in members),
        picture=_render_picture(summary.picture),
        days=_render_picture(days),
    )


def _render_picture(picture: Picture | None) -> str:
    return format_picture(picture.title, picture.description, picture.svg) if picture else ""


def describe_omissions(summary: Summary) -> str:
    """Return text about how many certificates the page omits, or "" if it shows all of them."""
    if not summary.left_out:
        return ""
    shown_count = sum(len(block.members) for block in summary.blocks)
    return (
        f"This page shows the first {shown_count:,} of {shown_count + summary.left_out:,} "
        "certificates. The CSV and XLSX files contain all certificates."
    )
