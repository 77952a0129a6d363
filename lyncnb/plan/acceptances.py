"""Evaluate which findings the plan options accept, until which date, and for which objects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date

from ..rules.findings import Finding
from .options import PlanOptions


def reason_for(finding: Finding, options: PlanOptions, *, on: date) -> str:
    """Return the reason for which the options accept a finding on a date, with its limits.

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
        "" if the finding is not accepted: it has no reason, the acceptance has expired, or it
        applies
        to other objects.
    """
    reason = options.accepted.get(finding.code, "")
    only = options.accepted_for.get(finding.code, ())
    if (
        not reason
        or is_over(finding.code, options, on=on)
        or (only and not is_about(finding.about, only))
    ):
        return ""
    limits = limits_of(finding.code, options)
    return f"{reason} ({limits})" if limits else reason


def is_over(code: str, options: PlanOptions, *, on: date) -> bool:
    """Return whether the acceptance of a finding code ends before a date."""
    until = options.accepted_until.get(code)
    return bool(until and until < on)


def limits_of(code: str, options: PlanOptions) -> str:
    """Return a text with the last date and the scope of the acceptance of a finding code.

    Returns
    -------
    str
        "" if the acceptance has no last date and applies to all objects.
    """
    until = options.accepted_until.get(code)
    only = options.accepted_for.get(code, ())
    limits = [f"until {until}"] if until else []
    limits += [f"for {', '.join(only)}"] if only else []
    return "; ".join(limits)


def is_about(about: str, ids: Iterable[str]) -> bool:
    """Return whether a finding is about an id that is listed or begins with a listed text."""
    return any(about.lower().startswith(begins.lower()) for begins in ids if begins)


def accepted_codes(
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
        if finding.code in reasons and not reason_for(finding, options, on=on):
            del reasons[finding.code]
    return reasons
