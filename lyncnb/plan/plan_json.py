"""The plan as plain JSON values: format ``lyncnb-plan/1``."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from ..rules.findings import Finding
from .model import CertificatePlan, certificate_document

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


def plan_json(
    plan: CertificatePlan, findings: Iterable[Finding], *, certificates: bool = True
) -> bytes:
    """Write the plan document as JSON.

    Parameters
    ----------
    plan, findings
        As for :func:`plan_document`.
    certificates : bool, optional
        False leaves the certificates out (``lyncnb check --json``).

    Returns
    -------
    bytes
        UTF-8, one certificate and one finding a line: a diff of two documents then names the
        certificates concerned, and memory suffices for 100,000 of them.
    """
    document = plan_document(plan, findings)
    if not certificates:
        del document["certificates"]
    encode = json.JSONEncoder(ensure_ascii=False).encode
    members = []
    for key, value in document.items():
        if isinstance(value, list) and value:
            lines = ",\n".join(map(encode, value))
            members.append(f"{encode(key)}: [\n{lines}\n]")
        else:
            members.append(f"{encode(key)}: {encode(value)}")
    text = ",\n".join(members)
    return f"{{\n{text}\n}}\n".encode("utf-8", "replace")
