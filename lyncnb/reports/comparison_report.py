"""A report on the differences between two plans, as text, JSON, an HTML page or a table.

The functions have no side effects. ``compare.py`` finds the differences. This module counts them
and writes the report.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from operator import attrgetter

from ..base.pasted_text import shown
from ..base.records import list_json_values
from ..base.shown.report import (
    Part,
    Picture,
    Report,
    ReportTable,
    Sentence,
    build_report_kind,
    describe_hidden_rows,
)
from ..base.shown.tables import ROWS_SHOWN, columns, format_count, join_first_texts
from ..plan.model import CertificatePlan, PlannedCertificate, build_certificate_document
from ..plan.recorded_plan import RecordedPlan
from ..plan.totals import ACCEPTED, build_origin, count_findings
from ..rules.ca_rules import load_ca_rules
from ..rules.findings import Finding, Findings, group_findings
from ..rules.model import SEVERITIES
from ..topology.columns import get_column
from ..topology.compare_topologies import TopologyDifference
from .compare import CHANGE_COLUMNS, ChangedCertificate, ChangeGroup, CountChange, PlanDifference
from .figures import figure

#: The type of file for a comparison of two plans.
COMPARISON_FILE = build_report_kind(
    "a comparison",
    title="Two plans compared",
    format_id="lyncnb-comparison/1",
    columns=CHANGE_COLUMNS,
    suffixes=(".csv", ".html", ".md", ".json", ".svg"),
)

_SHOWN = 60  # The largest number of changes and findings that the short form of a comparison shows.
_DAYS_OF_A_YEAR = 365
_OWNERS_SHOWN = 3


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The differences between two plans, and the findings about each plan.

    ``old_findings`` and ``new_findings`` are None if they are not known.
    """

    difference: PlanDifference
    old_findings: Findings | None = None
    new_findings: Findings | None = None

    @property
    def title(self) -> str:
        """The names of both plans in one line, such as ``old.csv -> new.csv``."""
        old, new = self.difference.old, self.difference.new
        return f"{old.topology.source} -> {new.topology.source}"

    @property
    def summary(self) -> str:
        """All differences between the two plans in one line."""
        return repr(self.difference)

    @cached_property
    def rows(self) -> TopologyDifference | None:
        """The differences between the tables of the two plans, or None if a plan has no table."""
        old, new = self.difference.old, self.difference.new
        if isinstance(old, RecordedPlan) or isinstance(new, RecordedPlan):
            return None
        return old.topology.compare(new.topology)

    @property
    def is_different(self) -> bool:
        """Whether the certificates differ, or the rows if one side is a topology document.

        A topology document never answers every question of a table, so its certificates differ.
        """
        plans = self.difference.old, self.difference.new
        # Only a topology document states its product.
        is_document = any(plan.topology.product for plan in plans)
        compared = self.rows if is_document and self.rows is not None else self.difference
        return not compared.is_empty

    @cached_property
    def counts(self) -> tuple[CountChange, ...]:
        """The counts of both plans. A count that neither plan has is left out."""
        before, after = (
            count_plan_items(plan, findings)
            for plan, findings in (
                (self.difference.old, self.old_findings),
                (self.difference.new, self.new_findings),
            )
        )
        kinds = [
            kind
            for kind in dict.fromkeys((*before, *after))
            if kind not in _MAY_BE_UNKNOWN or (kind in before and kind in after)
            if kind != ACCEPTED or before[kind] or after[kind]
        ]
        return tuple(
            CountChange(what=kind, before=before.get(kind, 0), after=after.get(kind, 0))
            for kind in kinds
        )

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """The data that cannot be compared between the two plans, with the reasons."""
        return tuple(dict.fromkeys(self._list_notes()))

    def _list_notes(self) -> Iterator[str]:
        plans = self.difference.old, self.difference.new
        for plan, findings in zip(plans, (self.old_findings, self.new_findings), strict=True):
            source = plan.topology.source
            if isinstance(plan, RecordedPlan):
                yield (
                    f"{shown(source)} contains certificates, but does not contain the table "
                    "and options of the plan"
                )
            elif not all(_find_requested_days(plan).values()):
                yield (
                    f"the comparison does not count yearly renewals, because {shown(source)} was "
                    "planned without validity_days"
                )
            if findings is None:
                yield (
                    f"the comparison does not count findings, because {shown(source)} does not "
                    "record them"
                )

    @property
    def findings_gone(self) -> tuple[Finding, ...]:
        """The findings about the old plan that the new plan does not have."""
        return self._findings[0]

    @property
    def findings_changed(self) -> tuple[Finding, ...]:
        """The findings about the new plan that the old plan has with another message."""
        return self._findings[1]

    @property
    def findings_new(self) -> tuple[Finding, ...]:
        """The findings about the new plan that do not exist for the old plan."""
        return self._findings[2]

    @cached_property
    def _findings(self) -> tuple[tuple[Finding, ...], ...]:
        if self.old_findings is None or self.new_findings is None:
            return (), (), ()
        gone = _subtract_findings(self.old_findings, self.new_findings, _FINDING)
        new = _subtract_findings(self.new_findings, self.old_findings, _FINDING)
        only_new = _subtract_findings(new, gone, _SUBJECT)
        remaining = _subtract_findings(gone, new, _SUBJECT)
        return remaining, _subtract_findings(new, only_new, _FINDING), only_new


