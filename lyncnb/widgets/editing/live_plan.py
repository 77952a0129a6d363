"""Keep the plan and findings of a draft current.

After an edit, lyncnb computes only the changed parts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from ...base.shown.tables import format_count
from ...checks.check_plan import (
    check_accepted_findings,
    check_certificates,
    check_deployment,
    choose_evaluation_date,
)
from ...plan.acceptances import find_acceptance
from ...plan.model import (
    CertificatePlan,
    PlannedCertificate,
    combine_digest_parts,
    encode_digest_part,
)
from ...plan.options import PlanOptions
from ...plan.planner import plan_certificates, plan_changed_topology, validate_options
from ...reports.compare import count_certificates_and_names
from ...rules.findings import Finding, Findings, sort_findings
from ...rules.model import SEVERITIES, Rules
from ...rules.rule_files import load_rules
from ...topology.topology import Topology

_ACCEPTED = "accepted"
Part = tuple[PlannedCertificate, ...]


@dataclass(frozen=True, slots=True)
class _Examined:
    """The certificates of one pool, and the findings about them."""

    part: Part
    findings: tuple[Finding, ...]


class LivePlan:
    """A plan that is updated with each edit of its topology and options.

    Raises
    ------
    PlanError, OptionsError
        If the topology and options cannot be planned. A name that is too long is reported only
        when the plan is used, because 100,000 servers are shown before they are planned.
    """

    def __init__(self, rules: Rules, topology: Topology, options: PlanOptions):
        self.rules = rules  # The certificates and findings in the current plan, by pool.
        self._begin = topology, rules, validate_options(topology, rules, options)
        self._options = options  # The options with which the findings were last computed.
        # The findings. They are computed only when they are requested.
        self._first: CertificatePlan | None = None
        self._later: CertificatePlan | None = None
        self._checked: CertificatePlan | None = (
            None  # The following attributes belong to the plan that was last checked.
        )
        self._examined: dict[int, _Examined] = {}
        self._whole: tuple[Finding, ...] = ()
        self._sized: tuple[CertificatePlan | None, dict[str, int]] = (None, {})
        self._touched: set[str] | None = None
        self._digested: dict[int, tuple[Part, bytes]] = {}

    @property
    def first_plan(self) -> CertificatePlan:
        """The plan before the first change."""
        if self._first is None:
            topology, rules, options = self._begin
            self._first = plan_certificates(topology, rules, options=options)
        return self._first

    @property
    def plan(self) -> CertificatePlan:
        """The current plan."""
        return self._later or self.first_plan

    def compute_digest(self) -> str:
        """Return the same digest as `CertificatePlan.sha256`.

        Only changed pools are encoded again.
        """
        plan, before = self.plan, self._digested
        self._digested = {
            # The cache keeps the object alive, so no other object can get the same id().
            id(part): before[id(part)] if id(part) in before else (part, encode_digest_part(part))
            for part in plan.by_pool
        }
        return combine_digest_parts(
            plan.rules.product, (text for _, text in self._digested.values())
        )

    def update(self, topology: Topology, options: PlanOptions) -> None:
        """Update the plan. The checks run only on request, so that the page shows the rows first.

        If the options name another product, the rules of that product are used.

        Raises
        ------
        PlanError, OptionsError, RulesError
            If there is no valid plan, or the product does not exist. Then the earlier plan stays.
        """
        if options != self._options:
            is_another = options.product != self._options.product
            rules = load_rules(options.product) if is_another else self.rules
            self._later = plan_certificates(topology, rules, options=options)
            self.rules, self._options = rules, options
        else:
            self._later = plan_changed_topology(self.plan, topology)

    def count_unchecked(self) -> int:
        """Return the number of certificates whose findings are not up to date."""
        plan = self.plan
        if plan is self._checked:
            return 0
        return sum(len(part) for part in plan.by_pool if id(part) not in self._examined)

    def take_changed_servers(self) -> set[str] | None:
        """Return the servers whose findings may have changed since the last call.

        The value None means all servers.
        """
        self._check_changes()
        touched, self._touched = self._touched, set()
        return touched

    def _check_changes(self) -> None:
        """Check the parts of the plan that have changed since the last check."""
        plan, before = self.plan, self._checked
        if plan is before:
            return
        same = before is not None and before.options == plan.options
        if not same:
            self._examined = {}
        examined, fresh = self._check_certificates(plan)
        plan_findings = self._check_deployment(plan, examined)
        removed = [result for key, result in self._examined.items() if key not in examined]
        touched = {
            server
            for result in (*removed, *fresh)
            for certificate in result.part
            if certificate.shared_by != "deployment"
            for server in certificate.servers
        }
        touched.update(finding.about for finding in {*self._whole} ^ {*plan_findings})
        self._checked, self._examined, self._whole = plan, examined, plan_findings
        self._touched = self._touched | touched if same and self._touched is not None else None

    def _check_deployment(
        self, plan: CertificatePlan, examined_pools: Mapping[int, _Examined]
    ) -> tuple[Finding, ...]:
        """Check the whole deployment, then report acceptances that have no effect."""
        day = choose_evaluation_date(plan)
        findings = check_deployment(plan, evaluation_date=day)
        if not plan.options.accepted:
            return findings
        return findings + check_accepted_findings(
            plan, (*_list_examined_findings(examined_pools), *findings), evaluation_date=day
        )

    def _check_certificates(
        self, plan: CertificatePlan
    ) -> tuple[dict[int, _Examined], list[_Examined]]:
        results: dict[int, _Examined] = {}
        new: dict[int, Part] = {}
        for part in plan.by_pool:
            old = self._examined.get(id(part))
            if old is not None and old.part is part:
                results[id(part)] = old
            else:
                new[id(part)] = part
        by_certificate: dict[str, list[Finding]] = {}
        for finding in check_certificates(
            plan, [c for part in new.values() for c in part], on=choose_evaluation_date(plan)
        ):
            by_certificate.setdefault(finding.about, []).append(finding)
        fresh = []
        for part in new.values():
            findings = (
                [f for c in part for f in by_certificate.get(c.id, ())] if by_certificate else []
            )
            fresh.append(_Examined(part, tuple(findings)))
        results.update((id(examined.part), examined) for examined in fresh)
        return results, fresh

    @property
    def findings(self) -> Findings:
        """All findings, errors first. ``check_plan`` returns the same findings."""
        self._check_changes()
        findings = (*_list_examined_findings(self._examined), *self._whole)
        return replace(
            sort_findings(findings, judged_on=choose_evaluation_date(self.plan)), plan=self.plan
        )

    def is_open(self, finding: Finding) -> bool:
        """Return whether a finding is open, that is, not accepted in the options."""
        plan = self.plan
        return not (
            plan.options.accepted
            and find_acceptance(finding, plan.options, day=choose_evaluation_date(plan))
        )

    def count_sizes(self) -> dict[str, int]:
        """Return the numbers of certificates, public certificates and names. No checks are run."""
        plan, (before, known) = self.plan, self._sized
        if before is None:
            self._sized = plan, count_certificates_and_names(plan.certificates)
        elif plan is not before:
            removed, new = (
                count_certificates_and_names(_list_different_certificates(*pair))
                for pair in ((before, plan), (plan, before))
            )
            self._sized = plan, {kind: known[kind] - removed[kind] + new[kind] for kind in known}
        return self._sized[1]

    def count_all(self) -> dict[str, int]:
        """Count certificates, names and other items in the plan, and findings by severity.

        Accepted findings are counted separately.
        """
        self._check_changes()
        totals = Counter(dict.fromkeys((*SEVERITIES, _ACCEPTED), 0))
        totals.update(
            self._get_severity(finding)
            for finding in {*_list_examined_findings(self._examined), *self._whole}
        )
        return {**self.count_sizes(), **totals}

    def _get_severity(self, finding: Finding) -> str:
        return finding.severity if self.is_open(finding) else _ACCEPTED

    def describe_findings_by_server(self) -> Mapping[str, str]:
        """Return the findings of each server in words, such as ``1 error, 2 warnings, 1 accepted``.

        A finding about a certificate counts for each of its servers. A finding about a certificate
        of the whole deployment counts for no server.
        """
        self._check_changes()
        counts: dict[str, Counter[str]] = {}
        for part in self._examined.values():
            if not part.findings:
                continue
            servers = {c.id: c.servers for c in part.part if c.shared_by != "deployment"}
            for finding in part.findings:
                for server in servers.get(finding.about, ()):
                    counts.setdefault(server, Counter())[self._get_severity(finding)] += 1
        for finding in self._whole:
            counts.setdefault(finding.about, Counter())[self._get_severity(finding)] += 1
        return {server: _describe_counts(server_counts) for server, server_counts in counts.items()}

    def list_server_certificates(self, servers: Iterable[str]) -> list[PlannedCertificate]:
        """Return the certificates of the given servers, in the order of the plan."""
        server_names = set(servers)
        return [c for c in self.plan.certificates if not server_names.isdisjoint(c.servers)]


def _list_examined_findings(examined_pools: Mapping[int, _Examined]) -> Iterator[Finding]:
    return (finding for part in examined_pools.values() for finding in part.findings)


def _list_different_certificates(
    plan: CertificatePlan, other_plan: CertificatePlan
) -> Iterator[PlannedCertificate]:
    """Return the certificates that differ between two plans, for all pools."""
    shared = set(map(id, other_plan.by_pool))
    return (c for part in plan.by_pool if id(part) not in shared for c in part)


def _describe_counts(counts: Counter[str]) -> str:
    words = [
        format_count(counts[severity], severity) for severity in SEVERITIES if counts[severity]
    ]
    return ", ".join([*words, *([f"{counts[_ACCEPTED]:,} accepted"] if counts[_ACCEPTED] else [])])
