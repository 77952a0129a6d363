"""``Comparison``: two plans side by side with all that is counted, and as text, JSON, page, table.

Pure. ``compare.py`` says what differs; here it is counted, and written for people and programs.
"""

from __future__ import annotations

import codecs
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from ..base.html_page import to_page
from ..base.outputs import OutputKind, first_line, is_page, mentions
from ..base.spreadsheets import to_csv
from ..base.tables import (
    ROWS_SHOWN,
    count_of,
    first_of,
    left_out,
    paragraph,
    rows_to_html,
    to_markdown,
)
from ..rules.ca_rules import ca_rules
from ..rules.findings import Finding, Findings, grouped
from ..rules.model import SEVERITIES
from .compare import COLUMNS, ChangeGroup, CountChange, PlanDifference
from .figures import FIGURE_FILE, figure
from .model import CertificatePlan, PlannedCertificate, certificate_document
from .recorded_plan import RecordedPlan

FORMAT = "lyncnb-comparison/1"
TITLE = "Two plans compared"

#: What a comparison is written as under a name of the planner's own.
COMPARISON_FILE = OutputKind(
    what="a comparison",
    is_ours={
        ".csv": first_line(codecs.BOM_UTF8 + b'"Change","Certificate","Of","Type",'),
        ".html": is_page(f"<title>{TITLE}".encode()),
        ".md": first_line(f"# {TITLE}".encode()),
        ".json": mentions(f'"format": "{FORMAT}"'.encode()),
        **FIGURE_FILE.is_ours,
    },
)