_SUBJECT = attrgetter("code", "severity", "about")
_FINDING = attrgetter("code", "severity", "about", "message")


def _subtract_findings(
    findings: Iterable[Finding],
    other_findings: Iterable[Finding],
    key: Callable[[Finding], Hashable],
) -> tuple[Finding, ...]:
    """Return the findings without as many as the other findings contain, by key."""
    remaining_counts = Counter(map(key, other_findings))
    unmatched = []
    for finding in findings:
        remaining_counts[key(finding)] -= 1
        if remaining_counts[key(finding)] < 0:
            unmatched.append(finding)
    return tuple(unmatched)


_RENEWAL = "yearly renewal"
_MAY_BE_UNKNOWN = (_RENEWAL, ACCEPTED, *SEVERITIES)


def count_plan_items(plan: CertificatePlan, findings: Findings | None) -> dict[str, int]:
    """Return the number of certificates, names, keys, and other items in a plan, by item.

    The items are singular nouns, such as ``certificate``. Unknown counts are left out.
    """
    certificates = plan.certificates
    names = Counter(dict.fromkeys(("internal", "public"), 0))
    for certificate in certificates:
        names[certificate.issuer] += len(certificate.subject_alt_name)
    counts = {
        "certificate": len(certificates),
        "public certificate": sum(c.issuer == "public" for c in certificates),
        "name": names.total(),
        **{f"{issuer} name": number for issuer, number in names.items()},
        # A certificate has one key pair, no matter how many servers share the certificate.
        **Counter(f"{certificate.key} key" for certificate in certificates),
    }
    if renewals := _count_renewals(plan):
        counts[_RENEWAL] = renewals
    if findings is not None:
        counts |= count_findings(findings, plan.options)
    return counts


def _count_renewals(plan: CertificatePlan) -> int:
    """Return the number of renewals a year, for the requested or the longest allowed validity."""
    issued, requested_days = plan.options.planned_issue_date, _find_requested_days(plan)
    if isinstance(plan, RecordedPlan) or not all(requested_days.values()):
        return 0
    rules = load_ca_rules()
    numbers = Counter((certificate.issuer, certificate.ca) for certificate in plan.certificates)
    renewals = 0.0
    for (issuer, ca), number in numbers.items():
        days = requested_days[issuer]
        limit = issued and rules.find_smallest_limit("validity-days", issued, issuer=issuer, ca=ca)
        days = min(days, limit.value) if limit else days
        renewals += number * _DAYS_OF_A_YEAR / days
    return round(renewals)


def _find_requested_days(plan: CertificatePlan) -> dict[str, int]:
    """Return the requested validity in days for each issuer. It is 0 if none is requested."""
    issuers = dict.fromkeys(certificate.issuer for certificate in plan.certificates)
    return {issuer: plan.options.validity_for(issuer) or 0 for issuer in issuers}


def build_comparison_report(comparison: Comparison, *, max_shown: int = _SHOWN) -> Report:
    """Return a comparison of two plans as a report.

    Parameters
    ----------
    comparison : Comparison
        The comparison of two plans.
    max_shown : int, optional
        The most changes in the short form.

    Returns
    -------
    Report
        CSV, Markdown and JSON contain every change. A page groups certificates with the same
        change. The picture marks the changes in the new plan. If the new plan comes from a
        record alone, there is no picture and ``.svg`` raises a PlanError.
    """
    difference, rows = comparison.difference, comparison.rows
    is_drawn = not isinstance(difference.new, RecordedPlan)
    parts: list[Part] = [
        Sentence(comparison.summary, (".html",)),
        ReportTable(
            columns=columns(("Old", "old.topology.source"), ("New", "new.topology.source")),
            items=lambda: [difference],
            formats={".md": ""},
        ),
        ReportTable(
            columns=_COUNTS,
            items=lambda: comparison.counts,
            formats={".md": "", ".html": "Counts"},
        ),
        *(Sentence(note, (".html",)) for note in comparison.notes),
        ReportTable(
            columns=_ROWS,
            items=lambda: rows.differences if rows is not None else (),
            formats=dict.fromkeys((".md", ".html") if rows is not None else (), "Rows"),
            limit=ROWS_SHOWN,
        ),
        ReportTable(
            columns=CHANGE_COLUMNS,
            items=lambda: difference.changes,
            formats={".csv": "", ".md": ""},
        ),
        ReportTable(
            columns=_GROUPS, items=difference.groups, formats={".html": "Changes"}, limit=ROWS_SHOWN
        ),
        *(
            ReportTable(
                columns=_FINDINGS,
                items=partial(group_findings, findings),
                formats={".md": caption, ".html": caption},
            )
            for caption, findings in (
                ("Resolved findings", comparison.findings_gone),
                ("Changed findings", comparison.findings_changed),
                ("New findings", comparison.findings_new),
            )
            if findings
        ),
        Picture(lambda: figure(difference), (".html", ".svg") if is_drawn else (".svg",)),
    ]
    return Report(
        kind=COMPARISON_FILE,
        about=comparison.title,
        origin=build_origin(
            comparison.difference.new,
            judged_on=comparison.new_findings.judged_on if comparison.new_findings else None,
        ),
        summary=comparison.summary,
        parts=parts,
        document=lambda: _build_values(comparison),
        text=lambda: _format_text(comparison, max_shown),
    )


