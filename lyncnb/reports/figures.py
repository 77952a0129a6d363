"""Draw the pictures of a plan with ``figure``, each with a title and a description.

The modules ``topology_figure``, ``coverage_figure`` and ``timeline_figure`` draw the pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Protocol, runtime_checkable

from ..base.arguments import check_type
from ..base.disk.outputs import OutputKind, match_content
from ..base.pasted_text import shown
from ..base.shown.figure import Figure
from ..base.shown.languages import LANGUAGES, make_translator, translate_title
from ..base.shown.tables import document_columns, format_count
from ..errors import PlanError
from ..plan.connections import list_connections
from ..plan.model import CertificatePlan
from ..plan.recorded_plan import RecordedPlan
from ..plan.totals import name_deployment
from . import coverage_figure, timeline_figure, topology_figure
from .compare import PlanDifference
from .timeline_figure import DatedFact
from .topology_boxes import Changes, format_site

DEFAULT = "topology"

#: The type of file that ``lyncnb plan -o FILE.svg`` writes.
FIGURE_FILE = OutputKind(what="a picture", is_ours={".svg": match_content(*Figure.MARKS)})


@runtime_checkable
class Dated(Protocol):
    """An object with dated events for a timeline: the status of a request folder, or a forecast.

    ``figure_title`` is the heading above the events.
    """

    @property
    def figure_title(self) -> str:
        """The heading of the timeline picture."""
        ...

    def dated_facts(self) -> tuple[DatedFact, ...]:
        """Return the events for the timeline, in the order in which they are drawn."""
        ...


@document_columns(timeline_figure.COLUMNS, "a timeline")
@document_columns(coverage_figure.COLUMNS, "a coverage")
@document_columns(
    topology_figure.CHANGED_COLUMNS, ('a topology (the column "Changed" is only for comparisons)')
)
def figure(
    subject: CertificatePlan | PlanDifference | Dated,
    kind: str = "",
    *,
    site: str = "",
    facts: Iterable[DatedFact] = (),
) -> Figure:
    """Draw a picture of a plan, a request folder or a forecast.

    Parameters
    ----------
    subject : CertificatePlan, PlanDifference, FolderStatus or Forecast
        What to show. A difference has only the topology of the new plan, with the changes
        marked. A folder and a forecast have only a timeline.
    kind : str, optional
        ``topology`` (default of a plan): what is outside, in the perimeter and inside, and which
        connections exist, with their names. ``coverage``: which name is on whose certificate.
        ``timeline``: when certificates are issued and end, and which limits apply.
    site : str, optional
        For ``topology``, the site to show pool by pool; for ``coverage``, the only site to show.
    facts : iterable of DatedFact, optional
        For ``timeline``, further events.

    Returns
    -------
    Figure
        The picture, its description, and the same data as a table. The same arguments give the
        same bytes.

    Raises
    ------
    PlanError
        If there is no such picture or site.
    """
    if isinstance(subject, PlanDifference):
        return _draw_difference_figure(subject, kind, site)
    if not isinstance(subject, Dated):
        check_type("figure: subject", subject, CertificatePlan)
    if not isinstance(subject, CertificatePlan):
        if kind not in ("", "timeline"):
            raise PlanError(
                f'lyncnb cannot draw the picture "{kind}" for a folder or forecast',
                hint='use "timeline", or create the figure from a plan',
            )
        return _draw_timeline_figure((*subject.dated_facts(), *facts), subject.figure_title)
    kind = kind or DEFAULT
    check_kind(kind)
    _check_site(subject, site)
    if kind == "timeline":
        planned = timeline_figure.list_plan_events(subject)
        drawn = _draw_timeline_figure(
            (*planned, *facts),
            translate_title("Important dates: {}", subject.options.lang).format(
                name_deployment(subject)
            ),
            plan=subject,
        )
    else:
        drawn = KINDS[kind](subject, site)
    return replace(drawn, plan=subject)


def _check_site(plan: CertificatePlan, site: str) -> None:
    sites = sorted({pool.site for pool in plan.topology.pools} - {""})
    if site and site not in sites:
        raise PlanError(
            f'the topology has no site "{site}"',
            hint=f"available sites: {', '.join(map(shown, sites[:10]))}"
            if sites
            else "the topology has no sites",
        )


def check_kind(kind: str) -> None:
    """Raise an error if no picture of a plan has the given kind.

    Raises
    ------
    PlanError
        If there is none. The hint lists the pictures.
    """
    if kind not in KINDS:
        raise PlanError(
            f'lyncnb has no picture named "{kind}"', hint=f"available pictures: {', '.join(KINDS)}"
        )


def _draw_topology_figure(
    plan: CertificatePlan, site: str, difference: PlanDifference | None = None
) -> Figure:
    if isinstance(plan, RecordedPlan):
        raise PlanError(
            (
                f"{plan.topology.source} contains no table, so lyncnb cannot determine the "
                "connections"
            ),
            hint="create a new plan from the original table",
        )
    pools, certificates = len(plan.topology.pools), len(plan.certificates)
    connections = [connection for connection in list_connections(plan) if connection.rule.drawn]
    translate = make_translator(plan.options.lang)
    title = translate("{}, {}: connections").format(plan.rules.title, name_deployment(plan))
    description = (
        f"{format_count(certificates, 'certificate')} for {format_count(pools, 'pool')}, arranged "
        "in three zones: outside, perimeter, and inside. Below each certificate, the picture "
        "shows the clients and servers that connect, with the protocol and the names. The "
        "picture shows only connections that use a name in the plan. The topology does not "
        "define which pools use each other, so lyncnb derives these connections from the sites."
    )
    if site:
        description += (
            f" For {format_site(site)}, the picture shows each pool separately, with its "
            "connections to other sites."
        )
    described = topology_figure.COLUMNS
    changes = None
    rows = topology_figure.list_topology_rows(plan, connections)
    if difference is not None:
        title = translate("{} and changes").format(title)
        description = f"{difference!r}. The ± sign indicates a change. {description}"
        described, changes = topology_figure.CHANGED_COLUMNS, Changes(difference)
        rows = topology_figure.list_changed_rows(plan, connections, changes)
    svg = topology_figure.draw_topology(
        plan, connections, title=title, description=description, site=site, changes=changes
    )
    return Figure(
        kind="topology", title=title, description=description,
        described=described, rows=tuple(rows), svg=svg,
    )  # fmt: skip


def _draw_difference_figure(difference: PlanDifference, kind: str, site: str) -> Figure:
    if kind not in ("", DEFAULT):
        raise PlanError(
            f'lyncnb cannot draw the picture "{kind}" for a comparison of two plans',
            hint=f"use {DEFAULT}, or draw a picture of one plan",
        )
    _check_site(difference.new, site)
    return _draw_topology_figure(difference.new, site, difference)


def _draw_coverage_figure(plan: CertificatePlan, site: str) -> Figure:
    rows = tuple(coverage_figure.list_coverage_rows(plan, site=site))
    translate = make_translator(plan.options.lang)
    subject = f"{plan.rules.title}, {name_deployment(plan)}"
    if site:
        subject += f", {format_site(site, translate)}"
    title = translate("{}: names on certificates").format(subject)
    names, pools = len({row.name for row in rows}), len({row[2:5] for row in rows if row.pool})
    deployment_text = " and the whole deployment" if any(not row.pool for row in rows) else ""
    description = (
        f"{format_count(names, 'name')} in rows, {format_count(pools, 'pool')}{deployment_text} in "
        "columns. A full disc means that all certificates in the column contain the name. A half "
        "disc means that some certificates contain the name. A ring means that the name is the "
        "subject name, but not a subject alternative name. If there are too many names, each "
        "row shows a rule that requires names. If there are too many pools, each column shows "
        "a role."
    )
    svg = coverage_figure.draw_coverage(plan, rows, title=title, description=description)
    return Figure(
        kind="coverage", title=title, description=description,
        described=coverage_figure.COLUMNS, rows=rows, svg=svg,
    )  # fmt: skip


def _draw_timeline_figure(
    facts: tuple[DatedFact, ...], title: str, plan: CertificatePlan | None = None
) -> Figure:
    description = (
        f"{format_count(len(facts), 'event')}, grouped by type. Each event is drawn from its first "
        "day to its last day."
    )
    if any(fact.needs_a_look for fact in facts):
        description += " An exclamation mark indicates an event that needs attention."
    if plan is not None and plan.options.planned_issue_date is None:
        description += (
            " The plan has no planned_issue_date, so the picture shows no issue dates and no "
            "expiration dates."
        )
    lang = plan.options.lang if plan is not None else LANGUAGES[0]
    svg = timeline_figure.draw_timeline(facts, title=title, description=description, lang=lang)
    return Figure(
        kind="timeline", title=title, description=description,
        described=timeline_figure.COLUMNS, svg=svg,
        rows=tuple(timeline_figure.build_fact_rows(facts)),
    )  # fmt: skip


#: All kinds of pictures of a plan. The first kind is the default.
KINDS: Mapping[str, Callable[[CertificatePlan, str], Figure]] = {
    "topology": _draw_topology_figure,
    "coverage": _draw_coverage_figure,
    "timeline": lambda plan, site: figure(plan, "timeline"),
}
