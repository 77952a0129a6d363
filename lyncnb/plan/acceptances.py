"""Determine which findings the options of a plan accept, until when, and for what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date

from ..rules.findings import Finding, Findings, sort_findings
from .options import PlanOptions


def list_acceptances(findings: Findings, options: PlanOptions) -> dict[Finding, str]:
    """Return the reason for each finding that the options accept on the evaluation date."""
    day = findings.judged_on
    if day is None or not options.accepted:
        return {}
    reasons = {finding: find_acceptance(finding, options, day=day) for finding in findings}
    return {finding: reason for finding, reason in reasons.items() if reason}


def mark_accepted_findings(findings: Findings, options: PlanOptions) -> Findings:
    """Replace each finding that the options accept with a notice that contains the reason."""
    accepted = list_acceptances(findings, options)
    if not accepted:
        return findings
    return sort_findings(
        (
            finding.accepted_because(accepted[finding]) if finding in accepted else finding
            for finding in findings
        ),
        judged_on=findings.judged_on,
    )


def find_acceptance(finding: Finding, options: PlanOptions, *, day: date) -> str:
    """Return why, until when, and for which certificates the options accept a finding.

    Parameters
    ----------
    finding : Finding
        A finding in a plan.
    options : PlanOptions
        The options with ``accepted``, ``accepted_until``, and ``accepted_for``.
    day : date
        The evaluation date.

    Returns
    -------
    str
        The reason, or "" if the finding is not accepted: the options contain no reason, the
        acceptance has expired, or it applies to other objects.
    """
    reason = options.accepted.get(finding.code, "")
    only = options.accepted_for.get(finding.code, ())
    if (
        not reason
        or is_acceptance_expired(finding.code, options, day=day)
        or (only and not is_id_listed(finding.about, only))
    ):
        return ""
    limits = describe_acceptance_limits(finding.code, options)
    return f"{reason} ({limits})" if limits else reason


def is_acceptance_expired(code: str, options: PlanOptions, *, day: date) -> bool:
    """Return whether a finding was accepted only until an earlier date."""
    until = options.accepted_until.get(code)
    return bool(until and until < day)


def describe_acceptance_limits(code: str, options: PlanOptions) -> str:
    """Describe the last date and the certificates for which a finding is accepted.

    Returns
    -------
    str
        The text, or "" if the acceptance has no last date and applies to all objects.
    """
    until = options.accepted_until.get(code)
    only = options.accepted_for.get(code, ())
    limits = [f"until {until}"] if until else []
    limits += [f"for {', '.join(only)}"] if only else []
    return "; ".join(limits)


def is_id_listed(subject_id: str, ids: Iterable[str]) -> bool:
    """Return whether an ID is in a list, or begins with an entry in the list."""
    return any(subject_id.lower().startswith(prefix.lower()) for prefix in ids if prefix)


def list_accepted_codes(
    findings: Iterable[Finding], options: PlanOptions, *, day: date
) -> Mapping[str, str]:
    """Return the codes for which the options accept all findings on a date.

    Parameters
    ----------
    findings : iterable of Finding
        All findings in a plan.
    options : PlanOptions
        The plan options.
    day : date
        The evaluation date.

    Returns
    -------
    mapping of str to str
        The reason for each code. A code without a finding is included until its last date, because
        a
        future certificate can have the finding.
    """
    reasons = {
        code: reason
        for code, reason in options.accepted.items()
        if reason and day <= options.accepted_until.get(code, day)
    }
    for finding in findings:
        if finding.code in reasons and not find_acceptance(finding, options, day=day):
            del reasons[finding.code]
    return reasons
