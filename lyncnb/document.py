"""The plan document: a plan and its findings as plain JSON values, in a stable order."""

from __future__ import annotations

from collections.abc import Iterable

from .plan import CertificatePlan, Finding, PlannedCertificate, certificate_document
from .rules import Rules

FORMAT = "lyncnb-plan/1"


def plan_document(plan: CertificatePlan, findings: Iterable[Finding] = ()) -> dict[str, object]:
    """Write a plan and its findings as plain JSON values.

    Parameters
    ----------
    plan : CertificatePlan
        n certificates.
    findings : iterable of Finding, optional
        What the checks found, in the order in which it is to be written.

    Returns
    -------
    dict
        Format ``lyncnb-plan/1``: product, hash of the plan, certificates with the reasons for
        each of their names, findings. The same arguments give the same document, keys in the
        same order.
    """
    subjects = {rule.id: rule.subject_name for rule in plan.rules.certificates}
    return {
        "format": FORMAT,
        "product": plan.rules.product,
        "plan_sha256": plan.sha256,
        "certificates": [
            {
                **certificate_document(certificate),
                "reasons": _reasons(certificate, plan.rules, subjects[certificate.rule]),
            }
            for certificate in plan.certificates
        ],
        "findings": [finding_document(finding) for finding in findings],
    }


def finding_document(finding: Finding) -> dict[str, str]:
    """Write a finding as plain JSON values: code, severity, about, message, hint, source."""
    return {
        "code": finding.code,
        "severity": finding.severity,
        "about": finding.about,
        "message": finding.message,
        "hint": finding.hint,
        "source": finding.source,
    }


def _reasons(
    certificate: PlannedCertificate, rules: Rules, subject_rule: str
) -> dict[str, list[dict[str, str]]]:
    """By name: the rules that ask for it. A subject that is no alternative name comes first."""
    reasons = {str(entry.name): entry.reasons for entry in certificate.subject_alt_name}
    subject = certificate.subject.common_name
    if subject and subject not in reasons:
        reasons = {subject: (subject_rule,), **reasons}
    return {
        name: [{"rule": rule, "source": rules.names[rule].source} for rule in ids]
        for name, ids in reasons.items()
    }
