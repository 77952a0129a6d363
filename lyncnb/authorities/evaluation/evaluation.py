"""Evaluate an issued certificate, using only the data in the manifest.

These functions have no side effects. ``receive``, ``pfx``, ``steps``, ``status``, and the panel all
use this module, so their results always agree.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from ...base.planned_entry import PlannedEntry
from ...base.renewal_days import ANY_DAY, RenewalTerms
from ...base.shown.tables import format_count
from ...base.times import format_time
from ...pki.certificates import Certificate, format_name
from ...pki.chain import (
    Issuers,
    Path,
    build_path,
    find_chain_end,
    find_web_pki_objection,
)
from ...pki.demonstration_ca import DEMONSTRATION_NAME
from ...request_folder.request_record import Acceptance, EvaluationFinding, RecordedEvaluation
from ...rules.findings import Finding, format_acceptance
from ...rules.returned_rules import (
    Difference,
    compute_rules_identity,
    create_findings,
    is_acceptable,
    list_returned_checks,
    load_returned_rules,
)
from .compare_certificate import compare_certificate
from .compare_roots import find_root_restrictions

#: The finding that nobody has compared the possible roots of a certificate with the CA's root.
SEVERAL_ROOTS = "chain-several-roots"
#: lyncnb keeps these findings from the manifest, because they depend on certificates that may no
#: longer be in the folder. It computes all other findings again.
NOTED = (
    *("duplicate-serial", "different-certificates-in-pool", "replacement-unproven"),
    *("answers-of-two-cas", "issued-under-another-root", "issued-by-another-ca", "key-compromised"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The data that is required to evaluate an issued certificate.

    ``accepted`` contains the reason for each accepted error, by code. ``noted`` contains the
    findings that depend on other certificates. If ``is_fictional`` is true,
    the folder may contain certificates from the demonstration CA. ``target_os`` is the Windows
    version of the servers.
    """

    certificate: Certificate
    entry: PlannedEntry
    issuers: Issuers
    validity_days: int = 0
    accepted: Mapping[str, str] = field(default_factory=dict)
    noted: tuple[Difference, ...] = ()
    is_fictional: bool = False
    target_os: str = ""
    terms: RenewalTerms = ANY_DAY
    oldest_client: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The certification path of a certificate, and all findings about it.

    Accepted errors are notices.
    """

    path: Path
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> int:
        """The number of findings that prevent the use of the certificate."""
        return sum(finding.severity == "error" for finding in self.findings)


def evaluate(evidence: Evidence, *, evaluated_at: datetime) -> Evaluation:
    """Evaluate an issued certificate against its plan.

    Parameters
    ----------
    evidence : Evidence
        The certificate and the data that it is compared with.
    evaluated_at : datetime
        The evaluation time in UTC: a certificate that ended an hour ago has expired.

    Returns
    -------
    Evaluation
        The result. It depends only on the evidence and the time.
    """
    certificate, entry = evidence.certificate, evidence.entry
    path = find_path(evidence, evaluated_at)
    differences = [*evidence.noted, *_list_path_objections(path, evidence)]
    differences += _find_other_roots(path)
    if certificate.issuer_name == DEMONSTRATION_NAME and not evidence.is_fictional:
        signed = f"the {DEMONSTRATION_NAME} signed the certificate"
        differences.append(("demonstration-certificate", signed))
    if entry.issuer == "public":
        # A restricted root does not matter if another root is possible.
        ways: list[list[Difference]] = [
            [*find_root_restrictions(certificate, way, on=evaluated_at.date())]
            for way in path.others or (path,)
        ]
        fewest: list[Difference] = min(ways, key=len)
        differences += fewest
    if entry.issuer == "public" and path.is_complete and not path.objections:
        objection = find_web_pki_objection(certificate, path.issuers, today=evaluated_at)
        differences += [("web-pki-objection", objection)] if objection else []
    differences += _find_early_end(evidence, path, evaluated_at)
    compared = compare_certificate(
        certificate,
        entry,
        today=evaluated_at,
        validity_days=evidence.validity_days,
        oldest_client=evidence.oldest_client,
    )
    findings = (*compared, *create_findings(entry, differences))
    accepted = {
        code: reason
        for code, reason in evidence.accepted.items()
        if code != SEVERAL_ROOTS or path.is_complete
    }
    return Evaluation(path=path, findings=downgrade_accepted_errors(findings, accepted))


def _find_early_end(evidence: Evidence, path: Path, evaluated_at: datetime) -> Iterator[Difference]:
    """Yield a finding if the next certificate cannot be installed in time, even if ordered now."""
    certificate, entry, terms = evidence.certificate, evidence.entry, evidence.terms
    ends = find_chain_end(certificate, path.issuers) or certificate.not_after
    lead_days = terms.find_lead_time(entry.issuer)
    ready = evaluated_at.date() + timedelta(days=lead_days)
    change_on, change_by = terms.find_change_dates(ready, ends, entry.usages)
    if change_on > change_by and evaluated_at <= ends:
        message = (
            f"the certificate can be used until {ends:%Y-%m-%d at %H:%M} UTC, but a certificate "
            f"that is ordered on {evaluated_at:%Y-%m-%d} can be installed on {change_on} at the "
            f"earliest (lead time {format_count(lead_days, 'day')})"
        )
        yield "ends-before-renewal", message


def find_path(evidence: Evidence, evaluated_at: datetime) -> Path:
    """Return the path of a certificate, without the root if nobody knows which root is right."""
    path = build_path(evidence.certificate, evidence.issuers, today=evaluated_at)
    return choose_root(path, evidence.accepted)


def choose_root(path: Path, acceptance_reasons: Mapping[str, str]) -> Path:
    """Return a path without its root if several roots are possible.

    Anyone can create a root, and certify the key of a CA with it. The result depends only on the
    certificates, and not on the order in which they came. Therefore, only the user can choose the
    root: with its fingerprint in the reason for accepting the finding.
    """
    checks = list_returned_checks()
    ways: dict[str, Path] = {}
    for way in (path, *path.others) if path.is_complete else ():
        if way is path or not any(checks[w.code].severity == "error" for w in way.objections):
            ways.setdefault(way.issuers[-1].spki_sha256, replace(way, others=()))
    if len(ways) < 2:
        return replace(path, others=())
    reason = acceptance_reasons.get(SEVERAL_ROOTS, "").replace(":", "").casefold()
    named = [way for way in ways.values() if way.issuers[-1].sha256 in reason]
    others = tuple(ways.values())
    if len(named) == 1:
        return replace(named[0], rejected=path.rejected, others=others)
    shortest = min(others, key=lambda way: len(way.issuers))
    return replace(
        shortest,
        issuers=shortest.issuers[:-1], is_complete=False, rejected=path.rejected, others=others,
    )  # fmt: skip


def _list_path_objections(path: Path, evidence: Evidence) -> Iterator[Difference]:
    """Yield the problems in a path for the servers' Windows version and the CA's type."""
    can_be_enabled = evidence.target_os in load_returned_rules().curves_to_enable
    for wrong in path.objections:
        if wrong.code == "chain-curve-unsupported" and can_be_enabled:
            yield (
                "chain-curve-to-enable",
                f"{wrong.detail}; the servers run Windows {evidence.target_os}",
            )
        elif (
            wrong.code == "chain-incomplete" and evidence.entry.issuer == "public" and path.issuers
        ):
            yield "chain-without-root", wrong.detail
        else:
            yield wrong.code, wrong.detail


def _find_other_roots(path: Path) -> Iterator[Difference]:
    """Yield a finding if a certificate can have several roots."""
    roots = sorted((way.issuers[-1] for way in path.others), key=lambda root: root.sha256)
    if roots:
        names = (f'"{format_name(root.subject)}", SHA-256 {root.sha256}' for root in roots)
        yield SEVERAL_ROOTS, f"the certificate's chain can end in {' or '.join(names)}"


def downgrade_accepted_errors(
    all_findings: Iterable[Finding], acceptance_reasons: Mapping[str, str]
) -> tuple[Finding, ...]:
    """If the rules allow it, change accepted errors to notices with the acceptance reason."""
    return tuple(
        finding.accepted_because(acceptance_reasons[finding.code])
        if (finding.severity == "error" or finding.code == SEVERAL_ROOTS)
        and finding.code in acceptance_reasons
        and is_acceptable(finding.code)
        else finding
        for finding in all_findings
    )


def build_evaluation_record(
    certificate: Certificate,
    path: Path,
    all_findings: Iterable[Finding],
    entry: PlannedEntry,
    acceptance_reasons: Mapping[str, str],
    *,
    evaluated_at: str,
) -> RecordedEvaluation:
    """Convert an evaluation and its evidence to a record for the manifest."""
    all_findings = tuple(all_findings)
    codes = {finding.code for finding in all_findings}
    ends = find_chain_end(certificate, path.issuers)
    return RecordedEvaluation(
        certificate=certificate.sha256,
        chain=tuple(issuer.sha256 for issuer in path.issuers),
        chain_complete=path.is_complete,
        rejected=tuple(issuer.sha256 for issuer in path.rejected),
        entry_sha256=compute_entry_sha256(entry),
        rules=compute_rules_identity(),
        judged_at=evaluated_at,
        chain_until=format_time(ends) if ends is not None else "",
        findings=tuple(
            EvaluationFinding(code=finding.code, severity=finding.severity, message=finding.message)
            for finding in all_findings
        ),
        accepted=tuple(
            Acceptance(code=code, reason=reason)
            for code, reason in acceptance_reasons.items()
            if code in codes and is_acceptable(code)
        ),
    )


def compute_entry_sha256(entry: PlannedEntry) -> str:
    """Return the SHA-256 of the planned values with which lyncnb compares a certificate."""
    key = (entry.key.algorithm, entry.key.bits) if entry.key else None
    values = [entry.id, entry.role, entry.issuer, dict(entry.subject), entry.san, entry.eku]
    text = json.dumps([*values, key, entry.hash, entry.servers, entry.usages], ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def read_recorded_findings(evaluation: RecordedEvaluation | None) -> tuple[Difference, ...]:
    """Return the findings of a recorded evaluation that depend on other certificates."""
    if evaluation is None:
        return ()
    reasons = {acceptance.code: acceptance.reason for acceptance in evaluation.accepted}
    return tuple(
        # Remove the reason for the acceptance from the message, because the caller adds the current
        # reason again.
        (
            finding.code,
            finding.message.removesuffix(format_acceptance(reasons.get(finding.code, ""))),
        )
        for finding in evaluation.findings
        if finding.code in NOTED
    )