def _build_values(comparison: Comparison) -> dict[str, object]:
    """Return the JSON data of a comparison, with the old and new form of each changed certificate.

    If each ``old`` is replaced with its ``new``, the old plan becomes the new one.
    """
    side = ("source=topology.source", "product=rules.product", "plan_sha256=sha256")
    return {
        "old": list_json_values(comparison.difference.old, *side),
        "new": list_json_values(comparison.difference.new, *side),
        **list_json_values(comparison, "summary", "counts", "notes"),
        "rows": comparison.rows and comparison.rows.to_document(),
        "certificates": [*map(_build_changed_values, comparison.difference.certificates)],
        **list_json_values(comparison, "findings_gone", "findings_changed", "findings_new"),
    }


# A certificate with several changes is listed only once.
_OF_ALL = ("certificate", "owner", "usages")


def _build_changed_values(item: ChangedCertificate) -> dict[str, object]:
    return {
        "id": item.id,
        "change": item.change,
        "old": _build_certificate_values(item.old),
        "new": _build_certificate_values(item.new),
        "differences": [
            {name: value for name, value in change._asdict().items() if name not in _OF_ALL}
            for change in item.differences
        ],
    }


def _build_certificate_values(certificate: PlannedCertificate | None) -> dict[str, object] | None:
    return certificate and build_certificate_document(certificate)


def _format_text(comparison: Comparison, max_shown: int) -> Iterator[list[str]]:
    """Yield the comparison as text: the summary with counts, each change, and the findings."""
    # The summary already contains the first three counts.
    counts = [f"  {count}" for count in comparison.counts[3:]]
    notes = [f"  note: {note}" for note in comparison.notes]
    yield [comparison.title]
    if comparison.rows is not None:
        rows = comparison.rows.differences
        yield [
            f"Rows: {comparison.rows.summary()}",
            *(f"  {row}" for row in rows[:max_shown]),
            *describe_hidden_rows(len(rows) - max_shown),
        ]
    yield [comparison.summary, *counts, *notes]
    groups = comparison.difference.groups()
    yield from ([*_group_lines(group)] for group in groups[:max_shown])
    if len(groups) > max_shown:
        yield describe_hidden_rows(len(groups) - max_shown)
    for change, findings in (
        ("resolved", comparison.findings_gone),
        ("changed", comparison.findings_changed),
        ("new", comparison.findings_new),
    ):
        entries = group_findings(findings)
        lines = [
            [f"{change} finding: {entry.severity}: {entry.places}: {entry.words}"]
            for entry in entries
        ]
        if len(lines) > max_shown:
            lines[max_shown - 1] += describe_hidden_rows(len(lines) - max_shown)
        yield from lines[:max_shown]


def _group_lines(group: ChangeGroup) -> Iterator[str]:
    values = group.before or group.after
    if group.before and group.after:
        values = f"{group.before} -> {group.after}"
    yield f"{group.title}: {values or _format_names(group.names)}"
    usages = f" ({', '.join(group.usages)})" if group.usages else ""
    preposition = "of" if group.change.startswith("certificate") or group.what != "Name" else "on"
    yield f"  {preposition} {_format_names(group.owners)}{usages}"
    if group.cause:
        yield f"  cause: {group.cause}"
    yield f"  why: {group.why}"
    if group.source:
        yield f"  source: {group.source}"


def _format_names(names: Sequence[str]) -> str:
    return join_first_texts(names, _OWNERS_SHOWN)


def _format_before_and_after(group: ChangeGroup) -> object:
    if group.before and group.after:
        return f"{group.before} -> {group.after}"
    return group.names or group.before or group.after


_ROWS = columns(
    ("About", "about"),
    ("Column", lambda row: get_column(row.column).title),
    ("Old", "before"),
    ("New", "after"),
)
_COUNTS = columns(
    ("What", lambda count: format_count(2, count.what)[2:]),
    ("Before", "before"),
    ("After", "after"),
)
# The printed table has only these columns, because its sentences need a lot of space.
_GROUPS = columns(
    ("Change", "title"),
    ("What", _format_before_and_after),
    ("Of", lambda group: f"{_format_names(group.owners)}\n{', '.join(group.usages)}"),
    ("Cause", "cause"),
    ("Why", "why"),
    ("Source", "source"),
)
_FINDINGS = columns(
    ("Severity", "severity"), ("About", "places"), ("Finding", "paragraph"), ("Source", "source")
)