_DAYS_OF_A_YEAR = 365
_OWNERS_SHOWN = 3


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What one plan has otherwise than another, with what the checks found of each.

    ``old_findings`` and ``new_findings`` are None where they are not known.
    """

    difference: PlanDifference
    old_findings: Findings | None = None
    new_findings: Findings | None = None

    @property
    def title(self) -> str:
        """What is compared: ``old.csv -> new.csv``."""
        old, new = self.difference.old, self.difference.new
        return f"{old.topology.source} -> {new.topology.source}"

    @property
    def summary(self) -> str:
        """All that differs, in one line."""
        return repr(self.difference)

    @cached_property
    def counts(self) -> tuple[CountChange, ...]:
        """What there is of each plan, before and after; what is not known of both is left out."""
        before, after = (
            plan_counts(plan, findings)
            for plan, findings in (
                (self.difference.old, self.old_findings),
                (self.difference.new, self.new_findings),
            )
        )
        told = [
            what
            for what in dict.fromkeys((*before, *after))
            if what not in _MAY_BE_UNKNOWN or (what in before and what in after)
        ]
        return tuple(
            CountChange(what=what, before=before.get(what, 0), after=after.get(what, 0))
            for what in told
        )

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """What cannot be told of these two, and why."""
        return tuple(dict.fromkeys(self._notes()))

    def _notes(self) -> Iterator[str]:
        plans = self.difference.old, self.difference.new
        for plan, findings in zip(plans, (self.old_findings, self.new_findings), strict=True):
            source = plan.topology.source
            if isinstance(plan, RecordedPlan):
                yield f"{source} keeps certificates, not the table and the options they came from"
            elif plan.options.validity_days is None:
                yield f"yearly renewals are not counted: {source} is planned without validity_days"
            if findings is None:
                yield f"findings are not counted: {source} keeps none"

    @cached_property
    def findings_gone(self) -> tuple[Finding, ...]:
        """Findings of the old plan that the new one has not."""
        return _only_first(self.old_findings, self.new_findings)

    @cached_property
    def findings_new(self) -> tuple[Finding, ...]:
        """Findings of the new plan that the old one has not."""
        return _only_first(self.new_findings, self.old_findings)


def _only_first(ours: Findings | None, others: Findings | None) -> tuple[Finding, ...]:
    if ours is None or others is None:
        return ()
    left = Counter((one.code, one.severity, one.about, one.message) for one in others)
    found = []
    for one in ours:
        key = (one.code, one.severity, one.about, one.message)
        left[key] -= 1
        if left[key] < 0:
            found.append(one)
    return tuple(found)


_RENEWAL = "yearly renewal"
_MAY_BE_UNKNOWN = (_RENEWAL, *SEVERITIES)


def plan_counts(plan: CertificatePlan, findings: Findings | None) -> dict[str, int]:
    """Count what there is of a plan, by what it is in the singular; what is unknown is left out."""
    certificates = plan.certificates
    names = Counter(dict.fromkeys(("internal", "public"), 0))
    for certificate in certificates:
        names[certificate.issuer] += len(certificate.subject_alt_name)
    found = {
        "certificate": len(certificates),
        "public certificate": sum(c.issuer == "public" for c in certificates),
        "name": names.total(),
        **{f"{issuer} name": number for issuer, number in names.items()},
        # A key pair is made for each certificate, whoever shares it.
        **Counter(f"{certificate.key} key" for certificate in certificates),
    }
    if renewals := _renewals(plan):
        found[_RENEWAL] = renewals
    if findings is not None:
        severities = Counter(finding.severity for finding in findings)
        found |= {severity: severities[severity] for severity in SEVERITIES}
    return found


def _renewals(plan: CertificatePlan) -> int:
    """Count the certificates that end in a year, by the days asked for or what is allowed."""
    issued, asked = plan.options.planned_issue_date, plan.options.validity_days
    if isinstance(plan, RecordedPlan) or not asked:
        return 0
    limits = ca_rules().limits("validity-days") if issued else ()
    most = next((one.value for one in limits if issued and one.holds_on(issued)), asked)
    return round(
        sum(
            _DAYS_OF_A_YEAR / (min(asked, most) if certificate.issuer == "public" else asked)
            for certificate in plan.certificates
        )
    )


def write_comparison(comparison: Comparison, suffix: str) -> bytes:
    """Write a comparison in one format.

    Parameters
    ----------
    comparison : Comparison
        Of two plans.
    suffix : str
        An ending of ``COMPARISON_FILE``.

    Returns
    -------
    bytes
        The file; CSV and JSON hold every change, pages put the same change of several
        certificates together, and the picture shows the new plan with what changed marked.

    Raises
    ------
    PlanError
        If there is no picture, because the new plan is on record alone.
    """
    difference = comparison.difference
    if suffix == ".csv":
        return to_csv(COLUMNS, difference.changes)
    if suffix == ".json":
        return comparison_json(comparison)
    if suffix == ".svg":
        return figure(difference).to_svg()
    if suffix == ".md":
        return _markdown(comparison).encode("utf-8", "replace")
    return _page(comparison).encode("utf-8", "replace")


def comparison_document(comparison: Comparison) -> dict[str, object]:
    """Write a comparison as plain JSON values.

    Returns
    -------
    dict
        ``format``; ``old`` and ``new`` (source, product, digest of the plan); ``summary``;
        ``counts``; ``notes``; ``certificates``: those that differ, each whole as it was and as it
        is (null if there is none), with its differences; ``findings`` that are gone and new.
        Putting each ``new`` in place of its ``old`` makes the new plan of the old one.
    """
    difference = comparison.difference
    return {
        "format": FORMAT,
        "old": _side(difference.old),
        "new": _side(difference.new),
        "summary": comparison.summary,
        "counts": [
            {"what": count.what, "before": count.before, "after": count.after}
            for count in comparison.counts
        ],
        "notes": list(comparison.notes),
        "certificates": [
            {
                "id": item.id,
                "change": item.change,
                "old": _certificate(item.old),
                "new": _certificate(item.new),
                "differences": [
                    {name: value for name, value in change._asdict().items() if name not in _OF_ALL}
                    for change in item.differences
                ],
            }
            for item in difference.certificates
        ],
        "findings_gone": [finding.to_document() for finding in comparison.findings_gone],
        "findings_new": [finding.to_document() for finding in comparison.findings_new],
    }


_OF_ALL = ("certificate", "owner", "usages")  # said once, of the certificate


def _side(plan: CertificatePlan) -> dict[str, object]:
    return {
        "source": plan.topology.source,
        "product": plan.rules.product,
        "plan_sha256": plan.sha256,
    }


def _certificate(certificate: PlannedCertificate | None) -> dict[str, object] | None:
    return certificate and certificate_document(certificate)


def comparison_json(comparison: Comparison) -> bytes:
    """Write :func:`comparison_document` as JSON; the same plans give the same bytes."""
    text = json.dumps(comparison_document(comparison), ensure_ascii=False, indent=1)
    return f"{text}\n".encode("utf-8", "replace")


def comparison_lines(comparison: Comparison, *, limit: int) -> Iterator[str]:
    """Say a comparison in lines of text: a summary, counts, then each change once.

    Parameters
    ----------
    comparison : Comparison
        Of two plans.
    limit : int
        Changes shown at most.
    """
    yield comparison.title
    yield comparison.summary
    for count in comparison.counts[3:]:  # the summary has said the first
        yield f"  {count}"
    for note in comparison.notes:
        yield f"  note: {note}"
    groups = comparison.difference.groups()
    for group in groups[:limit]:
        yield ""
        yield from _group_lines(group)
    if len(groups) > limit:
        yield ""
        yield f"… and {len(groups) - limit:,} more; with --json or -o FILE all are listed"
    for what, findings in (
        ("gone", comparison.findings_gone),
        ("new", comparison.findings_new),
    ):
        entries = grouped(findings)
        for entry in entries[:limit]:
            yield ""
            yield f"finding {what}: {entry.severity}: {entry.places}: {entry.words}"
        if len(entries) > limit:
            yield f"… and {len(entries) - limit:,} more; with --json or -o FILE all are listed"


def _group_lines(group: ChangeGroup) -> Iterator[str]:
    what = group.change if group.change != "changed" else f"{group.what} changed"
    told = group.before or group.after
    if group.before and group.after:
        told = f"{group.before} -> {group.after}"
    yield f"{what}: {told or _listed(group.names)}"
    usages = f" ({', '.join(group.usages)})" if group.usages else ""
    of = "of" if group.change.startswith("certificate") or group.what != "Name" else "on"
    yield f"  {of} {_listed(group.owners)}{usages}"
    if group.cause:
        yield f"  cause: {group.cause}"
    yield f"  why: {group.why}"
    if group.source:
        yield f"  source: {group.source}"


def _listed(names: Sequence[str]) -> str:
    return first_of(names, _OWNERS_SHOWN)


_COUNT_HEADINGS = ("What", "Before", "After")


def _count_rows(counts: Iterable[CountChange]) -> list[tuple[str, int, int]]:
    return [(count_of(2, count.what)[2:], count.before, count.after) for count in counts]


def _page(comparison: Comparison) -> str:
    difference = comparison.difference
    groups = difference.groups()
    parts = [
        paragraph(comparison.summary),
        rows_to_html(_COUNT_HEADINGS, _count_rows(comparison.counts), caption="Counts"),
        *map(paragraph, comparison.notes),
        rows_to_html(_CHANGE_HEADINGS, [*_change_rows(groups[:ROWS_SHOWN])], caption="Changes"),
    ]
    if len(groups) > ROWS_SHOWN:
        parts.append(
            paragraph(f"{left_out(ROWS_SHOWN, len(groups))} As .csv or .json all are there.")
        )
    for caption, findings in _finding_tables(comparison):
        parts.append(rows_to_html(_FINDING_HEADINGS, findings, caption=caption))
    if not isinstance(difference.new, RecordedPlan):
        parts.append(figure(difference).to_html())
    return to_page(f"{TITLE}: {comparison.title}", parts)


# As few columns as there can be: reasons are sentences, and need the room.
_CHANGE_HEADINGS = ("Change", "What", "Of", "Cause", "Why", "Source")


def _change_rows(groups: Iterable[ChangeGroup]) -> Iterator[tuple[object, ...]]:
    for group in groups:
        told: object = f"{group.before} -> {group.after}"
        if not (group.before and group.after):
            told = group.names or group.before or group.after
        yield (
            group.change if group.change != "changed" else f"{group.what} changed",
            told,
            f"{_listed(group.owners)}\n{', '.join(group.usages)}",
            group.cause,
            group.why,
            group.source,
        )


_FINDING_HEADINGS = ("Severity", "About", "Finding", "Source")


def _finding_tables(comparison: Comparison) -> Iterator[tuple[str, list[tuple[str, ...]]]]:
    for caption, findings in (
        ("Findings that are gone", comparison.findings_gone),
        ("New findings", comparison.findings_new),
    ):
        if findings:
            entries = grouped(findings)
            yield (
                caption,
                [(one.severity, one.places, one.paragraph, one.source) for one in entries],
            )


def _markdown(comparison: Comparison) -> str:
    parts = [
        f"# {TITLE}\n",
        to_markdown(("Old", "New"), [tuple(comparison.title.split(" -> ", 1))]),
        to_markdown(_COUNT_HEADINGS, _count_rows(comparison.counts)),
        to_markdown(COLUMNS, comparison.difference.changes),
    ]
    for caption, findings in _finding_tables(comparison):
        parts += [f"## {caption}\n", to_markdown(_FINDING_HEADINGS, findings)]
    return "\n".join(parts)
