"""Determine which findings the plan options accept, with the end date and the scope."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date

from ..rules.findings import Finding
from .options import PlanOptions


def find_acceptance(finding: Finding, options: PlanOptions, *, on: date) -> str:
    """Return the reason why the options accept a finding on a date, with the end date and scope.

    Parameters
    ----------
    finding : Finding
        A finding in a plan.
    options : PlanOptions
        The options with ``accepted``, ``accepted_until``, and ``accepted_for``.
    on : date
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
        or has_expired(finding.code, options, on=on)
        or (only and not matches_any_id(finding.about, only))
    ):
        return ""
    limits = describe_acceptance_limits(finding.code, options)
    return f"{reason} ({limits})" if limits else reason


def has_expired(code: str, options: PlanOptions, *, on: date) -> bool:
    """Return whether the acceptance of a finding code ends before a date."""
    until = options.accepted_until.get(code)
    return bool(until and until < on)


def describe_acceptance_limits(code: str, options: PlanOptions) -> str:
    """Return a text with the last date and the scope of the acceptance of a finding code.

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


def matches_any_id(about: str, ids: Iterable[str]) -> bool:
    """Return whether the id of a finding's object is in a list or begins with a text in it."""
    return any(about.lower().startswith(begins.lower()) for begins in ids if begins)


def list_accepted_codes(
    findings: Iterable[Finding], options: PlanOptions, *, on: date
) -> Mapping[str, str]:
    """Return the finding codes for which the options accept every finding on a date.

    Parameters
    ----------
    findings : iterable of Finding
        All findings in a plan.
    options : PlanOptions
        The plan options.
    on : date
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
        if reason and on <= options.accepted_until.get(code, on)
    }
    for finding in findings:
        if finding.code in reasons and not find_acceptance(finding, options, on=on):
            del reasons[finding.code]
    return reasons
