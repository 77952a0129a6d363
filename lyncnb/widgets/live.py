"""The plan and the findings of a draft, derived again only where something changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..checks import Findings, check_certificates, check_deployment, sort_findings
from ..derive import plan_certificates, replan
from ..options import PlanOptions
from ..plan import CertificatePlan, Finding, PlannedCertificate
from ..rules import Rules
from ..topology import Topology

_SEVERITIES = ("error", "warning", "notice")
Part = tuple[PlannedCertificate, ...]


@dataclass(frozen=True, slots=True)
class _Examined:
    """A pool's certificates, counted and checked."""

    part: Part
    names: int
    public: int
    findings: tuple[Finding, ...]


class LivePlan:
    """A plan that follows a topology and options from one edit to the next."""

    def __init__(self, rules: Rules):
        self.rules = rules
        self.plan: CertificatePlan | None = None
        self._examined: dict[int, _Examined] = {}
        self._whole: tuple[Finding, ...] = ()

    def update(self, topology: Topology, options: PlanOptions) -> set[str] | None:
        """Plan again.

        Returns
        -------
        set of str or None
            Servers whose words for findings may have changed; None after a change of options.

        Raises
        ------
        PlanError, OptionsError
            If no plan can be made; then the one before stays.
        """
        before = self.plan
        if before is None:
            # Checks wait until somebody asks, so that a table is seen before they are done.
            self.plan = plan_certificates(topology, self.rules, options=options)
            return None
        self._check()
        if before.options != options:
            plan = plan_certificates(topology, self.rules, options=options)
        else:
            plan = replan(before, topology)
        examined, fresh = self._examine(plan)
        whole = check_deployment(plan)
        gone = {key: found for key, found in self._examined.items() if key not in examined}
        touched = {
            server
            for found in (*gone.values(), *fresh)
            for certificate in found.part
            if certificate.shared_by != "deployment"
            for server in certificate.servers
        }
        touched.update(finding.about for finding in {*self._whole} ^ {*whole})
        self.plan, self._examined, self._whole = plan, examined, whole
        return touched if before.options == options else None

    def _check(self) -> None:
        """Check the first plan, once."""
        if not self._examined:
            self._examined, _ = self._examine(self.plan)
            self._whole = check_deployment(self.plan)

    def _examine(self, plan: CertificatePlan) -> tuple[dict[int, _Examined], list[_Examined]]:
        kept: dict[int, _Examined] = {}
        new: dict[int, Part] = {}
        for part in plan.by_pool:
            old = self._examined.get(id(part))
            if old is not None and old.part is part and self.plan.options == plan.options:
                kept[id(part)] = old
            else:
                new[id(part)] = part
        found: dict[str, list[Finding]] = {}
        for finding in check_certificates(plan, [c for part in new.values() for c in part]):
            found.setdefault(finding.about, []).append(finding)
        fresh = []
        for part in new.values():
            findings = [f for c in part for f in found.get(c.id, ())] if found else []
            fresh.append(
                _Examined(
                    part,
                    sum(len(certificate.subject_alt_name) for certificate in part),
                    sum(certificate.issuer == "public" for certificate in part),
                    tuple(findings),
                )
            )
        kept.update((id(examined.part), examined) for examined in fresh)
        return kept, fresh

    @property
    def findings(self) -> Findings:
        """Every finding, errors first: the same as ``check_plan`` gives."""
        self._check()
        found = (finding for part in self._examined.values() for finding in part.findings)
        return sort_findings((*found, *self._whole))

    def counts(self) -> dict[str, int]:
        """Count certificates, those of public CAs, names, and findings by severity."""
        self._check()
        parts = [self._examined[id(part)] for part in self.plan.by_pool]
        totals = Counter(dict.fromkeys(_SEVERITIES, 0))
        found = {finding for part in parts for finding in part.findings} | {*self._whole}
        totals.update(finding.severity for finding in found)
        return {
            "certificates": len(self.plan.certificates),
            "public": sum(part.public for part in parts),
            "names": sum(part.names for part in parts),
            **totals,
        }

    def words_by_server(self) -> Mapping[str, str]:
        """Say how many findings each server has, e.g. ``1 error, 2 warnings``.

        A finding about a certificate counts for its servers, the deployment's for none of them.
        """
        self._check()
        counts: dict[str, Counter[str]] = {}
        for part in self._examined.values():
            if not part.findings:
                continue
            servers = {c.id: c.servers for c in part.part if c.shared_by != "deployment"}
            for finding in part.findings:
                for server in servers.get(finding.about, ()):
                    counts.setdefault(server, Counter())[finding.severity] += 1
        for finding in self._whole:
            counts.setdefault(finding.about, Counter())[finding.severity] += 1
        return {server: _words(found) for server, found in counts.items()}

    def of_servers(self, servers: Iterable[str]) -> list[PlannedCertificate]:
        """List the certificates of some servers, in the order of the plan."""
        wanted = set(servers)
        return [c for c in self.plan.certificates if not wanted.isdisjoint(c.servers)]


def _words(counts: Counter[str]) -> str:
    return ", ".join(
        f"{counts[severity]} {severity}{'' if counts[severity] == 1 else 's'}"
        for severity in _SEVERITIES
        if counts[severity]
    )
