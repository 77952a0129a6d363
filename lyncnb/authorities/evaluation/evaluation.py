"""Evaluate an issued certificate, using only the data in the manifest.

These functions have no side effects. ``receive``, ``pfx``, ``steps``, ``status``, and the panel all
use this module, so their results always agree.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from ...base.planned_entry import PlannedEntry
from ...pki.certificates import Certificate, format_name
from ...pki.chain import Issuers, Path, build_path, find_web_pki_objection, verify_path
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
    findings that depend on other certificates. ``settled`` is the recorded certification path. It
    is replaced only if it has an error, so that CA certificates that arrive later cannot lead to a
    different root. If ``is_fictional`` is true, the folder may contain certificates from the
    demonstration CA. ``target_os`` is the Windows version of the servers.
    """

    certificate: Certificate
    entry: PlannedEntry
    issuers: Issuers
    validity_days: int = 0
    accepted: Mapping[str, str] = field(default_factory=dict)
    noted: tuple[Difference, ...] = ()
    settled: tuple[Certificate, ...] = ()
    is_fictional: bool = False
    target_os: str = ""


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
    path = _find_path(evidence, evaluated_at)
    differences = [*evidence.noted, *_list_path_objections(path, evidence)]
    differences += _find_other_roots(path)
    if certificate.issuer_name == DEMONSTRATION_NAME and not evidence.is_fictional:
        signed = f"the {DEMONSTRATION_NAME} signed the certificate"
        differences.append(("demonstration-certificate", signed))
    if entry.issuer == "public":
        differences += find_root_restrictions(certificate, path, on=evaluated_at.date())
    if entry.issuer == "public" and path.is_complete and not path.objections:
        objection = find_web_pki_objection(certificate, path.issuers, today=evaluated_at)
        differences += [("web-pki-objection", objection)] if objection else []
    compared = compare_certificate(
        certificate, entry, today=evaluated_at, validity_days=evidence.validity_days
    )
    findings = (*compared, *create_findings(entry, differences))
    return Evaluation(path=path, findings=downgrade_accepted_errors(findings, evidence.accepted))


def _find_path(evidence: Evidence, evaluated_at: datetime) -> Path:
    certificate, settled = evidence.certificate, evidence.settled
    path = build_path(certificate, evidence.issuers, today=evaluated_at)
    if not settled or path.issuers == settled:
        return path
    followed = verify_path(certificate, settled, evidence.issuers, today=evaluated_at)
    checks = list_returned_checks()
    if followed is None or any(
        checks[wrong.code].severity == "error" for wrong in followed.objections
    ):
        return path
    roots = (path.issuers[-1], *path.other_roots) if path.is_complete else ()
    return replace(followed, rejected=path.rejected, other_roots=roots)


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
    """Yield a finding for each other possible root of a certificate.

    Anyone can create a certificate that looks like its root.
    """
    root = path.issuers[-1] if path.is_complete else None
    others = {
        other.sha256: f'"{format_name(other.subject)}", SHA-256 {other.sha256}'
        for other in path.other_roots
        if root is not None and other.spki_sha256 != root.spki_sha256
    }
    if root is not None and others:
        also = " and ".join(others[digest] for digest in sorted(others))
        root_label = f'"{format_name(root.subject)}", SHA-256 {root.sha256}'
        yield (
            "chain-several-roots",
            f"the certificate's chain ends in {root_label}; the chain can also end in {also}",
        )


def downgrade_accepted_errors(
    all_findings: Iterable[Finding], acceptance_reasons: Mapping[str, str]
) -> tuple[Finding, ...]:
    """If the rules allow it, change accepted errors to notices with the acceptance reason."""
    return tuple(
        finding.accepted_because(acceptance_reasons[finding.code])
        if finding.severity == "error"
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
    return RecordedEvaluation(
        certificate=certificate.sha256,
        chain=tuple(issuer.sha256 for issuer in path.issuers),
        chain_complete=path.is_complete,
        rejected=tuple(issuer.sha256 for issuer in path.rejected),
        entry_sha256=compute_entry_sha256(entry),
        rules=compute_rules_identity(),
        judged_at=evaluated_at,
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
