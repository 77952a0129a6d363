"""The plan as plain JSON values: format ``lyncnb-plan/1``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .plan import CertificatePlan, Finding, certificate_document

FORMAT = "lyncnb-plan/1"


def plan_document(plan: CertificatePlan, findings: Iterable[Finding] = ()) -> dict[str, Any]:
    """Write a plan and its findings as JSON values, in a stable order.

    Parameters
    ----------
    plan : CertificatePlan
        n certificates.
    findings : iterable of Finding, optional
        What ``check_plan`` says of it; their order is kept.

    Returns
    -------
    dict
        ``format``, ``product``, ``plan_sha256``, ``certificates`` (n, in the plan's order, each
        name with the rules and sources it comes from) and ``findings``. Only dicts, lists and
        texts, numbers and truth values, so ``json.dumps`` takes it as it is.
    """
    names = plan.rules.names
    reasons = {
        rule.id: {"rule": rule.id, "source": rule.source} for rule in names.values()
    }  # one dict per rule, shared by every certificate
    certificates = []
    for certificate in plan.certificates:
        entry = certificate_document(certificate)
        entry["reasons"] = {
            san.name: [reasons[rule] for rule in san.reasons]
            for san in certificate.subject_alt_name
        }
        certificates.append(entry)
    return {
        "format": FORMAT,
        "product": plan.rules.product,
        "plan_sha256": plan.sha256,
        "certificates": certificates,
        "findings": [
            {
                "code": finding.code,
                "severity": finding.severity,
                "about": finding.about,
                "message": finding.message,
                "hint": finding.hint,
                "source": finding.source,
            }
            for finding in findings
        ],
    }
