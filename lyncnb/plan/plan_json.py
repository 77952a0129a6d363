"""Convert a plan to plain JSON values, in the format ``lyncnb-plan/1``."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict

from ..rules.findings import CellEdit, Finding, Findings, HeadingEdit
from .acceptances import list_acceptances
from .model import CertificatePlan, build_certificate_document

FORMAT = "lyncnb-plan/1"


def plan_document(plan: CertificatePlan, findings: Iterable[Finding] = ()) -> dict[str, object]:
    """Convert a plan and its findings to JSON values, in a stable order.

    Parameters
    ----------
    plan : CertificatePlan
        The plan with n certificates.
    findings : iterable of Finding, optional
        The result of ``check_plan``. The order is kept.

    Returns
    -------
    dict
        A dict for ``json.dumps`` with these keys: ``format``, ``product``, ``plan_sha256``,
        ``judged_on`` (the evaluation date of the findings, if any), ``certificates``, ``reasons``,
        and ``findings``. The n certificates are in the order of the plan. Each name has the rules
        and sources, and international names are also in Unicode. ``reasons`` contains, for each
        rule, the reason for the names, the clients that need them, and the effect if they are
        missing, or null if not documented.
    """
    document = _encode_header(plan, findings)
    document["certificates"] = list(_encode_certificates(plan))
    document["reasons"] = list(_encode_all_reasons(plan))
    document["findings"] = list(_encode_findings(plan, findings))
    return document


def _encode_findings(
    plan: CertificatePlan, findings: Iterable[Finding]
) -> Iterator[dict[str, object]]:
    """Yield each finding, with the reason in ``accepted`` if the options accept it."""
    accepted = list_acceptances(findings, plan.options) if isinstance(findings, Findings) else {}
    for finding in findings:
        yield {**finding.to_document(), "accepted": accepted.get(finding, finding.accepted)}


def _encode_header(plan: CertificatePlan, findings: Iterable[Finding]) -> dict[str, object]:
    heading: dict[str, object] = {
        "format": FORMAT,
        "product": plan.rules.product,
        "plan_sha256": plan.sha256,
    }
    judged_on = getattr(findings, "judged_on", None)
    if judged_on is not None:
        heading["judged_on"] = judged_on.isoformat()
    return heading


def _encode_certificates(plan: CertificatePlan) -> Iterator[dict[str, object]]:
    names = plan.rules.names
    reasons = {
        rule.id: {"rule": rule.id, "source": rule.source} for rule in names.values()
    }  # All certificates share the same dict for each rule.
    for certificate in plan.certificates:
        entry = build_certificate_document(certificate)
        entry["reasons"] = {
            san.name: [reasons[rule] for rule in san.reasons]
            for san in certificate.subject_alt_name
        }
        unicode_names = {
            san.name: san.name.as_written for san in certificate.subject_alt_name if san.name.is_idn
        }
        if unicode_names:
            entry["unicode"] = unicode_names
        yield entry


def _encode_all_reasons(plan: CertificatePlan) -> Iterator[dict[str, object]]:
    subjects = {rule.id: rule.subject_name for rule in plan.rules.certificates}
    reasons: dict[tuple[str, ...], None] = {}
    for certificate in plan.certificates:
        # On an internal Edge certificate, the subject name is not a subject alternative name.
        reasons[subjects[certificate.rule],] = None
        reasons.update(dict.fromkeys(san.reasons for san in certificate.subject_alt_name))
    used = dict.fromkeys(itertools.chain.from_iterable(reasons))
    for rule in map(plan.rules.names.__getitem__, used):
        yield {
            "rule": rule.id,
            "why": rule.why,
            "source": rule.source,
            "clients": asdict(rule.clients) if rule.clients else None,
            "without": asdict(rule.without) if rule.without else None,
        }


def _encode_fix(plan: CertificatePlan, finding: Finding) -> dict[str, object]:
    edits: list[dict[str, object]] = []
    for edit in finding.edits:
        if isinstance(edit, CellEdit):
            row = dict(zip(plan.topology.columns, plan.topology.cells[edit.row]))
            server = {"server": row["server_fqdn"], "role": row["role"]}
            edits.append({**server, "column": edit.column, "text": edit.text})
        elif isinstance(edit, HeadingEdit):
            edits.append({"heading": edit.heading, "column": edit.column})
        elif edit.key:
            edits.append({"option": edit.option, "remove": edit.key})
        else:
            edits.append({"option": edit.option, "value": edit.value})
    return {"code": finding.code, "about": finding.about, "edits": edits}


def plan_json(
    plan: CertificatePlan,
    findings: Iterable[Finding],
    *,
    certificates: bool = True,
    fixed: Iterable[Finding] | None = None,
) -> bytes:
    """Return a plan and its findings as a JSON document.

    Parameters
    ----------
    plan, findings
        As for :func:`plan_document`.
    certificates : bool, optional
        If False, the certificates are omitted (``lyncnb check --json``).
    fixed : iterable of Finding, optional
        Findings with the edits that fix them (``lyncnb check --fix --json``). An option without a
        value is reset to the default value.

    Returns
    -------
    bytes
        UTF-8, with a line for each certificate and finding, so that comparing two documents shows
        the
        changed certificates.
    """
    lists: dict[str, Iterable[dict[str, object]]] = {
        "reasons": _encode_all_reasons(plan),
        "findings": _encode_findings(plan, findings),
    }
    if fixed is not None:
        lists["fixes"] = (_encode_fix(plan, finding) for finding in fixed)
    if certificates:
        lists = {"certificates": _encode_certificates(plan), **lists}
    out = io.BytesIO()
    for text in _encode_document(_encode_header(plan, findings), lists):
        out.write(text.encode("utf-8", "replace"))
    return out.getvalue()


def _encode_document(
    heading: Mapping[str, object], lists: Mapping[str, Iterable[dict[str, object]]]
) -> Iterator[str]:
    encode = json.JSONEncoder(ensure_ascii=False).encode
    members = (f"{encode(key)}: {encode(value)}" for key, value in heading.items())
    yield "{\n" + ",\n".join(members)
    for key, entries in lists.items():
        yield f",\n{encode(key)}: ["
        between = "\n"
        for entry in entries:
            yield between + encode(entry)
            between = ",\n"
        yield "]" if between == "\n" else "\n]"
    yield "\n}\n"
